package ra_test

import (
	"bytes"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/ra/ratest/intunesim"
	"github.com/scepter-pki/scepter/internal/ra/ratest/signertest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// directFixture is an endpoint with two signers behind a Service, and servers.
type directFixture struct {
	*ratest.Cluster
	files    *ratest.Files
	signers  *signertest.Files
	service  *signertest.Service
	running  []string // addresses of the signers
	servers  []*ratest.Server
	minter   *onetime.OneTime
	lastUsed int
}

const validity = time.Hour

func newDirectFixture(t *testing.T, servers int, change func(*raconfig.Config)) *directFixture {
	t.Helper()
	f := &directFixture{Cluster: ratest.NewCluster(t), service: signertest.NewService(t)}
	f.files = ratest.NewFiles(t, f.Cluster)
	config := f.files.Config
	config.Issuance = signertest.DirectIssuance(f.service.Address)
	config.Challenges = append(config.Challenges, raconfig.Challenge{
		Name: "helpdesk", Type: v1alpha1.ChallengeOneTime, OneTime: &raconfig.OneTime{ValiditySeconds: int64(validity / time.Second)},
	})
	if change != nil {
		change(config)
	}
	f.signers = signertest.NewFiles(t, config, &signertest.Authority{Certificate: f.Issuer.CA.Certificate, Key: f.Issuer.CA.Key})
	f.files.Dirs.Signer = f.signers.ClientDir
	f.files.WriteConfig()
	for range 2 {
		f.running = append(f.running, signertest.Start(t, f.signers).Address)
	}
	f.service.Set(f.running...)
	for range servers {
		f.servers = append(f.servers, ratest.NewServer(t, f.Cluster, f.files))
	}
	f.minter = newMinter(t, f.files, func(c *onetime.Config) { c.NDES, c.Guard = false, nil })
	return f
}

func (f *directFixture) mint(t *testing.T) string {
	t.Helper()
	return mintFrom(t, f.minter, onetime.Order{})
}

// url is another server's each time.
func (f *directFixture) url() string {
	f.lastUsed++
	return f.servers[f.lastUsed%len(f.servers)].URL
}

func (f *directFixture) leases(t *testing.T) []coordinationv1.Lease {
	t.Helper()
	list, err := f.Admin(t).CoordinationV1().Leases(f.Namespace).List(t.Context(), metav1.ListOptions{
		LabelSelector: v1alpha1.LabelClaim + "=" + v1alpha1.ClaimOneTime + "," + v1alpha1.LabelEndpoint + "=" + ratest.Endpoint,
	})
	if err != nil {
		t.Fatal(err)
	}
	return list.Items
}

func (f *directFixture) wantWritten(t *testing.T, claims int) {
	t.Helper()
	if got := len(f.leases(t)); got != claims {
		t.Errorf("%d claims, want %d", got, claims)
	}
	if got := len(f.List(t)); got != 0 {
		t.Errorf("%d CertificateRequests, want none", got)
	}
}

func enrolAway(t *testing.T, url string, request scep.EnrolRequest) {
	t.Helper()
	_, err := device(url).Enrol(limited(t), request)
	want503(t, err)
}

// A retry gets the same bytes from every server and every signer, and nothing is written.
func TestDirectRetry(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 3, nil)
	request := enrolment(t, 1)
	request.TransactionID = "again"
	first := wantCertificate(t, enrol(t, f.url(), request), request.Key)
	if !f.Issuer.CA.Issued(first) {
		t.Error("the CA did not sign the certificate")
	}
	for n := range 6 {
		f.service.Set(f.running[n%2])
		if again := wantCertificate(t, enrol(t, f.url(), request), request.Key); !bytes.Equal(again.Raw, first.Raw) {
			t.Errorf("retry %d: other bytes", n)
		}
	}
	f.wantWritten(t, 0)
}

