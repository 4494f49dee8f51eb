package scependpoint

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/certsource"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const testYear = 365 * testDay

// rootCA is a CA that lives for ten years around noon.
func rootCA(t *testing.T, name string, keyNumber int) *sceptest.CA {
	t.Helper()
	return caUntil(t, name, keyNumber, noon.Add(5*testYear))
}

func caUntil(t *testing.T, name string, keyNumber int, end time.Time) *sceptest.CA {
	t.Helper()
	key := sceptest.RSAKey(t, keyNumber)
	c := sceptest.SelfSigned(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: noon.Add(-5 * testYear), NotAfter: end,
	}, key)
	return &sceptest.CA{Certificate: c, Key: key, Root: c}
}

// raOf is a generation of the RA below a CA, without its keys.
func raOf(t *testing.T, ca *sceptest.CA, id string, added time.Time, chain ...*x509.Certificate) raconfig.Generation {
	t.Helper()
	c, err := ca.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "RA " + id}}, sceptest.RSAKey(t, 60).Public())
	if err != nil {
		t.Fatal(err)
	}
	return raconfig.Generation{ID: id, AddedAt: added, Certificates: []raconfig.Certificate{{
		Role: v1alpha1.RoleCombined, Certificate: c, Chain: append([]*x509.Certificate{ca.Certificate}, chain...),
	}}}
}

// scene is an endpoint at rest whose CA is changed from look to look.
type scene struct {
	t    *testing.T
	ep   *v1alpha1.ScepEndpoint
	seen *observation
	now  time.Time
}

func newScene(t *testing.T, ca *sceptest.CA) *scene {
	t.Helper()
	s := &scene{t: t, now: noon}
	s.ep, s.seen = restingEndpoint()
	s.holds(raOf(t, ca, "g1", noon.Add(-testDay)))
	return s
}

func (s *scene) holds(generations ...raconfig.Generation) {
	s.seen.ca.generations, s.seen.ca.newest = generations, &generations[0]
}

// look is one reconcile: what it writes is there at the next.
func (s *scene) look() *v1alpha1.ScepEndpointStatus {
	s.t.Helper()
	p := planEndpoint(s.ep, s.seen, render.Program{Image: "ra"}, route.GatewayKinds{}, s.now)
	if p.config == nil {
		s.t.Fatal("there is no configuration")
	}
	status := endpointStatus(s.ep, s.seen, p, &done{}, s.now)
	s.ep.Status, s.seen.config.value = *status, p.config
	return status
}

func (s *scene) issuerReady() metav1.Condition {
	s.t.Helper()
	return *conditions.Find(s.look().Conditions, v1alpha1.ConditionIssuerReady)
}

func (s *scene) roles() map[v1alpha1.CACertificateRole][]string {
	out := map[v1alpha1.CACertificateRole][]string{}
	for _, c := range s.look().CA {
		out[c.Role] = append(out[c.Role], strings.TrimPrefix(c.Subject, "CN="))
	}
	return out
}

func sourceOf(certificates ...*x509.Certificate) certsource.Fact {
	return certsource.Fact{Wanted: true, Where: "spec.ca.next.pem", Bundle: pkifacts.ReadBundle([]byte(inPEM(certificates)))}
}

func TestWhatDevicesAreAskedToTrust(t *testing.T) {
	root := rootCA(t, "Root", 61)
	issuing := &sceptest.CA{Key: sceptest.RSAKey(t, 62)}
	var err error
	issuing.Certificate, err = root.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Issuing"}, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: noon.Add(-testYear), NotAfter: noon.Add(4 * testYear),
	}, issuing.Key.Public())
	if err != nil {
		t.Fatal(err)
	}
	s := newScene(t, issuing)
	s.ep.Spec.CA = &v1alpha1.EndpointCA{}
	s.seen.ca.chain = sourceOf(root.Certificate)
	s.seen.ca.next = sourceOf(rootCA(t, "Next", 63).Certificate)
	got := s.roles()
	for role, want := range map[v1alpha1.CACertificateRole]string{
		v1alpha1.CARoleRA: "RA g1", v1alpha1.CARoleIssuing: "Issuing", v1alpha1.CARoleRoot: "Root", v1alpha1.CARoleNext: "Next",
	} {
		if !slices.Equal(got[role], []string{want}) {
			t.Errorf("%s: got %q, want %q", role, got[role], want)
		}
	}
	for _, c := range s.look().CA {
		if c.Role == v1alpha1.CARoleIssuing && c.Fingerprints != pkifacts.Fingerprints(issuing.Certificate) {
			t.Errorf("the issuing CA's fingerprints are %+v", c.Fingerprints)
		}
	}
	again := s.look().DeepCopy()
	if now := s.look(); !slices.Equal(again.CA, now.CA) || *again.IssuingCA != *now.IssuingCA {
		t.Error("the status changes at rest")
	}
	s.seen.ca = caFacts{}
	if got := s.roles(); len(got) != 4 {
		t.Errorf("while the keyring cannot be read: %v", got)
	}
}

