package scependpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	acmev1 "github.com/cert-manager/cert-manager/pkg/apis/acme/v1"
	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

func TestChildrenAreMadeAndOwned(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	for name, o := range map[string]client.Object{
		"corp-ra": &appsv1.Deployment{}, "corp-ra ": &corev1.Service{}, " corp-ra": &corev1.ServiceAccount{},
		" corp-ra ": &rbacv1.RoleBinding{}, "  corp-ra": &policyv1.PodDisruptionBudget{},
		"corp-ra-config": &corev1.ConfigMap{}, "corp-ra-state": &corev1.Secret{},
	} {
		f.get(strings.TrimSpace(name), o)
		if !metav1.IsControlledBy(o, &ep) || o.GetLabels()[render.LabelManagedBy] != render.ManagedBy {
			t.Errorf("%T is not owned and labelled", o)
		}
	}
	checkReadyStatus(t, &ep)
}

func checkReadyStatus(t *testing.T, ep *v1alpha1.ScepEndpoint) {
	t.Helper()
	grants := ep.Status.Grants
	if grants == nil || len(grants.Usages) != 2 || grants.MaxDuration.Duration != 8760*time.Hour {
		t.Errorf("grants: %+v", grants)
	}
	if c := ep.Status.RACredential; c == nil || c.Name != "ra" || c.ActiveGeneration != "gen1" || c.NotAfter == nil || c.SwitchedAt == nil {
		t.Errorf("raCredential: %+v", c)
	}
	if ep.Status.Replicas != 2 || ep.Status.Selector == "" || len(ep.Status.URLs) != 1 {
		t.Errorf("replicas %d, selector %q, URLs %v", ep.Status.Replicas, ep.Status.Selector, ep.Status.URLs)
	}
}

func TestTheStateKeyIsMadeOnce(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	var before, after corev1.Secret
	f.get("corp-ra-state", &before)
	if len(before.Data[raconfig.HMACKeyFile]) != render.StateKeyBytes {
		t.Fatalf("the key has %d bytes", len(before.Data[raconfig.HMACKeyFile]))
	}
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Server.Replicas = ptr.To[int32](3) })
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	f.get("corp-ra-state", &after)
	if before.ResourceVersion != after.ResourceVersion {
		t.Error("the state Secret was written twice")
	}
}

func TestAnEditedOrDeletedChildIsRestored(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	var d appsv1.Deployment
	f.get("corp-ra", &d)
	d.Spec.Template.Spec.Containers[0].Image = "evil.example.com/ra"
	if err := f.client.Update(t.Context(), &d); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the image as it was", func(ctx context.Context) error {
		if err := f.client.Get(ctx, client.ObjectKeyFromObject(&d), &d); err != nil {
			return err
		}
		if image := d.Spec.Template.Spec.Containers[0].Image; image != "registry.example.com/ra:test" {
			return fmt.Errorf("the image is %s", image)
		}
		return nil
	})
	f.waitEvent("Restored", "Deployment corp-ra")
	var service corev1.Service
	f.get("corp-ra", &service)
	uid := service.UID
	if err := f.client.Delete(t.Context(), &service); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "another Service", func(ctx context.Context) error {
		err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-ra"}, &service)
		if err == nil && service.UID == uid {
			return errors.New("it is still the same")
		}
		return err
	})
	f.waitEvent("Created", "Service corp-ra")
}

func (f *fixture) waitEvent(reason, note string) {
	f.t.Helper()
	testenv.Eventually(f.t, "an Event "+reason, func(ctx context.Context) error {
		var list eventsv1.EventList
		if err := f.client.List(ctx, &list, client.InNamespace(f.ns)); err != nil {
			return err
		}
		var have []string
		for _, e := range list.Items {
			if e.Reason == reason && strings.Contains(e.Note, note) && e.Regarding.Kind == "ScepEndpoint" {
				return nil
			}
			have = append(have, e.Reason+": "+e.Note)
		}
		return fmt.Errorf("there are %q", have)
	})
}

// TestReferencesInAnyOrder begins with nothing but the endpoint.
// The tokens of running servers are void when their service account was deleted.
func TestAnotherServiceAccountRollsTheServersOver(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	account := &corev1.ServiceAccount{}
	f.get("corp-ra", account)
	old := account.UID
	if err := f.client.Delete(t.Context(), account); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "a Deployment that names the new service account", func(ctx context.Context) error {
		key := client.ObjectKeyFromObject(account)
		var deployment appsv1.Deployment
		if err := errors.Join(f.client.Get(ctx, key, account), f.client.Get(ctx, key, &deployment)); err != nil {
			return err
		}
		named := deployment.Spec.Template.Annotations[render.AnnotationServiceAccountUID]
		if account.UID == old || named != string(account.UID) {
			return fmt.Errorf("the service account is %s, was %s; the Deployment names %s", account.UID, old, named)
		}
		return nil
	})
}

