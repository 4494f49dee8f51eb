package ra_test

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// oneTimeFixture is an endpoint with one challenge, which is of type OneTime.
type oneTimeFixture struct {
	*fixture
	minter *onetime.OneTime
}

const (
	usedText    = "challenge already used: ask for a new one"
	expiredText = "challenge expired: ask for a new one"
	refusedText = "challenge password refused"
)

func newOneTimeFixture(t *testing.T, change func(*ratest.Files)) *oneTimeFixture {
	t.Helper()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	files.Config.Challenges = []raconfig.Challenge{{
		Name: "helpdesk", Type: v1alpha1.ChallengeOneTime,
		OneTime: &raconfig.OneTime{ValiditySeconds: 3600, NDES: &raconfig.NDES{}},
	}}
	files.Config.Templates[0].Spec.Rules = append(files.Config.Templates[0].Spec.Rules,
		v1alpha1.Rule{Name: "kiosk", Expression: "csr.subject.commonName.startsWith('kiosk')", Message: "CN must be a kiosk's"})
	if change != nil {
		change(files)
	}
	files.WriteConfig()
	f := &fixture{cluster, files, ratest.NewServer(t, cluster, files)}
	return &oneTimeFixture{f, newMinter(t, files, func(*onetime.Config) {})}
}

// newMinter mints what an endpoint's servers accept, unless it is changed.
func newMinter(t *testing.T, f *ratest.Files, change func(*onetime.Config)) *onetime.OneTime {
	t.Helper()
	c := onetime.Config{
		Name:      "helpdesk",
		Endpoint:  string(f.Config.Endpoint.UID),
		Keys:      [][]byte{f.ChallengeKey()},
		Validity:  time.Hour,
		NDES:      true,
		Guard:     onetime.NewGuard(),
		Templates: map[string][]string{"device": {"kiosk"}, "router": nil},
		Now:       time.Now,
	}
	change(&c)
	minter, err := onetime.New(c)
	if err != nil {
		t.Fatal(err)
	}
	return minter
}

