package e2e

import (
	"context"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// TestGateway exposes an endpoint of its own by an HTTPRoute, with the RA
// credential that is made where none is named.
func TestGateway(t *testing.T) {
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", "testdata/gateway.yaml"); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the endpoint behind the Gateway to be Ready", rig.Ready(shared.api, namespace, "gated"))
	mustEnrol(t, newClient("http://gated.example.com/scep", shared.rig.Dial), enrolment(t, newName()))

	route := named(&gatewayv1.HTTPRoute{}, "gated-ra")
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(route), route); err != nil {
		t.Fatal(err)
	}
	if err := shared.rig.Kubectl(t.Context(), "delete", "scependpoint", "gated", "-n", namespace, "--wait"); err != nil {
		t.Fatal(err)
	}
}

// TestTLSPassthrough exposes an endpoint of its own by a TLSRoute: Traefik passes TLS on
// without a look into it, and the servers end it with their own certificate. So no limit of
// Traefik's touches a URL.
func TestTLSPassthrough(t *testing.T) {
	t.Parallel()
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", "testdata/sealed.yaml"); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the endpoint behind the TLSRoute to be Ready", rig.Ready(shared.api, namespace, "sealed"))
	const url = "https://sealed.example.com/scep"
	mustWait(t, "the Gateway to know the route", func(ctx context.Context) (bool, string, error) {
		_, err := newClient(url, shared.rig.Dial).GetCACaps(ctx)
		return err == nil, "", err
	})
	mustEnrol(t, newClient(url, shared.rig.Dial), enrolment(t, newName()))
	byGET, request := newClient(url, shared.rig.Dial), enrolment(t, newName())
	byGET.Method, request.Certificate = scep.MethodGET, stout(t, request.Key, 40_000)
	mustEnrol(t, byGET, request)
	mustTakeLongURL(t, url)

	route := named(&gatewayv1.TLSRoute{}, "sealed-ra")
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(route), route); err != nil {
		t.Fatal(err)
	}
	if err := shared.rig.Kubectl(t.Context(), "delete", "scependpoint", "sealed", "-n", namespace, "--wait=false"); err != nil {
		t.Fatal(err)
	}
}
