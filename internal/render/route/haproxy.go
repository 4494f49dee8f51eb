package route

import "github.com/scepter-pki/scepter/api/v1alpha1"

// haproxyLimit is what a buffer of 16,384 bytes with 1,024 kept free lets through,
// together with the other header fields of a device.
const haproxyLimit = 15099

// haproxyBuffer is the size, in bytes, of a buffer that takes 65,534 bytes, other
// header fields, and what is kept free.
const haproxyBuffer = 72 << 10

// haproxyFamily: request line and header fields share one buffer.
var haproxyFamily = []Implementation{
	{
		ID:                 "haproxytech",
		Name:               "HAProxy Kubernetes Ingress Controller",
		IngressControllers: []string{"haproxy.org/ingress-controller"},
		GatewayControllers: []string{"haproxy.org/gateway-controller"},
		HTTPAndHTTPS:       map[string]string{"haproxy.org/ssl-redirect": "false"},
		HTTPSOnly:          map[string]string{"haproxy.org/ssl-redirect": "true"},
		Always:             map[string]string{"haproxy.org/timeout-server": "120s"},
		URLs:               v1alpha1.LongURLsNeedSetting, LimitBytes: haproxyLimit, OverLimit: "400",
		Raise: []Setting{
			{
				Where: "the controller's ConfigMap (add the line to those that are there)",
				What:  `global-config-snippet: "tune.bufsize 131072"`,
				Copy: `kubectl -n haproxy-controller patch configmap haproxy-kubernetes-ingress --type merge -p '{"data":{"global-config-snippet":"tune.bufsize 131072"}}'
# or, with Helm: --set-string controller.config.global-config-snippet='tune.bufsize 131072'`,
			},
			{
				Where: "the Global resource that the ConfigMap's cr-global names, where snippets are forbidden (--disable-config-snippets)",
				What:  "tune_options.bufsize: 131072",
			},
		},
		Global: &GlobalKey{Key: "global-config-snippet", Line: "tune.bufsize 131072", Directive: "tune.bufsize", AtLeast: haproxyBuffer},
		Harmful: []Harm{
			{Annotation: "haproxy.org/ssl-redirect", Unless: off, Does: redirects},
			{Annotation: "haproxy.org/request-redirect", Does: redirects},
			{Annotation: "haproxy.org/path-rewrite", Does: rewrites},
		},
	},
	{
		ID:                 "haproxy-ingress",
		Name:               "HAProxy Ingress",
		IngressControllers: []string{"haproxy-ingress.github.io/controller"},
		GatewayControllers: []string{"haproxy-ingress.github.io/controller"},
		HTTPAndHTTPS:       map[string]string{"haproxy-ingress.github.io/ssl-redirect": "false"},
		HTTPSOnly:          map[string]string{"haproxy-ingress.github.io/ssl-redirect": "true"},
		Always: map[string]string{
			"haproxy-ingress.github.io/proxy-body-size": "1m",
			"haproxy-ingress.github.io/timeout-server":  "120s",
		},
		URLs: v1alpha1.LongURLsNeedSetting, LimitBytes: haproxyLimit, OverLimit: "400",
		Raise: []Setting{{
			Where: "the controller's ConfigMap (add the line to those that are there)",
			What:  `config-global: "tune.bufsize 131072"`,
			Copy: `kubectl -n ingress-controller patch configmap haproxy-ingress --type merge -p '{"data":{"config-global":"tune.bufsize 131072"}}'
# or, with Helm: --set-string controller.config.config-global='tune.bufsize 131072'`,
		}},
		Global: &GlobalKey{Key: "config-global", Line: "tune.bufsize 131072", Directive: "tune.bufsize", AtLeast: haproxyBuffer},
		Harmful: []Harm{
			{Annotation: "haproxy-ingress.github.io/ssl-redirect", Unless: off, Does: redirects},
			{Annotation: "ingress.kubernetes.io/ssl-redirect", Unless: off, Does: redirects},
			{Annotation: "haproxy-ingress.github.io/redirect-to", Does: redirects},
			{Annotation: "haproxy-ingress.github.io/app-root", Does: redirects},
			{Annotation: "haproxy-ingress.github.io/rewrite-target", Does: rewrites},
		},
	},
	{
		ID:                 "openshift",
		Name:               "the OpenShift router",
		IngressControllers: []string{"openshift.io/ingress-to-route"},
		HTTPAndHTTPS:       map[string]string{"route.openshift.io/insecureEdgeTerminationPolicy": "Allow"},
		HTTPSOnly:          map[string]string{"route.openshift.io/insecureEdgeTerminationPolicy": "None"},
		Always:             map[string]string{"haproxy.router.openshift.io/timeout": "120s"},
		URLs:               v1alpha1.LongURLsNeedSetting, LimitBytes: 24315, OverLimit: "400",
		Raise: []Setting{{
			Where: "the IngressController (one a shard)",
			What:  "spec.tuningOptions.headerBufferBytes: 81920",
			Copy:  `oc -n openshift-ingress-operator patch ingresscontroller default --type merge -p '{"spec":{"tuningOptions":{"headerBufferBytes":81920,"headerBufferMaxRewriteBytes":8192}}}'`,
		}},
		Harmful: []Harm{
			{Annotation: "route.openshift.io/insecureEdgeTerminationPolicy", Unless: []string{"allow"}, Does: "redirects plain HTTP or closes it"},
			{Annotation: "haproxy.router.openshift.io/rewrite-target", Does: rewrites},
		},
	},
}
