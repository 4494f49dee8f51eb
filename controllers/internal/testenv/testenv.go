// Package testenv gives controller tests a real API server, with the kinds of
// Scepter, cert-manager and the Gateway API installed. A package starts one:
//
//	func TestMain(m *testing.M) { testenv.Main(m) }
//
// and each test works in a namespace of its own, with a manager that sees only that:
//
//	ns := testenv.Namespace(t)
//	testenv.StartManager(t, ns, reconciler.SetupWithManager)
//
// There is no kubelet and no controller but those under test: what
// cert-manager or a Deployment controller would do, the test does.
package testenv

import (
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"k8s.io/apimachinery/pkg/runtime"
	utilruntime "k8s.io/apimachinery/pkg/util/runtime"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"k8s.io/client-go/rest"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/apiserver"
)

// config reaches the API server of this test binary; Main sets it before any test runs.
var config *rest.Config

// Main starts the API server, runs the tests, stops the server, and exits.
func Main(m *testing.M) {
	apiserver.Main(m, func(s *apiserver.Server) error {
		config = s.Config
		return nil
	})
}

// Scheme knows Kubernetes' own kinds and those of Scepter, cert-manager and the Gateway API.
func Scheme() *runtime.Scheme {
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme,
		apiextensionsv1.AddToScheme,
		certmanagerv1.AddToScheme,
		gatewayv1.Install,
		v1alpha1.AddToScheme,
	} {
		utilruntime.Must(add(scheme))
	}
	return scheme
}
