package e2e

import (
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// What administrators do to a proxy.

func toHTTPS(s *proxySettings) { s.ToHTTPS = true }

func toSlash(s *proxySettings) { s.ToSlash = true }

func ownLimit(s *proxySettings) { s.LongURLs = false }

func folder(s *proxySettings) { s.Folder = true }

// astray has the proxy lead to where nothing is.
func astray(s *proxySettings) { s.Upstream = "127.0.0.1:9" }

// hanging has it lead to what never answers.
func hanging(t *testing.T) func(*proxySettings) {
	t.Helper()
	silent := newSilent(t)
	return func(s *proxySettings) { s.Upstream, s.Seconds = silent, 3 }
}

// TestF04HopCutsURLs has the proxy in front come back with nginx's own limit on URLs: the
// condition says what passes and what does not, and what to set in nginx; with that set it
// passes, as tried.
func TestF04HopCutsURLs(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F04")
	p := publish(t, "cut", nginx, 4)
	p.restart(t, ownLimit)
	row.Injected()
	row.mustDetect(namespace, p.endpoint)
	p.says(t, v1alpha1.ConditionLongURLs, v1alpha1.ReasonURLsCut, "HTTP 414", "Server: nginx", "large_client_header_buffers 4 72k in the section http")
	p.restart(t)
	row.Remedied()
	mustWait(t, "URLs to pass", rig.Condition(shared.api, namespace, p.endpoint, v1alpha1.ConditionLongURLs, metav1.ConditionTrue))
	row.mustHeal(namespace, p.endpoint, p.enrolsByGET(t))
	row.Served()
}

// TestF05ProfileNamesAFolder has devices come by the path that a profile without /mscep.dll
// names, while the proxy in front refuses POST there as it does for a folder of files: they
// fetch what there is and cannot enrol. The condition tells the likely mistake; with the
// whole host routed every customary path serves them, that one too.
func TestF05ProfileNamesAFolder(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F05")
	p := appear(t, "foldered", nginx, 5, folder)
	p.says(t, v1alpha1.ConditionExposed, v1alpha1.ReasonPOSTRefused, "HTTP 405", "Server: nginx", "/certsrv/mscep/mscep.dll", "route the whole host")
	mistaken := p.clientAt("/certsrv/mscep")
	mistaken.Method = scep.MethodPOST
	row.Injected()
	for range 6 {
		if _, err := mistaken.Enrol(within(t, enrolLimit), enrolment(t, newName())); err == nil || !strings.Contains(err.Error(), "405") {
			t.Fatalf("POST to a folder: %v, want 405", err)
		}
	}
	row.mustDetect(namespace, p.endpoint)
	p.says(t, v1alpha1.ConditionEnrolling, v1alpha1.ReasonProfileMistaken, "it lacks /mscep.dll", "status.urls")
	p.mustCount(t, v1alpha1.MistakeNDESFolder)
	p.restart(t)
	row.Remedied()
	row.mustHeal(namespace, p.endpoint, p.enrols(t))
	for _, path := range customaryPaths {
		for _, method := range []scep.ClientMethod{scep.MethodGET, scep.MethodPOST} {
			c := p.clientAt(path)
			c.Method = method
			mustEnrol(t, c, enrolment(t, newName()))
		}
	}
	row.Served()
}

// customaryPaths are those of profiles for other servers, in any case.
var customaryPaths = []string{
	"/certsrv/mscep/mscep.dll", "/CertSrv/MSCEP/mscep.dll/pkiclient.exe", "/certsrv/mscep", "/certsrv/mscep/pkiclient.exe",
	"/cgi-bin/pkiclient.exe", "/CGI-BIN/PKIClient.EXE", "/SCEP/",
}

// mustCount waits until a mistake is among those that were counted.
func (p *published) mustCount(t *testing.T, mistake v1alpha1.PathMistake) {
	t.Helper()
	mustWait(t, string(mistake)+" to be counted", func(ctx context.Context) (bool, string, error) {
		ep := named(&v1alpha1.ScepEndpoint{}, p.endpoint)
		err := shared.api.Get(ctx, client.ObjectKeyFromObject(ep), ep)
		return ep.Status.Funnel != nil && slices.Contains(ep.Status.Funnel.Mistakes, mistake), "", err
	})
}

// TestF06HopRedirects has a proxy in front redirect to https, and then to a trailing slash:
// the condition names it and where it leads; with the redirects gone devices enrol.
func TestF06HopRedirects(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F06")
	p := publish(t, "redirected", nginx, 6)
	p.serve(t, toHTTPS)
	row.Injected()
	row.mustDetect(namespace, p.endpoint)
	p.says(t, v1alpha1.ConditionExposed, v1alpha1.ReasonRedirected, "HTTP 301", "Server: nginx", "https://"+p.host, "nginx: see the directives return and rewrite")
	p.serve(t, toSlash)
	p.says(t, v1alpha1.ConditionExposed, v1alpha1.ReasonRedirected, "HTTP 301", "Server: nginx", p.host+"/scep/")
	p.serve(t)
	p.mustHeal(t, row)
}

// TestF10HopIsDown stops the proxy in front, has it lead to where nothing is, and then to
// what never answers: the condition says that the servers answer and what publishes them
// does not.
func TestF10HopIsDown(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F10")
	p := publish(t, "fronted", nginx, 10)
	p.stop()
	row.Injected()
	row.mustDetect(namespace, p.endpoint)
	p.says(t, v1alpha1.ConditionExposed, v1alpha1.ReasonHopUnreachable, "but the servers answer", p.address)
	p.serve(t, astray)
	p.says(t, v1alpha1.ConditionExposed, v1alpha1.ReasonHopFailed, "but the servers answer", "HTTP 502", "Server: nginx")
	p.serve(t, hanging(t))
	p.says(t, v1alpha1.ConditionExposed, v1alpha1.ReasonHopFailed, "gateway timeout", "but the servers answer", "HTTP 504", "proxy_read_timeout")
	p.serve(t)
	p.mustHeal(t, row)
}

// TestHAProxyInFront does with HAProxy what the rows F04, F06 and F10 do with nginx, on one
// endpoint: it is away, cuts URLs by its own limit, redirects, leads to where nothing is, and
// to what never answers. It does not name itself: where it answers with a page of its
// own it is known by that.
func TestHAProxyInFront(t *testing.T) {
	t.Parallel()
	const exposed = v1alpha1.ConditionExposed
	p := publish(t, "balanced", haproxy, 14)
	p.restart(t, ownLimit)
	p.says(t, v1alpha1.ConditionLongURLs, v1alpha1.ReasonURLsCut, "URL of 12288 bytes passes and one of 16384 does not",
		"HTTP 400, a page of HAProxy", "set tune.bufsize 131072 in the section global")
	p.serve(t, toHTTPS)
	p.says(t, exposed, v1alpha1.ReasonRedirected, "HTTP 308", "https://"+p.host)
	p.serve(t, toSlash)
	p.says(t, exposed, v1alpha1.ReasonRedirected, "HTTP 301", "/scep/")
	p.serve(t, astray)
	p.says(t, exposed, v1alpha1.ReasonHopFailed, "but the servers answer", "HTTP 503, a page of HAProxy", "HAProxy: see the lines server")
	p.serve(t, hanging(t))
	p.says(t, exposed, v1alpha1.ReasonHopFailed, "gateway timeout", "but the servers answer", "HTTP 504, a page of HAProxy", "timeout server")
	p.serve(t)
	mustWait(t, "URLs to pass", rig.Condition(shared.api, namespace, p.endpoint, v1alpha1.ConditionLongURLs, metav1.ConditionTrue))
	mustWait(t, "a device with a long URL to enrol", p.enrolsByGET(t))
	mustWait(t, p.endpoint+" to be Ready", rig.Ready(shared.api, namespace, p.endpoint))
}

// TestF11NameLeadsNowhere takes the DNS record of a host away, and then has it lead to
// another address: the condition compares with where the way in is.
func TestF11NameLeadsNowhere(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F11")
	p := publish(t, "lost", nginx, 0)
	setRecord(t, p.host, "")
	row.Injected()
	row.mustDetect(namespace, p.endpoint)
	p.says(t, v1alpha1.ConditionExposed, v1alpha1.ReasonNameNotResolved, p.host, "the way in is at "+p.address)
	const elsewhere = "10.253.0.9"
	setRecord(t, p.host, elsewhere)
	p.says(t, v1alpha1.ConditionExposed, v1alpha1.ReasonHopUnreachable, "the name leads to "+elsewhere, "the way in is at "+p.address)
	setRecord(t, p.host, p.address)
	p.mustHeal(t, row)
}

// TestF24CertificateOfHop has the proxy in front show a certificate that has ended, and then
// one for another name.
func TestF24CertificateOfHop(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F24")
	p := publish(t, "shown", nginx, 24)
	p.serve(t, func(s *proxySettings) { s.tlsEnd = time.Now().Add(-time.Minute) })
	row.Injected()
	row.mustDetect(namespace, p.endpoint)
	p.says(t, v1alpha1.ConditionExposed, v1alpha1.ReasonTLSInvalid, "https://"+p.host, "has expired")
	p.serve(t, func(s *proxySettings) { s.tlsName = "other.example.net" })
	p.says(t, v1alpha1.ConditionExposed, v1alpha1.ReasonTLSInvalid, "for another name", "other.example.net")
	p.serve(t)
	p.mustHeal(t, row)
}

// restart takes the hop away for as long as it takes to be noticed: then everything is
// tried anew when it is back.
func (p *published) restart(t *testing.T, changes ...func(*proxySettings)) {
	t.Helper()
	p.stop()
	p.says(t, v1alpha1.ConditionExposed, v1alpha1.ReasonHopUnreachable, "but the servers answer")
	p.serve(t, changes...)
}

// enrolsByGET checks that a device with a long URL is served.
func (p *published) enrolsByGET(t *testing.T) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		c, r := p.client(), enrolment(t, newName())
		c.Method = scep.MethodGET
		r.Certificate = stout(t, r.Key, 40_000)
		result, err := c.Enrol(ctx, r)
		return err == nil && result.Status == scep.StatusSuccess, outcome(result), err
	}
}
