package issue

import (
	"bytes"
	"cmp"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"fmt"
	"slices"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/enrolrecord"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// State is how far an issuer got.
type State = enrolrecord.State

// The states.
const (
	Waiting = enrolrecord.Waiting
	Issued  = enrolrecord.Issued
	Denied  = enrolrecord.Denied
	Invalid = enrolrecord.Invalid
	Failed  = enrolrecord.Failed
	Expired = enrolrecord.Expired
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
	// Altered is true where somebody changed our labels or annotations of the object, so
	// that it cannot be told any more who has to be told.
	Altered bool
	// New is true where this very order made it: nobody can have been told of it before.
	New bool
	// CSR and Usages as the issuer was asked.
	CSR    *x509.CertificateRequest
	Usages []certmanagerv1.KeyUsage
	// ExtendedKeyUsages that Direct was asked for, beside those that the CSR names.
	ExtendedKeyUsages []asn1.ObjectIdentifier
	// Duration that was asked for; 0 where the issuer is our own.
	Duration time.Duration

	State State
	// Certificates that were issued: the device's first, then what the issuer sent along.
	Certificates []*x509.Certificate
	// CA is what the issuer says of its CA beside that; it need not have issued them.
	CA []*x509.Certificate
	// Message of the issuer, for the log.
	Message string

	created   time.Time
	version   string // the object's resourceVersion
	keepUntil time.Time
	sender    string // LabelSender
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
		version:   o.ResourceVersion,
		sender:    o.Labels[v1alpha1.LabelSender],
	}
	if o.Spec.Duration != nil {
		r.Duration = o.Spec.Duration.Duration
	}
	state, message := enrolrecord.StateOf(o)
	r.State, r.Message = state, redact(message)
	if r.State != Issued {
		return r, nil
	}
	if r.Certificates, err = raconfig.ParseCertificates(o.Status.Certificate); err != nil || len(r.Certificates) == 0 {
		r.State, r.Message = Failed, "status.certificate holds no certificate"
	}
	// What cannot be read here is of no use to anybody, and nobody depends on it.
	r.CA, _ = raconfig.ParseCertificates(o.Status.CA)
	return r, nil
}

// Created is when the issuer was asked.
func (r *Record) Created() time.Time { return r.created }

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
	return slices.EqualFunc(requestParts(a), requestParts(b), bytes.Equal)
}

var oidSubjectKeyIdentifier = asn1.ObjectIdentifier{2, 5, 29, 14}

// requestParts are what a CSR asks for. A subject key identifier is not: issuers make
// their own, and certmonger sends another one with each try.
func requestParts(csr *x509.CertificateRequest) [][]byte {
	parts := [][]byte{csr.RawSubjectPublicKeyInfo, csr.RawSubject}
	for _, e := range csr.Extensions {
		if !e.Id.Equal(oidSubjectKeyIdentifier) {
			parts = append(parts, []byte(e.Id.String()), e.Value)
		}
	}
	return parts
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
