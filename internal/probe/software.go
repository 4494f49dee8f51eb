package probe

import (
	"bytes"
	"strings"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// signs are what software is known by: what the header field Server begins with, in lower
// case, or a part of the pages that it makes itself. The field comes first: a proxy hands
// on the pages of what is behind it.
var signs = []struct {
	software raconfig.Software
	server   string
	page     string
}{
	{software: raconfig.SoftwareNginx, server: "nginx", page: "<center>nginx"},
	{software: raconfig.SoftwareNginx, server: "openresty", page: "<center>openresty"},
	{software: raconfig.SoftwareNginx, server: "kong"},
	{software: raconfig.SoftwareNginx, server: "apisix"},
	{software: raconfig.SoftwareApache, server: "apache"},
	{software: raconfig.SoftwareCaddy, server: "caddy"},
	{software: raconfig.SoftwareEnvoy, server: "envoy"},
	{software: raconfig.SoftwareEnvoy, server: "istio-envoy"},
	{software: raconfig.SoftwareIIS, server: "microsoft-iis"},
	{software: raconfig.SoftwareIIS, server: "microsoft-httpapi"},
	{software: raconfig.SoftwareALB, server: "awselb"},
	{software: raconfig.SoftwareAppGateway, server: "microsoft-azure-application-gateway"},
	{software: raconfig.SoftwareCloudflare, server: "cloudflare"},
	// HAProxy does not name itself; these are its own pages.
	{software: raconfig.SoftwareHAProxy, page: "</h1>\nYour browser sent an invalid request.\n</body></html>"},
	{software: raconfig.SoftwareHAProxy, page: "</h1>\nNo server is available to handle this request.\n</body></html>"},
	{software: raconfig.SoftwareHAProxy, page: "</h1>\nThe server returned an invalid or incomplete response.\n</body></html>"},
	{software: raconfig.SoftwareHAProxy, page: "</h1>\nThe server didn't respond in time.\n</body></html>"},
}

// software is what an answer comes from, where that shows.
func (a *answer) software() raconfig.Software {
	server := strings.ToLower(a.header.Get("Server"))
	for _, s := range signs {
		if s.server != "" && strings.HasPrefix(server, s.server) {
			return s.software
		}
	}
	for _, s := range signs {
		if s.page != "" && bytes.Contains(a.body, []byte(s.page)) {
			return s.software
		}
	}
	return ""
}
