package scependpoint

import (
	"errors"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// errSecret stands for the text of an error that no user should see.
var errSecret = errors.New("dial tcp 10.1.2.3:443: the operator's own trouble")

// TestFailedReads asserts that each read that fails becomes an Unknown condition
// that tells nothing of the error, and is tried again.
func TestFailedReads(t *testing.T) {
	cases := map[string]struct {
		spoil func(*observation)
		shows string
	}{
		"template":      {func(s *observation) { s.templates[0] = read[v1alpha1.CertificateTemplate]{err: errSecret} }, v1alpha1.ConditionAccepted},
		"challenge":     {func(s *observation) { s.challenges[0].sources[0].seen = secretFact{err: errSecret} }, v1alpha1.ConditionAccepted},
		"issuer":        {func(s *observation) { s.issuer.Err = errSecret }, v1alpha1.ConditionIssuerReady},
		"credential":    {func(s *observation) { s.credential = read[v1alpha1.RACredential]{err: errSecret} }, v1alpha1.ConditionCredentialReady},
		"keyring":       {func(s *observation) { s.keyring = read[metav1.PartialObjectMetadata]{err: errSecret} }, v1alpha1.ConditionCredentialReady},
		"config":        {func(s *observation) { s.config = read[raconfig.Config]{err: errSecret} }, v1alpha1.ConditionCredentialReady},
		"deployment":    {func(s *observation) { s.deployment = read[appsv1.Deployment]{err: errSecret} }, v1alpha1.ConditionServersAvailable},
		"pods":          {func(s *observation) { s.replicas = read[[]replica]{err: errSecret} }, v1alpha1.ConditionServersAvailable},
		"ingress class": {func(s *observation) { s.exposure.ingressClass = read[networkingv1.IngressClass]{err: errSecret} }, v1alpha1.ConditionExposed},
		"requests":      {func(s *observation) { s.requests = read[[]certmanagerv1.CertificateRequest]{err: errSecret} }, v1alpha1.ConditionEnrolling},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ep, seen := restingEndpoint()
			c.spoil(seen)
			p := planEndpoint(ep, seen, render.Program{Image: "ra"}, route.GatewayKinds{}, noon)
			status := endpointStatus(ep, seen, p, &done{}, noon)
			got := conditions.Find(status.Conditions, c.shows)
			if got == nil || got.Status != metav1.ConditionUnknown || got.Reason != v1alpha1.ReasonReadFailed {
				t.Errorf("%s is %+v", c.shows, got)
			}
			for _, each := range status.Conditions {
				if strings.Contains(each.Message, "10.1.2.3") {
					t.Errorf("%s tells the error: %s", each.Type, each.Message)
				}
			}
			if !errors.Is(readErrors(seen), errSecret) {
				t.Error("the read is not tried again")
			}
		})
	}
}

// TestAnUnreadClassKeepsItsIngress: it is neither changed nor pruned.
func TestAnUnreadClassKeepsItsIngress(t *testing.T) {
	ep, seen := restingEndpoint()
	seen.exposure.ingressClass = read[networkingv1.IngressClass]{err: errSecret}
	p := planEndpoint(ep, seen, render.Program{Image: "ra"}, route.GatewayKinds{}, noon)
	for _, kind := range p.prune {
		if kind == ingressKind {
			t.Error("Ingresses are pruned")
		}
	}
	for _, child := range p.children {
		if ref, err := apply.RefOf(child); err != nil || ref.Kind == ingressKind.Kind {
			t.Errorf("%s is written (%v)", ref, err)
		}
	}
}