// TestNotices: each is told, and makes nothing not Ready but where devices suffer.
func TestNotices(t *testing.T) {
	ca := rootCA(t, "CA", 61)
	other := rootCA(t, "Other", 62)
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	ec := &sceptest.CA{Key: ecKey, Certificate: sceptest.SelfSigned(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "EC"}, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: noon.Add(-testYear), NotAfter: noon.Add(5 * testYear),
	}, ecKey)}
	for name, tc := range map[string]struct {
		ca     *sceptest.CA
		change func(*scene)
		reason string
		says   []string
		status metav1.ConditionStatus
	}{
		"all is well":   {ca, func(*scene) {}, v1alpha1.ReasonSucceeded, nil, metav1.ConditionTrue},
		"another CA":    {ca, func(s *scene) { s.seen.ca.own.value = other.Certificate }, v1alpha1.ReasonCAReplaced, []string{"CN=Other", "CN=CA", "RACredential ra"}, metav1.ConditionTrue},
		"announced":     {ca, func(s *scene) { s.seen.ca.next = sourceOf(other.Certificate) }, v1alpha1.ReasonNextCAAnnounced, []string{"CN=Other"}, metav1.ConditionTrue},
		"it issues now": {ca, func(s *scene) { s.seen.ca.next = sourceOf(ca.Certificate) }, v1alpha1.ReasonNextCAIssues, []string{"remove spec.ca.next"}, metav1.ConditionTrue},
		"ended":         {caUntil(t, "Old", 63, noon.Add(-time.Hour)), func(*scene) {}, v1alpha1.ReasonCAExpired, []string{"CN=Old", "renew it"}, metav1.ConditionFalse},
		"ending":        {caUntil(t, "Old", 63, noon.Add(80*testDay)), func(*scene) {}, v1alpha1.ReasonCAEnding, []string{"CN=Old", "spec.ca.next"}, metav1.ConditionTrue},
		"not ending":    {caUntil(t, "Old", 63, noon.Add(100*testDay)), func(*scene) {}, v1alpha1.ReasonSucceeded, nil, metav1.ConditionTrue},
		"before what templates grant": {caUntil(t, "Old", 63, noon.Add(100*testDay)), func(s *scene) {
			s.seen.templates[0].value.Spec.Validity.Duration = testYear
		}, v1alpha1.ReasonCAEnding, []string{"before certificates do that the templates grant now"}, metav1.ConditionTrue},
		"of an EC key": {ec, func(*scene) {}, v1alpha1.ReasonCAKeyNotRSA, []string{"ECDSA", "Windows"}, metav1.ConditionTrue},
		"an intermediate": {ca, func(s *scene) {
			s.holds(raOf(s.t, ca, "g1", noon.Add(-testDay), other.Certificate))
		}, v1alpha1.ReasonIntermediateCA, []string{"Intune", "CN=CA", "CN=Other"}, metav1.ConditionTrue},
		"an intermediate, alone": {ca, func(s *scene) {
			s.ep.Spec.Compatibility.CAChain = v1alpha1.CAChainIssuer
			s.holds(raOf(s.t, ca, "g1", noon.Add(-testDay), other.Certificate))
		}, v1alpha1.ReasonSucceeded, nil, metav1.ConditionTrue},
		"several":                     {ec, func(s *scene) { s.seen.ca.next = sourceOf(other.Certificate) }, v1alpha1.ReasonNextCAAnnounced, []string{"follows", "Windows"}, metav1.ConditionTrue},
		"an issuer that is not ready": {ec, func(s *scene) { s.seen.issuer.Issuer = nil }, v1alpha1.ReasonIssuerNotFound, nil, metav1.ConditionFalse},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, tc.ca)
			tc.change(s)
			c := s.issuerReady()
			if c.Reason != tc.reason || c.Status != tc.status {
				t.Errorf("%s %s: %s", c.Status, c.Reason, c.Message)
			}
			for _, part := range tc.says {
				if !strings.Contains(c.Message, part) {
					t.Errorf("the message lacks %q: %s", part, c.Message)
				}
			}
		})
	}
}

