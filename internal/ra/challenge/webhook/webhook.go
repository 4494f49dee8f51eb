// Package webhook asks an HTTP service about enrolments and tells it how they
// ended, in the shapes of step-ca's webhooks SCEPCHALLENGE and NOTIFYING, so that
// services written for step-ca work unchanged.
package webhook

import (
	"cmp"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
)

const (
	// DefaultTimeout of a question.
	DefaultTimeout = 10 * time.Second
	// MaxAnswer bounds an answer, in bytes.
	MaxAnswer = 64 << 10
	// retryPause lies between the two tries.
	retryPause = 250 * time.Millisecond
)

// Hook is one webhook. It is safe for concurrent use.
type Hook struct {
	URL string
	// ID is sent as X-Smallstep-Webhook-ID.
	ID string
	// Provisioner is sent as provisionerName.
	Provisioner string
	// SigningKey is the key of X-Smallstep-Signature; nil: requests are not signed.
	SigningKey []byte
	// Authorization is the value of that header; "": none. See Bearer and Basic.
	Authorization string

	// ProbeBy is how the service may be asked without a question; "": by HEAD.
	ProbeBy v1alpha1.ClientProbe

	// Timeout of a question, both tries together; 0: DefaultTimeout.
	Timeout time.Duration
	Client  *outbound.Client
	Now     func() time.Time
}

// Bearer is an Authorization by a token (RFC 6750, section 2.1).
func Bearer(token string) string { return "Bearer " + token }

// Basic is an Authorization by user name and password (RFC 7617).
func Basic(username, password string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(username+":"+password))
}

// DecodeSigningKey reads a secret as step-ca prints it: standard base64.
func DecodeSigningKey(secret string) ([]byte, error) {
	key, err := base64.StdEncoding.DecodeString(secret)
	if err != nil || len(key) == 0 {
		return nil, errSigningKey // err would quote the secret
	}
	return key, nil
}

var errSigningKey = errors.New("the signing secret is not standard base64")

// Enrolment is what a hook is asked about.
type Enrolment struct {
	TransactionID string
	Challenge     string
	CSR           *x509.CertificateRequest
	// Template is the endpoint's name of the template that the request matched.
	Template string
}

// Decision is a hook's answer.
type Decision struct {
	Allow bool
	// Data is for the template's rules; nil if there is none.
	Data map[string]any
	// Reason is what the hook gives for its no, for the log: bounded, printable.
	Reason string
}

// Ask asks whether an enrolment is allowed (SCEPCHALLENGE). An error means that it
// could not be told; it is an *outbound.Error or wraps the context's.
func (h *Hook) Ask(ctx context.Context, e Enrolment) (*Decision, error) {
	answer, err := h.post(ctx, e, &body{
		CertificateRequest: newCertificateRequest(e.CSR),
		Challenge:          e.Challenge,
	})
	if err != nil {
		return nil, err
	}
	return decode(answer, e.Challenge)
}

// NotifySuccess tells that a certificate was issued (NOTIFYING). It is nil only if
// the hook accepted that.
func (h *Hook) NotifySuccess(ctx context.Context, e Enrolment, issued *x509.Certificate) error {
	return h.notify(ctx, e, &body{CertificateRequest: newCertificateRequest(e.CSR), Certificate: newCertificate(issued)})
}

// NotifyFailure tells that an enrolment failed (NOTIFYING).
func (h *Hook) NotifyFailure(ctx context.Context, e Enrolment, code int, description string) error {
	return h.notify(ctx, e, &body{
		CertificateRequest: newCertificateRequest(e.CSR),
		ErrorCode:          code,
		ErrorDescription:   description,
	})
}

// ErrNotAccepted says that a hook answered a notification with "allow": false.
var ErrNotAccepted = errors.New("the webhook did not accept the notification")

func (h *Hook) notify(ctx context.Context, e Enrolment, b *body) error {
	answer, err := h.post(ctx, e, b)
	if err != nil || answer.Empty() {
		return err
	}
	var said struct {
		Allow *bool `json:"allow"`
	}
	if err := answer.JSON(&said); err != nil {
		return err
	}
	if said.Allow != nil && !*said.Allow {
		return ErrNotAccepted
	}
	return nil
}

// post sends a body, a second time if the first try found nobody or broke off.
// Both tries are the same to the byte, so a hook can tell that they are one.
func (h *Hook) post(ctx context.Context, e Enrolment, b *body) (*outbound.Answer, error) {
	ctx, cancel := context.WithTimeout(ctx, cmp.Or(h.Timeout, DefaultTimeout))
	defer cancel()
	b.Timestamp = h.Now().UTC()
	b.Provisioner = h.Provisioner
	b.TransactionID, b.Template = e.TransactionID, e.Template
	content, err := json.Marshal(b)
	if err != nil {
		return nil, fmt.Errorf("encode webhook request: %w", err)
	}
	request := outbound.Request{Method: http.MethodPost, URL: h.URL, Header: h.header(requestID(e), content), Body: content}
	answer, err := h.try(ctx, request)
	if failed, ok := outbound.As(err); !ok || !failed.Transient() {
		return answer, err
	}
	if !pause(ctx, retryPause) {
		return nil, err
	}
	return h.try(ctx, request)
}

func (h *Hook) try(ctx context.Context, r outbound.Request) (*outbound.Answer, error) {
	answer, err := h.Client.Call(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("webhook: %w", err)
	}
	if !answer.OK() {
		return nil, fmt.Errorf("webhook: %w", answer.StatusError())
	}
	return answer, nil
}

// pause waits, and says whether the context is still good.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}

// The headers of step-ca's webhooks.
const (
	headerSignature = "X-Smallstep-Signature"
	headerID        = "X-Smallstep-Webhook-Id" // canonical form; names of headers have no case
	headerRequestID = "X-Request-Id"
)

func (h *Hook) header(id string, content []byte) http.Header {
	header := http.Header{
		"Content-Type":  {"application/json"},
		"Accept":        {"application/json"},
		headerID:        {h.ID},
		headerRequestID: {id},
	}
	if h.SigningKey != nil {
		header.Set(headerSignature, sign(h.SigningKey, content))
	}
	if h.Authorization != "" {
		header.Set("Authorization", h.Authorization)
	}
	return header
}

func sign(key, content []byte) string {
	mac := hmac.New(sha256.New, key)
	mac.Write(content)
	return hex.EncodeToString(mac.Sum(nil))
}

// requestID is the same for every try of an enrolment, on any replica: a hook can
// answer the second as it answered the first.
func requestID(e Enrolment) string {
	h := sha256.New()
	h.Write([]byte(e.TransactionID + "\x00" + e.Template + "\x00"))
	h.Write(e.CSR.Raw)
	return hex.EncodeToString(h.Sum(nil)[:16])
}
