package ra_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/ra/ratest/hooksim"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const (
	policyCredential = "policy"
	mutualPassword   = "password-of-the-device"
)

// mutualFixture is an endpoint whose webhook insists on the certificate of an RACredential.
type mutualFixture struct {
	*fixture
	ca   *sceptest.CA // that the webhook trusts
	hook *hooksim.Service
}

func newMutualFixture(t *testing.T) *mutualFixture {
	t.Helper()
	ca := sceptest.NewCA(t)
	hook := hooksim.Start(t, ca.Pool())
	hook.AllowPassword(mutualPassword, nil)
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	both := []v1alpha1.WebhookAuthentication{v1alpha1.WebhookSignature, v1alpha1.WebhookClientCertificate}
	calls := raconfig.Hook{URL: hook.URL, Authentication: both, ClientCredential: policyCredential}
	files.Config.Challenges = []raconfig.Challenge{{
		Name: "hook", Type: v1alpha1.ChallengeWebhook,
		Webhook: &raconfig.Webhook{
			Hook: calls, CABundle: true, TimeoutSeconds: patient,
			Notification: &raconfig.WebhookNotification{Hook: calls, Required: true},
		},
	}}
	for _, prefix := range []string{"", raconfig.NotificationPrefix} {
		files.Write(files.Dirs.Challenges, filepath.Join("hook", prefix+raconfig.SigningSecretFile), []byte(hooksim.SigningSecret))
	}
	files.Write(files.Dirs.Challenges, filepath.Join("hook", raconfig.CABundleFile), hook.RootsPEM())
	files.WriteConfig()
	return &mutualFixture{&fixture{cluster, files, ratest.NewServer(t, cluster, files)}, ca, hook}
}

// generation is a client certificate with a key of its own.
func (f *mutualFixture) generation(t *testing.T, n int, notBefore, notAfter time.Time) raconfig.Generation {
	t.Helper()
	key := sceptest.RSAKey(t, n)
	certificate, err := f.ca.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "policy client"}, ExtKeyUsage: clientAuth, NotBefore: notBefore, NotAfter: notAfter,
	}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	return raconfig.Generation{
		ID: raconfig.GenerationID(certificate), AddedAt: notBefore,
		Certificates: []raconfig.Certificate{{Role: v1alpha1.RoleClient, Certificate: certificate, Chain: f.ca.Chain(), Key: key}},
	}
}

// give mounts the credential's keyring.
func (f *mutualFixture) give(t *testing.T, generations ...raconfig.Generation) {
	t.Helper()
	content, err := raconfig.EncodeKeyring(&raconfig.Keyring{Generations: generations})
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(f.files.Dirs.Clients, policyCredential)
	for name, file := range content {
		if name != raconfig.KeyringIndexFile {
			f.files.Write(dir, name, file)
		}
	}
	f.files.Write(dir, raconfig.KeyringIndexFile, content[raconfig.KeyringIndexFile])
}

// lastShown is the certificate that the webhook saw last; nil before the first call.
func (f *mutualFixture) lastShown() *x509.Certificate {
	asked := f.hook.Asked()
	if len(asked) == 0 {
		return nil
	}
	return asked[len(asked)-1].Peer[0]
}

func tryEnrol(t *testing.T, url string, request scep.EnrolRequest) error {
	t.Helper()
	_, err := device(url).Enrol(limited(t), request)
	return err
}

var errOtherShown = errors.New("the webhook sees another certificate")

// A client certificate is rolled over while devices enrol: not one call fails.
func TestAWebhooksClientCertificateRollsOver(t *testing.T) {
	t.Parallel()
	f := newMutualFixture(t)
	want503(t, tryEnrol(t, f.server.URL, with(t, mutualPassword, 1)))
	now := time.Now()
	first := f.generation(t, 21, now.Add(-time.Hour), now.Add(time.Hour))
	f.give(t, first)
	n := 1
	enrolAnother := func() {
		t.Helper()
		n++
		request := with(t, mutualPassword, 1)
		request.TransactionID = fmt.Sprintf("rollover-%d", n)
		wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	}
	ratest.Eventually(t, "the first generation to be loaded", func() error {
		return succeeded(device(f.server.URL).Enrol(limited(t), with(t, mutualPassword, 1)))
	})
	if !f.lastShown().Equal(first.Certificates[0].Certificate) {
		t.Fatal(errOtherShown)
	}
	enrolAnother()

	second := f.generation(t, 22, now.Add(-time.Minute), now.Add(2*time.Hour))
	f.give(t, second, first)
	ratest.Eventually(t, "the second generation to be shown", func() error {
		enrolAnother()
		if !f.lastShown().Equal(second.Certificates[0].Certificate) {
			return errOtherShown
		}
		return nil
	})
	// The first is retired, and one comes that is not valid yet: it is not shown.
	f.give(t, f.generation(t, 23, now.Add(time.Hour), now.Add(3*time.Hour)), second)
	loaded := f.server.Log.String()
	ratest.Eventually(t, "the files to be loaded", func() error {
		enrolAnother()
		if f.server.Log.String() == loaded {
			return errOtherShown
		}
		return nil
	})
	if !f.lastShown().Equal(second.Certificates[0].Certificate) {
		t.Error("a certificate is shown that is not valid yet")
	}
	// A keyring that cannot be read changes nothing.
	f.files.Write(filepath.Join(f.files.Dirs.Clients, policyCredential), raconfig.KeyringIndexFile, []byte("{"))
	ratest.Eventually(t, "the problem to be named", func() error {
		if len(f.server.Status().Problems) == 0 {
			return errOtherShown
		}
		return nil
	})
	enrolAnother()
	if len(f.hook.Rejected()) > 0 {
		t.Errorf("the webhook turned %d calls away", len(f.hook.Rejected()))
	}
}