func TestReferencesInAnyOrder(t *testing.T) {
	f := newFixture(t)
	f.create(f.endpoint())
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonTemplateNotFound)
	f.waitFor(v1alpha1.ConditionIssuerReady, metav1.ConditionFalse, v1alpha1.ReasonIssuerNotFound)
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialNotFound)
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonProgressing)
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonTemplateNotFound)

	f.makeCredential()
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialNotReady)
	f.setGenerations("gen1")
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.makeTemplate()
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonChallengeSecretNotFound)
	f.makeIssuer()
	f.waitFor(v1alpha1.ConditionIssuerReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.makeChallenge()
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.waitChild("corp-ra", &appsv1.Deployment{})
	f.runServers(2, "gen1")
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestABrokenTemplateKeepsTheLastConfiguration(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	before, _ := f.config()
	var template v1alpha1.CertificateTemplate
	f.get("device", &template)
	template.Spec.Rules = []v1alpha1.Rule{{Expression: "nonsense", Message: "no"}}
	if err := f.client.Update(t.Context(), &template); err != nil {
		t.Fatal(err)
	}
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonTemplateNotReady, "keep their last configuration")
	setStatus(f, &template, func(template *v1alpha1.CertificateTemplate) {
		template.Status.Conditions = conditions.Merge(nil, time.Now(), template.Generation,
			conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonRuleInvalid, "rules[0]: undeclared reference"))
	})
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonTemplateNotReady, "undeclared reference")
	after, _ := f.config()
	if string(before) != string(after) {
		t.Errorf("the configuration changed to:\n%s", after)
	}
	f.get("corp-ra", &appsv1.Deployment{})
}

func TestTheDefaultRACredential(t *testing.T) {
	f := newFixture(t)
	f.makeIssuer()
	f.makeTemplate()
	f.makeChallenge()
	f.create(f.endpoint(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.RACredentialRef = nil }))
	var c v1alpha1.RACredential
	f.waitChild("corp-ra", &c)
	if c.Spec.IssuerRef.Name != "corp-ca" || c.Spec.Purpose != v1alpha1.PurposeRA {
		t.Errorf("spec: %+v", c.Spec)
	}
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialNotReady)

	// A credential of another name takes over; the default goes when the other is in use.
	f.makeCredential()
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.RACredentialRef = &v1alpha1.LocalReference{Name: "ra"} })
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialNotReady)
	f.get("corp-ra", &c)
	f.setGenerations("gen1")
	testenv.Eventually(t, "the default RACredential gone", func(ctx context.Context) error {
		err := f.client.Get(ctx, client.ObjectKeyFromObject(&c), &v1alpha1.RACredential{})
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("it is there (%w)", err)
	})
}

func TestIssuersThatDifferStall(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Issuance.IssuerRef.Name = "other-ca" })
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonIssuersDiffer)
	f.waitFor(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonIssuersDiffer)
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Issuance.IssuerRef.Name = "corp-ca" })
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestANameThatIsTakenIsNotTakenOver(t *testing.T) {
	f := newFixture(t)
	f.makeIssuer()
	f.makeTemplate()
	f.makeChallenge()
	f.makeCredential("gen1")
	f.create(&corev1.Service{ObjectMeta: f.meta("corp-ra"), Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 80}}}})
	f.create(f.endpoint())
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonNotOwned, "Service corp-ra")
	var service corev1.Service
	f.get("corp-ra", &service)
	if len(service.OwnerReferences) != 0 || len(service.Spec.Selector) != 0 {
		t.Errorf("the foreign Service was written to: %+v", service.ObjectMeta)
	}
}

