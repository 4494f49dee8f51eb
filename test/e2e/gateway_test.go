package e2e

import (
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

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
