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

// body is what a hook receives: the fields of step-ca's webhook request that SCEP sets.
type body struct {
	Timestamp          time.Time           `json:"timestamp"`
	Provisioner        string              `json:"provisionerName,omitempty"`
	CertificateRequest *certificateRequest `json:"x509CertificateRequest,omitempty"`
	Certificate        *certificate        `json:"x509Certificate,omitempty"`
	Challenge          string              `json:"scepChallenge,omitempty"`
	TransactionID      string              `json:"scepTransactionID,omitempty"`
	ErrorCode          int                 `json:"scepErrorCode,omitempty"`
	ErrorDescription   string              `json:"scepErrorDescription,omitempty"`
}

type certificateRequest struct {
	Version            int      `json:"version"`
	Subject            subject  `json:"subject"`
	RawSubject         []byte   `json:"rawSubject"`
	PublicKey          []byte   `json:"publicKey"`
	PublicKeyAlgorithm string   `json:"publicKeyAlgorithm"`
	Raw                []byte   `json:"raw"`
	SignatureAlgorithm string   `json:"signatureAlgorithm"`
	Extensions         []extent `json:"extensions"`
	names
}

type certificate struct {
	Version            int       `json:"version"`
	Subject            subject   `json:"subject"`
	Issuer             subject   `json:"issuer"`
	SerialNumber       string    `json:"serialNumber"`
	NotBefore          time.Time `json:"notBefore"`
	NotAfter           time.Time `json:"notAfter"`
	PublicKey          []byte    `json:"publicKey"`
	PublicKeyAlgorithm string    `json:"publicKeyAlgorithm"`
	Raw                []byte    `json:"raw"`
	SignatureAlgorithm string    `json:"signatureAlgorithm"`
	Extensions         []extent  `json:"extensions"`
	names
}

// names are the subject alternative names that Go's parser knows; Raw has all.
type names struct {
	DNSNames       []string `json:"dnsNames"`
	EmailAddresses []string `json:"emailAddresses"`
	IPAddresses    []string `json:"ipAddresses"`
	URIs           []string `json:"uris"`
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

// extent is an extension.
type extent struct {
	ID       string `json:"id"`
	Critical bool   `json:"critical"`
	Value    []byte `json:"value"`
}

func newCertificateRequest(csr *x509.CertificateRequest) *certificateRequest {
	return &certificateRequest{
		Version:            csr.Version,
		Subject:            newSubject(csr.Subject),
		RawSubject:         csr.RawSubject,
		PublicKey:          csr.RawSubjectPublicKeyInfo,
		PublicKeyAlgorithm: csr.PublicKeyAlgorithm.String(),
		Raw:                csr.Raw,
		SignatureAlgorithm: csr.SignatureAlgorithm.String(),
		Extensions:         newExtensions(csr.Extensions),
		names: names{
			DNSNames: csr.DNSNames, EmailAddresses: csr.EmailAddresses,
			IPAddresses: texts(csr.IPAddresses), URIs: texts(csr.URIs),
		},
	}
}

func newCertificate(c *x509.Certificate) *certificate {
	return &certificate{
		Version:            c.Version,
		Subject:            newSubject(c.Subject),
		Issuer:             newSubject(c.Issuer),
		SerialNumber:       c.SerialNumber.String(),
		NotBefore:          c.NotBefore,
		NotAfter:           c.NotAfter,
		PublicKey:          c.RawSubjectPublicKeyInfo,
		PublicKeyAlgorithm: c.PublicKeyAlgorithm.String(),
		Raw:                c.Raw,
		SignatureAlgorithm: c.SignatureAlgorithm.String(),
		Extensions:         newExtensions(c.Extensions),
		names: names{
			DNSNames: c.DNSNames, EmailAddresses: c.EmailAddresses,
			IPAddresses: texts(c.IPAddresses), URIs: texts(c.URIs),
		},
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

func newExtensions(list []pkix.Extension) []extent {
	out := make([]extent, len(list))
	for i, e := range list {
		out[i] = extent{ID: e.Id.String(), Critical: e.Critical, Value: e.Value}
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