func TestDirectRefusals(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 1, nil)
	wrong := enrolment(t, 1)
	wrong.ChallengePassword = "wrong"
	wantFailure(t, enrol(t, f.url(), wrong), refusedText)
	evil := enrolment(t, 1)
	evil.Template = &x509.CertificateRequest{Subject: enrolment(t, 1).Template.Subject, DNSNames: []string{"evil.example.com"}}
	if result := enrol(t, f.url(), evil); result.Status != scep.StatusFailure {
		t.Errorf("status %v, want FAILURE", result.Status)
	}
}

// Of all devices that bring a challenge, to any server, one gets a certificate.
func TestDirectRaceForOneTimeChallenges(t *testing.T) {
	t.Parallel()
	const devices, challenges = 18, 6
	f := newDirectFixture(t, 3, nil)
	var minted []string
	for range challenges {
		minted = append(minted, f.mint(t))
	}
	requests := make([]scep.EnrolRequest, devices)
	for n := range requests {
		requests[n] = with(t, minted[n%challenges], n)
		requests[n].TransactionID = fmt.Sprintf("device %d", n)
	}
	count := race(t, requests, func(n int) string { return f.servers[n/challenges%len(f.servers)].URL })
	if len(count) != 2 || count["certificate"] != challenges || count[usedText] != devices-challenges {
		t.Errorf("outcomes %v, want %d certificates and %d refusals", count, challenges, devices-challenges)
	}
	f.wantWritten(t, challenges)
}

// One device sends one request many times at once: one certificate, the same for all.
func TestDirectReplays(t *testing.T) {
	t.Parallel()
	const replays = 12
	f := newDirectFixture(t, 3, nil)
	request := with(t, f.mint(t), 1)
	certificates := make([]*x509.Certificate, replays)
	failed := make([]error, replays)
	var group sync.WaitGroup
	for n := range replays {
		url := f.servers[n%len(f.servers)].URL
		group.Go(func() {
			result, err := device(url).Enrol(limited(t), request)
			if failed[n] = err; err == nil {
				certificates[n] = result.Certificate
			}
		})
	}
	group.Wait()
	for n, c := range certificates {
		if c == nil || !c.Equal(certificates[0]) {
			t.Errorf("replay %d: another certificate, or none (%v)", n, failed[n])
		}
	}
	f.wantWritten(t, 1)
}

func TestDirectClaimsSayLittle(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 1, nil)
	password := f.mint(t)
	wantCertificate(t, enrol(t, f.url(), with(t, password, 1)), sceptest.RSAKey(t, 1))
	lease := f.leases(t)[0]
	until, err := time.Parse(time.RFC3339, lease.Annotations[v1alpha1.AnnotationKeepUntil])
	if left := time.Until(until); err != nil || left < validity || left > 2*validity+time.Minute {
		t.Errorf("kept for %v (%v), want an hour longer than the challenge", left, err)
	}
	if lease.Annotations[v1alpha1.AnnotationTemplate] != "device" || lease.Annotations[v1alpha1.AnnotationChallenge] != "helpdesk" {
		t.Errorf("annotations %v", lease.Annotations)
	}
	if text := lease.String(); strings.Contains(text, password) || strings.Contains(text, deviceName) {
		t.Errorf("the claim holds the challenge or a name: %s", text)
	}
}

// A server dies between claim and certificate: the challenge is good for the same
// key, on any server, and for no other.
func TestDirectCrashBetweenClaimAndCertificate(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 2, nil)
	password := f.mint(t)
	f.service.Set()
	enrolAway(t, f.servers[0].URL, with(t, password, 1))
	f.wantWritten(t, 1)
	f.service.Set(f.running...)
	wantFailure(t, enrol(t, f.servers[1].URL, with(t, password, 2)), usedText)
	request := with(t, password, 1)
	request.TransactionID = "another transaction"
	first := wantCertificate(t, enrol(t, f.servers[1].URL, request), request.Key)
	request.TransactionID = "a third one"
	if again := wantCertificate(t, enrol(t, f.servers[0].URL, request), request.Key); !again.Equal(first) {
		t.Error("the same key has two certificates by one challenge")
	}
	f.wantWritten(t, 1)
}

