package scependpoint

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

const probedPlain = "http://scep.example.com/scep"

// answered is what a browser would show.
var answered = raconfig.ProbeAnswer{Capabilities: []string{"AES", "SHA-256"}, Certificates: []raconfig.ProbeCertificate{
	{Role: v1alpha1.CARoleRA, Subject: "CN=ra", Fingerprint: strings.Repeat("0f", 32), NotAfter: noon.Add(time.Hour)},
	{Role: v1alpha1.CARoleIssuing, Subject: "CN=ca", Fingerprint: strings.Repeat("1f", 32), NotAfter: noon.Add(2 * time.Hour)},
}}

// TestAnswersShowInStatus: beside what is wrong at present, and though the prober is another.
func TestAnswersShowInStatus(t *testing.T) {
	answers := func(p *raconfig.ProbeReport) { p.URLs[0].Answer = &answered }
	want := &v1alpha1.ProbedAnswer{Capabilities: []string{"AES", "SHA-256"}, Certificates: []v1alpha1.ProbedCertificate{
		{Role: v1alpha1.CARoleRA, Subject: "CN=ra", SHA256: strings.Repeat("0f", 32), NotAfter: metav1.NewTime(noon.Add(time.Hour))},
		{Role: v1alpha1.CARoleIssuing, Subject: "CN=ca", SHA256: strings.Repeat("1f", 32), NotAfter: metav1.NewTime(noon.Add(2 * time.Hour))},
	}}
	shows := func(ep *v1alpha1.ScepEndpoint, seen *observation, result string, says string) {
		t.Helper()
		got := probesStatus(ep, seen).URLs[0]
		if diff := cmp.Diff(want, got.Answer); diff != "" || got.Result != result || !strings.Contains(got.Message, says) || (says == "") != (got.Message == "") {
			t.Errorf("%+v: %s", got, diff)
		}
	}
	ep, seen := probedEndpoint(answers)
	shows(ep, seen, v1alpha1.ProbePassed, "")
	ep.Status.Probes = probesStatus(ep, seen)
	down := failed(raconfig.FailureStatus, func(f *raconfig.ProbeFailure) { f.Status, f.Server = 502, "nginx" })
	_, broken := probedEndpoint(answers, down)
	shows(ep, broken, v1alpha1.ReasonHopFailed, "HTTP 502, Server: nginx")
	_, another := probedEndpoint(down)
	shows(ep, another, v1alpha1.ReasonHopFailed, "HTTP 502")
	fresh, unanswered := probedEndpoint(down)
	if got := probesStatus(fresh, unanswered).URLs[0].Answer; got != nil {
		t.Errorf("nobody has answered, and %+v is shown", got)
	}
}

// passes is a result with which all is well.
func passes(url string) raconfig.ProbeResult {
	return raconfig.ProbeResult{
		URL: url, At: noon, Addresses: []string{"192.0.2.10"}, Proved: true,
		Shape: &raconfig.ProbeShape{At: noon, MaxTargetBytes: 65534},
	}
}

func failed(kind raconfig.FailureKind, mods ...func(*raconfig.ProbeFailure)) func(*raconfig.ProbeReport) {
	return func(p *raconfig.ProbeReport) {
		f := &raconfig.ProbeFailure{Kind: kind}
		for _, mod := range mods {
			mod(f)
		}
		p.URLs[0].Failure, p.URLs[0].Proved = f, false
	}
}

func shaped(change func(*raconfig.ProbeShape)) func(*raconfig.ProbeReport) {
	return func(p *raconfig.ProbeReport) { change(p.URLs[0].Shape) }
}

// probedEndpoint is one at rest, whose prober reports what the changes make of a good report.
func probedEndpoint(changes ...func(*raconfig.ProbeReport)) (*v1alpha1.ScepEndpoint, *observation) {
	ep, seen := restingEndpoint()
	report := &raconfig.ProbeReport{Vantage: v1alpha1.VantageCluster, Server: passes("http://127.0.0.1:8080/scep"), URLs: []raconfig.ProbeResult{passes(probedPlain)}}
	for _, change := range changes {
		change(report)
	}
	replicas := *seen.replicas.value
	nameProber(ep, replicas)
	one := proberOf(replicas)
	status := *one.status
	status.Probes, status.LongestTargetBytes = report, 20000
	one.status = &status
	return ep, seen
}

