package e2e

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"fmt"
	"math/big"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// renewal asks for the same names as a certificate, authenticated by it.
func renewal(t *testing.T, old *x509.Certificate, oldKey crypto.Signer) scep.EnrolRequest {
	t.Helper()
	return scep.EnrolRequest{
		Key: newKey(t), Certificate: old, CertificateKey: oldKey,
		Template: &x509.CertificateRequest{RawSubject: old.RawSubject, DNSNames: old.DNSNames},
	}
}

// TestRenewals renews without a challenge, by both messages that devices use.
func TestRenewals(t *testing.T) {
	first := enrolment(t, newName())
	old := mustEnrol(t, through("http"), first)
	t.Run("RenewalReq", func(t *testing.T) {
		r := renewal(t, old, first.Key)
		result, err := through("http").Renew(within(t, enrolLimit), r)
		granted(t, r.Key, result, err)
	})
	t.Run("PKCSReq signed by the certificate", func(t *testing.T) {
		mustEnrol(t, through("https"), renewal(t, old, first.Key))
	})
	t.Run("for other names", func(t *testing.T) {
		r := renewal(t, old, first.Key)
		r.Template = &x509.CertificateRequest{Subject: pkix.Name{CommonName: newName()}}
		result, err := through("http").Renew(within(t, enrolLimit), r)
		mustRefuse(t, result, err)
	})
}

// TestWebServerCertificateRenewsNothing signs a renewal with a certificate that
// the same CA issued to a web server, for the web server's own names.
func TestWebServerCertificateRenewsNothing(t *testing.T) {
	var secret corev1.Secret
	if err := shared.api.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "web"}, &secret); err != nil {
		t.Fatal(err)
	}
	key, err := raconfig.ParsePrivateKey(secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		t.Fatal(err)
	}
	web := pemCertificate(t, secret.Data[corev1.TLSCertKey])
	for name, send := range map[string]func(*scep.Client, scep.EnrolRequest) (*scep.Result, error){
		"RenewalReq": func(c *scep.Client, r scep.EnrolRequest) (*scep.Result, error) {
			return c.Renew(within(t, enrolLimit), r)
		},
		"PKCSReq": func(c *scep.Client, r scep.EnrolRequest) (*scep.Result, error) {
			return c.Enrol(within(t, enrolLimit), r)
		},
	} {
		t.Run(name, func(t *testing.T) {
			result, err := send(through("http"), renewal(t, web, key))
			mustRefuse(t, result, err)
		})
	}
}

// TestF30RenewalsFail has the template forbid renewals by certificate: devices are told so,
// by both messages, and when it allows them again both work, at every server.
func TestF30RenewalsFail(t *testing.T) {
	row := failureRow(t, "F30")
	first := enrolment(t, newName())
	old := mustEnrol(t, through("http"), first)
	setRenewal(t, `{"allowed": false}`)
	t.Cleanup(func() { setRenewal(t, `{"allowed": true}`) })
	row.Injected()
	mustWait(t, "all servers to refuse renewals", everyServer(t, func(ctx context.Context, c *scep.Client) (bool, string, error) {
		result, err := c.Renew(ctx, renewal(t, old, first.Key))
		return err == nil && result.Status == scep.StatusFailure, outcome(result), err
	}))
	row.mustRefuse(
		refusedCase{refusal.RenewalNotAllowed, scep.BadRequest, []string{"challenge password is required"}, func() (*scep.Result, error) {
			return through("http").Renew(within(t, enrolLimit), renewal(t, old, first.Key))
		}},
		refusedCase{refusal.RenewalNotAllowed, scep.BadRequest, []string{"challenge password is required"}, sends(t, renewal(t, old, first.Key))},
	)
	setRenewal(t, `{"allowed": true}`)
	row.Remedied()
	row.mustHeal(namespace, endpoint, everyServer(t, func(ctx context.Context, c *scep.Client) (bool, string, error) {
		byRenewal, err := c.Renew(ctx, renewal(t, old, first.Key))
		if err != nil || byRenewal.Status != scep.StatusSuccess {
			return false, outcome(byRenewal), err
		}
		byRequest, err := c.Enrol(ctx, renewal(t, old, first.Key))
		return err == nil && byRequest.Status == scep.StatusSuccess, outcome(byRequest), err
	}))
	mustEnrol(t, through("http"), enrolment(t, newName()))
	row.Served()
}

// setRenewal says how certificates of the tier's template are renewed.
func setRenewal(t *testing.T, policy string) {
	t.Helper()
	setTemplate(t, fmt.Sprintf(`{"renewal": %s}`, policy))
}

// setTemplate changes the spec of the tier's template.
func setTemplate(t *testing.T, spec string) {
	t.Helper()
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec": %s}`, spec))
	// A cleanup runs after the test's own context has ended.
	if err := shared.api.Patch(context.WithoutCancel(t.Context()), named(&v1alpha1.CertificateTemplate{}, "device"), patch); err != nil {
		t.Fatal(err)
	}
}

