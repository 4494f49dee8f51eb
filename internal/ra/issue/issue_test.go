package issue

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"errors"
	"math/big"
	"regexp"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/runtime/schema"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
)

func newKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func newCSR(t testing.TB, key *ecdsa.PrivateKey, name string) *x509.CertificateRequest {
	t.Helper()
	return csrOf(t, key, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}})
}

func csrOf(t testing.TB, key *ecdsa.PrivateKey, template *x509.CertificateRequest) *x509.CertificateRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, key)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

func newCertificate(t testing.TB, key *ecdsa.PrivateKey, serial int64, notAfter time.Time) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(serial), NotAfter: notAfter}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestNames(t *testing.T) {
	t.Parallel()
	a, b := newKey(t), newKey(t)
	csr, otherCSR := newCSR(t, a, "d"), newCSR(t, b, "d")
	signer, otherSigner := newCertificate(t, a, 1, time.Time{}), newCertificate(t, a, 2, time.Time{})
	n := Names{Key: []byte("key"), Endpoint: "corp"}
	request := func(transactionID string, csr *x509.CertificateRequest, signer *x509.Certificate) Request {
		return Request{TransactionID: transactionID, CSR: csr, Signer: signer, Template: "device"}
	}
	name := n.Request(request("id", csr, signer), 1)
	if !regexp.MustCompile(`^corp-[0-9a-f]{20}$`).MatchString(name) {
		t.Errorf("name %q", name)
	}
	if again := n.Request(request("id", newCSR(t, a, "another"), signer), 1); again != name {
		t.Error("the name depends on more than the CSR's key")
	}
	different := map[string]string{
		"transactionID": n.Request(request("id2", csr, signer), 1),
		"key":           n.Request(request("id", otherCSR, signer), 1),
		"signer":        n.Request(request("id", csr, otherSigner), 1),
		"attempt":       n.Request(request("id", csr, signer), 2),
		"endpoint key":  Names{Key: []byte("other"), Endpoint: "corp"}.Request(request("id", csr, signer), 1),
		"template":      n.Request(Request{TransactionID: "id", CSR: csr, Signer: signer, Template: "router"}, 1),
	}
	for what, other := range different {
		if other == name {
			t.Errorf("the name does not depend on the %s", what)
		}
	}
	if n.Signer("id", signer) != n.Signer("id", otherSigner) {
		t.Error("the signer label depends on more than the signer's key")
	}
	if n.Signer("id", signer) == n.Transaction("id", csr) {
		t.Error("the labels are the same hash")
	}
	if n.hash("kind", []byte("ab"), []byte("c")) == n.hash("kind", []byte("a"), []byte("bc")) {
		t.Error("parts run into each other")
	}
}

func TestNewRecordOfBadObjects(t *testing.T) {
	t.Parallel()
	o := &certmanagerv1.CertificateRequest{}
	for _, request := range []string{"", "nonsense", "-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"} {
		o.Spec.Request = []byte(request)
		if _, err := newRecord(o); err == nil {
			t.Errorf("spec.request %q is read", request)
		}
	}
	o.Spec.Request = encodeCSR(newCSR(t, newKey(t), "d"))
	o.Status.Conditions = []certmanagerv1.CertificateRequestCondition{{Type: "Ready", Status: "True"}}
	for _, certificate := range []string{"", "nonsense", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"} {
		o.Status.Certificate = []byte(certificate)
		if r, err := newRecord(o); err != nil || r.State != Failed {
			t.Errorf("status.certificate %q: %+v (%v), want it Failed", certificate, r, err)
		}
	}
}