func TestProbesShowOnExposed(t *testing.T) {
	status := func(code int, server string) func(*raconfig.ProbeFailure) {
		return func(f *raconfig.ProbeFailure) { f.Status, f.Server = code, server }
	}
	by := func(software raconfig.Software) func(*raconfig.ProbeFailure) {
		return func(f *raconfig.ProbeFailure) { f.Software = software }
	}
	detail := func(text string) func(*raconfig.ProbeFailure) {
		return func(f *raconfig.ProbeFailure) { f.Detail = text }
	}
	cases := []struct {
		name   string
		change func(*raconfig.ProbeReport)
		reason string
		says   []string
	}{
		{"all well", func(*raconfig.ProbeReport) {}, "", []string{"every URL answers"}},
		{"name unknown", failed(raconfig.FailureNameUnknown), v1alpha1.ReasonNameNotResolved, []string{probedPlain, "does not resolve", "DNS record"}},
		{"resolver away", failed(raconfig.FailureResolver), v1alpha1.ReasonNameNotResolved, []string{"no resolver"}},
		{"loopback", failed(raconfig.FailureAddress, detail("127.0.0.1")), v1alpha1.ReasonNameNotResolved, []string{"no device can reach, 127.0.0.1"}},
		{"refused", failed(raconfig.FailureRefused), v1alpha1.ReasonHopUnreachable, []string{"nothing listens", "at 192.0.2.10", "connector"}},
		{"no route", failed(raconfig.FailureUnreachable), v1alpha1.ReasonHopUnreachable, []string{"NetworkPolicies"}},
		{"slow", failed(raconfig.FailureTimeout), v1alpha1.ReasonHopUnreachable, []string{"no answer in time"}},
		{"reset", failed(raconfig.FailureReset), v1alpha1.ReasonHopUnreachable, []string{"cut"}},
		{"closed", failed(raconfig.FailureClosed), v1alpha1.ReasonHopUnreachable, []string{"ends before"}},
		{"no handshake", failed(raconfig.FailureTLS), v1alpha1.ReasonTLSInvalid, []string{"handshake"}},
		{"other name", failed(raconfig.FailureTLSName, detail("ingress.local")), v1alpha1.ReasonTLSInvalid, []string{"another name, ingress.local"}},
		{"expired", failed(raconfig.FailureTLSExpired, detail("ended 2026")), v1alpha1.ReasonTLSInvalid, []string{"expired, ended 2026"}},
		{"not yet valid", failed(raconfig.FailureTLSNotYetValid), v1alpha1.ReasonTLSInvalid, []string{"clocks"}},
		{"not HTTP", failed(raconfig.FailureNotHTTP), v1alpha1.ReasonHopFailed, []string{"does not speak HTTP"}},
		{"bad gateway", failed(raconfig.FailureStatus, status(502, "nginx")), v1alpha1.ReasonHopFailed, []string{"HTTP 502, Server: nginx", "in front"}},
		{"nothing behind it", failed(raconfig.FailureStatus, status(503, ""), by(raconfig.SoftwareHAProxy)), v1alpha1.ReasonHopFailed, []string{"finds none to lead to, but the servers answer, HTTP 503, a page of HAProxy", "HAProxy: see the lines server"}},
		{"gateway timeout", failed(raconfig.FailureStatus, status(504, "nginx"), by(raconfig.SoftwareNginx)), v1alpha1.ReasonHopFailed, []string{"gateway timeout", "the servers answer, HTTP 504, Server: nginx", "proxy_read_timeout"}},
		{"not found", failed(raconfig.FailureStatus, status(404, "")), v1alpha1.ReasonHopFailed, []string{"answers in their place, HTTP 404", "routes the whole host"}},
		{"foreign", failed(raconfig.FailureForeign, status(200, "")), v1alpha1.ReasonHopFailed, []string{"something else answers"}},
		{"altered", failed(raconfig.FailureAltered, status(200, "")), v1alpha1.ReasonAltered, []string{"caching"}},
		{"redirect", failed(raconfig.FailureRedirect, status(308, "nginx"), detail("https://scep.example.com/scep")), v1alpha1.ReasonRedirected, []string{"HTTP 308, Server: nginx, https://scep.example.com/scep", "turn the redirect off"}},
		{"gateway timeout because of the server itself", func(p *raconfig.ProbeReport) {
			failed(raconfig.FailureStatus, status(504, "nginx"))(p)
			p.Server.Failure = &raconfig.ProbeFailure{Kind: raconfig.FailureTimeout}
		}, v1alpha1.ReasonServersFail, []string{"the servers themselves", "no answer in time", "ServersAvailable"}},
		{"the server itself", func(p *raconfig.ProbeReport) {
			failed(raconfig.FailureStatus, status(502, "nginx"))(p)
			p.Server.Failure = &raconfig.ProbeFailure{Kind: raconfig.FailureTimeout}
		}, v1alpha1.ReasonServersFail, []string{"the servers themselves", "no answer in time"}},
		{"a server signed for it", func(p *raconfig.ProbeReport) {
			failed(raconfig.FailureStatus, status(503, ""))(p)
			p.URLs[0].Proved = true
		}, v1alpha1.ReasonServersFail, []string{"a server of this endpoint answers HTTP 503"}},
		{"clock ahead", func(p *raconfig.ProbeReport) { p.URLs[0].ClockSkewSeconds = 310 }, v1alpha1.ReasonClocksDiffer, []string{"5 minutes", "NTP"}},
		{"clock behind", func(p *raconfig.ProbeReport) { p.URLs[0].ClockSkewSeconds = -310 }, v1alpha1.ReasonClocksDiffer, nil},
		{"clock a little off", func(p *raconfig.ProbeReport) { p.URLs[0].ClockSkewSeconds = 200 }, "", nil},
		{"no POST", shaped(func(s *raconfig.ProbeShape) {
			s.Post = &raconfig.ProbeFailure{Kind: raconfig.FailureStatus, Status: 405}
		}), v1alpha1.ReasonPOSTRefused, []string{"HTTP 405", "allow POST"}},
		{"no POST to a folder", shaped(func(s *raconfig.ProbeShape) {
			s.PostPath = &raconfig.ProbeFailure{Kind: raconfig.FailureStatus, Status: 405, Server: "nginx", Software: raconfig.SoftwareNginx, Detail: "/certsrv/mscep/mscep.dll"}
		}), v1alpha1.ReasonPOSTRefused, []string{"POST does not, as with a folder, HTTP 405, Server: nginx, /certsrv/mscep/mscep.dll", "limit_except"}},
		{"POST altered", shaped(func(s *raconfig.ProbeShape) { s.Post = &raconfig.ProbeFailure{Kind: raconfig.FailureAltered} }), v1alpha1.ReasonAltered, []string{"POST arrives changed"}},
		{"plus signs", shaped(func(s *raconfig.ProbeShape) {
			s.Query = &raconfig.ProbeFailure{Kind: raconfig.FailureAltered, Detail: "plus signs arrive as spaces"}
		}), v1alpha1.ReasonAltered, []string{"plus signs arrive as spaces"}},
		{"a folder", shaped(func(s *raconfig.ProbeShape) {
			s.Path = &raconfig.ProbeFailure{Kind: raconfig.FailureRedirect, Status: 301, Detail: "/scep/"}
		}), v1alpha1.ReasonRedirected, []string{"trailing slashes"}},
		{"a path", shaped(func(s *raconfig.ProbeShape) {
			s.Path = &raconfig.ProbeFailure{Kind: raconfig.FailureStatus, Status: 404, Detail: "/scep/"}
		}), v1alpha1.ReasonHopFailed, []string{"whole host"}},
		{"HTTP/1.0 is no more than a warning", shaped(func(s *raconfig.ProbeShape) { s.HTTP10 = &raconfig.ProbeFailure{Kind: raconfig.FailureClosed} }), "", nil},
		{"long URLs have a condition of their own", shaped(func(s *raconfig.ProbeShape) {
			s.MaxTargetBytes, s.Target = 0, &raconfig.ProbeFailure{Kind: raconfig.FailureReset}
		}), "", nil},
		{"no shape yet", func(p *raconfig.ProbeReport) { p.URLs[0].Shape = nil }, "", nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ep, seen := probedEndpoint(c.change)
			want := metav1.ConditionFalse
			if c.reason == "" {
				want, c.reason = metav1.ConditionTrue, v1alpha1.ReasonSucceeded
			}
			wantSays(t, exposed(ep, seen), want, c.reason, c.says...)
			result := probesStatus(ep, seen).URLs[0].Result
			if (result == v1alpha1.ProbePassed) != (want == metav1.ConditionTrue) || result != v1alpha1.ProbePassed && result != c.reason {
				t.Errorf("result %s", result)
			}
			if c.reason != v1alpha1.ReasonSucceeded && !probeReasons.Has(c.reason) {
				t.Errorf("%s is not among the probes' reasons", c.reason)
			}
		})
	}
}

