package route

import "github.com/scepter-pki/scepter/api/v1alpha1"

// Limits of Envoy, in bytes, for request line and header fields together.
const (
	envoyLimit = 60 << 10
	envoyMax   = 8192 << 10
)

// envoyFamily: what devices really send fits into 60 KiB; the 65,534 bytes of NDES do not.
var envoyFamily = []Implementation{
	{
		ID:                 "contour",
		Name:               "Contour",
		ClassNames:         []string{"contour"},
		GatewayControllers: []string{"projectcontour.io/gateway-controller"},
		HTTPSOnly:          map[string]string{"kubernetes.io/ingress.allow-http": "false"},
		Always:             map[string]string{"projectcontour.io/response-timeout": "120s"},
		URLs:               v1alpha1.LongURLsLimited, LimitBytes: envoyLimit, MaxBytes: envoyLimit, OverLimit: "431",
		Harmful: []Harm{
			{Annotation: "ingress.kubernetes.io/force-ssl-redirect", Unless: off, Does: redirects},
			{Annotation: "kubernetes.io/ingress.allow-http", Unless: []string{"true"}, Does: hidesHTTP},
		},
		Remarks: `Recognised by the class's name, which is all that it heeds. It has no setting for the limit.`,
	},
	{
		ID:                 "envoy-gateway",
		Name:               "Envoy Gateway",
		GatewayControllers: []string{"gateway.envoyproxy.io/gatewayclass-controller"},
		URLs:               v1alpha1.LongURLsNeedSetting, LimitBytes: envoyLimit, MaxBytes: envoyMax, OverLimit: "431",
		Raise: []Setting{{
			Where: "a ClientTrafficPolicy for the Gateway (releases after 1.9.1; earlier ones need an EnvoyPatchPolicy of the HTTP connection manager)",
			What:  "spec.headers.maxRequestHeaderLimit: 96Ki",
			Copy: `apiVersion: gateway.envoyproxy.io/v1alpha1
kind: ClientTrafficPolicy
metadata: {name: long-urls, namespace: GATEWAY-NAMESPACE}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: GATEWAY}]
  headers: {maxRequestHeaderLimit: 96Ki}
  http1: {http10: {useDefaultHost: true}}`,
		}},
		Remarks: `HTTP/1.0, which some routers speak, is refused unless the policy allows it.`,
	},
	{
		ID:                 "istio",
		Name:               "Istio",
		IngressControllers: []string{"istio.io/ingress-controller"},
		GatewayControllers: []string{"istio.io/gateway-controller"},
		URLs:               v1alpha1.LongURLsNeedSetting, LimitBytes: envoyLimit, MaxBytes: envoyMax, OverLimit: "431",
		Raise: []Setting{{
			Where: "an EnvoyFilter on the ingress gateway",
			What:  "max_request_headers_kb: 96",
			Copy: `apiVersion: networking.istio.io/v1alpha3
kind: EnvoyFilter
metadata: {name: long-urls, namespace: GATEWAY-NAMESPACE}
spec:
  workloadSelector: {labels: {gateway.networking.k8s.io/gateway-name: GATEWAY}}
  configPatches:
  - applyTo: NETWORK_FILTER
    match: {context: GATEWAY, listener: {filterChain: {filter: {name: envoy.filters.network.http_connection_manager}}}}
    patch:
      operation: MERGE
      value:
        typed_config:
          "@type": type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager
          max_request_headers_kb: 96`,
		}},
		Remarks: `An Ingress of Istio needs the Secret of its TLS in the gateway's namespace; prefer the Gateway API. HTTP/1.0 is refused unless PILOT_HTTP10=1.`,
	},
	{
		ID:                 "cilium",
		Name:               "Cilium",
		IngressControllers: []string{"cilium.io/ingress-controller", "io.cilium/ingress-controller"},
		GatewayControllers: []string{"io.cilium/gateway-controller"},
		HTTPAndHTTPS:       map[string]string{"ingress.cilium.io/force-https": "disabled"},
		HTTPSOnly:          map[string]string{"ingress.cilium.io/force-https": "enabled"},
		Always:             map[string]string{"ingress.cilium.io/request-timeout": "120s"},
		URLs:               v1alpha1.LongURLsLimited, LimitBytes: envoyLimit, MaxBytes: envoyLimit, OverLimit: "431",
		Harmful: []Harm{
			{Annotation: "ingress.cilium.io/force-https", Unless: off, Does: redirects},
		},
		Remarks: `Redirects plain HTTP as installed (ingressController.enforceHttps); Scepter turns that off for its Ingress. It has no setting for the limit.`,
	},
}
