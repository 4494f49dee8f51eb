package e2e

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// Names in testdata/authorities.yaml.
const (
	authoritiesEndpoint = "authorities"
	authoritiesCA       = "authorities-ca"
	authoritiesAdmin    = "authorities-admin.example.com"
	authoritiesCallers  = "authorities-callers"
)

// authority is a CA of the tests' own.
type authority struct {
	certificate *x509.Certificate
	key         *rsa.PrivateKey
	above       []*x509.Certificate
}

// newAuthority makes a CA below another, or a root where that is nil.
func newAuthority(t *testing.T, name string, parent *authority) *authority {
	t.Helper()
	a := &authority{key: newKey(t)}
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
		NotAfter: time.Now().Add(10 * 365 * 24 * time.Hour),
	}
	if parent == nil {
		a.certificate = (&authority{certificate: template, key: a.key}).issue(t, template, a.key)
		return a
	}
	a.certificate = parent.issue(t, template, a.key)
	a.above = append([]*x509.Certificate{parent.certificate}, parent.above...)
	return a
}

// issue fills in serial number and begin.
func (a *authority) issue(t *testing.T, template *x509.Certificate, key *rsa.PrivateKey) *x509.Certificate {
	t.Helper()
	template.SerialNumber = big.NewInt(time.Now().UnixNano())
	template.NotBefore = time.Now().Add(-time.Hour)
	der, err := x509.CreateCertificate(nil, template, a.certificate, key.Public(), a.key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func (a *authority) chain() []*x509.Certificate {
	return append([]*x509.Certificate{a.certificate}, a.above...)
}

// becomesIssuer puts the CA behind the issuer.
func (a *authority) becomesIssuer(t *testing.T) {
	t.Helper()
	key, err := x509.MarshalPKCS8PrivateKey(a.key)
	if err != nil {
		t.Fatal(err)
	}
	chain := a.chain()
	putSecret(t, named(&corev1.Secret{Type: corev1.SecretTypeTLS, Data: map[string][]byte{
		corev1.TLSCertKey:       raconfig.EncodeCertificates(chain),
		corev1.TLSPrivateKeyKey: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key}),
		"ca.crt":                raconfig.EncodeCertificates(chain[len(chain)-1:]),
	}}, authoritiesCA))
}

func putSecret(t *testing.T, wanted *corev1.Secret) {
	t.Helper()
	have := named(&corev1.Secret{}, wanted.Name)
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(have), have); err != nil {
		create(t, wanted)
		return
	}
	have.Data = wanted.Data
	if err := shared.api.Update(t.Context(), have); err != nil {
		t.Fatal(err)
	}
}

func putCallers(t *testing.T, content string) {
	t.Helper()
	have := named(&corev1.ConfigMap{}, authoritiesCallers)
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(have), have); err != nil {
		have.Data = map[string]string{raconfig.CABundleFile: content}
		create(t, have)
		return
	}
	have.Data = map[string]string{raconfig.CABundleFile: content}
	if err := shared.api.Update(t.Context(), have); err != nil {
		t.Fatal(err)
	}
}

// standAuthorities makes the endpoint with a CA behind it, until the test ends.
func standAuthorities(t *testing.T, ca, callers *authority) {
	t.Helper()
	ca.becomesIssuer(t)
	putCallers(t, string(raconfig.EncodeCertificates([]*x509.Certificate{callers.certificate})))
	const file = "testdata/authorities.yaml"
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "--force-conflicts", "-f", file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), readyLimit)
		defer cancel()
		if err := shared.rig.Kubectl(ctx, "delete", "--wait", "-f", file); err != nil {
			t.Error(err)
		}
	})
	mustWait(t, "the endpoint of the CAs to be Ready", rig.Ready(shared.api, namespace, authoritiesEndpoint))
	// What the test before left, keyring and all, may still have been there.
	mustWait(t, "the RA to have certificates of this CA", showsCA(t, ca.certificate))
}

func authoritiesStatus(t *testing.T) *v1alpha1.ScepEndpointStatus {
	t.Helper()
	ep := named(&v1alpha1.ScepEndpoint{}, authoritiesEndpoint)
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(ep), ep); err != nil {
		t.Fatal(err)
	}
	return &ep.Status
}