// One that has expired holds devices off, and nothing is used up.
func TestAWebhooksClientCertificateThatHasExpired(t *testing.T) {
	t.Parallel()
	f := newMutualFixture(t)
	now := time.Now()
	f.give(t, f.generation(t, 24, now.Add(-2*time.Hour), now.Add(-time.Hour)))
	want503(t, tryEnrol(t, f.server.URL, with(t, mutualPassword, 1)))
	f.wantRequests(t, 0)
	if len(f.hook.Asked()) > 0 {
		t.Error("an expired certificate was shown")
	}
}

// use names the generation that the servers are to show.
func (f *mutualFixture) use(g raconfig.Generation) {
	f.files.Config.Clients = map[string]raconfig.Client{policyCredential: {ActiveGeneration: g.ID}}
	f.files.WriteConfig()
}

// probePatience is longer than what is between two probes of a service that has refused.
const probePatience = 2 * time.Minute

// wantProbes waits until the services of both webhooks have answered so about a generation.
func (f *mutualFixture) wantProbes(t *testing.T, g raconfig.Generation, want v1alpha1.ClientAnswer, reason v1alpha1.ClientAnswerReason) {
	t.Helper()
	answers := func() (n int) {
		for _, p := range f.server.Status().ClientProbes {
			if p.Credential == policyCredential && p.Challenge == "hook" && p.Generation == g.ID && p.Result == want && p.Reason == reason {
				n++
			}
		}
		return n
	}
	limit := time.After(probePatience)
	for answers() != 2 {
		select {
		case <-limit:
			t.Fatalf("the probes are %+v, want two %s of %s", f.server.Status().ClientProbes, want, g.ID)
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// A service that pins certificates is asked about the next one, and sees it for good only
// when the configuration says so.
func TestTheNextClientCertificateIsProbedBeforeItIsShown(t *testing.T) {
	t.Parallel()
	f := newMutualFixture(t)
	now := time.Now()
	first := f.generation(t, 21, now.Add(-time.Hour), now.Add(time.Hour))
	second := f.generation(t, 22, now.Add(-time.Minute), now.Add(2*time.Hour))
	f.hook.Pin(first.Certificates[0].Certificate)
	f.use(first)
	f.give(t, second, first)
	f.wantProbes(t, first, v1alpha1.ClientAccepted, "")
	f.wantProbes(t, second, v1alpha1.ClientRefused, v1alpha1.ClientReasonForbidden)
	enrolAs := func(transaction string, shown raconfig.Generation) {
		t.Helper()
		request := with(t, mutualPassword, 1)
		request.TransactionID = transaction
		wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
		if !f.lastShown().Equal(shown.Certificates[0].Certificate) {
			t.Fatal(errOtherShown)
		}
	}
	enrolAs("while the second is refused", first)
	f.hook.Pin(first.Certificates[0].Certificate, second.Certificates[0].Certificate)
	f.wantProbes(t, second, v1alpha1.ClientAccepted, "")
	enrolAs("while both are accepted", first)
	f.use(second)
	ratest.Eventually(t, "the second generation to be shown", func() error {
		if c := f.server.Status().Clients; len(c) != 1 || c[0].ShownGeneration != second.ID {
			return fmt.Errorf("shown is %+v", c)
		}
		return nil
	})
	enrolAs("after the switch", second)
	// One that the server lacks is not waited for: what is valid is shown, and that is said.
	f.use(f.generation(t, 23, now, now.Add(time.Hour)))
	ratest.Eventually(t, "the warning", func() error {
		if len(f.server.Status().Warnings) == 0 {
			return errOtherShown
		}
		return nil
	})
	enrolAs("with another than the one that is named", second)
	for _, asked := range f.hook.Asked() {
		if asked.Header.Get("X-Scepter-Probe") != "" {
			t.Error("a probe passed for a question")
		}
	}
}
