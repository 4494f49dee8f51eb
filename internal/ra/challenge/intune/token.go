package intune

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"regexp"
	"sync"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"

	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
)

// Transport carries the calls of a credential.
type Transport = policy.Transporter

// tokens keeps an access token for each scope.
type tokens struct {
	options Options
	mu      sync.Mutex // guards what follows
	byScope map[string]*fresh[string]
}

func newTokens(o Options) *tokens { return &tokens{options: o, byScope: map[string]*fresh[string]{}} }

// get returns a token. Its error is a *TokenError, or the context's.
func (t *tokens) get(ctx context.Context, scope string) (string, error) {
	return t.of(scope).get(ctx)
}

// forget makes the next get ask for another token: the present one was refused.
func (t *tokens) forget(scope string) { t.of(scope).forget() }

func (t *tokens) of(scope string) *fresh[string] {
	t.mu.Lock()
	defer t.mu.Unlock()
	f, ok := t.byScope[scope]
	if !ok {
		f = newFresh(t.options.Now, func(ctx context.Context) (string, time.Time, error) { return t.load(ctx, scope) })
		t.byScope[scope] = f
	}
	return f
}

// expiryMargin is how long before its end a token is replaced.
const expiryMargin = 5 * time.Minute

// load asks for a token with a new credential, whose own cache is empty: it is
// kept here, where a token that was refused can be forgotten.
func (t *tokens) load(ctx context.Context, scope string) (string, time.Time, error) {
	seen := &witness{next: t.options.Outbound}
	credential, err := t.options.Credential(seen)
	if err != nil {
		return "", time.Time{}, &TokenError{Scope: scope, Err: err}
	}
	token, err := credential.GetToken(ctx, policy.TokenRequestOptions{Scopes: []string{scope}})
	if err != nil {
		return "", time.Time{}, seen.explain(ctx, scope, err)
	}
	return token.Token, usableUntil(token, t.options.Now()), nil
}

// usableUntil leaves a margin before a token's end, but uses one at least once.
func usableUntil(token azcore.AccessToken, now time.Time) time.Time {
	until := token.ExpiresOn.Add(-expiryMargin)
	if until.Before(now) {
		return now.Add(time.Second)
	}
	return until
}

// TokenError says that no access token could be had.
type TokenError struct {
	Scope string
	// Code is Entra's, such as invalid_client; "" if there is none.
	Code string
	Err  error
}

// Error is for the log.
func (e *TokenError) Error() string {
	text := "no access token for " + e.Scope
	if e.Code != "" {
		text += ": Microsoft Entra answered " + e.Code
	}
	if e.Err != nil {
		text += ": " + e.Err.Error()
	}
	return text
}

// Unwrap returns Err.
func (e *TokenError) Unwrap() error { return e.Err }

// witness sees what a credential's calls come to. The identity library puts whole
// answers into the text of its errors; what is logged comes from here instead.
type witness struct {
	next Transport

	mu     sync.Mutex // guards what follows
	err    error
	status int
	retry  http.Header
	host   string
	code   string
}

// Do implements Transport.
func (w *witness) Do(r *http.Request) (*http.Response, error) {
	response, err := w.next.Do(r)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err = err; err != nil {
		return nil, err
	}
	w.status, w.retry, w.host = response.StatusCode, response.Header, r.URL.Host
	body, err := io.ReadAll(response.Body) // in memory already
	if err != nil {
		w.err = err
		return nil, fmt.Errorf("read answer: %w", err)
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	w.code = errorCode(response.StatusCode, body)
	return response, nil
}

// isErrorCode tells a code from a text that may quote anything.
var isErrorCode = regexp.MustCompile(`^[a-z_]{1,40}$`)

// errorCode reads Entra's error code and AADSTS numbers (RFC 6749, section 5.2).
func errorCode(status int, body []byte) string {
	var answer struct {
		Error  string `json:"error"`
		Number []int  `json:"error_codes"`
	}
	if status == http.StatusOK || json.Unmarshal(body, &answer) != nil {
		return ""
	}
	if !isErrorCode.MatchString(answer.Error) {
		return ""
	}
	code := answer.Error
	for _, n := range answer.Number {
		code += fmt.Sprintf(" AADSTS%d", n)
	}
	return code
}

// explain says why there is no token, from what was seen of the calls. Without
// any call it is the library's own complaint, about a file for example.
func (w *witness) explain(ctx context.Context, scope string, complaint error) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	e := &TokenError{Scope: scope, Code: w.code}
	switch {
	case ctx.Err() != nil:
		e.Err = context.Cause(ctx)
	case w.err != nil:
		e.Err = w.err
	case w.status == http.StatusOK:
		e.Err = &outbound.Error{Host: w.host, Fault: outbound.Unreadable, Status: w.status}
	case w.status != 0:
		e.Err = (&outbound.Answer{Host: w.host, Status: w.status, Header: w.retry}).StatusError()
	default:
		e.Err = errors.New(outbound.Text(complaint.Error())) // its text only
	}
	return e
}