func changeAuthorities(t *testing.T, patch string) {
	t.Helper()
	ep := named(&v1alpha1.ScepEndpoint{}, authoritiesEndpoint)
	if err := shared.api.Patch(t.Context(), ep, client.RawPatch("application/merge-patch+json", []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

// anyServer is a client of one of the endpoint's servers, which it reaches past any route.
func anyServer(t *testing.T) *scep.Client {
	t.Helper()
	pods := readyPods(t, "scepter-ra", authoritiesEndpoint)
	if len(pods) == 0 {
		t.Fatal("no server is ready")
	}
	return toPod(&pods[0])
}

// enrolsUnder enrols, and says whether the certificate is of a CA.
func enrolsUnder(t *testing.T, c *scep.Client, ca *authority) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		result, err := c.Enrol(ctx, enrolment(t, newName()))
		if err != nil {
			return false, "", err
		}
		if result.Certificate == nil {
			return false, result.FailInfoText, nil
		}
		return result.Certificate.CheckSignatureFrom(ca.certificate) == nil, "issued by " + result.Certificate.Issuer.String(), nil
	}
}

// mustGrant checks that a certificate was granted, by a CA.
func mustGrant(t *testing.T, ca *authority, result *scep.Result, err error) *x509.Certificate {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if result.Certificate == nil {
		t.Fatalf("%s %s: %s", result.Status, result.FailInfo, result.FailInfoText)
	}
	if err := result.Certificate.CheckSignatureFrom(ca.certificate); err != nil {
		t.Fatalf("%s did not issue it: %v", ca.certificate.Subject, err)
	}
	return result.Certificate
}

// TestF07IntermediateAmongRoots puts into a bundle of trusted roots what does not belong
// there. Callers below it go on being let in, also one that does not send the
// intermediate, and the condition says what to tidy up.
func TestF07IntermediateAmongRoots(t *testing.T) {
	row := failureRow(t, "F07")
	ca := newAuthority(t, "Authorities CA", nil)
	root := newAuthority(t, "Callers' Root", nil)
	between := newAuthority(t, "Callers' Intermediate", root)
	standAuthorities(t, ca, root)
	key := newKey(t)
	leaf := between.issue(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "mdm"}, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth},
		KeyUsage: x509.KeyUsageDigitalSignature, NotAfter: time.Now().Add(24 * time.Hour),
	}, key)
	mustWait(t, "a caller with its whole chain to be let in", letsIn(t, key, leaf, between.certificate))

	untidy := []*x509.Certificate{between.certificate, leaf, root.certificate, root.certificate}
	putCallers(t, string(raconfig.EncodeCertificates(untidy))+"-----BEGIN CERTIFICATE-----\nnothing of use\n")
	row.Injected()
	row.mustDetect(namespace, authoritiesEndpoint)
	mustWait(t, "a caller without the intermediate to be let in", letsIn(t, key, leaf))
	mustWait(t, "the endpoint to stay Ready", rig.Ready(shared.api, namespace, authoritiesEndpoint))

	putCallers(t, string(raconfig.EncodeCertificates([]*x509.Certificate{root.certificate})))
	row.Remedied()
	mustWait(t, "no more complaint", condition("ScepEndpoint", namespace, authoritiesEndpoint, v1alpha1.ConditionAccepted,
		func(c *metav1.Condition) bool { return c.Reason == v1alpha1.ReasonSucceeded }))
	row.mustHeal(namespace, authoritiesEndpoint, enrolsUnder(t, anyServer(t), ca))
	mustWait(t, "the caller with its whole chain", letsIn(t, key, leaf, between.certificate))
	row.Served()
}

// letsIn asks the page of NDES with a client certificate.
func letsIn(t *testing.T, key *rsa.PrivateKey, chain ...*x509.Certificate) rig.Check {
	t.Helper()
	pair := tls.Certificate{PrivateKey: key}
	for _, c := range chain {
		pair.Certificate = append(pair.Certificate, c.Raw)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(shared.ca)
	return func(ctx context.Context) (bool, string, error) {
		service := named(&corev1.Service{}, authoritiesEndpoint+"-ra-admin")
		if err := shared.api.Get(ctx, client.ObjectKeyFromObject(service), service); err != nil {
			return false, "", err
		}
		dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
			return shared.rig.Cluster.Dial(ctx, network, net.JoinHostPort(service.Spec.ClusterIP, "443"))
		}
		caller := &http.Client{Timeout: enrolLimit, Transport: &http.Transport{
			DialContext: dial, DisableKeepAlives: true,
			TLSClientConfig: &tls.Config{RootCAs: roots, GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
				return &pair, nil // whatever CAs the server names
			}},
		}}
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, "https://"+authoritiesAdmin+"/certsrv/mscep_admin/", http.NoBody)
		if err != nil {
			return false, "", err
		}
		response, err := caller.Do(request)
		if err != nil {
			return false, "", err
		}
		_ = response.Body.Close()
		return response.StatusCode == http.StatusOK, response.Status, nil
	}
}