func TestARolloverWaitsForEveryServer(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.setGenerations("gen2", "gen1")
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonRollingOver, "held by 0/2 servers, missing: corp-ra-0, corp-ra-1")
	f.load(0, "gen2", "gen1")
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonRollingOver, "held by 1/2 servers, missing: corp-ra-1")
	if _, config := f.config(); config.ActiveGeneration != "gen1" {
		t.Fatalf("%s is shown though a server lacks it", config.ActiveGeneration)
	}
	f.load(1, "gen2", "gen1")
	testenv.Eventually(t, "the switch", func(ctx context.Context) error {
		_, config, err := f.readConfig(ctx)
		if err == nil && config.ActiveGeneration != "gen2" {
			return fmt.Errorf("%s is shown", config.ActiveGeneration)
		}
		return err
	})
	f.load(0, "gen2", "gen1")
	f.load(1, "gen2", "gen1")
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	var pod corev1.Pod
	f.get("corp-ra-0", &pod)
	if pod.Annotations[v1alpha1.AnnotationNudge] == "" {
		t.Error("the pods were not nudged")
	}
}

func TestSuspendLeavesAllAsItIs(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Suspend = true })
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)
	var service corev1.Service
	f.get("corp-ra", &service)
	if err := f.client.Delete(t.Context(), &service); err != nil {
		t.Fatal(err)
	}
	testenv.Consistently(t, "no Service", time.Second, func(ctx context.Context) error {
		if err := f.client.Get(ctx, client.ObjectKeyFromObject(&service), &corev1.Service{}); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it was made again (%w)", err)
		}
		return nil
	})
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Suspend = false })
	f.waitChild("corp-ra", &corev1.Service{})
}

func TestAtRestNothingIsWritten(t *testing.T) {
	f := newFixture(t)
	f.makeIngressClass("rest", "traefik.io/ingress-controller")
	f.makeAll(withHost("rest"))
	f.certificateReady()
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	versions := func() string {
		out := ""
		for _, o := range []client.Object{
			&v1alpha1.ScepEndpoint{ObjectMeta: f.meta("corp")}, &appsv1.Deployment{ObjectMeta: f.meta("corp-ra")}, &corev1.Service{ObjectMeta: f.meta("corp-ra")},
			&corev1.ConfigMap{ObjectMeta: f.meta("corp-ra-config")}, &rbacv1.RoleBinding{ObjectMeta: f.meta("corp-ra")}, &corev1.ServiceAccount{ObjectMeta: f.meta("corp-ra")},
			&policyv1.PodDisruptionBudget{ObjectMeta: f.meta("corp-ra")}, &networkingv1.Ingress{ObjectMeta: f.meta("corp-ra")},
			&certmanagerv1.Certificate{ObjectMeta: f.meta(render.TLSName("corp", "scep.example.com"))}, &corev1.Pod{ObjectMeta: f.meta("corp-ra-0")}, &corev1.Secret{ObjectMeta: f.meta("corp-ra-state")},
		} {
			f.get(o.GetName(), o)
			out += fmt.Sprintf("%T %s\n", o, o.GetResourceVersion())
		}
		return out
	}
	before := versions()
	for i := range 5 { // wake the controller by a change that changes nothing it wants
		var template v1alpha1.CertificateTemplate
		f.get("device", &template)
		template.Labels = map[string]string{"touched": fmt.Sprint(i)}
		if err := f.client.Update(t.Context(), &template); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Consistently(t, "no writes", 2*time.Second, func(context.Context) error {
		if after := versions(); after != before {
			return fmt.Errorf("before:\n%safter:\n%s", before, after)
		}
		return nil
	})
}

func (f *fixture) makeIngressClass(name, controller string) {
	f.t.Helper()
	class := &networkingv1.IngressClass{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: networkingv1.IngressClassSpec{Controller: controller}}
	f.create(class)
	f.t.Cleanup(func() {
		if err := testenv.Client(f.t).Delete(context.Background(), class); err != nil {
			f.t.Error(err)
		}
	})
}

func withHost(class string) func(*v1alpha1.ScepEndpoint) {
	return func(ep *v1alpha1.ScepEndpoint) {
		ep.Spec.Exposure.Hosts = []v1alpha1.Host{{Name: "scep.example.com", HTTP: v1alpha1.PlainHTTPEnabled, TLS: &v1alpha1.HostTLS{IssuerRef: &v1alpha1.IssuerReference{Name: "corp-ca"}}}}
		ep.Spec.Exposure.Ingress = &v1alpha1.IngressExposure{ClassName: &class}
	}
}

// certificateReady plays cert-manager.
func (f *fixture) certificateReady() {
	f.t.Helper()
	var c certmanagerv1.Certificate
	f.waitChild(render.TLSName("corp", "scep.example.com"), &c)
	setStatus(f, &c, func(c *certmanagerv1.Certificate) {
		c.Status.Conditions = []certmanagerv1.CertificateCondition{{Type: certmanagerv1.CertificateConditionReady, Status: cmmeta.ConditionTrue, ObservedGeneration: c.Generation}}
	})
}

func TestExposureByIngress(t *testing.T) {
	f := newFixture(t)
	f.makeAll(withHost("late"))
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonIngressClassNotFound)
	f.makeIngressClass("late", "k8s.io/ingress-nginx")
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonTLSNotReady)
	f.certificateReady()
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.waitFor(v1alpha1.ConditionLongURLs, metav1.ConditionFalse, v1alpha1.ReasonLongURLsUnproven, "large-client-header-buffers")
	var ingress networkingv1.Ingress
	f.get("corp-ra", &ingress)
	if ingress.Annotations["nginx.ingress.kubernetes.io/ssl-redirect"] != "false" {
		t.Errorf("annotations: %v", ingress.Annotations)
	}
	// Without a host all of it goes.
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Exposure = v1alpha1.Exposure{} })
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonNotExposed)
	testenv.Eventually(t, "Ingress and Certificate gone", func(ctx context.Context) error {
		ingressErr := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-ra"}, &networkingv1.Ingress{})
		certificateErr := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: render.TLSName("corp", "scep.example.com")}, &certmanagerv1.Certificate{})
		if apierrors.IsNotFound(ingressErr) && apierrors.IsNotFound(certificateErr) {
			return nil
		}
		return fmt.Errorf("Ingress: %w, Certificate: %w", ingressErr, certificateErr)
	})
}

