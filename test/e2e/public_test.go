package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net/http"
	"slices"
	"strings"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/rig"
)

// ndesURL is the longest request target, in bytes, that NDES takes.
const ndesURL = 65534

// TestPublicService exposes an endpoint of its own by ports of the nodes: no proxy is
// in between, the servers end TLS, and URLs of 65,534 bytes arrive.
func TestPublicService(t *testing.T) {
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", "testdata/public.yaml"); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the endpoint of its own Service to be Ready", rig.Ready(shared.api, namespace, "public"))
	ep := named(&v1alpha1.ScepEndpoint{}, "public")
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(ep), ep); err != nil {
		t.Fatal(err)
	}
	if len(ep.Status.URLs) != 2 || !slices.IsSorted(ep.Status.URLs) {
		t.Fatalf("URLs %v: want one for plain HTTP and one for HTTPS", ep.Status.URLs)
	}
	for _, url := range ep.Status.URLs {
		// The nodes' proxies learn of a server when its readiness is known, not before.
		mustWait(t, url+" to be open", func(ctx context.Context) (bool, string, error) {
			_, err := newClient(url, shared.rig.Dial).GetCACaps(ctx)
			return err == nil, "", err
		})
		mustEnrol(t, newClient(url, shared.rig.Dial), enrolment(t, newName()))
		mustTakeLongURL(t, url)
	}
	if err := shared.rig.Kubectl(t.Context(), "delete", "scependpoint", "public", "-n", namespace, "--wait"); err != nil {
		t.Fatal(err)
	}
}

// mustTakeLongURL asks for capabilities with a request target of exactly ndesURL bytes.
func mustTakeLongURL(t *testing.T, url string) {
	t.Helper()
	target := "/scep?operation=GetCACaps&message="
	target += strings.Repeat("A", ndesURL-len(target))
	request, err := http.NewRequestWithContext(within(t, enrolLimit), http.MethodGet, strings.TrimSuffix(url, "/scep")+target, nil)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(shared.ca)
	transport := &http.Transport{DialContext: shared.rig.Dial, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}}
	defer transport.CloseIdleConnections()
	response, err := (&http.Client{Transport: transport}).Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		t.Errorf("%s with %d bytes: %s", url, ndesURL, response.Status)
	}
}
