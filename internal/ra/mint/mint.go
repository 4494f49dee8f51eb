// Package mint hands out one-time challenges: as JSON, and as the page that
// Microsoft's NDES serves to management systems. It writes nothing anywhere but an
// audit record, and is never served to devices.
//
// There are two handlers. Admin is for the admin exposure, over TLS only, and takes
// tokens of Kubernetes and the endpoint's own user. Local is for port-forwards, on
// the loopback interface of a server's pod, and takes tokens only.
package mint

import (
	"crypto/rand"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// NDESPath is the path of NDES's page, which has no case on Windows.
const NDESPath = "/certsrv/mscep_admin"

// IsPage says whether a path is that of NDES's page.
func IsPage(path string) bool { return canonical(path) == NDESPath }

// Config of a Minter.
type Config struct {
	Snapshot func() *reload.Snapshot
	// Reviewer judges tokens.
	Reviewer Reviewer
	Log      *audit.Log
	Now      func() time.Time
	// Random is the source of ids; nil: that of the system.
	Random io.Reader
}

// Minter mints challenges for those who may have them.
type Minter struct {
	config  Config
	callers *limits // of callers that were let in
	failed  *limits // of addresses that were not
}

// New makes a minter.
func New(c Config) *Minter {
	if c.Random == nil {
		c.Random = rand.Reader
	}
	return &Minter{
		config:  c,
		callers: newLimits(mintsPerSecond, mintsBurst, c.Now),
		failed:  newLimits(failuresPerSecond, failuresBurst, c.Now),
	}
}

// Admin is the handler of the admin exposure.
func (m *Minter) Admin() http.Handler {
	return m.handler(true, map[string]endpoint{
		raconfig.ChallengesPath: {http.MethodPost, m.serveJSON},
		NDESPath:                {http.MethodGet, m.serveNDES},
	})
}

// Stranger answers as Admin does somebody who does not say who he is, and neither limits nor
// records that: it is for probes.
func (m *Minter) Stranger() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		snapshot := m.config.Snapshot()
		if snapshot == nil || snapshot.OneTime("") == nil {
			refuse(w, r, http.StatusNotFound, withoutOneTime)
			return
		}
		refuseUnknown(w, r, snapshot, true)
	})
}

// Local is the handler for port-forwards.
func (m *Minter) Local() http.Handler {
	return m.handler(false, map[string]endpoint{raconfig.ChallengesPath: {http.MethodPost, m.serveJSON}})
}

// IsPath says whether a path is one of this package's: devices get 404 there.
func IsPath(path string) bool {
	path = canonical(path)
	return path == NDESPath || strings.HasPrefix(path, NDESPath+"/") || path == raconfig.ChallengesPath
}

func canonical(path string) string { return strings.TrimSuffix(strings.ToLower(path), "/") }

// endpoint is what is behind a path.
type endpoint struct {
	method string
	serve  func(w http.ResponseWriter, r *http.Request, x *exchange)
}

// exchange is what is known beside the request.
type exchange struct {
	snapshot *reload.Snapshot
	caller   caller
}

func (m *Minter) handler(isAdmin bool, paths map[string]endpoint) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		w.Header().Set("X-Content-Type-Options", "nosniff")
		e, ok := paths[canonical(r.URL.Path)]
		switch {
		case !ok:
			refuse(w, r, http.StatusNotFound, "there is nothing here")
		case r.Method != e.method:
			w.Header().Set("Allow", e.method)
			refuse(w, r, http.StatusMethodNotAllowed, "the method is "+e.method)
		default:
			m.admit(w, r, isAdmin, e)
		}
	})
}

const withoutOneTime = "this endpoint has no challenge of type OneTime"

// admit lets through who may mint, and not too often.
func (m *Minter) admit(w http.ResponseWriter, r *http.Request, isAdmin bool, e endpoint) {
	snapshot := m.config.Snapshot()
	if snapshot == nil || snapshot.OneTime("") == nil {
		refuse(w, r, http.StatusNotFound, withoutOneTime)
		return
	}
	if !m.failed.open(clientAddress(r)) {
		tooMany(w, r)
		return
	}
	x := &exchange{snapshot: snapshot}
	var err error
	if x.caller, err = m.authenticate(r, snapshot, isAdmin); err != nil {
		m.refuseCaller(w, r, x, isAdmin, err)
		return
	}
	if !m.callers.take(x.caller.name) {
		tooMany(w, r)
		return
	}
	e.serve(w, r, x)
}

// refuseCaller answers somebody who may not mint.
func (m *Minter) refuseCaller(w http.ResponseWriter, r *http.Request, x *exchange, isAdmin bool, err error) {
	address := clientAddress(r)
	m.record(r, x, audit.MintingRefused, slog.String("address", address), slog.String("error", err.Error()))
	switch {
	case errors.Is(err, errUnauthenticated):
		m.failed.take(address)
		refuseUnknown(w, r, x.snapshot, isAdmin)
	case errors.Is(err, errForbidden):
		m.failed.take(address)
		refuseForbidden(w, r, x)
	default:
		w.Header().Set("Retry-After", "10")
		refuse(w, r, http.StatusServiceUnavailable, "whether you may mint challenges cannot be told at present")
	}
}

func refuseUnknown(w http.ResponseWriter, r *http.Request, s *reload.Snapshot, isAdmin bool) {
	if isAdmin && s.Admin.Basic != nil {
		w.Header().Add("WWW-Authenticate", `Basic realm="scepter", charset="UTF-8"`)
	}
	w.Header().Add("WWW-Authenticate", `Bearer realm="scepter"`)
	refuse(w, r, http.StatusUnauthorized, "a token or a user with a password is needed")
}

func refuseForbidden(w http.ResponseWriter, r *http.Request, x *exchange) {
	if canonical(r.URL.Path) == NDESPath {
		serveNDESPage(w, encodingOf(x.snapshot), forbiddenPage)
		return
	}
	c := x.snapshot.Config.Endpoint
	refuse(w, r, http.StatusForbidden, "you may not create scependpoints/challenges of "+c.Name+" in namespace "+c.Namespace)
}

func tooMany(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Retry-After", "1")
	refuse(w, r, http.StatusTooManyRequests, "too many requests; come again in a second")
}

// mint makes a challenge and records that it did.
func (m *Minter) mint(r *http.Request, x *exchange, from *onetime.OneTime, order onetime.Order) (*onetime.Minted, error) {
	minted, err := from.Mint(order, m.config.Random)
	if err != nil {
		return nil, err //nolint:wrapcheck // told as it is
	}
	m.record(r, x, audit.ChallengeMinted,
		slog.String("challenge", from.Name()),
		slog.String("template", order.Template),
		slog.String("form", string(order.Form)),
		slog.Any("subject", order.Subject),
		slog.Any("alternativeNames", order.AlternativeNames),
		slog.String("rule", order.Rule),
		slog.Time("expires", minted.Expires))
	return minted, nil
}

func (m *Minter) record(r *http.Request, x *exchange, code audit.Code, attributes ...slog.Attr) {
	c := x.snapshot.Config.Endpoint
	m.config.Log.Record(r.Context(), code, append([]slog.Attr{
		slog.String("endpoint", c.Namespace+"/"+c.Name),
		slog.String("caller", x.caller.name),
		slog.String("path", r.URL.Path),
	}, attributes...)...)
}