func TestExposureByGateway(t *testing.T) {
	f := newFixture(t)
	edge := f.gateway("edge", "gateway.nginx.org/nginx-gateway-controller", httpListener("other.example.com"))
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) {
		ep.Spec.Exposure.Hosts = []v1alpha1.Host{{Name: "scep.example.com", HTTP: v1alpha1.PlainHTTPEnabled}}
		ep.Spec.Exposure.Gateway = &v1alpha1.GatewayExposure{ParentRefs: []v1alpha1.GatewayParentReference{{Name: "edge"}}, Mode: v1alpha1.GatewayHTTP}
	})
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonRouteNotAccepted)
	var r gatewayv1.HTTPRoute
	f.waitChild("corp-ra", &r)
	accept := func(observed int64) {
		setStatus(f, &r, func(r *gatewayv1.HTTPRoute) {
			r.Status.Parents = []gatewayv1.RouteParentStatus{{
				ParentRef: r.Spec.ParentRefs[0], ControllerName: "example.com/gateway",
				Conditions: conditions.Merge(nil, time.Now(), observed,
					conditions.True("Accepted", "Accepted", ""), conditions.True("ResolvedRefs", "ResolvedRefs", "")),
			}}
		})
	}
	accept(r.Generation - 1) // an answer about an earlier route does not count
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonRouteNotAccepted, "has not looked at the route as it is now")
	accept(r.Generation)
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonGatewayNotProgrammed)
	f.programmed(edge, edge.Generation)
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.waitFor(v1alpha1.ConditionLongURLs, metav1.ConditionFalse, v1alpha1.ReasonLongURLsUnproven, "NGINX Gateway Fabric", "SnippetsPolicy")
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	way := ep.Status.Exposure[0]
	if way.Name != "edge" || !slices.Equal(way.Addresses, []string{"192.0.2.90"}) || len(way.Advice) != 2 || !strings.Contains(way.Advice[1].Copy, "scep.example.com") {
		t.Errorf("exposure: %+v", way)
	}
}

func TestAFailedRequestShows(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests)
	request := &certmanagerv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: "corp-1", Labels: map[string]string{v1alpha1.LabelEndpoint: "corp"}},
		Spec:       certmanagerv1.CertificateRequestSpec{Request: []byte("csr"), IssuerRef: cmmeta.IssuerReference{Name: "corp-ca"}},
	}
	f.create(request)
	setStatus(f, request, func(request *certmanagerv1.CertificateRequest) {
		request.Status.Conditions = []certmanagerv1.CertificateRequestCondition{{
			Type: certmanagerv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: certmanagerv1.CertificateRequestReasonFailed, Message: "the CA is on fire.",
		}}
	})
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionFalse, v1alpha1.ReasonRequestsFailing, "the CA is on fire; see")
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestScaledToZero(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Server.Replicas = ptr.To[int32](0) })
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonScaledToZero)
	f.waitFor(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonScaledToZero)
}

