package scependpoint

import (
	"fmt"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// exposed says whether the routes and TLS certificates are in place: the first problem found.
func exposed(ep *v1alpha1.ScepEndpoint, seen *observation) metav1.Condition {
	const exposed = v1alpha1.ConditionExposed
	exposure := ep.Spec.Exposure
	if c, bad := adminProblem(ep, seen); bad {
		return c
	}
	if exposure.Ingress == nil && exposure.Gateway == nil && exposure.Service == nil {
		return withPage(ep, seen, conditions.True(exposed, v1alpha1.ReasonNotExposed, fmt.Sprintf(
			"only the Service %s leads to the servers: set exposure.ingress, exposure.gateway or exposure.service to have a way in from outside", render.ChildName(ep.Name))))
	}
	for _, check := range []func(*v1alpha1.ScepEndpoint, *observation) (metav1.Condition, bool){
		hostProblem, ingressProblem, gatewayProblem, tlsProblem, routeProblem, programmedProblem, serviceProblem, foreignProblem, probeProblem, canaryOnTheWay,
	} {
		if c, bad := check(ep, seen); bad {
			return c
		}
	}
	return withPage(ep, seen, conditions.True(exposed, v1alpha1.ReasonSucceeded, "routes and TLS certificates are in place"+probedWell(ep, seen)))
}

// adminProblem says what keeps management systems from minting challenges.
func adminProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	const exposed = v1alpha1.ConditionExposed
	admin := ep.Spec.Exposure.Admin
	if admin == nil {
		return metav1.Condition{}, false
	}
	if problem := adminTLSProblem(admin, seen.exposure.adminTLS); problem != "" {
		return conditions.False(exposed, v1alpha1.ReasonTLSNotReady, fmt.Sprintf("TLS of exposure.admin, %s: %s", admin.Host, problem)), true
	}
	if c, bad := adminBasicProblem(admin, seen.exposure.adminBasic); bad {
		return c, true
	}
	return adminClientsProblem(admin, seen.exposure.adminClients)
}

func adminBasicProblem(admin *v1alpha1.AdminExposure, basic secretFact) (metav1.Condition, bool) {
	const exposed = v1alpha1.ConditionExposed
	switch {
	case admin.BasicAuthRef == nil || basic.hasKeys:
		return metav1.Condition{}, false
	case basic.err != nil:
		return conditions.Unknown(exposed, v1alpha1.ReasonReadFailed, fmt.Sprintf("Secret %s of exposure.admin could not be read; %s", admin.BasicAuthRef.Name, tryAgain)), true
	}
	return conditions.False(exposed, v1alpha1.ReasonBasicAuthNotFound, fmt.Sprintf(
		"Secret %s of exposure.admin does not exist or lacks username or password: create it with type kubernetes.io/basic-auth", admin.BasicAuthRef.Name)), true
}

func adminClientsProblem(admin *v1alpha1.AdminExposure, bundle secretFact) (metav1.Condition, bool) {
	const exposed = v1alpha1.ConditionExposed
	if admin.ClientCertificates == nil || bundle.hasKeys {
		return metav1.Condition{}, false
	}
	ref := admin.ClientCertificates.CARef
	if bundle.err != nil {
		return conditions.Unknown(exposed, v1alpha1.ReasonReadFailed, fmt.Sprintf("ConfigMap %s of exposure.admin could not be read; %s", ref.Name, tryAgain)), true
	}
	return conditions.False(exposed, v1alpha1.ReasonCABundleNotFound, fmt.Sprintf(
		"ConfigMap %s of exposure.admin.clientCertificates does not exist or lacks %s: put the callers' CA certificates there in PEM", ref.Name, ref.Key)), true
}

func adminTLSProblem(admin *v1alpha1.AdminExposure, secret secretFact) string {
	switch {
	case admin.TLS.SecretName != "":
		return ownSecretProblem(admin.TLS.SecretName, secret)
	case secret.err != nil:
		return "its Secret could not be read; " + tryAgain
	case !secret.hasKeys:
		return "its Certificate is not issued yet: see the Certificate with the suffix -tls-admin and its issuer"
	}
	return ""
}

func ingressProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	const exposed = v1alpha1.ConditionExposed
	ingress := ep.Spec.Exposure.Ingress
	switch {
	case ingress == nil || seen.exposure.ingressClass.value != nil:
		return metav1.Condition{}, false
	case seen.exposure.ingressClass.err != nil:
		return conditions.Unknown(exposed, v1alpha1.ReasonReadFailed, "the IngressClass could not be read; "+tryAgain), true
	case implementation(ep, seen).Classless:
		return metav1.Condition{}, false
	case ingress.ClassName == nil:
		return conditions.False(exposed, v1alpha1.ReasonIngressClassNotFound,
			"no IngressClass is the cluster's default: name one in exposure.ingress.className, or install an ingress controller"), true
	}
	return conditions.False(exposed, v1alpha1.ReasonIngressClassNotFound, fmt.Sprintf(
		"IngressClass %s does not exist: install its ingress controller, or correct exposure.ingress.className", *ingress.ClassName)), true
}

func gatewayProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	missing := ""
	switch {
	case route.HTTPRoute(ep, nil) != nil && !seen.exposure.gatewayKinds.HTTPRoute:
		missing = "HTTPRoute"
	case route.TLSRoute(ep, nil) != nil && !seen.exposure.gatewayKinds.TLSRoute:
		missing = "TLSRoute"
	default:
		return metav1.Condition{}, false
	}
	return conditions.False(v1alpha1.ConditionExposed, v1alpha1.ReasonGatewayAPIMissing, fmt.Sprintf(
		"the cluster does not serve %s of %s: install the Gateway API, or use exposure.ingress", missing, gatewayKind(missing).GroupVersion())), true
}

func tlsProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	for _, host := range render.TLSSources(ep) {
		if problem := hostTLSProblem(host, seen); problem != "" {
			return conditions.False(v1alpha1.ConditionExposed, v1alpha1.ReasonTLSNotReady, fmt.Sprintf("TLS of %s: %s", host.Name, problem)), true
		}
	}
	return metav1.Condition{}, false
}

func hostTLSProblem(host v1alpha1.Host, seen *observation) string {
	if name := host.TLS.SecretName; name != "" {
		return ownSecretProblem(name, seen.exposure.secrets[host.Name])
	}
	certificate := seen.exposure.certificates[host.Name]
	switch {
	case certificate.err != nil:
		return "its Certificate could not be read; " + tryAgain
	case certificate.value == nil:
		return "its Certificate is being made"
	}
	return certificateProblem(certificate.value)
}

func ownSecretProblem(name string, secret secretFact) string {
	switch {
	case secret.err != nil:
		return fmt.Sprintf("Secret %s could not be read; %s", name, tryAgain)
	case !secret.found:
		return fmt.Sprintf("Secret %s does not exist: create it, or name an issuer in tls.issuerRef", name)
	case !secret.hasKeys:
		return fmt.Sprintf("Secret %s lacks tls.crt or tls.key: add them", name)
	}
	return ""
}

func certificateProblem(c *certmanagerv1.Certificate) string {
	for _, condition := range c.Status.Conditions {
		if condition.Type != certmanagerv1.CertificateConditionReady {
			continue
		}
		if condition.Status == cmmeta.ConditionTrue && condition.ObservedGeneration >= c.Generation {
			return ""
		}
		return fmt.Sprintf("Certificate %s is not ready, cert-manager says: %s; see its CertificateRequests and the issuer",
			c.Name, strings.TrimRight(condition.Message, ". "))
	}
	return fmt.Sprintf("Certificate %s has not been looked at: see whether cert-manager is running", c.Name)
}

