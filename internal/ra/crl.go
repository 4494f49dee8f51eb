package ra

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/ra/signer/wire"
	"github.com/scepter-pki/scepter/internal/scep"
)

// crlPath is where whoever checks a certificate finds the CRL, on the device listeners.
const crlPath = "/crl"

const (
	// askEvery is how often the signers are asked for the CRL at most.
	askEvery = 30 * time.Second
	// askAgainAfter is when they are asked after they did not answer.
	askAgainAfter = 5 * time.Second
	// crlTimeout bounds one question.
	crlTimeout = 10 * time.Second
	// crlPatience is how long one who could have the CRL before waits for a newer one.
	crlPatience = time.Second
)

// crls keeps the newest CRL of the endpoint's signers: many ask for it, and nobody
// has to authenticate for that. It is safe for concurrent use.
type crls struct {
	snapshot func() *reload.Snapshot
	now      func() time.Time
	ask      func(context.Context, *reload.Snapshot) (*x509.RevocationList, error)

	mu     sync.Mutex
	newest *x509.RevocationList
	next   time.Time     // when to ask again
	asked  chan struct{} // closed when the question under way is answered; nil if there is none
	failed error         // of the last question
}

var (
	errNoSigners = errors.New("the endpoint has no signers")
	errNoCRL     = errors.New("no signer has a CRL")
	errNoNumber  = errors.New("read the CRL: it has no number")
)

// get returns the newest CRL that is known. It goes back to no earlier one, and uses
// what it has until its end if no signer answers.
func (c *crls) get(ctx context.Context) (*x509.RevocationList, error) {
	snapshot := c.snapshot()
	if snapshot == nil || snapshot.Signers == nil {
		return nil, errNoSigners
	}
	answered, patience := c.refresh(ctx, snapshot)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-answered:
	case <-timer.C:
	case <-ctx.Done():
	}
	return c.current()
}

// refresh asks the signers if it is time to. It says when they have answered, and how
// long that is worth waiting for; nil and 0 if they are not being asked.
func (c *crls) refresh(ctx context.Context, s *reload.Snapshot) (answered <-chan struct{}, patience time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.asked == nil && !c.now().Before(c.next) {
		c.asked = make(chan struct{})
		go c.question(context.WithoutCancel(ctx), s) // others wait for it even if this client goes
	}
	switch {
	case c.asked == nil:
		return nil, 0
	case c.newest == nil:
		return c.asked, crlTimeout
	default:
		return c.asked, crlPatience
	}
}

// question asks a signer.
func (c *crls) question(ctx context.Context, s *reload.Snapshot) {
	ctx, cancel := context.WithTimeout(ctx, crlTimeout)
	defer cancel()
	found, err := c.ask(ctx, s)
	c.mu.Lock()
	defer c.mu.Unlock()
	close(c.asked)
	c.asked, c.failed, c.next = nil, err, c.now().Add(askEvery)
	switch {
	case err != nil:
		c.next = c.now().Add(askAgainAfter)
	case c.newest == nil || found.Number.Cmp(c.newest.Number) >= 0:
		c.newest = found
	}
}

func (c *crls) current() (*x509.RevocationList, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.newest != nil && !c.now().After(c.newest.NextUpdate) {
		return c.newest, nil
	}
	if c.failed != nil {
		return nil, fmt.Errorf("%w: %w", errNoCRL, c.failed)
	}
	return nil, errNoCRL
}

func askForCRL(ctx context.Context, s *reload.Snapshot) (*x509.RevocationList, error) {
	der, err := s.Signers.CRL(ctx)
	if err != nil {
		return nil, fmt.Errorf("ask for the CRL: %w", err)
	}
	found, err := x509.ParseRevocationList(der)
	if err != nil {
		return nil, fmt.Errorf("read the CRL: %w", err)
	}
	if found.Number == nil {
		return nil, errNoNumber
	}
	return found, nil
}

// serve answers the CRL's path, where the endpoint has signers.
func (c *crls) serve(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != crlPath {
			next.ServeHTTP(w, r)
			return
		}
		list, err := c.get(r.Context())
		switch {
		case errors.Is(err, errNoSigners):
			http.NotFound(w, r)
		case err != nil:
			w.Header().Set("Retry-After", strconv.Itoa(int(retryAfter/time.Second)))
			http.Error(w, "the revocation list is not available: try again later", http.StatusServiceUnavailable)
		case r.Method != http.MethodGet && r.Method != http.MethodHead:
			w.Header().Set("Allow", "GET, HEAD")
			http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		default:
			c.write(w, r, list)
		}
	})
}

// write lets caches keep the list as long as this server would.
func (c *crls) write(w http.ResponseWriter, r *http.Request, list *x509.RevocationList) {
	age := min(askEvery, list.NextUpdate.Sub(c.now()))
	w.Header().Set("Content-Type", wire.CRL)
	w.Header().Set("Cache-Control", "public, max-age="+strconv.Itoa(int(age/time.Second)))
	w.Header().Set("Etag", `"`+list.Number.Text(16)+`"`)
	http.ServeContent(w, r, "", list.ThisUpdate, bytes.NewReader(list.Raw))
}

var errOtherIssuer = refusal.New(refusal.CertificateUnknown, "GetCRL: the certificate is not of this CA")

// getCRL answers GetCRL (RFC 8894, section 3.3.4), where the endpoint has signers.
func (b *backend) getCRL(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	list, err := b.crl(ctx)
	switch {
	case errors.Is(err, errNoSigners):
		return nil, errNoGetCRL
	case err != nil:
		return nil, &scep.UnavailableError{RetryAfter: retryAfter, Err: err}
	case !bytes.Equal(e.request.IssuerAndSerial.Issuer, list.RawIssuer):
		return nil, errOtherIssuer
	default:
		return scep.SuccessCRL(list.Raw), nil
	}
}
