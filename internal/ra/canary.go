package ra

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"

	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
)

// newCanaryHandler answers the messages of canaries: opened and answered like a
// device's, by the same keys and bounds, but not recorded or counted.
func (s *Server) newCanaryHandler(b scep.Backend, guard func(context.Context, func()) error) http.Handler {
	return identifyClient(s.reloader.Current, servePaths(s.reloader.Current, scep.NewHandler(scep.HandlerConfig{
		Identity: s.identity, Settings: s.settings, Backend: b, Logger: s.options.Logger, Guard: guard,
	})))
}

// answerCanaries takes out the messages that this endpoint's prober has made a pass
// for. A pass for another message is none: what it comes with goes on as anybody's.
func (s *Server) answerCanaries(dry, full, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		pass := r.Header.Get(probemark.Header)
		if pass == "" || r.Method != http.MethodPost || !isProbe(r) {
			next.ServeHTTP(w, r)
			return
		}
		keys := s.keys()
		key, canary := keys.Canary, dry
		message, known := key.Opens(pass, s.options.Now())
		if !known {
			key, canary = keys.Full, full
			message, known = key.Opens(pass, s.options.Now())
		}
		if !known {
			next.ServeHTTP(w, r)
			return
		}
		body, whole := peek(r)
		if !whole || probemark.SumOf(body) != message {
			next.ServeHTTP(w, r)
			return
		}
		answer := &answerBuffer{header: http.Header{}, status: http.StatusOK}
		canary.ServeHTTP(answer, r)
		answer.send(w, r, body, key)
	})
}

// peek reads a body of up to maxProbeBody bytes, and leaves it to be read again.
func peek(r *http.Request) (body []byte, whole bool) {
	all := r.Body
	body, err := io.ReadAll(io.LimitReader(all, maxProbeBody+1))
	r.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(body), all), all}
	return body, err == nil && len(body) <= maxProbeBody
}

// canaries judges their requests as far as that goes without a challenge, an issuer or
// a record. It has no way to answer SUCCESS.
type canaries struct{ *backend }

var errNoCanary = errors.New("a canary sends a PKCSReq only")

// PKIOperation implements scep.Backend.
func (c canaries) PKIOperation(ctx context.Context, request *scep.Request) (*scep.Reply, error) {
	if _, err := c.dryRun(ctx, request); err != nil {
		return tellCanary(err)
	}
	return scep.Fail(scep.BadRequest, probemark.DryRun), nil
}

// tellCanary tells a canary why, also where a device would be told to come again.
func tellCanary(err error) (*scep.Reply, error) {
	var unavailable *scep.UnavailableError
	switch refused, isRefusal := refusal.As(err); {
	case isRefusal:
		return scep.Fail(refused.FailInfo(), refused.Text), nil
	case errors.As(err, &unavailable):
		return scep.Fail(scep.BadRequest, unavailable.Err.Error()), nil
	default:
		return nil, err
	}
}

// dryRun does what can be done without a challenge, an issuer or a record.
func (c canaries) dryRun(ctx context.Context, request *scep.Request) (*enrolment, error) {
	if request.MessageType != scep.PKCSReq {
		return nil, errNoCanary
	}
	e, err := c.begin(request)
	if err != nil {
		return nil, err
	}
	for _, do := range []func(context.Context, *enrolment) (*scep.Reply, error){c.checkCredential, c.match, c.judgeDry} {
		if _, err := do(ctx, e); err != nil {
			return nil, err
		}
	}
	return e, nil
}

// judgeDry has the template judge, whatever it says: few would grant a canary's name.
func (c canaries) judgeDry(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	grant, err := e.template.Policy.Judge(e.request.CSR, policy.Context{Client: clientFrom(ctx).variable()})
	if _, refused := refusal.As(err); err != nil && !refused {
		return nil, err //nolint:wrapcheck // becomes HTTP 500
	}
	if e.grant = grant; grant == nil {
		e.grant = &policy.Grant{}
	}
	return nil, e.capValidity(c.now())
}