func mintFrom(t *testing.T, minter *onetime.OneTime, order onetime.Order) string {
	t.Helper()
	if order.Form == "" {
		order.Form = onetime.Standard
	}
	if order.Template == "" {
		order.Template = "device"
	}
	m, err := minter.Mint(order, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return m.Challenge
}

func (f *oneTimeFixture) mint(t *testing.T) string {
	t.Helper()
	return mintFrom(t, f.minter, onetime.Order{})
}

// with is a good request with a one-time challenge.
func with(t *testing.T, challenge string, keyNumber int) scep.EnrolRequest {
	t.Helper()
	request := enrolment(t, keyNumber)
	request.ChallengePassword = challenge
	return request
}

// race sends requests at once, the n-th to a URL of its own, and counts how they end.
func race(t *testing.T, requests []scep.EnrolRequest, url func(n int) string) map[string]int {
	t.Helper()
	outcomes := make([]string, len(requests))
	var group sync.WaitGroup
	for n, request := range requests {
		group.Go(func() {
			result, err := device(url(n)).Enrol(limited(t), request)
			switch {
			case err != nil:
				outcomes[n] = err.Error()
			case result.Status == scep.StatusSuccess:
				outcomes[n] = "certificate"
			default:
				outcomes[n] = result.FailInfoText
			}
		})
	}
	group.Wait()
	count := map[string]int{}
	for _, o := range outcomes {
		count[o]++
	}
	return count
}

// Twenty devices race for five challenges on two servers.
func TestRaceForOneTimeChallenges(t *testing.T) {
	t.Parallel()
	const devices, challenges = 20, 5
	f := newOneTimeFixture(t, nil)
	second := ratest.NewServer(t, f.Cluster, f.files)
	var minted []string
	for range challenges {
		minted = append(minted, f.mint(t))
	}
	requests := make([]scep.EnrolRequest, devices)
	for n := range requests {
		requests[n] = with(t, minted[n%challenges], n)
		requests[n].TransactionID = fmt.Sprintf("device %d", n)
	}
	count := race(t, requests, func(n int) string { return []string{f.server.URL, second.URL}[n/challenges%2] })
	if len(count) != 2 || count["certificate"] != challenges || count[usedText] != devices-challenges {
		t.Errorf("outcomes %v, want %d certificates and %d refusals", count, challenges, devices-challenges)
	}
	f.wantRequests(t, challenges)
}

func TestOneTimeChallenges(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, nil)
	names, err := policy.ParseNames([]string{"commonName=" + deviceName}, []string{"dns:" + deviceName})
	if err != nil {
		t.Fatal(err)
	}
	other := func(change func(*onetime.Config)) *onetime.OneTime { return newMinter(t, f.files, change) }
	long := onetime.Order{Form: onetime.Long, Data: map[string]any{"site": "north"}}
	anHourAgo := func() time.Time { return time.Now().Add(-time.Hour - time.Second) }
	for name, tc := range map[string]struct {
		challenge string
		want      string // "" is a certificate
	}{
		"good":                    {f.mint(t), ""},
		"long":                    {mintFrom(t, f.minter, long), ""},
		"NDES":                    {mintFrom(t, f.minter, onetime.Order{Form: onetime.NDES}), ""},
		"for the very names":      {mintFrom(t, f.minter, onetime.Order{Binding: onetime.Binding{Subject: names.Subject, AlternativeNames: names.AlternativeNames}}), ""},
		"for another subject":     {mintFrom(t, f.minter, onetime.Order{Binding: onetime.Binding{Subject: []string{"commonName=d2.devices.example.com"}}}), refusedText},
		"without any alternative": {mintFrom(t, f.minter, onetime.Order{Binding: onetime.Binding{AlternativeNames: []string{}}}), refusedText},
		"for a rule":              {mintFrom(t, f.minter, onetime.Order{Binding: onetime.Binding{Rule: "kiosk"}}), "CN must be a kiosk's"},
		"for another template":    {mintFrom(t, f.minter, onetime.Order{Binding: onetime.Binding{Template: "router"}}), refusedText},
		"of another endpoint":     {mintFrom(t, other(func(c *onetime.Config) { c.Endpoint = "another" }), onetime.Order{}), refusedText},
		"of another entry":        {mintFrom(t, other(func(c *onetime.Config) { c.Name = "another" }), onetime.Order{}), refusedText},
		"expired":                 {mintFrom(t, other(func(c *onetime.Config) { c.Now = anHourAgo }), onetime.Order{}), expiredText},
		"nonsense":                {"0123456789ABCDEFGHJKMNPQRSTVWXYZ", refusedText},
		"nothing":                 {"", "challenge password required"},
	} {
		result := enrol(t, f.server.URL, with(t, tc.challenge, 1))
		if tc.want == "" {
			wantCertificate(t, result, sceptest.RSAKey(t, 1))
		} else if result.Status != scep.StatusFailure || result.FailInfoText != tc.want {
			t.Errorf("%s: status %v, %q, want %q", name, result.Status, result.FailInfoText, tc.want)
		}
	}
	f.wantRequests(t, 4)
	f.server.WantMetric(`scepter_ra_refusals_total{reason="ChallengeExpired"} 1`)
}

func TestTheRecordOfAChallengeOutlivesIt(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, nil)
	enrol(t, f.server.URL, with(t, f.mint(t), 1))
	for _, r := range f.List(t) {
		keep, err := time.Parse(time.RFC3339, r.Annotations[v1alpha1.AnnotationKeepUntil])
		if left := time.Until(keep); err != nil || left < 118*time.Minute || left > 2*time.Hour {
			t.Errorf("kept for %s (%v), want an hour beyond the challenge's hour", left, err)
		}
		if got := r.Annotations[v1alpha1.AnnotationChallenge]; got != "helpdesk" {
			t.Errorf("admitted by %q", got)
		}
	}
	f.wantRequests(t, 1)
}

