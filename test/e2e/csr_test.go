package e2e

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"slices"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
)

var (
	oidKeyUsage         = asn1.ObjectIdentifier{2, 5, 29, 15}
	oidExtendedKeyUsage = asn1.ObjectIdentifier{2, 5, 29, 37}
	oidBasicConstraints = asn1.ObjectIdentifier{2, 5, 29, 19}

	oidClientAuth     = asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 3, 2}
	oidSmartCardLogon = asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2, 2}
)

func extension(t *testing.T, id asn1.ObjectIdentifier, value any) pkix.Extension {
	t.Helper()
	der, err := asn1.Marshal(value)
	if err != nil {
		t.Fatal(err)
	}
	return pkix.Extension{Id: id, Value: der}
}

// keyUsage names key usages by the bits of the first octet (RFC 5280, section 4.2.1.3).
func keyUsage(t *testing.T, bits byte) pkix.Extension {
	t.Helper()
	return extension(t, oidKeyUsage, asn1.BitString{Bytes: []byte{bits}, BitLength: 3})
}

func extendedKeyUsage(t *testing.T, ids ...asn1.ObjectIdentifier) pkix.Extension {
	t.Helper()
	return extension(t, oidExtendedKeyUsage, ids)
}

const (
	bitDigitalSignature = 0x80
	bitKeyEncipherment  = 0x20
	bothBits            = bitDigitalSignature | bitKeyEncipherment
)

// TestUsages sends what different devices' CSRs name; each gets what it named,
// or the template's usages if it named none.
func TestUsages(t *testing.T) {
	both := x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment
	client := []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	cases := map[string]struct {
		named []pkix.Extension
		usage x509.KeyUsage
		ext   []x509.ExtKeyUsage
	}{
		"none":                          {nil, both, client},
		"only a key usage":              {[]pkix.Extension{keyUsage(t, bitDigitalSignature)}, x509.KeyUsageDigitalSignature, nil},
		"only an extended key usage":    {[]pkix.Extension{extendedKeyUsage(t, oidClientAuth)}, 0, client},
		"exactly those of the template": {[]pkix.Extension{keyUsage(t, bothBits), extendedKeyUsage(t, oidClientAuth)}, both, client},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			got := mustEnrol(t, through("http"), enrolment(t, newName(), tc.named...))
			if got.KeyUsage != tc.usage || !slices.Equal(got.ExtKeyUsage, tc.ext) {
				t.Errorf("key usage %b, extended %v; want %b, %v", got.KeyUsage, got.ExtKeyUsage, tc.usage, tc.ext)
			}
		})
	}
}

// TestRefusals sends what the template does not allow. The device is told why,
// the servers' audit log has the record, and a metric counts it.
func TestRefusals(t *testing.T) {
	type change func(t *testing.T, r *scep.EnrolRequest)
	with := func(e func(t *testing.T) pkix.Extension) change {
		return func(t *testing.T, r *scep.EnrolRequest) {
			r.Template.ExtraExtensions = append(r.Template.ExtraExtensions, e(t))
		}
	}
	cases := map[string]struct {
		change change
		want   string
	}{
		"an unknown extended key usage": {with(func(t *testing.T) pkix.Extension {
			return extendedKeyUsage(t, oidClientAuth, oidSmartCardLogon)
		}), oidSmartCardLogon.String()},
		"a CA": {with(func(t *testing.T) pkix.Extension {
			return extension(t, oidBasicConstraints, struct{ CA bool }{true})
		}), "CA"},
		"a foreign DNS name": {func(_ *testing.T, r *scep.EnrolRequest) {
			r.Template.DNSNames = []string{"www.example.org"}
		}, "www.example.org"},
		"an attribute outside the template": {func(_ *testing.T, r *scep.EnrolRequest) {
			r.Template.Subject.OrganizationalUnit = []string{"Directors"}
		}, "organizationalUnit"},
		"a name that a rule forbids": {func(_ *testing.T, r *scep.EnrolRequest) {
			r.Template.Subject.CommonName = "www.example.org"
		}, "CN must be a device name"},
		"a short key": {func(t *testing.T, r *scep.EnrolRequest) {
			key, err := rsa.GenerateKey(rand.Reader, 1024)
			if err != nil {
				t.Fatal(err)
			}
			r.Key = key
		}, "1024"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			before := refusals(t)
			r := enrolment(t, newName())
			tc.change(t, &r)
			result, err := through("http").Enrol(within(t, enrolLimit), r)
			mustRefuse(t, result, err, tc.want)
			mustBeAudited(t, result.TransactionID, tc.want)
			if after := refusals(t); after <= before {
				t.Errorf("the metric of refusals went from %v to %v", before, after)
			}
		})
	}
}
