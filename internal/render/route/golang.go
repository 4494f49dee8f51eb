package route

import "github.com/scepter-pki/scepter/api/v1alpha1"

// goFamily: Go's HTTP server has one limit for request line and header fields together.
var goFamily = []Implementation{
	{
		ID:                 "traefik",
		Name:               "Traefik",
		IngressControllers: []string{"traefik.io/ingress-controller"},
		GatewayControllers: []string{"traefik.io/gateway-controller"},
		// A router with tls serves HTTPS alone, on whichever entry point.
		HTTPSOnly: map[string]string{"traefik.ingress.kubernetes.io/router.tls": "true"},
		URLs:      v1alpha1.LongURLsPass, LimitBytes: 1 << 20, OverLimit: "431",
		Raise: []Setting{{
			Where: "Traefik's static configuration, where the entry point's limit was lowered to less than 65536",
			What:  "entryPoints.NAME.http.maxHeaderBytes: 131072",
			Copy:  "--entryPoints.web.http.maxHeaderBytes=131072 --entryPoints.websecure.http.maxHeaderBytes=131072",
		}},
		Harmful: []Harm{
			{Annotation: "traefik.ingress.kubernetes.io/router.tls", Unless: off, Does: hidesHTTP},
		},
		Remarks: `A redirect of a whole entry point (entryPoints.web.http.redirections) shows nowhere in the cluster: the probes find it. ` +
			`It wins over every router; take it away, or give SCEP an entry point of its own. ` +
			`While no server is ready, an Ingress gets 404, which devices take for good, unless providers.kubernetesIngress.allowEmptyServices ` +
			`is set (503; its chart does so since 31.0.0).`,
	},
	{
		ID:         "caddy",
		Name:       "Caddy",
		ClassNames: []string{"caddy"},
		HTTPAndHTTPS: map[string]string{
			"caddy.ingress.kubernetes.io/disable-ssl-redirect": "true",
		},
		HTTPSOnly: map[string]string{"caddy.ingress.kubernetes.io/disable-ssl-redirect": "false"},
		URLs:      v1alpha1.LongURLsNeedSetting, LimitBytes: 20308, OverLimit: "431",
		Raise: []Setting{{
			Where: "Caddy's configuration, for the server's address as it is written there",
			What:  "max_header_size 128KB",
			Copy: `{
	servers :80 {
		max_header_size 128KB
	}
	servers :443 {
		max_header_size 128KB
	}
}`,
		}},
		Harmful: []Harm{
			{Annotation: "caddy.ingress.kubernetes.io/permanent-redirect", Does: redirects},
			{Annotation: "caddy.ingress.kubernetes.io/temporal-redirect", Does: redirects},
			{Annotation: "caddy.ingress.kubernetes.io/rewrite-to", Does: rewrites},
			{Annotation: "caddy.ingress.kubernetes.io/rewrite-strip-prefix", Does: rewrites},
		},
		Remarks: `Recognised by the class's name, which is all that it heeds. Up to 2.11.4 the limit was 1 MiB. ` +
			`A server's address that does not equal the listener's is ignored without a word.`,
	},
}
