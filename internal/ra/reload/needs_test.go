package reload

import (
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// told are needs in short: what, for which challenge, where, and by which proxy.
func told(needs []raconfig.Need) string {
	var out []string
	for _, n := range needs {
		text := string(n.Dependency) + " " + n.Name + " " + n.URL.String()
		if n.Proxy != nil {
			text += " by " + n.Proxy.String()
		}
		out = append(out, text)
	}
	return strings.Join(out, "\n")
}

// TestNeedsOfChallenges: where each calls, with nothing of a URL that may be secret.
func TestNeedsOfChallenges(t *testing.T) {
	hook := sources{entry: raconfig.Challenge{Name: "mdm", Type: v1alpha1.ChallengeWebhook, Webhook: &raconfig.Webhook{
		Hook:         raconfig.Hook{URL: "https://hook.example.com/t0ken?key=secret"},
		Notification: &raconfig.WebhookNotification{Hook: raconfig.Hook{URL: "https://told.pki.svc:8443/x"}},
	}}}
	if got := told(hook.needs()); got != "Challenge mdm https://hook.example.com\nNotification mdm https://told.pki.svc:8443" {
		t.Error(got)
	}
	hook.proxy = &raconfig.Proxy{HTTPS: "http://proxy.example.com:3128", NoProxy: []string{".svc"}}
	if got := told(hook.needs()); got != "Challenge mdm https://hook.example.com by http://proxy.example.com:3128\nNotification mdm https://told.pki.svc:8443" {
		t.Error(got)
	}
	hook.proxy = &raconfig.Proxy{HTTPS: "http://me:password@proxy.example.com:3128"}
	if got := told(hook.needs()); got != "" {
		t.Error(got)
	}
	hook.entry.Webhook.CABundle = true
	if got := told(hook.needs()); got != "" {
		t.Errorf("without the CAs that it trusts it is not called, but tried: %s", got)
	}
	intune := sources{entry: raconfig.Challenge{Name: "phones", Type: v1alpha1.ChallengeIntune, Intune: &raconfig.Intune{}}}
	if got := told(intune.needs()); !strings.HasPrefix(got, "Challenge phones https://login.microsoftonline.com\nChallenge phones https://graph.microsoft.com") {
		t.Error(got)
	}
	if got := (sources{entry: raconfig.Challenge{Name: "word", Type: v1alpha1.ChallengeStatic}}).needs(); got != nil {
		t.Errorf("%v", got)
	}
}

func TestNeedsOfRecording(t *testing.T) {
	r := Recording{
		Sink:    &Sink{Sink: raconfig.Sink{URL: "https://sink.example.com/v1/logs"}, Proxy: &raconfig.Proxy{HTTPS: "http://proxy.example.com"}},
		Tracing: &Tracing{Tracing: raconfig.Tracing{URL: "http://collector:4318/v1/traces"}},
	}
	if got := told(r.needs()); got != "AuditSink  https://sink.example.com by http://proxy.example.com\nTracing  http://collector:4318" {
		t.Error(got)
	}
	r.Sink.Err = errWithheld
	if got := told(r.needs()); got != "Tracing  http://collector:4318" {
		t.Error(got)
	}
}

// TestProxyMakesAnother: a challenge and a sink take up another proxy.
func TestProxyMakesAnother(t *testing.T) {
	proxy := &raconfig.Proxy{HTTPS: "http://proxy.example.com"}
	direct := hookSources("https://hook.example.com")
	behind := direct
	behind.proxy = proxy
	if direct.sum() == behind.sum() || newSink(raconfig.Sink{}, nil, nil).MadeFrom == newSink(raconfig.Sink{}, proxy, nil).MadeFrom {
		t.Error("a proxy changes nothing")
	}
}