func TestDirectSignersAway(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 1, nil)
	f.service.Set()
	enrolAway(t, f.url(), enrolment(t, 1))
	f.servers[0].WantLogged(audit.Unavailable, "no signer answers")
	if _, err := device(f.url()).GetCACert(limited(t)); err != nil {
		t.Errorf("GetCACert: %v", err)
	}
	f.wantWritten(t, 0)
	f.service.Set(f.running...)
	wantCertificate(t, enrol(t, f.url(), enrolment(t, 1)), sceptest.RSAKey(t, 1))
}

// Without the API server nothing is missing but one-time challenges.
func TestDirectWithoutTheAPIServer(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 1, nil)
	password := f.mint(t)
	f.servers[0].SetClusterAway(true)
	request := enrolment(t, 1)
	device := wantCertificate(t, enrol(t, f.url(), request), request.Key)
	renewal := enrolment(t, 2)
	renewal.ChallengePassword, renewal.Certificate, renewal.CertificateKey = "", device, request.Key
	wantCertificate(t, enrol(t, f.url(), renewal), renewal.Key)
	enrolAway(t, f.url(), with(t, password, 3))
	f.servers[0].SetClusterAway(false)
	wantCertificate(t, enrol(t, f.url(), with(t, password, 3)), sceptest.RSAKey(t, 3))
	f.wantWritten(t, 1)
}

func TestDirectRekeyWindow(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 2, func(c *raconfig.Config) { c.Challenges[1].OneTime.RekeySeconds = 600 })
	password := f.mint(t)
	for key := range issue.MaxAttempts {
		wantCertificate(t, enrol(t, f.url(), with(t, password, key)), sceptest.RSAKey(t, key))
	}
	wantFailure(t, enrol(t, f.url(), with(t, password, issue.MaxAttempts)), usedText)
	wantCertificate(t, enrol(t, f.url(), with(t, password, 0)), sceptest.RSAKey(t, 0))
	f.wantWritten(t, issue.MaxAttempts)

	other := f.mint(t)
	wantCertificate(t, enrol(t, f.url(), with(t, other, 0)), sceptest.RSAKey(t, 0))
	renamed := with(t, other, 1)
	renamed.Template = &x509.CertificateRequest{Subject: renamed.Template.Subject, DNSNames: []string{"d2.devices.example.com"}}
	wantFailure(t, enrol(t, f.url(), renamed), usedText)
}

// A Lease that somebody else made under the right name is not believed.
func TestDirectForeignClaims(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 1, nil)
	first := f.mint(t)
	wantCertificate(t, enrol(t, f.url(), with(t, first, 1)), sceptest.RSAKey(t, 1))
	leases := f.Admin(t).CoordinationV1().Leases(f.Namespace)
	made := f.leases(t)[0]
	for name, change := range map[string]func(*coordinationv1.Lease){
		"of another request": func(l *coordinationv1.Lease) {
			holder := []byte(*l.Spec.HolderIdentity)
			holder[0] ^= 1 // another character, whichever it was
			l.Spec.HolderIdentity = ptr.To(string(holder))
		},
		"of another time":     func(l *coordinationv1.Lease) { l.Spec.AcquireTime.Time = l.Spec.AcquireTime.Add(-time.Hour) },
		"of nobody":           func(l *coordinationv1.Lease) { l.Spec.HolderIdentity = nil },
		"in another language": func(l *coordinationv1.Lease) { holder := "pod-7"; l.Spec.HolderIdentity = &holder },
	} {
		if err := leases.Delete(t.Context(), made.Name, metav1.DeleteOptions{}); err != nil {
			t.Fatal(err)
		}
		foreign := made.DeepCopy()
		foreign.ResourceVersion, foreign.UID = "", ""
		change(foreign)
		if _, err := leases.Create(t.Context(), foreign, metav1.CreateOptions{}); err != nil {
			t.Fatal(err)
		}
		wantCertificate(t, enrol(t, f.url(), with(t, first, 1)), sceptest.RSAKey(t, 1))
		if err := f.servers[0].Logged(audit.ObjectIgnored, made.Name); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	wantFailure(t, enrol(t, f.url(), with(t, first, 2)), usedText)
}

