package intune

import (
	"context"
	"crypto/sha1"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"strings"

	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
)

// Paths below the validation service.
const (
	validatePath = "ScepActions/validateRequest"
	successPath  = "ScepActions/successNotification"
	failurePath  = "ScepActions/failureNotification"
)

// Request identifies an enrolment towards Intune, which reads the challenge out
// of the CSR by itself.
type Request struct {
	TransactionID string
	CSR           *x509.CertificateRequest
}

type requestBody struct {
	TransactionID      string `json:"transactionId"`
	CertificateRequest []byte `json:"certificateRequest"` // standard base64 of the DER
	CallerInfo         string `json:"callerInfo"`
}

func (c *Client) body(r Request) requestBody {
	return requestBody{TransactionID: r.TransactionID, CertificateRequest: r.CSR.Raw, CallerInfo: c.options.Caller}
}

// verdict is what Intune answers.
type verdict struct {
	Code        *Code  `json:"code"`
	Description string `json:"errorDescription"`
}

// Validate asks whether Intune caused a request. nil means yes. A *Refused means
// no; any other error, that it could not be told.
func (c *Client) Validate(ctx context.Context, r Request) error {
	return c.act(ctx, validatePath, map[string]any{"request": c.body(r)})
}

// CA is what Intune records about the authority, and gives back when it wants a
// certificate revoked.
type CA struct {
	// Configuration is this service's own name for the endpoint.
	Configuration string
	// Authority names the CA.
	Authority string
}

type successBody struct {
	requestBody
	Thumbprint           string `json:"certificateThumbprint"`
	SerialNumber         string `json:"certificateSerialNumber"`
	Expiration           string `json:"certificateExpirationDateUtc"`
	IssuingAuthority     string `json:"issuingCertificateAuthority"`
	CAConfiguration      string `json:"caConfiguration"`
	CertificateAuthority string `json:"certificateAuthority"`
}

// expirationFormat is ISO 8601 with milliseconds and a zone.
const expirationFormat = "2006-01-02T15:04:05.000Z07:00"

// NotifySuccess tells Intune what was issued. Until it returns nil, the
// certificate must not be handed out.
func (c *Client) NotifySuccess(ctx context.Context, r Request, issued *x509.Certificate, ca CA) error {
	thumbprint := sha1.Sum(issued.Raw) // Intune knows certificates by it
	return c.act(ctx, successPath, map[string]any{"notification": successBody{
		requestBody:          c.body(r),
		Thumbprint:           strings.ToUpper(hex.EncodeToString(thumbprint[:])),
		SerialNumber:         strings.ToUpper(hex.EncodeToString(issued.SerialNumber.Bytes())),
		Expiration:           issued.NotAfter.UTC().Format(expirationFormat),
		IssuingAuthority:     issued.Issuer.String(),
		CAConfiguration:      ca.Configuration,
		CertificateAuthority: ca.Authority,
	}})
}

type failureBody struct {
	requestBody
	HResult     int32  `json:"hResult"`
	Description string `json:"errorDescription"`
}

// EFail is the HRESULT for an unspecified failure (0x80004005).
const EFail int32 = -0x7fffbffb

// maxDescription bounds a description, in bytes.
const maxDescription = 255

// NotifyFailure tells Intune that a request which it allowed came to nothing here.
// The description is shown to the administrator.
func (c *Client) NotifyFailure(ctx context.Context, r Request, hResult int32, description string) error {
	if len(description) > maxDescription {
		description = strings.ToValidUTF8(description[:maxDescription], "")
	}
	return c.act(ctx, failurePath, map[string]any{"notification": failureBody{c.body(r), hResult, description}})
}

func (c *Client) act(ctx context.Context, path string, in any) error {
	var said verdict
	activity, err := c.post(ctx, validationService, path, in, &said)
	if err != nil {
		return err
	}
	if said.Code == nil || *said.Code == "" {
		return &callError{"Intune", &outbound.Error{Fault: outbound.Unreadable, Err: errNoCode}}
	}
	if *said.Code != Success {
		return &Refused{Code: Code(outbound.Text(string(*said.Code))), Description: outbound.Text(said.Description), ActivityID: activity}
	}
	return nil
}

var errNoCode = errors.New("it has no code")