// A device that has lost the reply asks again: with the same key it gets the same
// certificate, on any server; with another it is refused.
func TestALostReplyDoesNotSpendTheChallenge(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, nil)
	second := ratest.NewServer(t, f.Cluster, f.files)
	request := with(t, f.mint(t), 1)
	request.TransactionID = "lost"
	first := wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	for _, url := range []string{f.server.URL, second.URL} {
		if again := wantCertificate(t, enrol(t, url, request), request.Key); !again.Equal(first) {
			t.Error("another certificate for the same request")
		}
		anotherTransaction := request
		anotherTransaction.TransactionID = "another"
		if again := wantCertificate(t, enrol(t, url, anotherTransaction), request.Key); !again.Equal(first) {
			t.Error("another certificate for the same key under another transactionID")
		}
		wantFailure(t, enrol(t, url, with(t, request.ChallengePassword, 2)), usedText)
		otherNames := with(t, request.ChallengePassword, 1)
		otherNames.Template = &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d2.devices.example.com"}}
		wantFailure(t, enrol(t, url, otherNames), usedText)
	}
	f.wantRequests(t, 1)
	f.server.WantMetric(`scepter_ra_refusals_total{reason="ChallengeUsed"} 2`)
}

func TestParallelReplaysOfAOneTimeChallenge(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, nil)
	second := ratest.NewServer(t, f.Cluster, f.files)
	request := with(t, f.mint(t), 1)
	request.TransactionID = "replayed"
	request.Certificate = sceptest.SelfSigned(t, nil, request.Key)
	const copies = 8
	serials := make([]string, copies)
	var group sync.WaitGroup
	for n := range copies {
		url := []string{f.server.URL, second.URL}[n%2]
		group.Go(func() {
			result, err := device(url).Enrol(limited(t), request)
			if err != nil || result.Status != scep.StatusSuccess {
				t.Errorf("copy %d: %+v (%v)", n, result, err)
				return
			}
			serials[n] = result.Certificate.SerialNumber.String()
		})
	}
	group.Wait()
	for _, serial := range serials {
		if serial != serials[0] {
			t.Errorf("serials %v, want one", serials)
		}
	}
	f.wantRequests(t, 1)
}

func TestAFailingIssuerDoesNotSpendTheChallenge(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, nil)
	f.Issuer.Set(ratest.Fails)
	request := with(t, f.mint(t), 1)
	wantFailure(t, enrol(t, f.server.URL, request), "the issuer failed; try again later")
	wantFailure(t, enrol(t, f.server.URL, with(t, request.ChallengePassword, 2)), usedText)
	f.Issuer.Set(ratest.Signs)
	wantFailure(t, enrol(t, f.server.URL, with(t, request.ChallengePassword, 2)), usedText)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	f.wantRequests(t, 2)
}

// While the API server is away nothing is consumed.
func TestAnOutageDoesNotSpendTheChallenge(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, nil)
	request := with(t, f.mint(t), 1)
	f.server.SetClusterAway(true)
	if _, err := device(f.server.URL).Enrol(limited(t), request); err == nil {
		t.Error("no error while the API server is away")
	}
	f.server.SetClusterAway(false)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
}

// A request that the template refuses does not spend the challenge.
func TestARefusalDoesNotSpendTheChallenge(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, nil)
	request := with(t, f.mint(t), 1)
	refused := request
	refused.Template = &x509.CertificateRequest{Subject: pkix.Name{CommonName: "laptop"}}
	wantFailure(t, enrol(t, f.server.URL, refused), "CN must be a device name")
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
}

func TestRekeyWindow(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, func(f *ratest.Files) { f.Config.Challenges[0].OneTime.RekeySeconds = 600 })
	challenge := f.mint(t)
	for n := range 3 {
		request := with(t, challenge, n)
		wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	}
	wantFailure(t, enrol(t, f.server.URL, with(t, challenge, 3)), usedText)
	f.wantRequests(t, 3)
	again := with(t, challenge, 1)
	again.TransactionID = "again"
	wantCertificate(t, enrol(t, f.server.URL, again), again.Key)

	challenge = f.mint(t)
	request := with(t, challenge, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	otherNames := with(t, challenge, 2)
	otherNames.Template = &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d2.devices.example.com"}}
	wantFailure(t, enrol(t, f.server.URL, otherNames), usedText)
	f.wantRequests(t, 4)
}

