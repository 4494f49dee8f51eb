package e2e

import (
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
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