func TestDirectRevocation(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 2, nil)
	request := enrolment(t, 1)
	device := wantCertificate(t, enrol(t, f.url(), request), request.Key)
	renew := func() *scep.Result {
		r := enrolment(t, 2)
		r.ChallengePassword, r.Certificate, r.CertificateKey = "", device, request.Key
		return enrol(t, f.url(), r)
	}
	wantCertificate(t, renew(), sceptest.RSAKey(t, 2))
	f.signers.Revoke(device)
	signertest.Eventually(t, "the revocation", func() error {
		for range 2 {
			if result := renew(); result.FailInfoText != "renewal refused: the certificate that signs it is revoked" {
				return fmt.Errorf("%v %q", result.Status, result.FailInfoText)
			}
		}
		return nil
	})
	wantCertificate(t, enrol(t, f.url(), enrolment(t, 3)), sceptest.RSAKey(t, 3))
}

// crlAnswer is what a verifier gets who asks for the CRL.
type crlAnswer struct {
	status int
	header http.Header
	body   []byte
}

func getCRL(t *testing.T, url string) crlAnswer {
	t.Helper()
	request, err := http.NewRequestWithContext(limited(t), http.MethodGet, strings.TrimSuffix(url, "/scep")+"/crl", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return crlAnswer{response.StatusCode, response.Header, body}
}

func TestDirectCRL(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 2, nil)
	device1 := wantCertificate(t, enrol(t, f.url(), enrolment(t, 1)), sceptest.RSAKey(t, 1))
	got := getCRL(t, f.servers[0].URL)
	if got.status != http.StatusOK || got.header.Get("Content-Type") != "application/pkix-crl" {
		t.Fatalf("status %d, headers %v", got.status, got.header)
	}
	list, err := x509.ParseRevocationList(got.body)
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(f.Issuer.CA.Certificate); err != nil {
		t.Error(err)
	}
	f.service.Set() // what a server has is good without signers
	if again := getCRL(t, f.servers[0].URL); !bytes.Equal(again.body, got.body) {
		t.Errorf("other bytes: %+v", again)
	}
	result, err := device(f.servers[0].URL).GetCRL(limited(t), scep.CertQuery{
		SerialNumber: device1.SerialNumber, Issuer: device1.RawIssuer, Certificate: device1, CertificateKey: sceptest.RSAKey(t, 1),
	})
	if err != nil || result.CRL == nil || !bytes.Equal(result.CRL.Raw, got.body) {
		t.Errorf("GetCRL: %+v (%v)", result, err)
	}
	// Another server has none yet, and says so.
	if none := getCRL(t, f.servers[1].URL); none.status != http.StatusServiceUnavailable || none.header.Get("Retry-After") == "" {
		t.Errorf("without signers: %+v", none)
	}
}

func TestDirectQueries(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 1, nil)
	c := wantCertificate(t, enrol(t, f.url(), enrolment(t, 1)), sceptest.RSAKey(t, 1))
	query := scep.CertQuery{SerialNumber: c.SerialNumber, Issuer: c.RawIssuer, Certificate: c, CertificateKey: sceptest.RSAKey(t, 1)}
	result, err := device(f.url()).GetCert(limited(t), query)
	if err != nil || result.Status != scep.StatusFailure || !strings.Contains(result.FailInfoText, "GetCert is not answered") {
		t.Errorf("GetCert: %+v (%v)", result, err)
	}
	query.Issuer = f.Issuer.CA.Root.RawSubject
	result, err = device(f.url()).GetCRL(limited(t), query)
	if err != nil || result.FailInfo != scep.BadCertID {
		t.Errorf("GetCRL of another CA: %+v (%v)", result, err)
	}
	cr := newFixture(t)
	if none := getCRL(t, cr.server.URL); none.status != http.StatusNotFound {
		t.Errorf("without signers: %+v", none)
	}
}

