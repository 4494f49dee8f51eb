package scependpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/conditions"
)

// claimant is an endpoint that exposes hosts.
func claimant(namespace, uid string, made time.Time, hosts ...string) v1alpha1.ScepEndpoint {
	ep := v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{
		Namespace: namespace, Name: "ep-" + uid, UID: types.UID(uid), CreationTimestamp: metav1.NewTime(made),
	}}
	ep.Spec.Exposure.Ingress = &v1alpha1.IngressExposure{}
	for _, host := range hosts {
		ep.Spec.Exposure.Hosts = append(ep.Spec.Exposure.Hosts, v1alpha1.Host{Name: host})
	}
	return ep
}

func TestLostHosts(t *testing.T) {
	older, younger := noon.Add(-time.Hour), noon.Add(time.Hour)
	unexposed := claimant("a", "a", older, "x")
	unexposed.Spec.Exposure.Ingress = nil
	cases := map[string]struct {
		others []v1alpha1.ScepEndpoint
		want   map[string]string
	}{
		"nobody else":            {nil, nil},
		"an older one":           {[]v1alpha1.ScepEndpoint{claimant("a", "a", older, "x")}, map[string]string{"x": "a/ep-a"}},
		"a younger one":          {[]v1alpha1.ScepEndpoint{claimant("a", "a", younger, "x")}, nil},
		"as old, first UID":      {[]v1alpha1.ScepEndpoint{claimant("a", "a", noon, "x")}, map[string]string{"x": "a/ep-a"}},
		"as old, last UID":       {[]v1alpha1.ScepEndpoint{claimant("a", "z", noon, "x")}, nil},
		"another host":           {[]v1alpha1.ScepEndpoint{claimant("a", "a", older, "other")}, nil},
		"one that exposes none":  {[]v1alpha1.ScepEndpoint{unexposed}, nil},
		"the oldest of three":    {[]v1alpha1.ScepEndpoint{claimant("a", "a", older, "x"), claimant("b", "b", older.Add(-time.Hour), "x", "y")}, map[string]string{"x": "b/ep-b", "y": "b/ep-b"}},
		"itself, as it was once": {[]v1alpha1.ScepEndpoint{claimant("pki", "m", older, "x", "y")}, nil},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			ep := claimant("pki", "m", noon, "x", "y")
			got := lostHosts(&ep, c.others)
			if len(got) != len(c.want) {
				t.Fatalf("lost %v, want %v", got, c.want)
			}
			for host, owner := range got {
				if owner.String() != c.want[host] {
					t.Errorf("%s is that of %s, want %q", host, owner, c.want[host])
				}
			}
		})
	}
}

// TestALostHostIsNotRouted: the others are, and what is not a route stays.
func TestALostHostIsNotRouted(t *testing.T) {
	ep, seen := restingEndpoint()
	ep.Spec.Exposure.Hosts = append(ep.Spec.Exposure.Hosts, v1alpha1.Host{Name: "second.example.com", HTTP: v1alpha1.PlainHTTPEnabled})
	seen.exposure.lost.value = &map[string]types.NamespacedName{"scep.example.com": {Namespace: "a", Name: "b"}}
	if got := routed(ep, seen).Spec.Exposure.Hosts; len(got) != 1 || got[0].Name != "second.example.com" {
		t.Errorf("routed: %v", got)
	}
	if got := urls(ep, seen); !slices.Equal(got, []string{"http://second.example.com/scep"}) {
		t.Errorf("URLs: %v", got)
	}
	c := exposed(ep, seen)
	if c.Reason != v1alpha1.ReasonHostConflict || !strings.Contains(c.Message, "a/b") || !stalledBy.Has(c.Reason) {
		t.Errorf("%s: %s", c.Reason, c.Message)
	}
	seen.exposure.lost = read[map[string]types.NamespacedName]{err: errSecret}
	if c := exposed(ep, seen); c.Status != metav1.ConditionUnknown || !errors.Is(readErrors(seen), errSecret) {
		t.Errorf("after a failed list: %s %s", c.Status, c.Message)
	}
}