// restingEndpoint is an endpoint, and all that is seen of it, where nothing is to be done.
func restingEndpoint() (*v1alpha1.ScepEndpoint, *observation) {
	class := "traefik"
	f := &fixture{ns: "pki"}
	ep := f.endpoint(func(ep *v1alpha1.ScepEndpoint) {
		ep.Generation, ep.UID = 3, "u"
		ep.Spec.Server.Replicas = ptr.To[int32](2)
		ep.Spec.Exposure.Hosts = []v1alpha1.Host{{Name: "scep.example.com", HTTP: v1alpha1.PlainHTTPEnabled}}
		ep.Spec.Exposure.Ingress = &v1alpha1.IngressExposure{ClassName: &class}
	})
	template := &v1alpha1.CertificateTemplate{ObjectMeta: metav1.ObjectMeta{Name: "device", Generation: 1}}
	template.Status.Conditions = conditions.Merge(nil, noon, 1, conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, ""))
	credential := &v1alpha1.RACredential{ObjectMeta: metav1.ObjectMeta{Name: "ra"}}
	credential.Spec.Purpose, credential.Spec.IssuerRef = v1alpha1.PurposeRA, &ep.Spec.Issuance.IssuerRef
	credential.Status.Generations = []v1alpha1.CredentialGeneration{generation("g1", noon.Add(-testDay))}
	config := probing(render.Config(ep, []v1alpha1.CertificateTemplate{*template}, ep.Spec.Challenges, "g1"), ep, &observation{})
	config.Credential = "ra"
	file, _ := raconfig.Encode(config)
	loaded := &raconfig.ReplicaStatus{ConfigHash: raconfig.Hash(file), ConfigGeneration: 3, HeldGenerations: []string{"g1"}}
	deployment := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Generation: 1}}
	deployment.Status = appsv1.DeploymentStatus{ObservedGeneration: 1, Replicas: 2, UpdatedReplicas: 2, AvailableReplicas: 2}
	seen := &observation{
		templates:  []read[v1alpha1.CertificateTemplate]{{value: template}},
		challenges: []challengeFact{passwordThere(ep.Spec.Challenges[0])},
		credential: read[v1alpha1.RACredential]{value: credential},
		keyring:    read[metav1.PartialObjectMetadata]{value: &metav1.PartialObjectMetadata{}},
		state:      read[stateFact]{value: &stateFact{usable: true}},
		config:     read[raconfig.Config]{value: config},
		deployment: read[appsv1.Deployment]{value: deployment},
		replicas:   read[[]replica]{value: &[]replica{{name: "a", ready: true, status: loaded}, {name: "b", ready: true, status: loaded}}},
		requests:   read[[]certmanagerv1.CertificateRequest]{value: &[]certmanagerv1.CertificateRequest{}},
		exposure:   exposureFacts{ingressClass: classOf("traefik.io/ingress-controller")},
	}
	seen.issuer.Ref = ep.Spec.Issuance.IssuerRef
	seen.issuer.Issuer = readyIssuer()
	return ep, seen
}

func classOf(controller string) read[networkingv1.IngressClass] {
	return read[networkingv1.IngressClass]{value: &networkingv1.IngressClass{Spec: networkingv1.IngressClassSpec{Controller: controller}}}
}

func readyIssuer() certmanagerv1.GenericIssuer {
	i := &certmanagerv1.Issuer{}
	i.Status.Conditions = []certmanagerv1.IssuerCondition{{Type: certmanagerv1.IssuerConditionReady, Status: cmmeta.ConditionTrue}}
	return i
}

