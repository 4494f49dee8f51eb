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
	if exposure.Ingress == nil && exposure.Gateway == nil {
		return conditions.True(exposed, v1alpha1.ReasonNotExposed, fmt.Sprintf(
			"only the Service %s leads to the servers: set exposure.ingress or exposure.gateway to have a route", render.ChildName(ep.Name)))
	}
	for _, check := range []func(*v1alpha1.ScepEndpoint, *observation) (metav1.Condition, bool){
		ingressProblem, gatewayProblem, tlsProblem, routeProblem,
	} {
		if c, bad := check(ep, seen); bad {
			return c
		}
	}
	return conditions.True(exposed, v1alpha1.ReasonSucceeded, "routes and TLS certificates are in place")
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
	basic := seen.exposure.adminBasic
	switch {
	case admin.BasicAuthRef == nil || basic.hasKeys:
		return metav1.Condition{}, false
	case basic.err != nil:
		return conditions.Unknown(exposed, v1alpha1.ReasonReadFailed, fmt.Sprintf("Secret %s of exposure.admin could not be read; %s", admin.BasicAuthRef.Name, tryAgain)), true
	}
	return conditions.False(exposed, v1alpha1.ReasonBasicAuthNotFound, fmt.Sprintf(
		"Secret %s of exposure.admin does not exist or lacks username or password: create it with type kubernetes.io/basic-auth", admin.BasicAuthRef.Name)), true
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
	case route.HTTPRoute(ep) != nil && !seen.exposure.gatewayKinds.HTTPRoute:
		missing = "HTTPRoute"
	case route.TLSRoute(ep) != nil && !seen.exposure.gatewayKinds.TLSRoute:
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
	verdicts := map[v1alpha1.GatewayParentReference]string{}
	for _, ref := range gateway.ParentRefs {
		verdicts[ref] = "no Gateway controller has answered"
	}
	if route.HTTPRoute(ep) != nil {
		if c, bad := judgeRoute("HTTPRoute", seen.exposure.httpRoute.err, httpRouteStatus(seen), gateway.ParentRefs, verdicts); bad {
			return c, true
		}
	}
	if route.TLSRoute(ep) != nil {
		if c, bad := judgeRoute("TLSRoute", seen.exposure.tlsRoute.err, tlsRouteStatus(seen), gateway.ParentRefs, verdicts); bad {
			return c, true
		}
	}
	for _, ref := range gateway.ParentRefs {
		if verdicts[ref] != "" {
			return notAccepted(fmt.Sprintf("Gateway %s: %s", ref.Name, verdicts[ref])), true
		}
	}
	return metav1.Condition{}, false
}

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
	kind string, err error, status *routeStatus, refs []v1alpha1.GatewayParentReference, verdicts map[v1alpha1.GatewayParentReference]string,
) (metav1.Condition, bool) {
	switch {
	case err != nil:
		return conditions.Unknown(v1alpha1.ConditionExposed, v1alpha1.ReasonReadFailed, kind+" could not be read; "+tryAgain), true
	case status == nil:
		return notAccepted(kind + " is being made"), true
	}
	accepted, last := false, ""
	for _, ref := range refs {
		verdict := status.verdict(ref)
		if verdict == "" {
			accepted = true
		} else {
			last = verdict
		}
		if verdicts[ref] != "" {
			verdicts[ref] = verdict
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
func (s *routeStatus) verdict(ref v1alpha1.GatewayParentReference) string {
	for i := range s.parents {
		if !s.isParent(s.parents[i].ParentRef, ref) {
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
	return "no Gateway controller has answered"
}

func (s *routeStatus) isParent(have gatewayv1.ParentReference, ref v1alpha1.GatewayParentReference) bool {
	namespace := ref.Namespace
	if namespace == "" {
		namespace = s.namespace
	}
	return string(have.Name) == ref.Name &&
		string(ptr.Deref(have.Namespace, gatewayv1.Namespace(s.namespace))) == namespace &&
		string(ptr.Deref(have.SectionName, "")) == ref.SectionName
}

// longURLs gives the verdict on SCEP over GET for the ingress implementation.
func longURLs(ep *v1alpha1.ScepEndpoint, seen *observation) metav1.Condition {
	const long = v1alpha1.ConditionLongURLs
	exposure := ep.Spec.Exposure
	switch {
	case exposure.Ingress == nil && exposure.Gateway == nil:
		return conditions.True(long, v1alpha1.ReasonSucceeded, "the servers take URLs of 64 KiB")
	case exposure.Ingress == nil:
		return conditions.Unknown(long, v1alpha1.ReasonLongURLsUnproven,
			"nothing is known of the Gateway's limit: see that it lets URLs of 64 KiB through, for devices that send requests by GET")
	}
	i := implementation(seen)
	switch i.URLs {
	case route.URLsPass:
		return conditions.True(long, v1alpha1.ReasonSucceeded, i.Name+" lets URLs of 64 KiB through as installed")
	case route.URLsNeedSetting:
		return conditions.False(long, v1alpha1.ReasonLongURLsUnproven, fmt.Sprintf(
			"%s lets URLs of %d bytes through as installed; for devices that send requests by GET its administrator sets %s", i.Name, i.LimitBytes, i.Setting))
	case route.URLsLimited:
		return conditions.False(long, v1alpha1.ReasonLongURLsUnproven, fmt.Sprintf(
			"%s lets URLs of %d bytes through and no setting raises that: devices that send long requests by GET need another way in", i.Name, i.LimitBytes))
	}
	return conditions.Unknown(long, v1alpha1.ReasonLongURLsUnproven, fmt.Sprintf(
		"nothing is known of the limit of %s: see that it lets URLs of 64 KiB through, for devices that send requests by GET", i.Name))
}
