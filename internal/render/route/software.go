package route

import (
	"slices"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Software is a web server, proxy or load balancer as somebody runs it by hand in front of
// the servers. Nothing in the cluster tells of it: a probe knows it by its answers.
type Software struct {
	ID raconfig.Software
	// Name for people.
	Name string
	// Makes are the IDs of implementations that are made of it, and have advice of their own.
	Makes []string
	// Raise says how to raise the limit on URLs to 64 KiB; nothing where no setting does.
	Raise Setting
	// Look says for reasons of the condition Exposed where their cause is set.
	Look map[string]string
}

// software lists all that is known, in the order of docs/ingress.md.
var software = []Software{
	{
		ID: raconfig.SoftwareNginx, Name: "nginx",
		Makes: []string{"ingress-nginx", "f5-nginx", "nginx-gateway-fabric", "kong", "apisix"},
		Raise: Setting{
			Where: "the section http of its configuration, outside of any server",
			What:  "large_client_header_buffers 4 72k",
			Copy:  "large_client_header_buffers 4 72k;",
		},
		Look: map[string]string{
			v1alpha1.ReasonRedirected:  "the directives return and rewrite, and a location that ends in a slash",
			v1alpha1.ReasonHopFailed:   "the directives proxy_pass, proxy_connect_timeout and proxy_read_timeout",
			v1alpha1.ReasonPOSTRefused: "the directives limit_except and client_max_body_size, and a location of static files",
		},
	},
	{
		ID: raconfig.SoftwareHAProxy, Name: "HAProxy",
		Makes: []string{"haproxytech", "haproxy-ingress", "openshift"},
		Raise: Setting{
			Where: "the section global of its configuration (request line and header fields share one buffer)",
			What:  "tune.bufsize 131072",
			Copy:  "tune.bufsize 131072",
		},
		Look: map[string]string{
			v1alpha1.ReasonRedirected:  "the lines redirect and http-request redirect",
			v1alpha1.ReasonHopFailed:   "the lines server of the backend, their checks, timeout connect and timeout server",
			v1alpha1.ReasonPOSTRefused: "the lines http-request deny and http-request return",
		},
	},
	{
		ID: raconfig.SoftwareApache, Name: "Apache httpd",
		Raise: Setting{
			Where: "the first virtual host of each address and port",
			What:  "LimitRequestLine 70000",
			Copy:  "LimitRequestLine 70000",
		},
		Look: map[string]string{
			v1alpha1.ReasonRedirected:  "the directives Redirect, RewriteRule and DirectorySlash",
			v1alpha1.ReasonHopFailed:   "the directives ProxyPass and ProxyTimeout",
			v1alpha1.ReasonPOSTRefused: "the directives Limit, LimitExcept and LimitRequestBody",
		},
	},
	{
		ID: raconfig.SoftwareCaddy, Name: "Caddy", Makes: []string{"caddy"},
		Raise: Setting{
			Where: "the global option servers, for the server's address as it is written there",
			What:  "max_header_size 128KB",
			Copy:  "{\n\tservers :80 {\n\t\tmax_header_size 128KB\n\t}\n\tservers :443 {\n\t\tmax_header_size 128KB\n\t}\n}",
		},
		Look: map[string]string{
			v1alpha1.ReasonRedirected: "the directive redir, and auto_https, which redirects plain HTTP",
			v1alpha1.ReasonHopFailed:  "the directive reverse_proxy",
		},
	},
	{
		ID: raconfig.SoftwareEnvoy, Name: "Envoy",
		Makes: []string{"contour", "envoy-gateway", "istio", "cilium"},
		Raise: Setting{
			Where: "the HTTP connection manager",
			What:  "max_request_headers_kb: 96",
			Copy:  "max_request_headers_kb: 96",
		},
		Look: map[string]string{
			v1alpha1.ReasonRedirected: "redirect and require_tls of its virtual hosts",
			v1alpha1.ReasonHopFailed:  "the cluster of its route, and the route's timeout",
		},
	},
	{
		ID: raconfig.SoftwareIIS, Name: "IIS",
		Raise: Setting{
			Where: "request filtering of the site, with MaxFieldLength and MaxRequestBytes of HTTP.sys in the registry",
			What:  "maxUrl and maxQueryString 65534",
			Copy:  `%windir%\system32\inetsrv\appcmd set config /section:requestFiltering /requestLimits.maxQueryString:65534 /requestLimits.maxUrl:65534`,
		},
		Look: map[string]string{
			v1alpha1.ReasonRedirected:  "HTTP Redirect and the rules of URL Rewrite",
			v1alpha1.ReasonHopFailed:   "the server farm of Application Request Routing, and its time-out",
			v1alpha1.ReasonPOSTRefused: "the handler mappings: a folder of static files takes no POST",
		},
	},
	{ID: raconfig.SoftwareALB, Name: "AWS Application Load Balancer", Makes: []string{"aws-alb"}},
	{ID: raconfig.SoftwareAppGateway, Name: "Azure Application Gateway", Makes: []string{"azure-application-gateway"}},
	{
		ID: raconfig.SoftwareCloudflare, Name: "Cloudflare", Makes: []string{"cloudflare"},
		Look: map[string]string{v1alpha1.ReasonRedirected: `its page and redirect rules, and "Always Use HTTPS"`},
	},
}

// AllSoftware lists all that is known by its answers.
func AllSoftware() []Software { return slices.Clone(software) }

// SoftwareByID finds what a probe has named.
func SoftwareByID(id raconfig.Software) (Software, bool) {
	i := slices.IndexFunc(software, func(s Software) bool { return s.ID == id })
	if i < 0 {
		return Software{}, false
	}
	return software[i], true
}

// IsOf says whether an implementation, by its name for people, is made of it.
func (s Software) IsOf(implementation string) bool {
	return slices.ContainsFunc(s.Makes, func(id string) bool {
		i, known := ByID(id)
		return known && i.Name == implementation
	})
}
