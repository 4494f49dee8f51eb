package route

import "strings"

// LongURLs is how an implementation treats the long URLs of SCEP over GET.
type LongURLs string

// The verdicts.
const (
	// URLsPass: 64 KiB pass as installed.
	URLsPass LongURLs = "Pass"
	// URLsNeedSetting: they pass after a setting that only the administrator of the implementation can make.
	URLsNeedSetting LongURLs = "NeedSetting"
	// URLsLimited: no setting helps.
	URLsLimited LongURLs = "Limited"
	// URLsUnknown: nobody has measured it.
	URLsUnknown LongURLs = "Unknown"
)

// Implementation is what there is to know about one ingress implementation.
type Implementation struct {
	// Name for people.
	Name string
	// Controller is the IngressClass's spec.controller, or what it begins with.
	Controller string
	// HTTPAndHTTPS are the annotations by which plain HTTP and HTTPS are both served, without a redirect.
	HTTPAndHTTPS map[string]string
	// HTTPSOnly are the annotations by which plain HTTP is not served. Empty where
	// the implementation cannot express that for one Ingress; then plain HTTP is
	// served, or not, as its administrator has set it for all.
	HTTPSOnly map[string]string
	// URLs is the verdict on long URLs.
	URLs LongURLs
	// LimitBytes is the longest request target that passes as installed; 0 if unknown.
	LimitBytes int
	// Setting to be made so that 64 KiB pass, in the words of the implementation.
	Setting string
}

// unknown stands for every implementation that is not in the table.
var unknown = Implementation{Name: "this ingress implementation", URLs: URLsUnknown}

// nginxLimit is what "large_client_header_buffers 4 8k" lets through.
const nginxLimit = 8177

// implementations in the order in which they are matched. The limits were measured
// with HTTP/1.1 or read in the implementations' sources. A setting on the
// Ingress itself does not help the nginx family: the request line is read before
// the host is known.
var implementations = []Implementation{
	{
		Name:       "Traefik",
		Controller: "traefik.io/ingress-controller",
		// A router with tls serves HTTPS alone, on whichever entry point.
		HTTPSOnly:  map[string]string{"traefik.ingress.kubernetes.io/router.tls": "true"},
		URLs:       URLsPass,
		LimitBytes: 1 << 20,
	},
	{
		Name:       "ingress-nginx",
		Controller: "k8s.io/ingress-nginx",
		HTTPAndHTTPS: map[string]string{
			"nginx.ingress.kubernetes.io/ssl-redirect":       "false",
			"nginx.ingress.kubernetes.io/force-ssl-redirect": "false",
		},
		HTTPSOnly:  map[string]string{"nginx.ingress.kubernetes.io/force-ssl-redirect": "true"},
		URLs:       URLsNeedSetting,
		LimitBytes: nginxLimit,
		Setting:    `large-client-header-buffers: "4 72k" in the controller's ConfigMap`,
	},
	{
		Name:         "F5 NGINX Ingress Controller",
		Controller:   "nginx.org/ingress-controller",
		HTTPAndHTTPS: map[string]string{"nginx.org/ssl-redirect": "false", "ingress.kubernetes.io/ssl-redirect": "false"},
		HTTPSOnly:    map[string]string{"nginx.org/ssl-redirect": "true"},
		URLs:         URLsNeedSetting,
		LimitBytes:   nginxLimit,
		Setting:      `http-snippets: "large_client_header_buffers 4 72k;" in the controller's ConfigMap`,
	},
	{
		Name:         "HAProxy Kubernetes Ingress Controller",
		Controller:   "haproxy.org/ingress-controller",
		HTTPAndHTTPS: map[string]string{"haproxy.org/ssl-redirect": "false"},
		HTTPSOnly:    map[string]string{"haproxy.org/ssl-redirect": "true"},
		URLs:         URLsNeedSetting,
		LimitBytes:   15099,
		Setting:      `global-config-snippet: "tune.bufsize 131072" in the controller's ConfigMap`,
	},
	{
		Name:         "HAProxy Ingress",
		Controller:   "haproxy-ingress.github.io/controller",
		HTTPAndHTTPS: map[string]string{"haproxy-ingress.github.io/ssl-redirect": "false"},
		HTTPSOnly:    map[string]string{"haproxy-ingress.github.io/ssl-redirect": "true"},
		URLs:         URLsNeedSetting,
		LimitBytes:   15099,
		Setting:      `config-global: "tune.bufsize 131072" in the controller's ConfigMap`,
	},
	{
		Name:         "the OpenShift router",
		Controller:   "openshift.io/ingress-to-route",
		HTTPAndHTTPS: map[string]string{"route.openshift.io/insecureEdgeTerminationPolicy": "Allow"},
		HTTPSOnly:    map[string]string{"route.openshift.io/insecureEdgeTerminationPolicy": "None"},
		URLs:         URLsNeedSetting,
		LimitBytes:   24315,
		Setting:      "spec.tuningOptions.headerBufferBytes: 81920 in the IngressController",
	},
	{
		Name:       "Kong",
		Controller: "ingress-controllers.konghq.com/kong",
		HTTPSOnly:  map[string]string{"konghq.com/protocols": "https"},
		URLs:       URLsNeedSetting,
		LimitBytes: nginxLimit,
		Setting:    `KONG_NGINX_PROXY_LARGE_CLIENT_HEADER_BUFFERS="4 72k" in the proxy's environment`,
	},
	{
		Name:       "APISIX",
		Controller: "apisix.apache.org/apisix-ingress-controller",
		URLs:       URLsNeedSetting,
		LimitBytes: nginxLimit,
		Setting:    `nginx_config.http_configuration_snippet: "large_client_header_buffers 4 72k;" in its config.yaml`,
	},
	{
		Name:       "Istio",
		Controller: "istio.io/ingress-controller",
		URLs:       URLsNeedSetting,
		LimitBytes: 60 << 10,
		Setting:    "max_request_headers_kb: 96 by an EnvoyFilter on the ingress gateway",
	},
	{
		Name:       "Cilium",
		Controller: "io.cilium/ingress-controller",
		URLs:       URLsLimited,
		LimitBytes: 60 << 10,
	},
	{
		Name:       "AWS Application Load Balancer",
		Controller: "ingress.k8s.aws/alb",
		URLs:       URLsLimited,
		LimitBytes: 16 << 10,
	},
	{
		Name:       "Azure Application Gateway",
		Controller: "azure/application-gateway",
		URLs:       URLsLimited,
		LimitBytes: 32 << 10,
	},
}

// ByController finds an implementation by an IngressClass's spec.controller.
func ByController(controller string) Implementation {
	for _, i := range implementations {
		if controller == i.Controller || strings.HasPrefix(controller, i.Controller+"/") {
			return i
		}
	}
	return unknown
}