// The mode changes while servers run: one that has no certificate for the signers yet
// goes on as before.
func TestDirectModeTakesEffectWithTheCertificate(t *testing.T) {
	t.Parallel()
	f := newDirectFixture(t, 0, nil)
	files := f.files
	direct := files.Config.Issuance
	files.Config.Issuance = raconfig.Issuance{
		Mode: v1alpha1.IssuanceCertificateRequest, IssuerRef: v1alpha1.IssuerReference{Name: ratest.IssuerName, Kind: "Issuer", Group: "cert-manager.io"},
		ServiceAccount: f.Username(), WaitSeconds: 2,
	}
	files.WriteConfig()
	files.Dirs.Signer = t.TempDir()
	server := ratest.NewServer(t, f.Cluster, files)
	wantCertificate(t, enrol(t, server.URL, enrolment(t, 1)), sceptest.RSAKey(t, 1))
	files.Config.Issuance = direct
	files.Config.Endpoint.Generation++
	files.WriteConfig()
	signertest.Eventually(t, "the server to say what it lacks", func() error {
		if all := strings.Join(server.Status().Problems, "\n"); !strings.Contains(all, "signer") {
			return errors.New(all)
		}
		return nil
	})
	wantCertificate(t, enrol(t, server.URL, enrolment(t, 2)), sceptest.RSAKey(t, 2))
	requests := len(f.List(t))
	f.signers.WriteClient(files.Dirs.Signer, f.signers.Client, f.signers.Server)
	signertest.Eventually(t, "the new configuration", func() error {
		if got := server.Status().ConfigGeneration; got != files.Config.Endpoint.Generation {
			return fmt.Errorf("generation %d", got)
		}
		return nil
	})
	wantCertificate(t, enrol(t, server.URL, enrolment(t, 3)), sceptest.RSAKey(t, 3))
	if got := len(f.List(t)); got != requests {
		t.Errorf("%d CertificateRequests, there were %d", got, requests)
	}
}

// Nothing is recorded that a poll could find: a device whose certificate is held back
// has to repeat its request.
func TestDirectHoldsCertificatesBackWithoutPending(t *testing.T) {
	t.Parallel()
	tenant := intunesim.Start(t)
	f := newDirectFixture(t, 1, func(c *raconfig.Config) {
		c.Challenges = append(c.Challenges, raconfig.Challenge{
			Name: "intune", Type: v1alpha1.ChallengeIntune,
			Intune: &raconfig.Intune{
				TenantID: intunesim.TenantID, ClientID: intunesim.ClientID, Authentication: v1alpha1.IntuneClientSecret,
				NotificationRequired: true, TimeoutSeconds: patient, CABundle: true, URLs: raconfig.IntuneURLs(tenant.URLs()),
			},
		})
	})
	f.files.Write(f.files.Dirs.Challenges, filepath.Join("intune", raconfig.ClientSecretFile), []byte(intunesim.ClientSecret+"\n"))
	f.files.Write(f.files.Dirs.Challenges, filepath.Join("intune", raconfig.CABundleFile), tenant.RootsPEM())
	tenant.Notify.Break(faults.Status(http.StatusInternalServerError))
	request := with(t, intunesim.Challenge, 1)
	signertest.Eventually(t, "the certificate to be held back", func() error {
		if _, err := device(f.url()).Enrol(limited(t), request); err == nil {
			return errors.New("handed out, or refused, before the challenge's files were read")
		}
		return f.servers[0].Logged(audit.OutcomeNotTold, "")
	})
	enrolAway(t, f.url(), request)
	tenant.Notify.Mend()
	wantCertificate(t, enrol(t, f.url(), request), request.Key)
	if got := len(tenant.Successes()); got != 1 {
		t.Errorf("accepted %d notifications, want 1", got)
	}
	f.wantWritten(t, 0)
}
