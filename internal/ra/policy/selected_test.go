package policy

import (
	"crypto/x509"
	"testing"

	"k8s.io/utils/ptr"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

func TestJudgeRenewalKey(t *testing.T) {
	t.Parallel()
	signer := &x509.Certificate{RawSubjectPublicKeyInfo: []byte("key")}
	same := &x509.CertificateRequest{RawSubjectPublicKeyInfo: []byte("key")}
	other := &x509.CertificateRequest{RawSubjectPublicKeyInfo: []byte("another key")}
	for rule, refused := range map[v1alpha1.RenewalKey]struct{ same, other bool }{
		"":                      {false, false}, // a template that passed no API server
		v1alpha1.RenewalKeyAny:  {false, false},
		v1alpha1.RenewalKeyNew:  {true, false},
		v1alpha1.RenewalKeySame: {false, true},
	} {
		spec := template()
		spec.Renewal.Key = rule
		p := compile(t, spec)
		for csr, want := range map[*x509.CertificateRequest]bool{same: refused.same, other: refused.other} {
			reason, isRefusal := refusal.As(p.judgeRenewalKey(signer, csr))
			if isRefusal != want || want && reason.Reason != refusal.RenewalKeyNotAllowed {
				t.Errorf("%q with %s: refused is %v (%v)", rule, csr.RawSubjectPublicKeyInfo, isRefusal, reason)
			}
		}
	}
}

func TestWhatATemplateSaysBesideContent(t *testing.T) {
	t.Parallel()
	spec := template()
	if p := compile(t, spec); p.MaxPerSubject() != 0 || p.Context() != "" {
		t.Errorf("by default: %d per subject, context %q", p.MaxPerSubject(), p.Context())
	}
	spec.MaxPerSubject, spec.Context = ptr.To[int32](3), v1alpha1.ContextUser
	if p := compile(t, spec); p.MaxPerSubject() != 3 || p.Context() != v1alpha1.ContextUser {
		t.Errorf("%d per subject, context %q", p.MaxPerSubject(), p.Context())
	}
}