// load enrols devices one after the other until it is stopped, at each server in turn.
type load struct {
	stop     context.CancelFunc
	done     sync.WaitGroup
	enrolled int
	failures []string
}

func startLoad(t *testing.T) *load {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	l := &load{stop: cancel}
	pods := readyPods(t, "scepter-ra", authoritiesEndpoint)
	key := newKey(t)
	l.done.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			request := scep.EnrolRequest{
				Key: key, ChallengePassword: challenge,
				Template: &x509.CertificateRequest{Subject: pkix.Name{CommonName: newName()}},
			}
			result, err := toPod(&pods[i%len(pods)]).Enrol(ctx, request)
			switch {
			case ctx.Err() != nil:
			case err != nil:
				l.failures = append(l.failures, err.Error())
			case result.Certificate == nil:
				l.failures = append(l.failures, result.FailInfoText)
			default:
				l.enrolled++
			}
		}
	})
	return l
}

// mustHaveServed stops, and wants each device to have got its certificate.
func (l *load) mustHaveServed(t *testing.T) {
	t.Helper()
	l.stop()
	l.done.Wait()
	if len(l.failures) > 0 || l.enrolled == 0 {
		t.Errorf("%d devices enrolled, %d failed: %q", l.enrolled, len(l.failures), l.failures)
	}
	t.Logf("%d devices enrolled meanwhile", l.enrolled)
}

// TestF38CAIsReplaced announces another CA, and then has the same issuer issue with it
// while devices enrol. The RA follows, and devices of either CA enrol and renew.
func TestF38CAIsReplaced(t *testing.T) {
	row := failureRow(t, "F38")
	first, second := newAuthority(t, "First CA", nil), newAuthority(t, "Second CA", nil)
	standAuthorities(t, first, first)
	early := anyServer(t)
	trusted, err := early.GetCACert(within(t, enrolLimit))
	if err != nil {
		t.Fatal(err)
	}
	early.CA = trusted
	request := enrolment(t, newName())
	result, err := early.Enrol(within(t, enrolLimit), request)
	old := mustGrant(t, first, result, err)

	changeAuthorities(t, fmt.Sprintf(`{"spec":{"ca":{"next":{"pem":%q}}}}`, raconfig.EncodeCertificates(second.chain())))
	mustWait(t, "the next CA to be told, signed by the present RA", func(ctx context.Context) (bool, string, error) {
		next, err := early.GetNextCACert(ctx)
		return err == nil && len(next) == 1 && next[0].Equal(second.certificate), fmt.Sprint(len(next), err), nil
	})
	mustWait(t, "the announcement in status", hasRole(v1alpha1.CARoleNext, second.certificate))

	devices := startLoad(t)
	second.becomesIssuer(t)
	row.Injected()
	row.mustDetect(namespace, authoritiesEndpoint)
	mustWait(t, "the RA to follow", showsCA(t, second.certificate))
	row.mustHeal(namespace, authoritiesEndpoint, enrolsUnder(t, anyServer(t), second))

	again := renewal(t, old, request.Key)
	result, err = anyServer(t).Renew(within(t, enrolLimit), again)
	renewed := mustGrant(t, second, result, err)
	once := renewal(t, renewed, again.Key)
	result, err = anyServer(t).Renew(within(t, enrolLimit), once)
	mustGrant(t, second, result, err)
	result, err = early.Enrol(within(t, enrolLimit), enrolment(t, newName()))
	mustGrant(t, second, result, err)
	row.Served()
	devices.mustHaveServed(t)

	mustWait(t, "advice to remove the announcement", condition("ScepEndpoint", namespace, authoritiesEndpoint, v1alpha1.ConditionIssuerReady,
		func(c *metav1.Condition) bool {
			return c.Reason == v1alpha1.ReasonNextCAIssues && strings.Contains(c.Message, "remove spec.ca.next")
		}))
	changeAuthorities(t, `{"spec":{"ca":null}}`)
	mustWait(t, "nothing more to do", condition("ScepEndpoint", namespace, authoritiesEndpoint, v1alpha1.ConditionIssuerReady,
		func(c *metav1.Condition) bool { return c.Reason == v1alpha1.ReasonSucceeded }))
	mustWait(t, "the first CA to be a former one", hasRole(v1alpha1.CARoleFormer, first.certificate))
	if now := authoritiesStatus(t).IssuingCA; now == nil || now.Fingerprint != raconfig.Fingerprint(second.certificate) {
		t.Errorf("status.issuingCA is %+v", now)
	}
}

