package policy

import (
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

func TestPurposesThatNoTemplateCanList(t *testing.T) {
	t.Parallel()
	for oid, want := range map[string]string{
		clientAuth:            "extendedKeyUsages: 1.3.6.1.5.5.7.3.2 has a name: list it in usages",
		"1.3.6.1.5.5.7.3.9":   "extendedKeyUsages: 1.3.6.1.5.5.7.3.9 is OCSP signing",
		"1":                   `extendedKeyUsages: "1": it is no object identifier`,
		"1.2.x":               `extendedKeyUsages: "1.2.x": it is no object identifier`,
		"1.2.03":              `extendedKeyUsages: "1.2.03": it is no object identifier`,
		"1.40.1":              `extendedKeyUsages: "1.40.1": it is no object identifier`,
		"1.2.99999999999":     `extendedKeyUsages: "1.2.99999999999": it is no object identifier`,
		"":                    `extendedKeyUsages: "": it is no object identifier`,
		"1.2.-3":              `extendedKeyUsages: "1.2.-3": it is no object identifier`,
		"3.2.1":               `extendedKeyUsages: "3.2.1": it is no object identifier`,
		"2.16.840.1.113730.+": `extendedKeyUsages: "2.16.840.1.113730.+": it is no object identifier`,
	} {
		spec := template()
		spec.ExtendedKeyUsages = []string{smartCard, oid}
		_, err := Compile(spec)
		var value *ValueError
		if !errors.As(err, &value) || value.Field != "extendedKeyUsages" || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q: %v, want %s", oid, err, want)
		}
	}
}

// Each purpose that cert-manager has a word for is either a template's word too, or
// known not to be copied: it would otherwise be promised and never granted.
func TestEveryPurposeOfCertManagerIsKnown(t *testing.T) {
	t.Parallel()
	for oid, u := range map[string]x509.ExtKeyUsage{
		"2.5.29.37.0": x509.ExtKeyUsageAny, "1.3.6.1.5.5.7.3.8": x509.ExtKeyUsageTimeStamping,
		"1.3.6.1.4.1.311.10.3.3": x509.ExtKeyUsageMicrosoftServerGatedCrypto, "2.16.840.1.113730.4.1": x509.ExtKeyUsageNetscapeServerGatedCrypto,
	} {
		spec := v1alpha1.CertificateTemplateSpec{ExtendedKeyUsages: []string{oid}}
		if !slices.Contains(copiedByNobody, u) || len(ModeProblems(spec, v1alpha1.IssuanceCertificateRequest)) != 1 {
			t.Errorf("%s is promised", oid)
		}
	}
}

func TestModeProblems(t *testing.T) {
	t.Parallel()
	spec := template()
	spec.ExtendedKeyUsages, spec.MicrosoftSID = []string{smartCard}, v1alpha1.SIDIgnore
	for _, mode := range []v1alpha1.IssuanceMode{v1alpha1.IssuanceCertificateRequest, v1alpha1.IssuanceDirect} {
		if got := ModeProblems(spec, mode); got != nil {
			t.Errorf("%s cannot: %q", mode, got)
		}
	}
	spec.Backdate = &metav1.Duration{Duration: time.Hour}
	spec.ExtendedKeyUsages = append(spec.ExtendedKeyUsages, "2.5.29.37.0")
	want := []string{
		"backdate needs issuance mode Direct, for other issuers begin the validity themselves: leave it out",
		"extendedKeyUsages 2.5.29.37.0 needs issuance mode Direct, for cert-manager does not copy it from a request: take it out",
	}
	if got := ModeProblems(spec, v1alpha1.IssuanceCertificateRequest); !slices.Equal(got, want) {
		t.Errorf("CertificateRequest cannot:\n%q\nwant\n%q", got, want)
	}
	if got := ModeProblems(spec, v1alpha1.IssuanceDirect); got != nil {
		t.Errorf("Direct cannot: %q", got)
	}
	spec.MaxPerSubject = ptr.To[int32](1)
	wanted := []string{"maxPerSubject needs issuance mode CertificateRequest, for Direct keeps no record of certificates: leave it out"}
	if got := ModeProblems(spec, v1alpha1.IssuanceDirect); !slices.Equal(got, wanted) {
		t.Errorf("Direct cannot %q, want %q", got, wanted)
	}
	grant, err := compile(t, spec).For(v1alpha1.IssuanceDirect).Judge(allowedWish().csr(t), Context{})
	if err != nil || grant.Backdate != time.Hour {
		t.Errorf("grant %+v (%v), want an hour of backdating", grant, err)
	}
}