// TestEveryFailureIsJudged: no kind of failure is without words.
func TestEveryFailureIsJudged(t *testing.T) {
	for _, kind := range []raconfig.FailureKind{
		raconfig.FailureNameUnknown, raconfig.FailureResolver, raconfig.FailureAddress, raconfig.FailureRefused, raconfig.FailureUnreachable,
		raconfig.FailureTimeout, raconfig.FailureReset, raconfig.FailureClosed, raconfig.FailureTLS, raconfig.FailureTLSName,
		raconfig.FailureTLSExpired, raconfig.FailureTLSNotYetValid, raconfig.FailureNotHTTP, raconfig.FailureStatus, raconfig.FailureRedirect,
		raconfig.FailureForeign, raconfig.FailureAltered,
	} {
		if v := judgeFailure(&raconfig.ProbeFailure{Kind: kind}); v.reason == "" || v.cause == "" || v.remedy == "" {
			t.Errorf("%s: %+v", kind, v)
		}
	}
	if len(judgements) != 17 {
		t.Errorf("%d kinds are judged", len(judgements))
	}
}

func TestAddressesThatDiffer(t *testing.T) {
	cases := []struct {
		reported []string
		says     string
	}{
		{nil, " (at 192.0.2.10)"},
		{[]string{"192.0.2.10", "192.0.2.11"}, " (at 192.0.2.10)"},
		{[]string{"lb.example.net"}, " (at 192.0.2.10)"},
		{[]string{"192.0.2.99"}, " (the name leads to 192.0.2.10, but the way in is at 192.0.2.99: correct its DNS record"},
		{[]string{"fd00::1"}, "but the way in is at fd00::1"},
	}
	for _, c := range cases {
		ep, seen := probedEndpoint(failed(raconfig.FailureRefused))
		seen.exposure.ingresses = ingressAt(c.reported...)
		wantSays(t, exposed(ep, seen), metav1.ConditionFalse, v1alpha1.ReasonHopUnreachable, c.says)
	}
	ep, seen := probedEndpoint(failed(raconfig.FailureNameUnknown), func(p *raconfig.ProbeReport) { p.URLs[0].Addresses = nil })
	seen.exposure.ingresses = ingressAt("192.0.2.99")
	wantSays(t, exposed(ep, seen), metav1.ConditionFalse, v1alpha1.ReasonNameNotResolved, "(the way in is at 192.0.2.99)")
}

