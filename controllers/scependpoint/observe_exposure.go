package scependpoint

import (
	"context"
	"fmt"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
)

func (r *Reconciler) observeExposure(ctx context.Context, ep *v1alpha1.ScepEndpoint) exposureFacts {
	facts := exposureFacts{
		certificates: map[string]read[certmanagerv1.Certificate]{},
		secrets:      map[string]secretFact{},
	}
	facts.lost = r.observeLostHosts(ctx, ep)
	if ep.Spec.Exposure.Ingress != nil {
		facts.ingressClass = r.observeIngressClass(ctx, ep.Spec.Exposure.Ingress)
		facts.raised = r.raised(implementation(ep, &observation{exposure: facts}).ID)
		for _, name := range []string{render.ChildName(ep.Name), render.TLSOnlyIngressName(ep.Name)} {
			facts.ingresses = append(facts.ingresses, get(ctx, r.client, ep.Namespace, name, &networkingv1.Ingress{}))
		}
	}
	if ep.Spec.Exposure.Gateway != nil {
		r.observeRoutes(ctx, ep, &facts)
		facts.gateways = r.observeGateways(ctx, ep)
		facts.listenerSets = r.observeListenerSets(ctx, ep, &facts)
	}
	if ep.Spec.Exposure.Service != nil {
		facts.service = get(ctx, r.client, ep.Namespace, render.ExposureServiceName(ep.Name), &corev1.Service{})
	}
	for _, host := range render.TLSSources(ep) {
		r.observeTLS(ctx, ep, host, &facts)
	}
	if name := render.ServerTLSSecretName(ep); name != "" {
		facts.serverTLS = r.observeSecret(ctx, ep.Namespace, name, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	}
	r.observeAdmin(ctx, ep, &facts)
	return facts
}

func (r *Reconciler) observeAdmin(ctx context.Context, ep *v1alpha1.ScepEndpoint, facts *exposureFacts) {
	admin := ep.Spec.Exposure.Admin
	if admin == nil {
		return
	}
	facts.adminTLS = r.observeSecret(ctx, ep.Namespace, render.AdminTLSSecretName(ep), corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	if ref := admin.BasicAuthRef; ref != nil {
		facts.adminBasic = r.observeSecret(ctx, ep.Namespace, ref.Name, corev1.BasicAuthUsernameKey, corev1.BasicAuthPasswordKey)
	}
	if callers := admin.ClientCertificates; callers != nil {
		facts.adminClients = r.observeBundle(ctx, ep.Namespace, callers.CARef.Name, callers.CARef.Key)
	}
}

// observeIngressClass reads the named class, or finds the cluster's default.
func (r *Reconciler) observeIngressClass(ctx context.Context, i *v1alpha1.IngressExposure) read[networkingv1.IngressClass] {
	if i.ClassName != nil {
		return get(ctx, r.client, "", *i.ClassName, &networkingv1.IngressClass{})
	}
	var list networkingv1.IngressClassList
	if err := r.client.List(ctx, &list); err != nil {
		return read[networkingv1.IngressClass]{err: fmt.Errorf("list IngressClasses: %w", err)}
	}
	for n := range list.Items {
		if list.Items[n].Annotations[networkingv1.AnnotationIsDefaultIngressClass] == "true" {
			return read[networkingv1.IngressClass]{value: &list.Items[n]}
		}
	}
	return read[networkingv1.IngressClass]{}
}

func (r *Reconciler) observeRoutes(ctx context.Context, ep *v1alpha1.ScepEndpoint, facts *exposureFacts) {
	facts.gatewayKinds = route.GatewayKinds{
		HTTPRoute:   r.gateway.ensure(gatewayKind("HTTPRoute")),
		TLSRoute:    r.gateway.ensure(gatewayKind("TLSRoute")),
		ListenerSet: r.gateway.ensure(gatewayKind("ListenerSet")),
	}
	name := render.ChildName(ep.Name)
	if facts.gatewayKinds.HTTPRoute {
		facts.httpRoute = get(ctx, r.client, ep.Namespace, name, &gatewayv1.HTTPRoute{})
	}
	if facts.gatewayKinds.TLSRoute {
		facts.tlsRoute = get(ctx, r.client, ep.Namespace, name, &gatewayv1.TLSRoute{})
	}
}

func (r *Reconciler) observeTLS(ctx context.Context, ep *v1alpha1.ScepEndpoint, host v1alpha1.Host, facts *exposureFacts) {
	switch {
	case host.TLS.SecretName != "":
		facts.secrets[host.Name] = r.observeSecret(ctx, ep.Namespace, host.TLS.SecretName, corev1.TLSCertKey, corev1.TLSPrivateKeyKey)
	default:
		facts.certificates[host.Name] = get(ctx, r.client, ep.Namespace, render.TLSName(ep.Name, host.Name), &certmanagerv1.Certificate{})
	}
}

// kindsOf lists the kinds of routes, and of what they attach to, that the cluster serves.
func kindsOf(k route.GatewayKinds) []schema.GroupVersionKind {
	var out []schema.GroupVersionKind
	if k.HTTPRoute {
		out = append(out, gatewayKind("HTTPRoute"))
	}
	if k.TLSRoute {
		out = append(out, gatewayKind("TLSRoute"))
	}
	if k.ListenerSet {
		out = append(out, gatewayKind("ListenerSet"))
	}
	return out
}