func TestTheRekeyWindowCloses(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, func(f *ratest.Files) { f.Config.Challenges[0].OneTime.RekeySeconds = 1 })
	challenge := f.mint(t)
	first := with(t, challenge, 1)
	wantCertificate(t, enrol(t, f.server.URL, first), first.Key)
	start := time.Now()
	ratest.Eventually(t, "the window to close", func() error {
		if time.Since(start) < 2*time.Second {
			return fmt.Errorf("waited %s", time.Since(start))
		}
		return nil
	})
	wantFailure(t, enrol(t, f.server.URL, with(t, challenge, 2)), usedText)
	f.wantRequests(t, 1)
}

// A renewal that its certificate authenticates brings the old challenge along, or a
// new one: neither is looked at, nor spent.
func TestARenewalSpendsNoChallenge(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, nil)
	request := with(t, f.mint(t), oldKey)
	first := wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	fresh := f.mint(t)
	for _, challenge := range []string{request.ChallengePassword, fresh} {
		again := renewal(t, first)
		again.ChallengePassword = challenge
		wantCertificate(t, renew(t, f.server.URL, again), again.Key)
	}
	other := with(t, fresh, 3)
	wantCertificate(t, enrol(t, f.server.URL, other), other.Key)
	f.server.WantNoSecret(request.ChallengePassword, fresh)
}

func TestGuessesAreStoppedAndReported(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, nil)
	client := device(f.server.URL)
	ratest.Eventually(t, "wrong tries to be stopped", func() error {
		for n := range 80 {
			request := with(t, fmt.Sprintf("%016X", n), 1)
			if _, err := client.Enrol(limited(t), request); err != nil {
				return nil //nolint:nilerr // it is what is waited for
			}
		}
		return fmt.Errorf("80 wrong tries were looked at")
	})
	f.server.WantLogged(audit.ChallengeGuessing, "somebody may be guessing")
	f.server.WantMetric(`scepter_ra_enrolments_total{reason="ChallengeGuessing",result="unavailable"} 1`)
	standard := with(t, f.mint(t), 1)
	wantCertificate(t, enrol(t, f.server.URL, standard), standard.Key)
}

func TestAnyone(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, func(f *ratest.Files) {
		f.Config.Challenges = append([]raconfig.Challenge{{Name: "all", Type: v1alpha1.ChallengeAnyone}}, f.Config.Challenges...)
	})
	request := with(t, "", 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	f.server.WantLogged(audit.Authenticated, `"admittedBy":"all"`)
	challenge := f.mint(t)
	spends := with(t, challenge, 2)
	wantCertificate(t, enrol(t, f.server.URL, spends), spends.Key)
	wantFailure(t, enrol(t, f.server.URL, with(t, challenge, 3)), usedText)
}

func TestWithoutAKeyOneTimeChallengesAreRefused(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, func(f *ratest.Files) { f.Write(f.Dirs.State, raconfig.ChallengeKeyFile, nil) })
	wantFailure(t, enrol(t, f.server.URL, with(t, f.mint(t), 1)), refusedText)
	if err := wantProblem(f.server.Status(), "one or two keys"); err != nil {
		t.Error(err)
	}
}

// The keys of a rotation under way verify, and the status names them by what tells nothing of them.
func TestKeysOfARotation(t *testing.T) {
	t.Parallel()
	next := bytes.Repeat([]byte{7}, onetime.KeyBytes)
	f := newOneTimeFixture(t, func(f *ratest.Files) { f.Write(f.Dirs.State, raconfig.NextChallengeKeyFile, next) })
	want := []string{raconfig.ChallengeKeyID(f.files.ChallengeKey()), raconfig.ChallengeKeyID(next)}
	if status := f.server.Status(); !status.HoldsChallengeKeys(want) {
		t.Errorf("the server names %q, want %q", status.ChallengeKeys, want)
	}
	ahead := newMinter(t, f.files, func(c *onetime.Config) { c.Keys = [][]byte{next} })
	for n, challenge := range []string{f.mint(t), mintFrom(t, ahead, onetime.Order{})} {
		request := with(t, challenge, n+1)
		wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	}
}
