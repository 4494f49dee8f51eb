package webhook

import (
	"context"
	"net/http"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
)

// headerProbe tells probes from questions, for services that keep records, and what they are for.
const headerProbe = "X-Scepter-Probe"

// What a probe is for.
const (
	// ForCertificate finds out whether a client certificate is accepted.
	ForCertificate = "client-certificate"
	// ForRecovery finds out whether a failure has passed.
	ForRecovery = "recovery"
)

// Probe calls the service as Ask does, with a client of its own, but asks nothing: by
// HEAD, or where ProbeBy says so by POST of an empty JSON object. Any answer is
// returned, whatever its status; an error is an *outbound.Error.
func (h *Hook) Probe(ctx context.Context, client *outbound.Client, purpose string) (*outbound.Answer, error) {
	request := outbound.Request{Method: http.MethodHead, URL: h.URL}
	if h.ProbeBy == v1alpha1.ClientProbePost {
		request.Method, request.Body = http.MethodPost, []byte("{}")
	}
	request.Header = h.header("probe", request.Body)
	request.Header.Set(headerProbe, purpose)
	return client.Call(ctx, request) //nolint:wrapcheck // it names the host and the fault
}