// TestHostConflict: the older endpoint has the host until it goes.
func TestHostConflict(t *testing.T) {
	f := newFixture(t)
	class := f.ns
	f.makeIngressClass(class, "traefik.io/ingress-controller")
	expose := func(ep *v1alpha1.ScepEndpoint) {
		ep.Spec.Exposure.Hosts = []v1alpha1.Host{{Name: "contested.example.com", HTTP: v1alpha1.PlainHTTPEnabled}}
		ep.Spec.Exposure.Ingress = &v1alpha1.IngressExposure{ClassName: &class}
	}
	rival := f.endpoint(expose, func(ep *v1alpha1.ScepEndpoint) { ep.Name = "rival" })
	f.create(rival)
	testenv.Eventually(t, "the rival to be older by a second", func(context.Context) error {
		if time.Now().Unix() > rival.CreationTimestamp.Unix() {
			return nil
		}
		return errors.New("it is not")
	})
	f.makeAll(expose)
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonHostConflict, "rival")
	err := f.client.Get(t.Context(), client.ObjectKey{Namespace: f.ns, Name: "corp-ra"}, &networkingv1.Ingress{})
	if !apierrors.IsNotFound(err) {
		t.Errorf("the Ingress of the lost host: %v", err)
	}
	if err := f.client.Delete(t.Context(), rival); err != nil {
		t.Fatal(err)
	}
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.waitChild("corp-ra", &networkingv1.Ingress{})
}