// ingressAt is an Ingress that reports addresses.
func ingressAt(addresses ...string) []read[networkingv1.Ingress] {
	ingress := &networkingv1.Ingress{}
	for _, a := range addresses {
		ingress.Status.LoadBalancer.Ingress = append(ingress.Status.LoadBalancer.Ingress, networkingv1.IngressLoadBalancerIngress{IP: a})
	}
	return []read[networkingv1.Ingress]{{value: ingress}}
}

func wantSays(t *testing.T, c metav1.Condition, status metav1.ConditionStatus, reason string, says ...string) {
	t.Helper()
	if c.Status != status || c.Reason != reason {
		t.Errorf("%s is %s %s: %s", c.Type, c.Status, c.Reason, c.Message)
	}
	for _, text := range says {
		if !strings.Contains(c.Message, text) {
			t.Errorf("%q is not in: %s", text, c.Message)
		}
	}
}

func TestProbesShowOnLongURLs(t *testing.T) {
	cut := func(p *raconfig.ProbeReport) {
		p.URLs[0].Shape.MaxTargetBytes = 4096
		p.URLs[0].Shape.Target = &raconfig.ProbeFailure{Kind: raconfig.FailureStatus, Status: 414, Server: "nginx", Bytes: 8192}
	}
	cutBy := func(software raconfig.Software) func(*raconfig.ProbeReport) {
		return func(p *raconfig.ProbeReport) {
			p.URLs[0].Shape.MaxTargetBytes = 12 << 10
			p.URLs[0].Shape.Target = &raconfig.ProbeFailure{Kind: raconfig.FailureStatus, Status: 400, Software: software, Bytes: 16 << 10}
		}
	}
	cases := []struct {
		name       string
		change     func(*raconfig.ProbeReport)
		controller string
		status     metav1.ConditionStatus
		reason     string
		says       []string
	}{
		{"proved", func(*raconfig.ProbeReport) {}, "k8s.io/ingress-nginx", metav1.ConditionTrue, v1alpha1.ReasonSucceeded, []string{"65534", "from within the cluster"}},
		{"cut by nginx", cut, "k8s.io/ingress-nginx", metav1.ConditionFalse, v1alpha1.ReasonURLsCut, []string{"4096 bytes passes and one of 8192 does not (HTTP 414, Server: nginx)", "large-client-header-buffers"}},
		{"cut by a proxy in front of the ingress", cutBy(raconfig.SoftwareHAProxy), "k8s.io/ingress-nginx", metav1.ConditionFalse, v1alpha1.ReasonURLsCut, []string{"HTTP 400, a page of HAProxy", "HAProxy answers in front of the servers", "tune.bufsize 131072 in the section global"}},
		{"cut by the ingress, as it answers", cutBy(raconfig.SoftwareNginx), "k8s.io/ingress-nginx", metav1.ConditionFalse, v1alpha1.ReasonURLsCut, []string{"the controller's ConfigMap"}},
		{"cut by nginx before Traefik", cutBy(raconfig.SoftwareNginx), "traefik.io/ingress-controller", metav1.ConditionFalse, v1alpha1.ReasonURLsCut, []string{"large_client_header_buffers 4 72k in the section http"}},
		{"cut by a service", cutBy(raconfig.SoftwareCloudflare), "traefik.io/ingress-controller", metav1.ConditionFalse, v1alpha1.ReasonURLsCut, []string{"no setting of it", "exposure.service"}},
		{"cut by a cloud", cut, "ingress.k8s.aws/alb", metav1.ConditionFalse, v1alpha1.ReasonURLsCut, []string{"no setting"}},
		{"cut although the class says otherwise", cut, "traefik.io/ingress-controller", metav1.ConditionFalse, v1alpha1.ReasonURLsCut, []string{"raise the limit"}},
		{"cut without an answer", func(p *raconfig.ProbeReport) {
			p.URLs[0].Shape.MaxTargetBytes = 0
			p.URLs[0].Shape.Target = &raconfig.ProbeFailure{Kind: raconfig.FailureReset, Bytes: 4096}
		}, "example.com/x", metav1.ConditionFalse, v1alpha1.ReasonURLsCut, []string{"a URL of 4096 bytes does not pass (the connection is cut)"}},
		{"cut by the servers", func(p *raconfig.ProbeReport) { cut(p); p.Server.Shape.MaxTargetBytes = 4096 }, "k8s.io/ingress-nginx", metav1.ConditionFalse, v1alpha1.ReasonURLsCut, []string{"the servers themselves take URLs of 4096"}},
		{"not tried", func(p *raconfig.ProbeReport) { p.URLs[0].Shape = nil }, "k8s.io/ingress-nginx", metav1.ConditionFalse, v1alpha1.ReasonLongURLsUnproven, []string{"as installed"}},
		{"one of two not tried", func(p *raconfig.ProbeReport) { p.URLs = append(p.URLs, raconfig.ProbeResult{URL: probedPlain}) }, "k8s.io/ingress-nginx", metav1.ConditionFalse, v1alpha1.ReasonLongURLsUnproven, nil},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			ep, seen := probedEndpoint(c.change)
			seen.exposure.ingressClass = classOf(c.controller)
			wantSays(t, longURLs(ep, seen), c.status, c.reason, c.says...)
		})
	}
}