func TestServersAvailable(t *testing.T) {
	behind := func(problems ...string) replica {
		return replica{name: "b", ready: true, status: &raconfig.ReplicaStatus{ConfigHash: "old", ConfigGeneration: 2, Problems: problems}}
	}
	cases := map[string]struct {
		change func(*v1alpha1.ScepEndpoint, *observation)
		status metav1.ConditionStatus
		reason string
		says   string
	}{
		"all well": {func(*v1alpha1.ScepEndpoint, *observation) {}, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "enough"},
		"one of two is away": {func(_ *v1alpha1.ScepEndpoint, s *observation) {
			s.deployment.value.Status.AvailableReplicas = 1
			(*s.replicas.value)[1].ready = false
		}, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, ""},
		"both are away": {func(_ *v1alpha1.ScepEndpoint, s *observation) {
			s.deployment.value.Status.AvailableReplicas = 0
			*s.replicas.value = []replica{{name: "a", waiting: "ImagePullBackOff"}}
		}, metav1.ConditionFalse, v1alpha1.ReasonServersUnavailable, "ImagePullBackOff"},
		"a new server refuses the configuration": {func(_ *v1alpha1.ScepEndpoint, s *observation) {
			s.deployment.value.Status.UpdatedReplicas = 1
			*s.replicas.value = append(*s.replicas.value, replica{name: "c", status: &raconfig.ReplicaStatus{Problems: []string{"config.yaml: bad; mend it"}}})
		}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "1 of 2 servers run the current revision, a pod is not ready: config.yaml: bad; mend it"},
		"rolling out": {func(_ *v1alpha1.ScepEndpoint, s *observation) { s.deployment.value.Status.UpdatedReplicas = 1 }, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "1 of 2"},
		"a new revision nobody looked at": {
			func(_ *v1alpha1.ScepEndpoint, s *observation) { s.deployment.value.Generation = 2 },
			metav1.ConditionFalse, v1alpha1.ReasonProgressing, "current revision",
		},
		"a quota": {func(_ *v1alpha1.ScepEndpoint, s *observation) {
			s.deployment.value.Status.Conditions = []appsv1.DeploymentCondition{{Type: appsv1.DeploymentReplicaFailure, Status: corev1.ConditionTrue, Message: "exceeded quota."}}
		}, metav1.ConditionFalse, v1alpha1.ReasonServersUnavailable, "exceeded quota"},
		"one is behind, of two": {func(_ *v1alpha1.ScepEndpoint, s *observation) { (*s.replicas.value)[1] = behind() }, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, ""},
		"two are behind": {
			func(_ *v1alpha1.ScepEndpoint, s *observation) { *s.replicas.value = []replica{behind(), behind()} },
			metav1.ConditionFalse, v1alpha1.ReasonProgressing, "0 of 2 ready servers",
		},
		"one of two has a problem": {func(_ *v1alpha1.ScepEndpoint, s *observation) {
			(*s.replicas.value)[1] = behind("config.yaml: bad; mend it")
		}, metav1.ConditionTrue, v1alpha1.ReasonConfigRefused, "mend it"},
		"two have a problem": {func(_ *v1alpha1.ScepEndpoint, s *observation) {
			*s.replicas.value = []replica{behind("config.yaml: bad; mend it"), behind()}
		}, metav1.ConditionFalse, v1alpha1.ReasonServersUnavailable, "mend it"},
		"nobody answers": {func(_ *v1alpha1.ScepEndpoint, s *observation) {
			*s.replicas.value = []replica{{name: "a", ready: true, err: errSecret}}
		}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "missing: a"},
		"before the first": {func(_ *v1alpha1.ScepEndpoint, s *observation) {
			s.deployment, s.config = read[appsv1.Deployment]{}, read[raconfig.Config]{}
			s.credential.value.Status.Generations = nil
		}, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "CredentialReady"},
		"scaled to zero": {func(ep *v1alpha1.ScepEndpoint, _ *observation) { ep.Spec.Server.Replicas = ptr.To[int32](0) }, metav1.ConditionFalse, v1alpha1.ReasonScaledToZero, "set it"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ep, seen := restingEndpoint()
			c.change(ep, seen)
			p := planEndpoint(ep, seen, render.Program{Image: "ra"}, route.GatewayKinds{}, noon)
			status := endpointStatus(ep, seen, p, &done{}, noon)
			got := conditions.Find(status.Conditions, v1alpha1.ConditionServersAvailable)
			if got.Status != c.status || got.Reason != c.reason || !strings.Contains(got.Message, c.says) {
				t.Errorf("got %s %s: %s", got.Status, got.Reason, got.Message)
			}
			if err := testenv.CheckKStatus(ep, status.ObservedGeneration, status.Conditions); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestRouteProblem(t *testing.T) {
	refs := []v1alpha1.GatewayParentReference{{Name: "edge", SectionName: "http"}, {Name: "edge", SectionName: "tls"}}
	parent := func(section gatewayv1.SectionName, accepted bool) gatewayv1.RouteParentStatus {
		acceptance := conditions.False("Accepted", "NotAllowedByListeners", "the listener takes no such route")
		if accepted {
			acceptance = conditions.True("Accepted", "Accepted", "")
		}
		return gatewayv1.RouteParentStatus{
			ParentRef:  gatewayv1.ParentReference{Name: "edge", SectionName: &section},
			Conditions: conditions.Merge(nil, noon, 5, acceptance, conditions.True("ResolvedRefs", "ResolvedRefs", "")),
		}
	}
	cases := map[string]struct {
		http, tls []gatewayv1.RouteParentStatus
		says      string // empty: no problem
	}{
		"each takes its own":        {[]gatewayv1.RouteParentStatus{parent("http", true), parent("tls", false)}, []gatewayv1.RouteParentStatus{parent("http", false), parent("tls", true)}, ""},
		"nobody has answered":       {nil, nil, "no Gateway controller has answered"},
		"the TLSRoute is refused":   {[]gatewayv1.RouteParentStatus{parent("http", true)}, []gatewayv1.RouteParentStatus{parent("tls", false)}, "no Gateway accepts the TLSRoute"},
		"a parent takes no route":   {[]gatewayv1.RouteParentStatus{parent("http", true)}, []gatewayv1.RouteParentStatus{parent("http", true), parent("tls", false)}, "Gateway edge: Accepted is False"},
		"another listener answered": {[]gatewayv1.RouteParentStatus{parent("other", true)}, nil, "no Gateway controller has answered"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ep, seen := restingEndpoint()
			ep.Spec.Exposure.Hosts[0].TLS = &v1alpha1.HostTLS{SecretName: "tls"}
			ep.Spec.Exposure.Gateway = &v1alpha1.GatewayExposure{ParentRefs: refs, Mode: v1alpha1.GatewayTLSPassthrough}
			meta := metav1.ObjectMeta{Namespace: "pki", Generation: 5}
			seen.exposure.httpRoute.value = &gatewayv1.HTTPRoute{ObjectMeta: meta, Status: gatewayv1.HTTPRouteStatus{RouteStatus: gatewayv1.RouteStatus{Parents: c.http}}}
			seen.exposure.tlsRoute.value = &gatewayv1.TLSRoute{ObjectMeta: meta, Status: gatewayv1.TLSRouteStatus{RouteStatus: gatewayv1.RouteStatus{Parents: c.tls}}}
			got, bad := routeProblem(ep, seen)
			if bad != (c.says != "") || !strings.Contains(got.Message, c.says) {
				t.Errorf("%v: %s", bad, got.Message)
			}
		})
	}
}

func TestLongURLs(t *testing.T) {
	for controller, want := range map[string]metav1.ConditionStatus{
		"traefik.io/ingress-controller": metav1.ConditionTrue,
		"k8s.io/ingress-nginx":          metav1.ConditionFalse,
		"ingress.k8s.aws/alb":           metav1.ConditionFalse,
		"example.com/unheard-of":        metav1.ConditionUnknown,
	} {
		ep, seen := restingEndpoint()
		seen.exposure.ingressClass = classOf(controller)
		if got := longURLs(ep, seen); strings.Contains(got.Message, "%!") || got.Status != want || got.Message == "" {
			t.Errorf("%s: %s %s", controller, got.Status, got.Message)
		}
	}
}

// passwordThere is a challenge with all that it needs.
func passwordThere(c v1alpha1.Challenge) challengeFact {
	fact := challengeFact{challenge: c}
	for _, s := range render.ChallengeSources(c) {
		fact.sources = append(fact.sources, sourceFact{s, secretFact{found: true, hasKeys: true, labelled: true, version: "1"}})
	}
	return fact
}

func TestWake(t *testing.T) {
	cases := map[string]struct {
		change func(*observation)
		want   time.Duration
	}{
		"at rest":          {func(*observation) {}, restInterval},
		"a missing Secret": {func(s *observation) { s.challenges[0].sources[0].seen = secretFact{} }, missingInterval},
		"an end that nears": {func(s *observation) {
			s.credential.value.Status.Generations[0] = generation("g1", noon.Add(-90*testDay+time.Minute))
		}, time.Minute},
		"one server is about to load": {func(s *observation) { (*s.replicas.value)[1].status = &raconfig.ReplicaStatus{} }, settleMin},
		"one server was nudged in vain": {func(s *observation) {
			(*s.replicas.value)[1] = replica{ready: true, nudge: "h.10", status: &raconfig.ReplicaStatus{}}
		}, settleMax},
		"one server does not tell":           {func(s *observation) { (*s.replicas.value)[1].status = nil }, settleMax},
		"no server has loaded, for a moment": {func(s *observation) { *s.replicas.value = []replica{{ready: true, status: &raconfig.ReplicaStatus{}}} }, settleMin},
		"a rollover, at its beginning": {func(s *observation) {
			s.credential.value.Status.Generations = append([]v1alpha1.CredentialGeneration{generation("g2", noon)}, s.credential.value.Status.Generations...)
		}, settleMin},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ep, seen := restingEndpoint()
			c.change(seen)
			p := planEndpoint(ep, seen, render.Program{Image: "ra"}, route.GatewayKinds{}, noon)
			d := &done{outcomes: []apply.Outcome{{Object: apply.Ref{GroupVersionKind: corev1.SchemeGroupVersion.WithKind("ConfigMap")}, Action: apply.Unchanged}}}
			if got := wake(ep, seen, p, d, endpointStatus(ep, seen, p, d, noon), noon); got != c.want {
				t.Errorf("wakes after %s, want %s", got, c.want)
			}
		})
	}
}

func TestWakeInALongRollover(t *testing.T) {
	ep, seen := restingEndpoint()
	seen.credential.value.Status.Generations = append([]v1alpha1.CredentialGeneration{generation("g2", noon)}, seen.credential.value.Status.Generations...)
	began := metav1.NewTime(noon.Add(-20 * time.Minute))
	ep.Status.RACredential = &v1alpha1.EndpointCredentialStatus{Name: render.CredentialName(ep), ActiveGeneration: "g1", NextGeneration: "g2", Since: &began}
	p := planEndpoint(ep, seen, render.Program{Image: "ra"}, route.GatewayKinds{}, noon)
	next := endpointStatus(ep, seen, p, &done{}, noon)
	if got := wake(ep, seen, p, &done{}, next, noon); got != settleMax {
		t.Errorf("wakes after %s, want %s", got, settleMax)
	}
	if r := next.RACredential; !r.Since.Equal(&began) || r.Held != "0/2" || len(r.Missing) != 2 {
		t.Errorf("%+v", r)
	}
}
