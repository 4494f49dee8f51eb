package route

import "github.com/scepter-pki/scepter/api/v1alpha1"

// healthPath is a request that every server answers with 200: for load balancers that
// ask the servers themselves how they are.
const healthPath = "/scep?operation=GetCACaps"

// clouds: their limits cannot be raised.
var clouds = []Implementation{
	{
		ID:                 "aws-alb",
		Name:               "AWS Application Load Balancer",
		IngressControllers: []string{"ingress.k8s.aws/alb"},
		GatewayControllers: []string{"gateway.k8s.aws/alb"},
		// Instances as targets need a NodePort, which the endpoint's Service has not.
		Always: map[string]string{
			"alb.ingress.kubernetes.io/target-type":              "ip",
			"alb.ingress.kubernetes.io/healthcheck-path":         healthPath,
			"alb.ingress.kubernetes.io/load-balancer-attributes": "idle_timeout.timeout_seconds=120",
		},
		HTTPAndHTTPS: map[string]string{"alb.ingress.kubernetes.io/listen-ports": `[{"HTTP":80},{"HTTPS":443}]`},
		HTTPSOnly:    map[string]string{"alb.ingress.kubernetes.io/listen-ports": `[{"HTTPS":443}]`},
		URLs:         v1alpha1.LongURLsLimited, LimitBytes: 16 << 10, MaxBytes: 16 << 10, OverLimit: "414",
		Harmful: []Harm{
			{Annotation: "alb.ingress.kubernetes.io/ssl-redirect", Does: redirects},
			{Annotation: "alb.ingress.kubernetes.io/actions.*", Does: "answers in the servers' place"},
		},
		Remarks: `HTTPS takes its certificate from ACM, by the host's name, and not from a Secret. A Network Load Balancer (exposure.service) has no limit.`,
	},
	{
		ID:                 "aws-nlb",
		Name:               "AWS Network Load Balancer",
		GatewayControllers: []string{"gateway.k8s.aws/nlb"},
		URLs:               v1alpha1.LongURLsPass, LimitBytes: 128 << 10, MaxBytes: 128 << 10, OverLimit: "414 of the servers",
		Remarks: `It passes bytes on; the limit is that of the servers. It takes TLSRoutes, or a Service of type LoadBalancer (exposure.service).`,
	},
	{
		ID:                 "gke",
		Name:               "Google Kubernetes Engine",
		ClassNames:         []string{"gce", "gce-internal"},
		Classless:          true,
		GatewayControllers: []string{"networking.gke.io/gateway"},
		Service:            map[string]string{"cloud.google.com/neg": `{"ingress":true}`},
		HTTPSOnly:          map[string]string{"kubernetes.io/ingress.allow-http": "false"},
		URLs:               v1alpha1.LongURLsLimited, LimitBytes: 60 << 10, MaxBytes: 60 << 10, OverLimit: "413 or 431",
		Harmful: []Harm{
			{Annotation: "networking.gke.io/v1beta1.FrontendConfig", Does: "may redirect plain HTTP (redirectToHttps)"},
			{Annotation: "kubernetes.io/ingress.allow-http", Unless: []string{"true"}, Does: hidesHTTP},
		},
		Remarks: `60 KiB of URL and header fields with the global load balancer, 64 KiB with the classic one. It asks for / as a health check, ` +
			`which an endpoint with a policy module answers with 403: have it ask for ` + healthPath + `, by a BackendConfig (Ingress) or a HealthCheckPolicy (Gateway).`,
	},
	{
		ID:                 "azure-application-gateway",
		Name:               "Azure Application Gateway",
		IngressControllers: []string{"azure/application-gateway"},
		HTTPAndHTTPS:       map[string]string{"appgw.ingress.kubernetes.io/ssl-redirect": "false"},
		HTTPSOnly:          map[string]string{"appgw.ingress.kubernetes.io/ssl-redirect": "true"},
		Always: map[string]string{
			"appgw.ingress.kubernetes.io/request-timeout":   "120",
			"appgw.ingress.kubernetes.io/health-probe-path": healthPath,
		},
		URLs: v1alpha1.LongURLsLimited, LimitBytes: 32 << 10, MaxBytes: 32 << 10, OverLimit: "400, 413 or 414",
		Harmful: []Harm{
			{Annotation: "appgw.ingress.kubernetes.io/ssl-redirect", Unless: off, Does: redirects},
			{Annotation: "appgw.ingress.kubernetes.io/backend-path-prefix", Unless: []string{"/"}, Does: rewrites},
		},
		Remarks: `8 KiB with HTTP/2: turn that off on the front end. Its web application firewall may refuse long URLs with 403.`,
	},
	{
		ID:                 "azure-containers",
		Name:               "Azure Application Gateway for Containers",
		IngressControllers: []string{"alb.networking.azure.io/alb-controller"},
		GatewayControllers: []string{"alb.networking.azure.io/alb-controller"},
		URLs:               v1alpha1.LongURLsUnknown,
		Remarks:            `No number is published: rely on the probes.`,
	},
}

// fronts are services in front of a cluster: nothing in it tells of them, but a
// device meets their limits all the same.
var fronts = []Implementation{
	{
		ID:   "azure-front-door",
		Name: "Azure Front Door",
		URLs: v1alpha1.LongURLsLimited, LimitBytes: 4096, MaxBytes: 4096, OverLimit: "400 or 414",
		Remarks: `8,192 bytes of URL, of which 4,096 for the query: no use for SCEP over GET.`,
	},
	{
		ID:      "entra-application-proxy",
		Name:    "Microsoft Entra application proxy",
		URLs:    v1alpha1.LongURLsUnknown,
		Remarks: `No number is published; URLs of iOS devices with 10.5 KB have been seen to pass.`,
	},
	{
		ID:   "cloudflare",
		Name: "Cloudflare",
		URLs: v1alpha1.LongURLsLimited, LimitBytes: 16 << 10, MaxBytes: 16 << 10, OverLimit: "414",
		Remarks: `Page and redirect rules, and "Always Use HTTPS", must leave the endpoint's hosts alone.`,
	},
}