// routeProblem reads back what the Gateways say. Each route must be accepted by a
// parent, and each parent must accept a route: with TLSPassthrough one listener
// takes the HTTPRoute and another the TLSRoute.
func routeProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	gateway := ep.Spec.Exposure.Gateway
	if gateway == nil {
		return metav1.Condition{}, false
	}
	parents := route.Parents(ep, listenerSets(routed(ep, seen), &seen.exposure))
	verdicts := map[route.Parent]string{}
	for _, parent := range parents {
		verdicts[parent] = noController
	}
	if route.HTTPRoute(ep, nil) != nil {
		if c, bad := judgeRoute("HTTPRoute", seen.exposure.httpRoute.err, httpRouteStatus(seen), parents, verdicts); bad {
			return c, true
		}
	}
	if route.TLSRoute(ep, nil) != nil {
		if c, bad := judgeRoute("TLSRoute", seen.exposure.tlsRoute.err, tlsRouteStatus(seen), parents, verdicts); bad {
			return c, true
		}
	}
	for _, parent := range parents {
		if verdicts[parent] != "" {
			return notAccepted(fmt.Sprintf("%s: %s", parent, verdicts[parent])), true
		}
	}
	return metav1.Condition{}, false
}

const noController = "no Gateway controller has answered"

// routeStatus is what a route of either kind shows; nil while it does not exist.
type routeStatus struct {
	generation int64
	namespace  string
	parents    []gatewayv1.RouteParentStatus
}

func httpRouteStatus(seen *observation) *routeStatus {
	r := seen.exposure.httpRoute.value
	if r == nil {
		return nil
	}
	return &routeStatus{generation: r.Generation, namespace: r.Namespace, parents: r.Status.Parents}
}

func tlsRouteStatus(seen *observation) *routeStatus {
	r := seen.exposure.tlsRoute.value
	if r == nil {
		return nil
	}
	return &routeStatus{generation: r.Generation, namespace: r.Namespace, parents: r.Status.Parents}
}

// judgeRoute notes for each parent what it says of a route (empty: accepted), and
// complains if no parent accepts it.
func judgeRoute(
	kind string, err error, status *routeStatus, parents []route.Parent, verdicts map[route.Parent]string,
) (metav1.Condition, bool) {
	switch {
	case err != nil:
		return conditions.Unknown(v1alpha1.ConditionExposed, v1alpha1.ReasonReadFailed, kind+" could not be read; "+tryAgain), true
	case status == nil:
		return notAccepted(kind + " is being made"), true
	}
	accepted, last := false, ""
	for _, parent := range parents {
		verdict := status.verdict(parent)
		if verdict == "" {
			accepted = true
		} else {
			last = verdict
		}
		if verdicts[parent] != "" {
			verdicts[parent] = verdict
		}
	}
	if !accepted {
		return notAccepted(fmt.Sprintf("no Gateway accepts the %s: %s", kind, last)), true
	}
	return metav1.Condition{}, false
}

func notAccepted(message string) metav1.Condition {
	return conditions.False(v1alpha1.ConditionExposed, v1alpha1.ReasonRouteNotAccepted, message+"; see exposure.gateway.parentRefs and the Gateway's listeners")
}

// verdict is empty if a parent has accepted the route as it is now.
func (s *routeStatus) verdict(parent route.Parent) string {
	for i := range s.parents {
		if !s.isParent(s.parents[i].ParentRef, parent) {
			continue
		}
		for _, want := range []gatewayv1.RouteConditionType{gatewayv1.RouteConditionAccepted, gatewayv1.RouteConditionResolvedRefs} {
			c := conditions.Find(s.parents[i].Conditions, string(want))
			if c == nil || c.ObservedGeneration < s.generation {
				return "its controller has not looked at the route as it is now"
			}
			if c.Status != metav1.ConditionTrue {
				return fmt.Sprintf("%s is %s: %s", want, c.Status, strings.TrimRight(c.Message, ". "))
			}
		}
		return ""
	}
	return noController
}

func (s *routeStatus) isParent(have gatewayv1.ParentReference, want route.Parent) bool {
	return want == route.Parent{
		Kind: string(ptr.Deref(have.Kind, "Gateway")), Name: string(have.Name),
		Namespace:   string(ptr.Deref(have.Namespace, gatewayv1.Namespace(s.namespace))),
		SectionName: string(ptr.Deref(have.SectionName, "")),
	}
}