// showsCA checks that each server's GetCACert has RA certificates of a CA.
func showsCA(t *testing.T, ca *x509.Certificate) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		for _, pod := range readyPods(t, "scepter-ra", authoritiesEndpoint) {
			shown, err := toPod(&pod).GetCACert(ctx)
			if err != nil {
				return false, "", err
			}
			if !shown.CA.Equal(ca) {
				return false, pod.Name + " shows " + shown.CA.Subject.String(), nil
			}
		}
		return true, "", nil
	}
}

func hasRole(role v1alpha1.CACertificateRole, c *x509.Certificate) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		ep := named(&v1alpha1.ScepEndpoint{}, authoritiesEndpoint)
		err := shared.api.Get(ctx, client.ObjectKeyFromObject(ep), ep)
		return slices.ContainsFunc(ep.Status.CA, func(have v1alpha1.CACertificateStatus) bool {
			return have.Role == role && have.Fingerprints == pkifacts.Fingerprints(c)
		}), fmt.Sprintf("status.ca: %+v", ep.Status.CA), err
	}
}

// TestF47ThumbprintInTheProfile has a profile name the issuing CA, as Intune's for
// Windows do, and GetCACert show what is above it too. Status has the thumbprints of
// all, as a client computes them, and the condition says which one goes where.
func TestF47ThumbprintInTheProfile(t *testing.T) {
	row := failureRow(t, "F47")
	root := newAuthority(t, "Shape Root", nil)
	issuing := newAuthority(t, "Shape Issuing CA", root)
	standAuthorities(t, issuing, root)
	mustWait(t, "all thumbprints in status", hasRole(v1alpha1.CARoleRoot, root.certificate))
	mustWait(t, "the issuing CA's too", hasRole(v1alpha1.CARoleIssuing, issuing.certificate))
	windows := anyServer(t)
	windows.VerifyCA = namedAlone(pkifacts.Fingerprints(issuing.certificate).SHA1)
	mustWait(t, "Windows to enrol", enrolsUnder(t, windows, issuing))

	changeAuthorities(t, `{"spec":{"compatibility":{"caChain":"Full"}}}`)
	row.Injected()
	row.mustDetect(namespace, authoritiesEndpoint)
	mustWait(t, "Windows to refuse the chain", func(ctx context.Context) (bool, string, error) {
		shown, err := windows.GetCACert(ctx)
		if err != nil {
			return false, "", err
		}
		return windows.VerifyCA(shown) != nil, "it is accepted", nil
	})
	shown, err := anyServer(t).GetCACert(within(t, enrolLimit))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range shown.All {
		if !slices.ContainsFunc(authoritiesStatus(t).CA, func(have v1alpha1.CACertificateStatus) bool {
			return have.Fingerprints == pkifacts.Fingerprints(c)
		}) {
			t.Errorf("status.ca lacks %s", c.Subject)
		}
	}
	android := anyServer(t)
	if android.VerifyCA, err = scep.PinCA(pkifacts.Fingerprints(root.certificate).SHA256); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "Android, whose profile names the root, to enrol", enrolsUnder(t, android, issuing))

	changeAuthorities(t, `{"spec":{"compatibility":{"caChain":"Issuer"}}}`)
	row.Remedied()
	row.mustHeal(namespace, authoritiesEndpoint, enrolsUnder(t, windows, issuing))
	row.Served()
}

// namedAlone is how Windows goes by a profile's thumbprint: no other CA certificate may
// come with the one that it names.
func namedAlone(thumbprint string) func(*scep.CACertificates) error {
	return func(shown *scep.CACertificates) error {
		for _, c := range shown.All {
			if c.IsCA && pkifacts.Fingerprints(c).SHA1 != thumbprint {
				return fmt.Errorf("the hash value is not correct: %s", c.Subject)
			}
		}
		return nil
	}
}