// TestWhoIssues: the newest sight counts, and the issuer's own Secret more than any.
func TestWhoIssues(t *testing.T) {
	first, second := rootCA(t, "First", 61), rootCA(t, "Second", 62)
	s := newScene(t, first)
	want := func(what string, ca *sceptest.CA, since time.Time) {
		t.Helper()
		got := s.look().IssuingCA
		if got == nil || got.Fingerprint != raconfig.Fingerprint(ca.Certificate) || !got.Since.Time.Equal(since) {
			t.Errorf("%s: %+v, want %s since %s", what, got, ca.Certificate.Subject, since)
		}
	}
	saw := func(ca *sceptest.CA, last time.Time) {
		(*s.seen.replicas.value)[0].status.IssuingCA = &raconfig.IssuingCA{Fingerprint: raconfig.Fingerprint(ca.Certificate), Since: last, Last: last}
	}
	want("what was issued for the RA", first, noon)
	s.now = noon.Add(time.Hour)
	saw(second, noon.Add(-time.Hour))
	want("an older sight", first, noon)
	saw(second, noon.Add(30*time.Minute))
	want("a newer sight", second, s.now)
	since := s.now
	s.now = s.now.Add(time.Hour)
	(*s.seen.replicas.value)[0].status.IssuingCA = nil
	want("a server that has restarted", second, since)
	s.holds(raOf(t, first, "g1", s.now))
	want("a newer certificate of the RA", first, s.now)
	s.seen.ca.own.value = second.Certificate
	want("the issuer's own Secret", second, s.now)
}

// TestFormerCAs are remembered until they end, and only if they issued for the RA.
func TestFormerCAs(t *testing.T) {
	first, second := caUntil(t, "First", 61, noon.Add(testYear)), rootCA(t, "Second", 62)
	s := newScene(t, first)
	s.look()
	s.seen.ca.own.value = second.Certificate
	s.look()
	s.holds(raOf(t, second, "g1", noon))
	if got := s.roles()[v1alpha1.CARoleFormer]; !slices.Equal(got, []string{"First"}) {
		t.Fatalf("after the keyring has forgotten it: %q", got)
	}
	if told := fromPEM(s.seen.config.value.CA.Former); len(told) != 1 || !told[0].Equal(first.Certificate) {
		t.Error("the servers are not told of it")
	}
	t.Run("planted", func(t *testing.T) {
		foreign := rootCA(t, "Foreign", 63)
		s.seen.config.value.CA.Former += inPEM([]*x509.Certificate{foreign.Certificate})
		s.seen.ca.next = certsource.Fact{Wanted: true, Problem: "it is missing"}
		s.seen.config.value.CA.Next = inPEM([]*x509.Certificate{foreign.Certificate})
		s.look()
		if told := s.seen.config.value.CA; len(fromPEM(told.Former)) != 1 || told.Next != "" {
			t.Error("a certificate that somebody wrote into the ConfigMap is trusted")
		}
		s.seen.ca.next = certsource.Fact{}
	})
	t.Run("refused", func(t *testing.T) {
		s.ep.Spec.CA = &v1alpha1.EndpointCA{Former: v1alpha1.FormerCAsRefuse}
		s.look()
		if told := s.seen.config.value.CA; told.Former != "" || !told.RefuseFormer {
			t.Errorf("the servers are told %+v", told)
		}
		s.ep.Spec.CA = nil
	})
	s.holds(raOf(t, second, "g1", noon), raOf(t, first, "g0", noon.Add(-testDay)))
	s.look()
	s.now = noon.Add(2 * testYear)
	s.look()
	if s.seen.config.value.CA != nil {
		t.Errorf("when it has ended: %+v", s.seen.config.value.CA)
	}
}