func TestProbesStatus(t *testing.T) {
	end := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	ep, seen := probedEndpoint(func(p *raconfig.ProbeReport) {
		p.URLs[0].TLS = &raconfig.ProbeTLS{NotAfter: end}
		p.URLs[0].Shape.MaxTargetBytes, p.URLs[0].Shape.Target = 16384, &raconfig.ProbeFailure{Kind: raconfig.FailureStatus, Status: 414}
		p.URLs[0].Shape.HTTP10 = &raconfig.ProbeFailure{Kind: raconfig.FailureStatus, Status: 426}
		gone := passes("http://gone.example.com/scep")
		gone.Failure = &raconfig.ProbeFailure{Kind: raconfig.FailureRefused}
		p.URLs = append(p.URLs, gone)
	})
	until := metav1.NewTime(end)
	want := &v1alpha1.EndpointProbes{
		Vantage: v1alpha1.VantageCluster, MaxURLBytes: 16384, LongestReceivedBytes: 16384,
		URLs: []v1alpha1.ProbedURL{{
			URL: probedPlain, Result: v1alpha1.ProbePassed, MaxURLBytes: 16384, TLSNotAfter: &until,
			Warnings: []string{
				"the TLS certificates shown are no chain: devices that do not know the intermediate CA will not trust them",
				"HTTP/1.0 does not pass (HTTP 426): some routers speak nothing else",
			},
		}},
	}
	if diff := cmp.Diff(want, probesStatus(ep, seen)); diff != "" {
		t.Error(diff)
	}
}

