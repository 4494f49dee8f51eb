package route

import "github.com/scepter-pki/scepter/api/v1alpha1"

// nginxLimit is what "large_client_header_buffers 4 8k" lets through.
const nginxLimit = 8177

// nginxBuffer is the size, in bytes, of a buffer that takes 65,534 bytes and the rest of the request line.
const nginxBuffer = 72 << 10

// nginxFamily: the request line is read before the host is known, so the buffers come
// from the listener's default server. A setting on the Ingress itself does not help.
var nginxFamily = []Implementation{
	{
		ID:                 "ingress-nginx",
		Name:               "ingress-nginx",
		IngressControllers: []string{"k8s.io/ingress-nginx"},
		HTTPAndHTTPS: map[string]string{
			"nginx.ingress.kubernetes.io/ssl-redirect":       "false",
			"nginx.ingress.kubernetes.io/force-ssl-redirect": "false",
		},
		HTTPSOnly: map[string]string{"nginx.ingress.kubernetes.io/force-ssl-redirect": "true"},
		Always: map[string]string{
			"nginx.ingress.kubernetes.io/proxy-body-size":    "1m",
			"nginx.ingress.kubernetes.io/proxy-read-timeout": "120",
		},
		URLs: v1alpha1.LongURLsNeedSetting, LimitBytes: nginxLimit, OverLimit: "414",
		Raise: []Setting{{
			Where: "the controller's ConfigMap",
			What:  `large-client-header-buffers: "4 72k"`,
			Copy: `kubectl -n ingress-nginx patch configmap ingress-nginx-controller --type merge -p '{"data":{"large-client-header-buffers":"4 72k"}}'
# or, with Helm: --set-string controller.config.large-client-header-buffers='4 72k'`,
		}},
		Global: &GlobalKey{Key: "large-client-header-buffers", Line: "4 72k", AtLeast: nginxBuffer},
		Harmful: []Harm{
			{Annotation: "nginx.ingress.kubernetes.io/ssl-redirect", Unless: off, Does: redirects},
			{Annotation: "nginx.ingress.kubernetes.io/force-ssl-redirect", Unless: off, Does: redirects},
			{Annotation: "nginx.ingress.kubernetes.io/permanent-redirect", Does: redirects},
			{Annotation: "nginx.ingress.kubernetes.io/temporal-redirect", Does: redirects},
			{Annotation: "nginx.ingress.kubernetes.io/app-root", Does: redirects},
			{Annotation: "nginx.ingress.kubernetes.io/from-to-www-redirect", Unless: off, Does: redirects},
			{Annotation: "nginx.ingress.kubernetes.io/rewrite-target", Does: rewrites},
		},
		Remarks: `Buffers of 64k are too small: the request line has to fit in as a whole, 65,521 bytes then pass. ` +
			`The project has ended (last release 1.15.1). Moving to the Gateway API with ingress2gateway loses the setting silently.`,
	},
	{
		ID:                 "f5-nginx",
		Name:               "F5 NGINX Ingress Controller",
		IngressControllers: []string{"nginx.org/ingress-controller"},
		HTTPAndHTTPS:       map[string]string{"nginx.org/ssl-redirect": "false", "ingress.kubernetes.io/ssl-redirect": "false"},
		HTTPSOnly:          map[string]string{"nginx.org/ssl-redirect": "true"},
		Always:             map[string]string{"nginx.org/client-max-body-size": "1m", "nginx.org/proxy-read-timeout": "120s"},
		URLs:               v1alpha1.LongURLsNeedSetting, LimitBytes: nginxLimit, OverLimit: "414",
		Raise: []Setting{{
			Where: "the controller's ConfigMap (add the line to those that are there)",
			What:  `http-snippets: "large_client_header_buffers 4 72k;"`,
			Copy: `kubectl -n nginx-ingress patch configmap nginx-config --type merge -p '{"data":{"http-snippets":"large_client_header_buffers 4 72k;"}}'
# or, with Helm: --set-string controller.config.entries.http-snippets='large_client_header_buffers 4 72k;'`,
		}},
		Global: &GlobalKey{
			Key: "http-snippets", Line: "large_client_header_buffers 4 72k;", Directive: "large_client_header_buffers", AtLeast: nginxBuffer,
		},
		Harmful: []Harm{
			{Annotation: "nginx.org/ssl-redirect", Unless: off, Does: redirects},
			{Annotation: "ingress.kubernetes.io/ssl-redirect", Unless: off, Does: redirects},
			{Annotation: "nginx.org/redirect-to-https", Unless: off, Does: redirects},
			{Annotation: "nginx.org/rewrites", Does: rewrites},
			{Annotation: "nginx.org/rewrite-target", Does: rewrites},
		},
	},
	{
		ID:                 "nginx-gateway-fabric",
		Name:               "NGINX Gateway Fabric",
		GatewayControllers: []string{"gateway.nginx.org/nginx-gateway-controller"},
		URLs:               v1alpha1.LongURLsNeedSetting, LimitBytes: nginxLimit, OverLimit: "414",
		Raise: []Setting{{
			Where: "a SnippetsPolicy for the Gateway, with nginxGateway.snippets.enable=true in the chart",
			What:  "large_client_header_buffers 4 72k; in context http",
			Copy: `apiVersion: gateway.nginx.org/v1alpha1
kind: SnippetsPolicy
metadata: {name: long-urls, namespace: GATEWAY-NAMESPACE}
spec:
  targetRefs: [{group: gateway.networking.k8s.io, kind: Gateway, name: GATEWAY}]
  snippets: [{context: http, value: "large_client_header_buffers 4 72k;"}]`,
		}},
		Remarks: `Scepter makes no SnippetsFilter of its own: the setting is the whole Gateway's, and given by two routes it is an nginx error that stops every route.`,
	},
	{
		ID:                 "kong",
		Name:               "Kong",
		IngressControllers: []string{"ingress-controllers.konghq.com/kong"},
		GatewayControllers: []string{"konghq.com/kic-gateway-controller"},
		HTTPAndHTTPS:       map[string]string{"konghq.com/protocols": "http,https", "konghq.com/strip-path": "false"},
		HTTPSOnly:          map[string]string{"konghq.com/protocols": "https", "konghq.com/strip-path": "false"},
		Service:            map[string]string{"konghq.com/read-timeout": "120000"},
		URLs:               v1alpha1.LongURLsNeedSetting, LimitBytes: nginxLimit, OverLimit: "414",
		Raise: []Setting{{
			Where: "the environment of the proxy's container",
			What:  `KONG_NGINX_PROXY_LARGE_CLIENT_HEADER_BUFFERS="4 72k"`,
			Copy: `kubectl -n kong set env deployment/kong-gateway KONG_NGINX_PROXY_LARGE_CLIENT_HEADER_BUFFERS='4 72k'
# or, with Helm: --set-string gateway.env.nginx_proxy_large_client_header_buffers='4 72k'`,
		}},
		Harmful: []Harm{
			{Annotation: "konghq.com/protocols", Unless: []string{"http,https", "https,http"}, Does: hidesHTTP},
			{Annotation: "konghq.com/strip-path", Unless: off, Does: rewrites},
			{Annotation: "konghq.com/rewrite", Does: rewrites},
			{Annotation: "konghq.com/path", Does: rewrites},
		},
	},
	{
		ID:                 "apisix",
		Name:               "Apache APISIX",
		IngressControllers: []string{"apisix.apache.org/apisix-ingress-controller"},
		GatewayControllers: []string{"apisix.apache.org/apisix-ingress-controller"},
		Always: map[string]string{
			"k8s.apisix.apache.org/http-to-https":         "false",
			"k8s.apisix.apache.org/upstream-read-timeout": "120s",
		},
		URLs: v1alpha1.LongURLsNeedSetting, LimitBytes: nginxLimit, OverLimit: "414",
		Raise: []Setting{{
			Where: "APISIX's config.yaml",
			What:  `nginx_config.http_configuration_snippet: "large_client_header_buffers 4 72k;"`,
			Copy: `# values of the chart "apisix":
apisix:
  nginx:
    configurationSnippet:
      httpStart: |
        large_client_header_buffers 4 72k;`,
		}},
		Harmful: []Harm{
			{Annotation: "k8s.apisix.apache.org/http-to-https", Unless: off, Does: redirects},
			{Annotation: "k8s.apisix.apache.org/http-redirect", Does: redirects},
			{Annotation: "k8s.apisix.apache.org/rewrite-target", Does: rewrites},
			{Annotation: "k8s.apisix.apache.org/rewrite-target-regex*", Does: rewrites},
		},
	},
}