// Purposes by OID in the certificate are those of the request or the grant, and no others.
func TestCheckIssuedPurposes(t *testing.T) {
	t.Parallel()
	with := func(oids ...string) func(*x509.Certificate) {
		return func(c *x509.Certificate) {
			c.KeyUsage, c.ExtKeyUsage = 0, nil
			for _, o := range oids {
				c.UnknownExtKeyUsage = append(c.UnknownExtKeyUsage, parseOID(o))
			}
		}
	}
	for name, tc := range map[string]struct {
		named   []string
		granted []string
		issued  func(*x509.Certificate)
		fits    bool
	}{
		"named and copied":   {[]string{smartCard}, nil, with(smartCard), true},
		"named and left out": {[]string{smartCard}, nil, with(), true},
		"granted":            {nil, []string{smartCard}, with(smartCard), true},
		"neither":            {nil, nil, with(smartCard), false},
		"another":            {[]string{smartCard}, []string{smartCard}, with(smartCard, "1.2.3"), false},
	} {
		w := allowedWish()
		if len(tc.named) > 0 {
			asks(extKeyUsages(tc.named...))(w)
		}
		var granted []asn1.ObjectIdentifier
		for _, o := range tc.granted {
			granted = append(granted, parseOID(o))
		}
		csr := w.csr(t)
		err := CheckIssued(issued(t, csr, tc.issued), csr, nil, granted)
		if got, refused := refusal.As(err); refused == tc.fits || refused && got.Reason != refusal.IssuedMismatch {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A certificate for some other purpose of the same CA renews nothing.
func TestJudgeRenewalWantsAPurposeByOID(t *testing.T) {
	t.Parallel()
	spec := template()
	spec.Usages, spec.ExtendedKeyUsages = usageList{certmanagerv1.UsageDigitalSignature}, []string{smartCard}
	csr := allowedWish().csr(t)
	without := issued(t, csr, func(c *x509.Certificate) { c.ExtKeyUsage = nil })
	with := issued(t, csr, func(c *x509.Certificate) {
		c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{parseOID(smartCard)}
	})
	other := issued(t, csr, func(c *x509.Certificate) {
		c.ExtKeyUsage, c.UnknownExtKeyUsage = nil, []asn1.ObjectIdentifier{parseOID("1.2.3")}
	})
	for name, tc := range map[string]struct {
		mode   v1alpha1.IssuanceMode
		signer *x509.Certificate
		text   string
	}{
		"with it":                    {v1alpha1.IssuanceDirect, with, ""},
		"without it":                 {v1alpha1.IssuanceDirect, without, "renewal refused: the certificate that signs it does not fit the template: it lacks the usage 1.3.6.1.4.1.311.20.2.2"},
		"without, not added by mode": {v1alpha1.IssuanceCertificateRequest, without, ""},
		"with another":               {v1alpha1.IssuanceDirect, other, "renewal refused: the certificate that signs it does not fit the template: its usages are not the template's"},
	} {
		err := compile(t, spec).For(tc.mode).JudgeRenewal(tc.signer, csr)
		if got, refused := refusal.As(err); refused != (tc.text != "") || refused && got.Text != tc.text {
			t.Errorf("%s: %v", name, err)
		}
	}
}
