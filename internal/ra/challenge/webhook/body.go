package webhook

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
)

// body is what a hook receives: the fields of step-ca's webhook request that SCEP
// sets, and scepTemplate, which is ours: what is asked for depends on the template.
type body struct {
	Timestamp          time.Time           `json:"timestamp"`
	Provisioner        string              `json:"provisionerName,omitempty"`
	CertificateRequest *certificateRequest `json:"x509CertificateRequest,omitempty"`
	Certificate        *certificate        `json:"x509Certificate,omitempty"`
	Challenge          string              `json:"scepChallenge,omitempty"`
	TransactionID      string              `json:"scepTransactionID,omitempty"`
	Template           string              `json:"scepTemplate,omitempty"`
	ErrorCode          int                 `json:"scepErrorCode,omitempty"`
	ErrorDescription   string              `json:"scepErrorDescription,omitempty"`
}

// described is what a request and a certificate have in common.
type described struct {
	Version            int         `json:"version"`
	Subject            subject     `json:"subject"`
	PublicKey          []byte      `json:"publicKey"`
	PublicKeyAlgorithm string      `json:"publicKeyAlgorithm"`
	Raw                []byte      `json:"raw"`
	SignatureAlgorithm string      `json:"signatureAlgorithm"`
	Extensions         []extension `json:"extensions"`
	// The alternative names that Go's parser knows; Raw has all.
	DNSNames       []string `json:"dnsNames"`
	EmailAddresses []string `json:"emailAddresses"`
	IPAddresses    []string `json:"ipAddresses"`
	URIs           []string `json:"uris"`
}

type certificateRequest struct {
	described
	RawSubject []byte `json:"rawSubject"`
}

type certificate struct {
	described
	Issuer       subject   `json:"issuer"`
	SerialNumber string    `json:"serialNumber"`
	NotBefore    time.Time `json:"notBefore"`
	NotAfter     time.Time `json:"notAfter"`
}

type subject struct {
	CommonName         string   `json:"commonName,omitempty"`
	SerialNumber       string   `json:"serialNumber,omitempty"`
	Country            []string `json:"country,omitempty"`
	Organization       []string `json:"organization,omitempty"`
	OrganizationalUnit []string `json:"organizationalUnit,omitempty"`
	Locality           []string `json:"locality,omitempty"`
	Province           []string `json:"province,omitempty"`
	StreetAddress      []string `json:"streetAddress,omitempty"`
	PostalCode         []string `json:"postalCode,omitempty"`
}

type extension struct {
	ID       string `json:"id"`
	Critical bool   `json:"critical"`
	Value    []byte `json:"value"`
}

func newCertificateRequest(csr *x509.CertificateRequest) *certificateRequest {
	return &certificateRequest{RawSubject: csr.RawSubject, described: described{
		Version:            csr.Version,
		Subject:            newSubject(csr.Subject),
		PublicKey:          csr.RawSubjectPublicKeyInfo,
		PublicKeyAlgorithm: csr.PublicKeyAlgorithm.String(),
		Raw:                csr.Raw,
		SignatureAlgorithm: csr.SignatureAlgorithm.String(),
		Extensions:         newExtensions(csr.Extensions),
		DNSNames:           csr.DNSNames,
		EmailAddresses:     csr.EmailAddresses,
		IPAddresses:        texts(csr.IPAddresses),
		URIs:               texts(csr.URIs),
	}}
}

// newCertificate describes a certificate by the same fields as its request, and by its own.
func newCertificate(c *x509.Certificate) *certificate {
	same := newCertificateRequest(&x509.CertificateRequest{
		Version: c.Version, Subject: c.Subject, Raw: c.Raw, Extensions: c.Extensions,
		RawSubjectPublicKeyInfo: c.RawSubjectPublicKeyInfo, PublicKeyAlgorithm: c.PublicKeyAlgorithm, SignatureAlgorithm: c.SignatureAlgorithm,
		DNSNames: c.DNSNames, EmailAddresses: c.EmailAddresses, IPAddresses: c.IPAddresses, URIs: c.URIs,
	})
	return &certificate{
		described:    same.described,
		Issuer:       newSubject(c.Issuer),
		SerialNumber: c.SerialNumber.String(),
		NotBefore:    c.NotBefore,
		NotAfter:     c.NotAfter,
	}
}

func texts[T fmt.Stringer](values []T) []string {
	var out []string
	for _, v := range values {
		out = append(out, v.String())
	}
	return out
}

func newSubject(n pkix.Name) subject {
	return subject{
		CommonName: n.CommonName, SerialNumber: n.SerialNumber,
		Country: n.Country, Organization: n.Organization, OrganizationalUnit: n.OrganizationalUnit,
		Locality: n.Locality, Province: n.Province, StreetAddress: n.StreetAddress, PostalCode: n.PostalCode,
	}
}

func newExtensions(list []pkix.Extension) []extension {
	out := make([]extension, len(list))
	for i, e := range list {
		out[i] = extension{ID: e.Id.String(), Critical: e.Critical, Value: e.Value}
	}
	return out
}

// answerBody is what a hook answers to a question.
type answerBody struct {
	// Allow is a pointer: an answer that says nothing is no answer.
	Allow *bool          `json:"allow"`
	Data  map[string]any `json:"data"`
	Error *struct {
		Code    string `json:"code"`
		Message string `json:"message"`
	} `json:"error"`
}

// decode reads a clear yes or a clear no.
func decode(answer *outbound.Answer, challenge string) (*Decision, error) {
	var b answerBody
	if err := answer.JSON(&b); err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if b.Allow == nil || *b.Allow && b.Error != nil {
		return nil, fmt.Errorf("webhook: %w", &outbound.Error{Host: answer.Host, Fault: outbound.Unreadable, Status: answer.Status, Err: errUnclear})
	}
	d := &Decision{Allow: *b.Allow, Data: b.Data}
	if b.Error != nil {
		d.Reason = outbound.Text(strings.TrimPrefix(b.Error.Code+": "+b.Error.Message, ": "), challenge)
	}
	return d, nil
}

var errUnclear = errors.New("it says neither a clear yes nor a clear no")