func TestWhatCounts(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	now := time.Now()
	c := &CertManager{
		Terms: Terms{Issuer: v1alpha1.IssuerReference{Name: "ca"}, Username: "ra"},
		Now:   func() time.Time { return now },
	}
	good := certmanagerv1.CertificateRequest{}
	good.Spec.Username = "ra"
	good.Spec.IssuerRef = cmmeta.IssuerReference{Name: "ca", Kind: "Issuer", Group: "cert-manager.io"}
	good.Spec.Request = encodeCSR(newCSR(t, key, "d"))
	request := Request{CSR: newCSR(t, key, "d")} // signed anew: other bytes, the same wish
	for name, tc := range map[string]struct {
		change func(*certmanagerv1.CertificateRequest)
		want   error
	}{
		"good":          {func(*certmanagerv1.CertificateRequest) {}, nil},
		"other user":    {func(o *certmanagerv1.CertificateRequest) { o.Spec.Username = "admin" }, errForeign},
		"no user":       {func(o *certmanagerv1.CertificateRequest) { o.Spec.Username = "" }, errForeign},
		"a CA":          {func(o *certmanagerv1.CertificateRequest) { o.Spec.IsCA = true }, errTerms},
		"other issuer":  {func(o *certmanagerv1.CertificateRequest) { o.Spec.IssuerRef.Name = "x" }, errTerms},
		"other kind":    {func(o *certmanagerv1.CertificateRequest) { o.Spec.IssuerRef.Kind = "ClusterIssuer" }, errTerms},
		"other group":   {func(o *certmanagerv1.CertificateRequest) { o.Spec.IssuerRef.Group = "x" }, errTerms},
		"other key":     {func(o *certmanagerv1.CertificateRequest) { o.Spec.Request = encodeCSR(newCSR(t, newKey(t), "d")) }, errAnother},
		"other subject": {func(o *certmanagerv1.CertificateRequest) { o.Spec.Request = encodeCSR(newCSR(t, key, "e")) }, errAnother},
		"expired": {func(o *certmanagerv1.CertificateRequest) {
			old := newCertificate(t, key, 1, now.Add(-time.Minute))
			o.Status.Certificate = pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: old.Raw})
			o.Status.Conditions = []certmanagerv1.CertificateRequestCondition{{Type: "Ready", Status: "True"}}
		}, errExpired},
	} {
		object := good.DeepCopy()
		tc.change(object)
		if _, err := c.count(object, request); !errors.Is(err, tc.want) || (tc.want == nil) != (err == nil) {
			t.Errorf("%s: %v, want %v", name, err, tc.want)
		}
	}
}

func TestSameRequest(t *testing.T) {
	key := newKey(t)
	with := func(name string, extensions ...pkix.Extension) *x509.CertificateRequest {
		return csrOf(t, key, &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}, ExtraExtensions: extensions})
	}
	identifier := func(b byte) pkix.Extension {
		return pkix.Extension{Id: oidSubjectKeyIdentifier, Value: []byte{4, 1, b}}
	}
	usage := func(bits byte) pkix.Extension {
		return pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: []byte{3, 2, 0, bits}}
	}
	first := with("a", usage(0x80), identifier(1))
	for name, tc := range map[string]struct {
		other *x509.CertificateRequest
		want  bool
	}{
		"signed anew":                    {with("a", usage(0x80), identifier(1)), true},
		"another subject key identifier": {with("a", usage(0x80), identifier(2)), true},
		"no subject key identifier":      {with("a", usage(0x80)), true},
		"another extension":              {with("a", usage(0x20), identifier(1)), false},
		"no other extension":             {with("a", identifier(1)), false},
		"another name":                   {with("b", usage(0x80), identifier(1)), false},
		"another key":                    {newCSR(t, newKey(t), "a"), false},
	} {
		if got := sameRequest(first, tc.other); got != tc.want {
			t.Errorf("%s: %v, want %v", name, got, tc.want)
		}
	}
}

func TestJudgeCreateError(t *testing.T) {
	t.Parallel()
	requests := schema.GroupResource{Group: "cert-manager.io", Resource: "certificaterequests"}
	for name, tc := range map[string]struct {
		err     error
		refused bool
	}{
		"webhook":               {apierrors.NewForbidden(requests, "x", errors.New(`admission webhook "w" denied the request: no`)), true},
		"admission policy":      {apierrors.NewInvalid(schema.GroupKind{}, "x", nil), true},
		"policy not yet known":  {apierrors.NewForbidden(requests, "x", errors.New("ValidatingAdmissionPolicy 'p' denied request: failed to configure policy: failed to find resource referenced by paramKind")), false},
		"binding not yet known": {apierrors.NewBadRequest("ValidatingAdmissionPolicy 'p' with binding 'p' denied request: failed to configure binding: no params found"), false},
		"webhook's answer":      {apierrors.NewBadRequest("admission webhook denied the request"), true},
		"rights":                {apierrors.NewForbidden(requests, "x", errors.New("User cannot create resource")), false},
		"webhook away":          {apierrors.NewInternalError(errors.New("failed calling webhook")), false},
		"API server away":       {errors.New("connection refused"), false},
		"API server busy":       {apierrors.NewTooManyRequestsError("busy"), false},
		"kind is not there":     {apierrors.NewNotFound(requests, ""), false},
	} {
		err := judgeCreateError(tc.err)
		_, refused := refusal.As(err)
		var away *scep.UnavailableError
		if refused != tc.refused || errors.As(err, &away) == refused || !errors.Is(err, tc.err) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
