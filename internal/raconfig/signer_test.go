package raconfig

import (
	"errors"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

func TestSignerIsChecked(t *testing.T) {
	t.Parallel()
	good := func() Issuance {
		return Issuance{Mode: v1alpha1.IssuanceDirect, Signer: &Signer{
			Address: "corp-signer.pki.svc:8445", CRL: CRL{ValiditySeconds: 3600, URLs: []string{"http://scep.example.com/crl"}},
		}}
	}
	for name, tc := range map[string]struct {
		change func(*Issuance)
		ok     bool
	}{
		"good":             {func(*Issuance) {}, true},
		"IPv6":             {func(i *Issuance) { i.Signer.Address = "[::1]:8445" }, true},
		"no signer":        {func(i *Issuance) { i.Signer = nil }, true},
		"another mode":     {func(i *Issuance) { i.Mode = v1alpha1.IssuanceCertificateRequest }, false},
		"no port":          {func(i *Issuance) { i.Signer.Address = "corp-signer" }, false},
		"short validity":   {func(i *Issuance) { i.Signer.CRL.ValiditySeconds = 3599 }, false},
		"URL without host": {func(i *Issuance) { i.Signer.CRL.URLs = []string{"crl"} }, false},
	} {
		c := validConfig()
		c.Issuance = good()
		tc.change(&c.Issuance)
		out, err := Encode(c)
		if err != nil {
			t.Fatal(err)
		}
		_, err = Decode(out)
		if tc.ok && err != nil || !tc.ok && !errors.Is(err, ErrInvalid) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
