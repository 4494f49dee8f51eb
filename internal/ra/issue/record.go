package issue

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// State is how far an issuer got.
type State string

// The states.
const (
	Waiting State = "Waiting"
	Issued  State = "Issued"
	// Denied by an approver; final.
	Denied State = "Denied"
	// Invalid in the issuer's eyes; final.
	Invalid State = "Invalid"
	// Failed for a reason that may pass; the next attempt may succeed.
	Failed State = "Failed"
)

// Record is an order that was taken: a CertificateRequest that counts, for this
// endpoint's servers made it, or what Direct made.
type Record struct {
	// Name of the CertificateRequest; "" where there is none.
	Name     string
	Template string
	// Challenge is the name of the entry that admitted the request; "" if a certificate did.
	Challenge string
	// Notify is true where that entry has to be told before the certificate is handed out.
	Notify bool
	// CSR and Usages as the issuer was asked.
	CSR    *x509.CertificateRequest
	Usages []certmanagerv1.KeyUsage

	State State
	// Certificates that were issued: the device's first, then what the issuer sent along.
	Certificates []*x509.Certificate
	// Message of the issuer, for the log.
	Message string

	created   time.Time
	keepUntil time.Time
}

// conditionState is a row of the table by which an object's conditions are read.
type conditionState struct {
	kind   certmanagerv1.CertificateRequestConditionType
	status cmmeta.ConditionStatus
	reason string // "": any
	state  State
}

// conditionStates in the order in which they count.
var conditionStates = []conditionState{
	{certmanagerv1.CertificateRequestConditionDenied, cmmeta.ConditionTrue, "", Denied},
	{certmanagerv1.CertificateRequestConditionInvalidRequest, cmmeta.ConditionTrue, "", Invalid},
	{certmanagerv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, certmanagerv1.CertificateRequestReasonDenied, Denied},
	{certmanagerv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, certmanagerv1.CertificateRequestReasonFailed, Failed},
	{certmanagerv1.CertificateRequestConditionReady, cmmeta.ConditionTrue, "", Issued},
}

// newRecord reads an object.
func newRecord(o *certmanagerv1.CertificateRequest) (*Record, error) {
	csr, err := parseCSR(o.Spec.Request)
	if err != nil {
		return nil, err
	}
	r := &Record{
		Name:      o.Name,
		Template:  o.Annotations[v1alpha1.AnnotationTemplate],
		Challenge: o.Annotations[v1alpha1.AnnotationChallenge],
		Notify:    o.Annotations[v1alpha1.AnnotationNotify] == v1alpha1.NotifyRequired,
		CSR:       csr,
		Usages:    o.Spec.Usages,
		created:   o.CreationTimestamp.Time,
	}
	// An unreadable time is as good as none: the object is then not kept.
	r.keepUntil, _ = time.Parse(time.RFC3339, o.Annotations[v1alpha1.AnnotationKeepUntil])
	r.State, r.Message = readState(o.Status.Conditions)
	if r.State != Issued {
		return r, nil
	}
	if r.Certificates, err = raconfig.ParseCertificates(o.Status.Certificate); err != nil || len(r.Certificates) == 0 {
		r.State, r.Message = Failed, "status.certificate holds no certificate"
	}
	return r, nil
}

func readState(conditions []certmanagerv1.CertificateRequestCondition) (State, string) {
	for _, row := range conditionStates {
		for _, c := range conditions {
			if c.Type == row.kind && c.Status == row.status && (row.reason == "" || row.reason == c.Reason) {
				return row.state, redact(c.Message)
			}
		}
	}
	return Waiting, ""
}

// expired says that a record cannot be the answer any more.
func (r *Record) expired(now time.Time) bool {
	return r.State == Issued && now.After(r.Certificates[0].NotAfter)
}

const csrBlock = "CERTIFICATE REQUEST"

func encodeCSR(csr *x509.CertificateRequest) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: csrBlock, Bytes: csr.Raw})
}

func parseCSR(in []byte) (*x509.CertificateRequest, error) {
	block, _ := pem.Decode(in)
	if block == nil {
		return nil, errors.New("spec.request holds no PEM block")
	}
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return nil, fmt.Errorf("spec.request: %w", err)
	}
	return csr, nil
}

// sameRequest says whether two CSRs ask for the same certificate. A retry may be
// signed anew and carry another challenge.
func sameRequest(a, b *x509.CertificateRequest) bool {
	if !bytes.Equal(a.RawSubjectPublicKeyInfo, b.RawSubjectPublicKeyInfo) || !bytes.Equal(a.RawSubject, b.RawSubject) {
		return false
	}
	if len(a.Extensions) != len(b.Extensions) {
		return false
	}
	for i := range a.Extensions {
		if !a.Extensions[i].Id.Equal(b.Extensions[i].Id) || !bytes.Equal(a.Extensions[i].Value, b.Extensions[i].Value) {
			return false
		}
	}
	return true
}

// SameUsages compares usages in whatever order they come.
func SameUsages(a, b []certmanagerv1.KeyUsage) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

// sameIssuer compares references with cert-manager's defaults filled in.
func sameIssuer(have cmmeta.IssuerReference, want v1alpha1.IssuerReference) bool {
	return have.Name == want.Name &&
		cmp.Or(have.Kind, defaultIssuerKind) == cmp.Or(want.Kind, defaultIssuerKind) &&
		cmp.Or(have.Group, defaultIssuerGroup) == cmp.Or(want.Group, defaultIssuerGroup)
}

const (
	defaultIssuerKind  = "Issuer"
	defaultIssuerGroup = "cert-manager.io"
)
