package ra

import (
	"context"
	"log/slog"
	"net/http"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/audit/pathform"
	"github.com/scepter-pki/scepter/internal/ra/policy/selection"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/scep"
)

// match finds the template that serves a request. All that follows is in its name:
// challenges are shown it, and the request is recorded with it.
func (b *backend) match(ctx context.Context, e *enrolment) (*scep.Reply, error) {
	choice, err := e.snapshot.Selection.Select(clientFrom(ctx).path, e.request.CSR)
	if err != nil {
		return nil, err
	}
	e.choice = choice
	e.template = e.snapshot.Template(choice.Template)
	return nil, nil
}

// matchRecord finds the template of the request that a poll asks for: a poll brings
// no request of its own. It must be on offer still, and the path must not name another.
func (e *enrolment) matchRecord(path string) error {
	named, ok := e.snapshot.Selection.ByPath(path)
	template := e.snapshot.Template(e.record.Template)
	if !ok || template == nil || named != "" && named != template.Name {
		return errTransactionUnknown
	}
	e.template = template
	return nil
}

// describeTemplate says in audit records what serves a request, and why.
func (e *enrolment) describeTemplate() []slog.Attr {
	out := []slog.Attr{slog.String("template", e.template.Name)}
	if e.choice.By != "" {
		out = append(out, slog.String("templateBy", string(e.choice.By)))
	}
	if len(e.choice.Unknown) > 0 {
		out = append(out, slog.Any("microsoftUnknown", e.choice.Unknown))
	}
	if context := e.template.Policy.Context(); context != "" {
		out = append(out, slog.String("context", string(context)))
	}
	return out
}

// servePaths answers 404, whatever is asked, where the path names a template that
// the endpoint does not have: before anything is read or decrypted.
func servePaths(snapshot func() *reload.Snapshot, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s := snapshot(); s != nil && !serves(s.Selection, r.URL.Path) {
			http.Error(w, "there is no template of this name here: see the path of the URL", http.StatusNotFound)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// countPaths counts each request by the form of its path and by what sent it.
func countPaths(snapshot func() *reload.Snapshot, metrics *audit.Metrics, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		from, s := clientFrom(r.Context()), snapshot()
		metrics.Path(from.family, pathform.Of(pathform.Request{
			Path:   r.URL.Path,
			Asks:   from.shape.Operation != "" || r.Method == http.MethodPost,
			Served: s == nil || serves(s.Selection, r.URL.Path),
		}))
		metrics.Agent(from.family, from.userAgent)
		next.ServeHTTP(w, r)
	})
}

func serves(t *selection.Table, path string) bool {
	_, ok := t.ByPath(path)
	return ok
}
