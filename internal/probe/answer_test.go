package probe

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// answersOf are those of a server whose RA has two certificates.
func answersOf(t *testing.T) (Known, []*x509.Certificate) {
	t.Helper()
	ca := sceptest.NewCA(t)
	ra := sceptest.NewGeneration(t, ca, sceptest.Pair)
	all := []*x509.Certificate{ra.Signing.Certificate, ra.Encryption.Certificate, ca.Certificate, ca.Root}
	return Known{Capabilities: []byte("AES\r\nSHA-256\n\nRenewal"), CACertificates: sceptest.Bundle(t, all...)}, all
}

// TestWhatWasAnswered is told as a browser would show it.
func TestWhatWasAnswered(t *testing.T) {
	t.Parallel()
	answers, all := answersOf(t)
	got, _ := prober(endpointKey, serve(t, endpoint(endpointKey, answers))).Exchange(t.Context(), target(t, plain), Known{})
	if got.Failure != nil || got.Answer == nil || !slices.Equal(got.Answer.Capabilities, []string{"AES", "SHA-256", "Renewal"}) {
		t.Fatalf("%+v", got)
	}
	if len(got.Answer.Certificates) != len(all) {
		t.Fatalf("%+v", got.Answer.Certificates)
	}
	roles := map[string]v1alpha1.CACertificateRole{
		"CN=Test RA signing": v1alpha1.CARoleRA, "CN=Test RA encryption": v1alpha1.CARoleRA,
		"CN=Test Issuing CA,O=Scepter Test": v1alpha1.CARoleIssuing, "CN=Test Root,O=Scepter Test": v1alpha1.CARoleRoot,
	}
	for _, c := range got.Answer.Certificates {
		i := slices.IndexFunc(all, func(one *x509.Certificate) bool { return raconfig.Fingerprint(one) == c.Fingerprint })
		if i < 0 || c.Role == "" || c.Role != roles[c.Subject] || c.Subject != all[i].Subject.String() || !c.NotAfter.Equal(all[i].NotAfter) {
			t.Errorf("%+v", c)
		}
	}
}

// TestAnswersThatAreNone: what is no capabilities or certificates is not told as such.
func TestAnswersThatAreNone(t *testing.T) {
	t.Parallel()
	good, _ := answersOf(t)
	for name, body := range map[string]string{"nothing": "", "a page": "<html>sign in</html>", "half": string(good.CACertificates[:99])} {
		if got := readable(Known{Capabilities: good.Capabilities, CACertificates: []byte(body)}); got != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	for name, body := range map[string]string{"a page": "<html>", "a sentence": "not found", "one long line": strings.Repeat("A", 41)} {
		if got := readable(Known{Capabilities: []byte(body), CACertificates: good.CACertificates}); got == nil || got.Capabilities != nil {
			t.Errorf("%s: %+v", name, got)
		}
	}
	many := keywords([]byte(strings.Repeat("AES\n", 1000)))
	if len(many) != maxKeywords || keywords([]byte("A\x1bS"))[0] != "A?S" {
		t.Errorf("%d keywords", len(many))
	}
}

// TestSubjectsOfStrangers: they go into the status, and who stands in a server's place chooses them.
func TestSubjectsOfStrangers(t *testing.T) {
	t.Parallel()
	ca := sceptest.NewCA(t)
	var all []*x509.Certificate
	for range maxCertificates {
		c, err := ca.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "Zoë\x1b[31m" + strings.Repeat("x", 1000)}}, sceptest.RSAKey(t, 4).Public())
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, c)
	}
	got := readable(Known{CACertificates: sceptest.Bundle(t, append(all, ca.Certificate)...)})
	if got == nil || len(got.Certificates) != maxCertificates {
		t.Fatalf("%+v", got)
	}
	for _, c := range got.Certificates {
		if c.Role == v1alpha1.CARoleRA && (!strings.HasPrefix(c.Subject, "CN=Zoë?[31m") || len(c.Subject) > 256) {
			t.Errorf("%q", c.Subject)
		}
	}
}

// TestTheLastAnswerStays while a URL does not pass; what a stranger shows in its place is told.
func TestTheLastAnswerStays(t *testing.T) {
	r := newRig(t)
	answers, _ := answersOf(t)
	own, hop := serve(t, endpoint(endpointKey, answers)), serve(t, r.fault.Wrap(endpoint(endpointKey, answers)))
	direct, through := prober(nil, own), prober(nil, hop)
	r.prober.Dial = func(ctx context.Context, network, address string) (net.Conn, error) {
		if address == own {
			return direct.Dial(ctx, network, address)
		}
		return through.Dial(ctx, network, address)
	}
	r.own, _ = OwnTarget(own)
	first := r.look().URLs[0].Answer
	if first == nil || len(first.Certificates) != 4 {
		t.Fatalf("%+v", first)
	}
	r.fault.Break(faults.Status(http.StatusBadGateway))
	r.look()
	if broken := r.look().URLs[0]; broken.Failure == nil || broken.Answer != first {
		t.Errorf("%+v", broken)
	}
	strangers := answers
	ca := sceptest.NewCA(t)
	foreign := sceptest.SelfSigned(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Another CA"}, IsCA: true, BasicConstraintsValid: true, NotAfter: time.Now().Add(time.Hour),
	}, ca.Key)
	strangers.CACertificates = foreign.Raw
	r.fault.Break(endpoint(otherKey, strangers).ServeHTTP)
	other := r.look().URLs[0]
	if other.Failure == nil || other.Failure.Kind != raconfig.FailureForeign || len(other.Answer.Certificates) != 1 || other.Answer.Certificates[0].Subject != "CN=Another CA" {
		t.Errorf("%+v", other)
	}
	r.fault.Mend()
	if healed := r.look().URLs[0]; healed.Failure != nil || len(healed.Answer.Certificates) != 4 {
		t.Errorf("%+v", healed)
	}
}