// TestAForeignSettingShows until somebody takes it away.
func TestAForeignSettingShows(t *testing.T) {
	f := newFixture(t)
	class := f.ns
	f.makeIngressClass(class, "k8s.io/ingress-nginx")
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) {
		ep.Spec.Exposure.Hosts = []v1alpha1.Host{{Name: "scep.example.com", HTTP: v1alpha1.PlainHTTPEnabled}}
		ep.Spec.Exposure.Ingress = &v1alpha1.IngressExposure{ClassName: &class}
	})
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	const rewrite = "nginx.ingress.kubernetes.io/rewrite-target"
	annotate := func(value any) {
		t.Helper()
		ingress := &networkingv1.Ingress{ObjectMeta: f.meta("corp-ra")}
		patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%v}}}`, rewrite, value)
		if err := f.client.Patch(t.Context(), ingress, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
			t.Fatal(err)
		}
	}
	annotate(`"/elsewhere"`)
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonForeignSetting, rewrite, "rewrites", "take it away")
	annotate("null")
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// TestExposureByService: a bypass beside an Ingress, which waits for its address.
func TestExposureByService(t *testing.T) {
	f := newFixture(t)
	class := f.ns
	f.makeIngressClass(class, "ingress.k8s.aws/alb")
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) {
		ep.Spec.Exposure.Hosts = []v1alpha1.Host{{Name: "scep.example.com", HTTP: v1alpha1.PlainHTTPEnabled}}
		ep.Spec.Exposure.Ingress = &v1alpha1.IngressExposure{ClassName: &class}
		ep.Spec.Exposure.Service = &v1alpha1.ServiceExposure{Type: v1alpha1.ServiceLoadBalancer, ExternalTrafficPolicy: v1alpha1.TrafficLocal}
	})
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonAddressPending, "corp-ra-public")
	var service corev1.Service
	f.waitChild("corp-ra-public", &service)
	setStatus(f, &service, func(s *corev1.Service) {
		s.Status.LoadBalancer.Ingress = []corev1.LoadBalancerIngress{{IP: "192.0.2.80"}}
	})
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.waitFor(v1alpha1.ConditionLongURLs, metav1.ConditionTrue, v1alpha1.ReasonBypassed, "AWS", "corp-ra-public")
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	if want := []string{"http://scep.example.com/scep", "http://192.0.2.80/scep"}; !slices.Equal(ep.Status.URLs, want) {
		t.Errorf("URLs %v, want %v", ep.Status.URLs, want)
	}
	if len(ep.Status.Exposure) != 2 || !slices.Equal(ep.Status.Exposure[1].Addresses, []string{"192.0.2.80"}) {
		t.Errorf("exposure: %+v", ep.Status.Exposure)
	}
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Exposure.Service = nil })
	testenv.Eventually(t, "the Service gone", func(ctx context.Context) error {
		err := f.client.Get(ctx, client.ObjectKeyFromObject(&service), &service)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
}

// gateway makes a Gateway and its class, and plays its controller.
func (f *fixture) gateway(name, controller string, listeners ...gatewayv1.Listener) *gatewayv1.Gateway {
	f.t.Helper()
	class := &gatewayv1.GatewayClass{
		ObjectMeta: metav1.ObjectMeta{Name: f.ns}, Spec: gatewayv1.GatewayClassSpec{ControllerName: gatewayv1.GatewayController(controller)},
	}
	gateway := &gatewayv1.Gateway{ObjectMeta: f.meta(name), Spec: gatewayv1.GatewaySpec{GatewayClassName: gatewayv1.ObjectName(f.ns), Listeners: listeners}}
	f.create(class, gateway)
	f.t.Cleanup(func() { _ = f.client.Delete(context.Background(), class) })
	return gateway
}

// programmed has a Gateway's controller say that it is as it is wanted.
func (f *fixture) programmed(gateway *gatewayv1.Gateway, observed int64) {
	f.t.Helper()
	setStatus(f, gateway, func(g *gatewayv1.Gateway) {
		g.Status.Conditions = conditions.Merge(nil, time.Now(), observed,
			conditions.True("Accepted", "Accepted", ""), conditions.True("Programmed", "Programmed", ""))
		g.Status.Addresses = []gatewayv1.GatewayStatusAddress{{Type: ptr.To(gatewayv1.IPAddressType), Value: "192.0.2.90"}}
	})
}

func httpListener(host string) gatewayv1.Listener {
	return gatewayv1.Listener{Name: "http", Port: 80, Protocol: gatewayv1.HTTPProtocolType, Hostname: ptr.To(gatewayv1.Hostname(host))}
}

// TestAGatewayIsReadBack: a route that is accepted counts once its Gateway is programmed as it is now.
func TestAGatewayIsReadBack(t *testing.T) {
	ep, seen := restingEndpoint()
	gateway := &gatewayv1.Gateway{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
	say := func(observed int64, conds ...metav1.Condition) *gatewayv1.Gateway {
		out := gateway.DeepCopy()
		out.Status.Conditions = conditions.Merge(nil, noon, observed, conds...)
		return out
	}
	yes, programmed := conditions.True("Accepted", "Accepted", ""), conditions.True("Programmed", "Programmed", "")
	cases := map[string]struct {
		fact gatewayFact
		says string
	}{
		"all well":          {gatewayFact{gateway: read[gatewayv1.Gateway]{value: say(2, yes, programmed)}}, ""},
		"an older answer":   {gatewayFact{gateway: read[gatewayv1.Gateway]{value: say(1, yes, programmed)}}, "as it is now"},
		"no answer":         {gatewayFact{gateway: read[gatewayv1.Gateway]{value: gateway}}, "as it is now"},
		"not programmed":    {gatewayFact{gateway: read[gatewayv1.Gateway]{value: say(2, yes, conditions.False("Programmed", "AddressNotAssigned", "no address."))}}, "Programmed is False: no address"},
		"it is not there":   {gatewayFact{}, "does not exist"},
		"it is not seen":    {gatewayFact{hidden: true}, ""},
		"it was not read":   {gatewayFact{gateway: read[gatewayv1.Gateway]{err: errSecret}}, tryAgain},
		"nor was its class": {gatewayFact{gateway: read[gatewayv1.Gateway]{value: say(2, yes, programmed)}, class: read[gatewayv1.GatewayClass]{err: errSecret}}, tryAgain},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			c.fact.key = client.ObjectKey{Namespace: "edge", Name: "edge"}
			seen.exposure.gateways = []gatewayFact{c.fact}
			got, bad := programmedProblem(ep, seen)
			if bad != (c.says != "") || !strings.Contains(got.Message, c.says) {
				t.Errorf("%v: %s", bad, got.Message)
			}
		})
	}
}

// TestAListenerSetIsBrought: a Gateway that lets ListenerSets in gets the listeners that it
// lacks, and the route attaches to them; when it has them itself the set goes.
func TestAListenerSetIsBrought(t *testing.T) {
	f := newFixture(t)
	edge := f.gateway("edge", "example.com/gateway", httpListener("other.example.com"))
	edge.Spec.AllowedListeners = &gatewayv1.AllowedListeners{Namespaces: &gatewayv1.ListenerNamespaces{From: ptr.To(gatewayv1.NamespacesFromSame)}}
	if err := f.client.Update(t.Context(), edge); err != nil {
		t.Fatal(err)
	}
	f.programmed(edge, edge.Generation)
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) {
		ep.Spec.Exposure.Hosts = []v1alpha1.Host{{Name: "scep.example.com", HTTP: v1alpha1.PlainHTTPEnabled}}
		ep.Spec.Exposure.Gateway = &v1alpha1.GatewayExposure{ParentRefs: []v1alpha1.GatewayParentReference{{Name: "edge"}}, Mode: v1alpha1.GatewayHTTP}
	})
	var set gatewayv1.ListenerSet
	f.waitChild("corp-ra-0", &set)
	if have := set.Spec.Listeners; len(have) != 1 || *have[0].Hostname != "scep.example.com" || string(set.Spec.ParentRef.Name) != "edge" {
		t.Errorf("brought: %+v", set.Spec)
	}
	f.acceptRoute("ListenerSet corp-ra-0")
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonGatewayNotProgrammed, "ListenerSet corp-ra-0 for Gateway edge")
	if advice := f.adviceOnListeners(); advice != 1 {
		t.Errorf("%d pieces of advice on listeners while nobody serves the set, want 1", advice)
	}
	setStatus(f, &set, func(s *gatewayv1.ListenerSet) {
		s.Status.Conditions = conditions.Merge(nil, time.Now(), s.Generation,
			conditions.True("Accepted", "Accepted", ""), conditions.True("Programmed", "Programmed", ""))
	})
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	if advice := f.adviceOnListeners(); advice != 0 {
		t.Errorf("%d pieces of advice on listeners that are there", advice)
	}
	edge.Spec.Listeners = append(edge.Spec.Listeners, gatewayv1.Listener{Name: "scep", Port: 80, Protocol: gatewayv1.HTTPProtocolType, Hostname: ptr.To[gatewayv1.Hostname]("scep.example.com")})
	testenv.Eventually(t, "the listener in the Gateway", func(ctx context.Context) error {
		var now gatewayv1.Gateway
		if err := f.client.Get(ctx, client.ObjectKeyFromObject(edge), &now); err != nil {
			return err
		}
		now.Spec.Listeners = edge.Spec.Listeners
		return f.client.Update(ctx, &now)
	})
	testenv.Eventually(t, "the set gone", func(ctx context.Context) error {
		err := f.client.Get(ctx, client.ObjectKeyFromObject(&set), &set)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there: %w", err)
	})
	f.acceptRoute("Gateway edge")
}

// acceptRoute waits until the route attaches to one parent alone, which then takes it.
func (f *fixture) acceptRoute(parent string) {
	f.t.Helper()
	testenv.Eventually(f.t, "the route to attach to "+parent, func(ctx context.Context) error {
		var r gatewayv1.HTTPRoute
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-ra"}, &r); err != nil {
			return err
		}
		if have := r.Spec.ParentRefs; len(have) != 1 || fmt.Sprintf("%s %s", *have[0].Kind, have[0].Name) != parent {
			return fmt.Errorf("it attaches to %+v", have)
		}
		r.Status.Parents = []gatewayv1.RouteParentStatus{{
			ParentRef: r.Spec.ParentRefs[0], ControllerName: "example.com/gateway",
			Conditions: conditions.Merge(nil, time.Now(), r.Generation,
				conditions.True("Accepted", "Accepted", ""), conditions.True("ResolvedRefs", "ResolvedRefs", "")),
		}}
		return f.client.Status().Update(ctx, &r)
	})
}

func (f *fixture) adviceOnListeners() int {
	f.t.Helper()
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	n := 0
	for _, a := range ep.Status.Exposure[0].Advice {
		if a.About == v1alpha1.AdviceListener {
			n++
		}
	}
	return n
}
