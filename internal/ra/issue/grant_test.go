package issue

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/url"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

var smartCardLogon = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}

func TestDirectGrantsPurposesByOID(t *testing.T) {
	t.Parallel()
	d, o := newDirect(t, sceptest.RSAKey(t, 1)), newOrder(t, newKey(t))
	plain := directly(t, d, o)
	o.Grant.ExtendedKeyUsages = []asn1.ObjectIdentifier{smartCardLogon}
	r, err := d.Record(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	c := r.Certificates[0]
	if len(c.UnknownExtKeyUsage) != 1 || !c.UnknownExtKeyUsage[0].Equal(smartCardLogon) || c.SerialNumber.Cmp(plain.SerialNumber) == 0 {
		t.Errorf("purposes %v, serial number %v", c.UnknownExtKeyUsage, c.SerialNumber)
	}
	if err := policy.CheckIssued(c, r.CSR, r.Usages, r.ExtendedKeyUsages); err != nil {
		t.Errorf("what was granted: %v", err)
	}
	if err := policy.CheckIssued(c, r.CSR, r.Usages, nil); err == nil {
		t.Error("what was not granted is handed out")
	}
}

// Backdating moves the beginning and not the end, and stops at the CA's own beginning.
func TestDirectBackdates(t *testing.T) {
	t.Parallel()
	d, o := newDirect(t, sceptest.RSAKey(t, 1)), newOrder(t, newKey(t))
	plain := directly(t, d, o)
	o.Grant.Backdate = time.Hour
	c := directly(t, d, o)
	if got := plain.NotBefore.Sub(c.NotBefore); got != time.Hour || !c.NotAfter.Equal(plain.NotAfter) {
		t.Errorf("valid from %v to %v, plain from %v to %v", c.NotBefore, c.NotAfter, plain.NotBefore, plain.NotAfter)
	}
	o.Grant.Backdate = 100 * year
	if c := directly(t, d, o); !c.NotBefore.Equal(d.CA.NotBefore) {
		t.Errorf("valid from %v, the CA from %v", c.NotBefore, d.CA.NotBefore)
	}
}

func TestDirectLeavesSIDsOut(t *testing.T) {
	t.Parallel()
	d, key := newDirect(t, sceptest.RSAKey(t, 1)), newKey(t)
	sid := &url.URL{Scheme: "tag", Opaque: "microsoft.com,2022-09-14:sid:S-1-5-21-1-2-3-500"}
	extension := pkix.Extension{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 25, 2}, Value: []byte{0x30, 0}}
	order := func(names ...string) Order {
		o := newOrder(t, key)
		o.CSR = csrOf(t, key, &x509.CertificateRequest{
			Subject: pkix.Name{CommonName: "d"}, DNSNames: names, URIs: []*url.URL{sid}, ExtraExtensions: []pkix.Extension{extension},
		})
		o.Grant.WithoutSID = true
		return o
	}
	c := directly(t, d, order("d.example.com"))
	if len(c.URIs) != 0 || len(c.DNSNames) != 1 || bytes.Contains(c.Raw, []byte("S-1-5-21")) {
		t.Errorf("names %v and %v", c.URIs, c.DNSNames)
	}
	if c := directly(t, d, order()); hasExtension(c, oidSubjectAltName) || hasExtension(c, extension.Id) {
		t.Errorf("extensions %v", c.Extensions)
	}
}

func hasExtension(c *x509.Certificate, id asn1.ObjectIdentifier) bool {
	for _, e := range c.Extensions {
		if e.Id.Equal(id) {
			return true
		}
	}
	return false
}
