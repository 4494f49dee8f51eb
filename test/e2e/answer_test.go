package e2e

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// TestF36FirstCheck reads from the status what a browser shows for GetCACaps and GetCACert by
// each URL, and compares it with what comes; and again while the proxy in front leads astray.
func TestF36FirstCheck(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F36")
	p := publish(t, "browsed", nginx, 36)
	before := p.browse(t)
	shown := before.Certificates[0]
	mustWait(t, "what was answered to be told", p.tells(v1alpha1.ProbePassed, before))
	p.mustDescribe(t, shown.Subject, shown.SHA256, "POSTPKIOperation")
	row.Used("a healthy tier")

	p.serve(t, astray)
	mustWait(t, "what is wrong to be told beside what was answered", p.tells(v1alpha1.ReasonHopFailed, before, "HTTP 502", "Server: nginx"))
	p.mustDescribe(t, shown.Subject, shown.SHA256, "HTTP 502")
	row.Used("a hop that leads astray")

	p.serve(t)
	mustWait(t, "what was answered to be told again", p.tells(v1alpha1.ProbePassed, before))
	mustWait(t, p.endpoint+" to be Ready", rig.Ready(shared.api, namespace, p.endpoint))
}

// browse asks what a person asks first, and returns what is shown, in the words of the status.
func (p *published) browse(t *testing.T) *v1alpha1.ProbedAnswer {
	t.Helper()
	c := p.client()
	request, err := http.NewRequestWithContext(within(t, enrolLimit), http.MethodGet, c.URL+"?operation=GetCACaps", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := c.HTTP.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := c.GetCACert(within(t, enrolLimit))
	if err != nil {
		t.Fatal(err)
	}
	return &v1alpha1.ProbedAnswer{Capabilities: strings.Fields(string(text)), Certificates: inWords(ca)}
}

// inWords are the certificates of an RA and the one CA above it.
func inWords(shown *scep.CACertificates) []v1alpha1.ProbedCertificate {
	var out []v1alpha1.ProbedCertificate
	for _, c := range shown.All {
		one := v1alpha1.ProbedCertificate{Role: v1alpha1.CARoleRA, Subject: c.Subject.String(), SHA256: raconfig.Fingerprint(c)}
		one.NotAfter.Time = c.NotAfter
		if c.Equal(shown.CA) {
			one.Role = v1alpha1.CARoleIssuing
		}
		out = append(out, one)
	}
	return out
}

// tells checks that the status says of each URL what a browser shows, and what is wrong.
func (p *published) tells(result string, want *v1alpha1.ProbedAnswer, parts ...string) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		ep := named(&v1alpha1.ScepEndpoint{}, p.endpoint)
		if err := shared.api.Get(ctx, client.ObjectKeyFromObject(ep), ep); err != nil || ep.Status.Probes == nil {
			return false, "nothing is probed", err
		}
		seen := ep.Status.Probes.URLs
		if len(seen) != 2 { // http and https
			return false, fmt.Sprintf("%d URLs", len(seen)), nil
		}
		for _, u := range seen {
			missing := func(part string) bool { return !strings.Contains(u.Message, part) }
			if u.Result != result || slices.ContainsFunc(parts, missing) || (len(parts) == 0) != (u.Message == "") || !sameAnswer(u.Answer, want) {
				return false, fmt.Sprintf("%+v, answered %+v", u, u.Answer), nil
			}
		}
		return true, "", nil
	}
}

// sameAnswer compares times as such, whatever their zone.
func sameAnswer(got, want *v1alpha1.ProbedAnswer) bool {
	return got != nil && slices.Equal(got.Capabilities, want.Capabilities) &&
		slices.EqualFunc(got.Certificates, want.Certificates, func(a, b v1alpha1.ProbedCertificate) bool {
			return a.Role == b.Role && a.Subject == b.Subject && a.SHA256 == b.SHA256 && a.NotAfter.Equal(&b.NotAfter)
		})
}

// mustDescribe has "kubectl describe" show it to a person.
func (p *published) mustDescribe(t *testing.T, parts ...string) {
	t.Helper()
	text, err := shared.rig.KubectlOutput(t.Context(), "describe", "scependpoint", p.endpoint, "-n", namespace)
	if err != nil {
		t.Fatal(err)
	}
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("kubectl describe does not say %q:\n%s", part, text)
		}
	}
}
