package probe

import (
	"context"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Admin asks for the page of challenges as somebody would who has yet to say who he is:
// a server of the endpoint answers that it wants to know.
func (p *Prober) Admin(ctx context.Context, t Target) raconfig.ProbeResult {
	out := raconfig.ProbeResult{URL: t.URL, At: p.now().UTC().Truncate(time.Second)}
	v, failed := p.arrive(ctx, t)
	out.Addresses = v.addressTexts()
	if failed != nil {
		out.Failure = failed
		return out
	}
	f := v.receive(ctx, request{method: http.MethodGet, target: t.path}, v.mark(), v.Key)
	out.TLS, out.Proved = v.tls, f.proved
	if f.failure == nil {
		f.failure = f.judgeAdmin()
	}
	out.Failure = f.failure
	return out
}

func (f *finding) judgeAdmin() *raconfig.ProbeFailure {
	return f.judgeBy(http.StatusUnauthorized, slices.ContainsFunc(f.answer.header.Values("WWW-Authenticate"), isOurRealm))
}

func isOurRealm(challenge string) bool { return strings.Contains(challenge, `realm="scepter"`) }

// lookAdmin asks, if there is such a page. A failure counts when it is seen twice.
func (m *memory) lookAdmin(ctx context.Context, p *Prober, url string) {
	if m.asked != url {
		m.admin, m.asked = remembered{}, url
	}
	target, err := NewTarget(url)
	if err != nil {
		return // there is none
	}
	result := p.Admin(ctx, target)
	if result.Failure == nil {
		m.admin.result, m.admin.failures = result, 0
		return
	}
	if m.admin.failures++; m.admin.failures > 1 {
		m.admin.result = result
	}
}