// TestNoResultsAtTheMoment: what was found before stays said while there is no report,
// and goes with probes.mode Disabled.
func TestNoResultsAtTheMoment(t *testing.T) {
	ep, seen := probedEndpoint(failed(raconfig.FailureRefused))
	ep.Status.Conditions = []metav1.Condition{exposed(ep, seen), longURLs(ep, seen)}
	ep.Status.Probes = probesStatus(ep, seen)
	proberOf(*seen.replicas.value).status.Probes = nil
	if got := exposed(ep, seen); got.Reason != v1alpha1.ReasonHopUnreachable {
		t.Errorf("%+v", got)
	}
	if diff := cmp.Diff(ep.Status.Probes, probesStatus(ep, seen)); diff != "" {
		t.Error(diff)
	}
	ep.Spec.Probes.Mode = v1alpha1.ProbesDisabled
	if got := exposed(ep, seen); got.Reason != v1alpha1.ReasonSucceeded || probesStatus(ep, seen) != nil {
		t.Errorf("%+v, %+v", got, probesStatus(ep, seen))
	}
	if got := longURLs(ep, seen); got.Reason != v1alpha1.ReasonSucceeded || !strings.Contains(got.Message, "Traefik") {
		t.Errorf("%+v", got)
	}
}

// TestWhatStays: servers forget it when they end, and a broken URL keeps its addresses.
func TestWhatStays(t *testing.T) {
	ep, seen := probedEndpoint(failed(raconfig.FailureRefused))
	ep.Status.Probes = &v1alpha1.EndpointProbes{
		LongestReceivedBytes: 49152, URLs: []v1alpha1.ProbedURL{{URL: probedPlain, Result: v1alpha1.ReasonHopUnreachable, Addresses: []string{"192.0.2.1"}}},
	}
	got := probesStatus(ep, seen)
	if got.LongestReceivedBytes != 49152 || !slices.Equal(got.URLs[0].Addresses, []string{"192.0.2.1"}) {
		t.Errorf("%+v", got)
	}
	ep.Status.Probes.URLs[0].Result = v1alpha1.ReasonHopFailed
	if got := probesStatus(ep, seen); !slices.Equal(got.URLs[0].Addresses, []string{"192.0.2.10"}) {
		t.Errorf("%+v", got)
	}
}

func TestOneReadyServerProbes(t *testing.T) {
	chosen := map[string]bool{}
	for n := range 50 {
		ep := &v1alpha1.ScepEndpoint{}
		ep.UID = types.UID(fmt.Sprint(n))
		replicas := []replica{{name: "a"}, {name: "b", ready: true}, {name: "c", ready: true}, {name: "d", ready: true, leaving: true}}
		nameProber(ep, replicas)
		one := proberOf(replicas)
		if one == nil || !one.ready || one.leaving {
			t.Fatalf("%+v", one)
		}
		chosen[one.name] = true
		other := slices.Clone(replicas)
		slices.Reverse(other)
		if nameProber(ep, other); proberOf(other).name != one.name {
			t.Error("the order of the pods matters")
		}
	}
	if len(chosen) != 2 {
		t.Errorf("always %v", chosen)
	}
	replicas := []replica{{name: "a"}}
	if nameProber(&v1alpha1.ScepEndpoint{}, replicas); proberOf(replicas) != nil {
		t.Error("a server that is not ready probes")
	}
}

