package probe

import (
	"net/http"
	"testing"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Pages as nginx 1.22 and HAProxy 2.6 make them.
const (
	nginxPage   = "<html>\r\n<head><title>414 Request-URI Too Large</title></head>\r\n<body>\r\n<center><h1>414 Request-URI Too Large</h1></center>\r\n<hr><center>nginx/1.22.1</center>\r\n</body>\r\n</html>\r\n"
	haproxyPage = "<html><body><h1>400 Bad request</h1>\nYour browser sent an invalid request.\n</body></html>\n"
)

func TestSoftwareIsKnownByItsAnswers(t *testing.T) {
	for name, c := range map[string]struct {
		server, page string
		want         raconfig.Software
	}{
		"nginx":                    {"nginx/1.22.1", nginxPage, raconfig.SoftwareNginx},
		"nginx without a field":    {"", nginxPage, raconfig.SoftwareNginx},
		"HAProxy":                  {"", haproxyPage, raconfig.SoftwareHAProxy},
		"HAProxy, gateway":         {"", "<html><body><h1>504 Gateway Time-out</h1>\nThe server didn't respond in time.\n</body></html>\n", raconfig.SoftwareHAProxy},
		"a page handed on":         {"cloudflare", nginxPage, raconfig.SoftwareCloudflare},
		"Envoy of Istio":           {"istio-envoy", "", raconfig.SoftwareEnvoy},
		"IIS":                      {"Microsoft-IIS/10.0", "", raconfig.SoftwareIIS},
		"Go":                       {"", "404 page not found\n", ""},
		"nobody":                   {"", "", ""},
		"a text that speaks of it": {"", "<p>Your browser sent an invalid request.</p>", ""},
	} {
		a := &answer{status: http.StatusBadRequest, header: http.Header{"Server": {c.server}}, body: []byte(c.page)}
		if got := a.failure(raconfig.FailureStatus, "").Software; got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}
