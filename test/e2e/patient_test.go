package e2e

import (
	"io"
	"net/http"
	"time"
)

// patient comes again when the ingress says, on its own account, that there is no server:
// Traefik reads its routes every two seconds, and answers 503 while all the servers that it
// knows are gone. The servers' own 503 says when to come again, and is passed on.
type patient struct{ next http.RoundTripper }

const (
	ingressLag   = 15 * time.Second
	ingressPause = 500 * time.Millisecond
)

func (p patient) RoundTrip(r *http.Request) (*http.Response, error) {
	for began := time.Now(); ; {
		response, err := p.next.RoundTrip(r)
		if err != nil || !noServer(response) || time.Since(began) > ingressLag {
			return response, err //nolint:wrapcheck // of the transport that it stands for
		}
		_, _ = io.Copy(io.Discard, response.Body)
		_ = response.Body.Close()
		select {
		case <-r.Context().Done():
			return nil, r.Context().Err() //nolint:wrapcheck // of the transport that it stands for
		case <-time.After(ingressPause):
		}
		if r, err = again(r); err != nil {
			return nil, err
		}
	}
}

func noServer(response *http.Response) bool {
	return response.StatusCode == http.StatusServiceUnavailable && response.Header.Get("Retry-After") == ""
}

// again is the same request with its body from the start.
func again(r *http.Request) (*http.Request, error) {
	next := r.Clone(r.Context())
	if r.GetBody == nil {
		return next, nil
	}
	body, err := r.GetBody()
	next.Body = body
	return next, err //nolint:wrapcheck // of the transport that it stands for
}