// TestFindingsAreStable: what differs at each look wakes nobody.
func TestFindingsAreStable(t *testing.T) {
	report := func(mods ...func(*raconfig.ProbeReport)) string {
		p := &raconfig.ProbeReport{Server: passes("own"), URLs: []raconfig.ProbeResult{passes(probedPlain)}}
		for _, mod := range mods {
			mod(p)
		}
		return findings(&raconfig.ReplicaStatus{Probes: p})
	}
	for name, same := range map[string]func(*raconfig.ProbeReport){
		"times": func(p *raconfig.ProbeReport) {
			p.URLs[0].At, p.Server.At, p.URLs[0].Shape.At = time.Now(), time.Now(), time.Now()
		},
		"addresses": func(p *raconfig.ProbeReport) { p.URLs[0].Addresses = []string{"192.0.2.99"} },
		"clock":     func(p *raconfig.ProbeReport) { p.URLs[0].ClockSkewSeconds = -20 },
	} {
		if report(same) != report() {
			t.Errorf("%s wake", name)
		}
	}
	for name, other := range map[string]func(*raconfig.ProbeReport){
		"failure": failed(raconfig.FailureClosed),
		"size":    shaped(func(s *raconfig.ProbeShape) { s.MaxTargetBytes = 1 }),
		"server":  func(p *raconfig.ProbeReport) { p.Server.Failure = &raconfig.ProbeFailure{} },
		"clock":   func(p *raconfig.ProbeReport) { p.URLs[0].ClockSkewSeconds = 600 },
	} {
		if report(other) == report() {
			t.Errorf("%s does not wake", name)
		}
	}
	if findings(&raconfig.ReplicaStatus{}) != "" {
		t.Error("nothing is something")
	}
}

// TestProbesChangeTheStatus: what the prober finds is in the status soon, although
// nothing in the cluster changes.
func TestProbesChangeTheStatus(t *testing.T) {
	f := newFixture(t)
	f.makeIngressClass("probed", "traefik.io/ingress-controller")
	f.makeAll(withHost("probed"), func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Exposure.Hosts[0].TLS = nil })
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if _, config := f.config(); config.Probes == nil || !slices.Equal(config.Probes.URLs, []string{probedPlain}) || config.Probes.IntervalSeconds != 30 {
		t.Errorf("%+v", config.Probes)
	}
	report := &raconfig.ProbeReport{Vantage: v1alpha1.VantageCluster, URLs: []raconfig.ProbeResult{passes(probedPlain)}}
	failed(raconfig.FailureRedirect)(report)
	f.report(report)
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonRedirected)
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonRedirected)
	f.report(&raconfig.ProbeReport{Vantage: v1alpha1.VantageCluster, URLs: []raconfig.ProbeResult{passes(probedPlain)}})
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "every URL answers")
	f.waitFor(v1alpha1.ConditionLongURLs, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "65534")
	testenv.Eventually(t, "the longest URL", func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp"}, &ep); err != nil {
			return err
		}
		if ep.Status.Probes == nil || ep.Status.Probes.MaxURLBytes != 65534 || conditions.Find(ep.Status.Conditions, v1alpha1.ConditionReady) == nil {
			return fmt.Errorf("%+v", ep.Status.Probes)
		}
		return nil
	})
}

// TestMistakenProfilesShowSoon: what devices' URLs have in common is in the status soon too.
func TestMistakenProfilesShowSoon(t *testing.T) {
	f := newFixture(t)
	f.makeIngressClass("mistaken", "traefik.io/ingress-controller")
	f.makeAll(withHost("mistaken"), func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Exposure.Hosts[0].TLS = nil })
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.tell(func(s *raconfig.ReplicaStatus) {
		s.Paths = map[string]uint64{string(v1alpha1.MistakeNDESFolder): minMistakes}
	})
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionFalse, v1alpha1.ReasonProfileMistaken, "lacks /mscep.dll")
}

// report has every server tell this: which of them is asked, the controller knows.
func (f *fixture) report(p *raconfig.ProbeReport) {
	f.t.Helper()
	f.tell(func(s *raconfig.ReplicaStatus) { s.Probes = p })
}

// tell changes what every server tells.
func (f *fixture) tell(change func(*raconfig.ReplicaStatus)) {
	f.t.Helper()
	var pods corev1.PodList
	if err := f.client.List(f.t.Context(), &pods, client.InNamespace(f.ns), client.MatchingLabels(render.PodSelector("corp"))); err != nil {
		f.t.Fatal(err)
	}
	for i := range pods.Items {
		status, err := f.servers.ReadStatus(f.t.Context(), pods.Items[i].Status.PodIP, chosenProber{})
		if err != nil {
			f.t.Fatal(err)
		}
		told := *status
		change(&told)
		f.servers.say(pods.Items[i].Status.PodIP, told)
	}
}