// everyServer asks one server after the other.
func everyServer(t *testing.T, fits func(context.Context, *scep.Client) (bool, string, error)) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		for _, pod := range servers(t) {
			c := toPod(&pod)
			c.PollLimit = 0
			if ok, seen, err := fits(ctx, c); err != nil || !ok {
				return false, pod.Name + ": " + seen, err
			}
		}
		return true, "", nil
	}
}

// TestF31RevokedRenews has a device renew by a certificate that its CA has revoked, and by
// one that has expired, where the template refuses both: neither authenticates it, and with
// a challenge it enrols anew.
func TestF31RevokedRenews(t *testing.T) {
	row := failureRow(t, "F31")
	ca, key := fleetCA(t)
	lists := newLibrary(t)
	setCRL(t, fmt.Sprintf(`["%s/crl"]`, lists.url))
	t.Cleanup(func() { setCRL(t, "null"); setRenewal(t, `{"revoked": "Ignore"}`) })
	setRenewal(t, `{"revoked": "Refuse"}`)
	first := enrolment(t, newName())
	var old *x509.Certificate
	mustWait(t, "a certificate that names the list", func(ctx context.Context) (bool, string, error) {
		first = enrolment(t, newName())
		result, err := through("http").Enrol(ctx, first)
		if err != nil || result.Certificate == nil {
			return false, "no certificate", err
		}
		old = result.Certificate
		return len(old.CRLDistributionPoints) == 1, fmt.Sprint(old.CRLDistributionPoints), nil
	})
	brief := 2 * time.Second // then the servers ask again
	lists.put(t, revocationList(t, ca, key, brief))
	mustWait(t, "a renewal while the list is empty", everyServer(t, func(ctx context.Context, c *scep.Client) (bool, string, error) {
		lists.put(t, revocationList(t, ca, key, brief))
		result, err := c.Renew(ctx, renewal(t, old, first.Key))
		return err == nil && result.Status == scep.StatusSuccess, outcome(result), err
	}))
	lists.put(t, revocationList(t, ca, key, time.Hour, old.SerialNumber))
	row.Injected()
	renews := func(signer *x509.Certificate) func() (*scep.Result, error) {
		return func() (*scep.Result, error) {
			return through("http").Renew(within(t, enrolLimit), renewal(t, signer, first.Key))
		}
	}
	mustWait(t, "all servers to know of the revocation", everyServer(t, func(ctx context.Context, c *scep.Client) (bool, string, error) {
		result, err := c.Renew(ctx, renewal(t, old, first.Key))
		return err == nil && result.Status == scep.StatusFailure, outcome(result), err
	}))
	row.mustRefuse(
		refusedCase{refusal.SignerRevoked, scep.BadRequest, []string{"revoked"}, renews(old)},
		refusedCase{refusal.SignerExpired, scep.BadRequest, []string{"expired"}, renews(hasEnded(t, old, ca, key))},
	)
	again := renewal(t, old, first.Key)
	again.ChallengePassword = challenge
	again.Certificate, again.CertificateKey = nil, nil
	mustEnrol(t, through("http"), again)
	row.mustHeal(namespace, endpoint, enrols(t))
	row.Served()
}

// fleetCA is the CA of the tier, with its key.
func fleetCA(t *testing.T) (*x509.Certificate, crypto.Signer) {
	t.Helper()
	var secret corev1.Secret
	if err := shared.api.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "fleet-ca"}, &secret); err != nil {
		t.Fatal(err)
	}
	key, err := raconfig.ParsePrivateKey(secret.Data[corev1.TLSPrivateKeyKey])
	if err != nil {
		t.Fatal(err)
	}
	return pemCertificate(t, secret.Data[corev1.TLSCertKey]), key
}

// setCRL tells the tier's Issuer where its revocation list is to be found.
func setCRL(t *testing.T, urls string) {
	t.Helper()
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec": {"ca": {"crlDistributionPoints": %s}}}`, urls))
	// A cleanup runs after the test's own context has ended.
	if err := shared.api.Patch(context.WithoutCancel(t.Context()), named(&certmanagerv1.Issuer{}, "fleet-ca"), patch); err != nil {
		t.Fatal(err)
	}
}

// revocationList is one of the CA that holds for a while.
func revocationList(t *testing.T, ca *x509.Certificate, key crypto.Signer, holds time.Duration, revoked ...*big.Int) []byte {
	t.Helper()
	now := time.Now()
	list := &x509.RevocationList{Number: big.NewInt(now.UnixNano()), ThisUpdate: now.Add(-time.Second), NextUpdate: now.Add(holds)}
	for _, serial := range revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: serial, RevocationTime: now})
	}
	der, err := x509.CreateRevocationList(rand.Reader, list, ca, key)
	if err != nil {
		t.Fatal(err)
	}
	return der
}

// hasEnded is a certificate as it would be after its end.
func hasEnded(t *testing.T, c, ca *x509.Certificate, key crypto.Signer) *x509.Certificate {
	t.Helper()
	past := *c
	past.SerialNumber = big.NewInt(time.Now().UnixNano())
	past.NotBefore, past.NotAfter = ca.NotBefore, ca.NotBefore.Add(time.Second)
	der, err := x509.CreateCertificate(rand.Reader, &past, ca, c.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	ended, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return ended
}