func TestAServersProblemShows(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	for i := range 2 {
		f.servers.say(podIP(i), raconfig.ReplicaStatus{Problems: []string{"challenges/mdm/password: empty; fill it"}})
	}
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Exposure.TrustedProxies = []string{"10.0.0.0/8"} })
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonServersUnavailable, "fill it")
}

func TestAForcedReconcileIsEchoed(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.change(func(ep *v1alpha1.ScepEndpoint) {
		ep.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "now"}
	})
	testenv.Eventually(t, "the echo", func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp"}, &ep); err != nil {
			return err
		}
		if ep.Status.LastHandledReconcileAt != "now" {
			return fmt.Errorf("lastHandledReconcileAt is %q", ep.Status.LastHandledReconcileAt)
		}
		return nil
	})
}

// An issuer that cannot sign what devices ask for is refused, whatever it says of itself.
func TestUnsupportedIssuer(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.makeAll()
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	for _, config := range []certmanagerv1.IssuerConfig{
		{SelfSigned: &certmanagerv1.SelfSignedIssuer{}},
		{ACME: &acmev1.ACMEIssuer{Server: "https://acme.example.com", PrivateKey: cmmeta.SecretKeySelector{LocalObjectReference: cmmeta.LocalObjectReference{Name: "k"}}}},
	} {
		var issuer certmanagerv1.Issuer
		f.get("corp-ca", &issuer)
		issuer.Spec.IssuerConfig = config
		if err := f.client.Update(t.Context(), &issuer); err != nil {
			t.Fatal(err)
		}
		f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonUnsupportedIssuer, "issuerRef")
		f.waitFor(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonUnsupportedIssuer)
	}
}

// What the servers report of the records of enrolments becomes a condition.
func TestServersTellOfTrouble(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.makeAll()
	file, config := f.config()
	f.servers.say(podIP(0), raconfig.ReplicaStatus{
		ConfigHash: raconfig.Hash(file), ConfigGeneration: config.Endpoint.Generation, ActiveGeneration: config.ActiveGeneration,
		HeldGenerations: []string{"gen1"}, Troubles: []raconfig.Trouble{{Kind: raconfig.TroubleRecordsFull, Last: time.Now(), Count: 1}},
	})
	f.change(func(ep *v1alpha1.ScepEndpoint) {
		ep.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "now"}
	})
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionFalse, v1alpha1.ReasonRecordsFull, "ResourceQuota")
	f.load(0, "gen1")
	f.change(func(ep *v1alpha1.ScepEndpoint) {
		ep.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "again"}
	})
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests)
}

// TestAFieldThatIsFoughtOverIsContested plays somebody who changes the image each time it
// was put back: after the third time the operator stops, and names him.
func TestAFieldThatIsFoughtOverIsContested(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	const theirs = "evil.example.com/ra"
	for range 2 {
		f.setImage(theirs)
		testenv.Eventually(t, "the image to be put back", func(ctx context.Context) error { return f.imageIsNot(ctx, theirs) })
	}
	f.setImage(theirs)
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonContested,
		"Deployment corp-ra", "somebody-else", "spec.template.spec.containers[ra].image")
	f.waitFor(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonContested)
	if f.imageIsNot(t.Context(), theirs) == nil {
		t.Error("the contested image was put back")
	}
	f.setImage("registry.example.com/ra:test")
	testenv.Eventually(t, "the end of the contest", func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp"}, &ep); err != nil {
			return err
		}
		if c := conditions.Find(ep.Status.Conditions, v1alpha1.ConditionServersAvailable); c == nil || c.Reason == v1alpha1.ReasonContested {
			return fmt.Errorf("the condition: %+v", c)
		}
		return nil
	})
}

func (f *fixture) setImage(image string) {
	f.t.Helper()
	patch := fmt.Sprintf(`{"spec": {"template": {"spec": {"containers": [{"name": "ra", "image": %q}]}}}}`, image)
	d := &appsv1.Deployment{ObjectMeta: f.meta("corp-ra")}
	if err := f.client.Patch(f.t.Context(), d, client.RawPatch(types.StrategicMergePatchType, []byte(patch)), client.FieldOwner("somebody-else")); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) imageIsNot(ctx context.Context, image string) error {
	var d appsv1.Deployment
	if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-ra"}, &d); err != nil {
		return err
	}
	if d.Spec.Template.Spec.Containers[0].Image == image {
		return fmt.Errorf("the image is %s", image)
	}
	return nil
}