// TestTheLastGoodSourceStays while what spec.ca names has nothing to use.
func TestTheLastGoodSourceStays(t *testing.T) {
	next := rootCA(t, "Next", 62)
	s := newScene(t, rootCA(t, "CA", 61))
	s.seen.ca.next = sourceOf(next.Certificate)
	s.look()
	for name, fact := range map[string]certsource.Fact{
		v1alpha1.ReasonCASourceNotFound: {Wanted: true, Where: "spec.ca.next", Problem: "spec.ca.next: ConfigMap x does not exist: create it"},
		v1alpha1.ReasonReadFailed:       {Wanted: true, Where: "spec.ca.next", Err: errSecret},
	} {
		s.seen.ca.next = fact
		status := s.look()
		c := conditions.Find(status.Conditions, v1alpha1.ConditionAccepted)
		if c.Status == metav1.ConditionTrue || c.Reason != name || strings.Contains(c.Message, "10.1.2.3") {
			t.Errorf("%s: %+v", name, c)
		}
		if told := s.seen.config.value.CA; told == nil || told.Next != inPEM([]*x509.Certificate{next.Certificate}) {
			t.Errorf("%s: the servers are told %+v", name, told)
		}
	}
	s.seen.ca.next = certsource.Fact{}
	if s.look(); s.seen.config.value.CA != nil {
		t.Error("what was taken away stays")
	}
}

// TestUntidyBundles are told of, and all goes on.
func TestUntidyBundles(t *testing.T) {
	ca := rootCA(t, "CA", 61)
	s := newScene(t, ca)
	s.seen.ca.chain = sourceOf(ca.Certificate, ca.Certificate)
	s.seen.challenges[0].sources[0].ConfigMap = "hook-ca"
	s.seen.challenges[0].sources[0].seen.findings = slices.Repeat([]string{"CN=Between is an intermediate"}, 5)
	status := s.look()
	c := conditions.Find(status.Conditions, v1alpha1.ConditionAccepted)
	if c.Status != metav1.ConditionTrue || c.Reason != v1alpha1.ReasonCABundleUntidy {
		t.Errorf("%+v", c)
	}
	for _, part := range []string{"spec.ca.next.pem: CN=CA is there more than once", "ConfigMap hook-ca of challenge mdm: CN=Between", "and 2 more"} {
		if !strings.Contains(c.Message, part) {
			t.Errorf("the message lacks %q: %s", part, c.Message)
		}
	}
	p := planEndpoint(s.ep, s.seen, render.Program{Image: "ra"}, route.GatewayKinds{}, s.now)
	if got := wake(s.ep, s.seen, p, &done{}, status, s.now); got != caInterval && got != settleMin {
		t.Errorf("looks again after %s", got)
	}
}

// TestCAInACluster: an announcement from a ConfigMap, and the CA in the issuer's Secret.
func TestCAInACluster(t *testing.T) {
	f := newFixture(t)
	f.makeIssuer()
	f.makeTemplate()
	f.makeChallenge()
	f.makeCredential("g1")
	ca, next := rootCA(t, "CA", 61), rootCA(t, "Next", 62)
	f.create(&corev1.Secret{ObjectMeta: f.meta("corp-ca"), Data: map[string][]byte{corev1.TLSCertKey: []byte(inPEM(ca.Chain()))}},
		&corev1.ConfigMap{ObjectMeta: f.meta("next-ca"), Data: map[string]string{"ca.crt": inPEM([]*x509.Certificate{next.Certificate})}},
		f.endpoint(func(ep *v1alpha1.ScepEndpoint) {
			ep.Spec.CA = &v1alpha1.EndpointCA{Next: &v1alpha1.CertificateSource{ConfigMapRef: &v1alpha1.ConfigMapKeyReference{Name: "next-ca", Key: "ca.crt"}}}
		}))
	testenv.Eventually(t, "the CA in status and configuration", func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		f.get("corp", &ep)
		if ep.Status.IssuingCA == nil || ep.Status.IssuingCA.Fingerprint != raconfig.Fingerprint(ca.Certificate) {
			return fmt.Errorf("issuing: %+v", ep.Status.IssuingCA)
		}
		_, config, err := f.readConfig(ctx)
		if err != nil {
			return err
		}
		if config.CA == nil || config.CA.Next != inPEM([]*x509.Certificate{next.Certificate}) {
			return fmt.Errorf("configuration: %+v", config.CA)
		}
		return nil
	})
}
