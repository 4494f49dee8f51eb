package scependpoint

import (
	"context"
	"fmt"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// withMinting has a one-time challenge, and an admin exposure with Secrets of the user's own.
func withMinting(ep *v1alpha1.ScepEndpoint) {
	ep.Spec.Challenges = []v1alpha1.Challenge{{Name: "helpdesk", Type: v1alpha1.ChallengeOneTime}}
	ep.Spec.Exposure.Admin = &v1alpha1.AdminExposure{
		Host:         "mint.example.com",
		TLS:          v1alpha1.HostTLS{SecretName: "mint-tls"},
		BasicAuthRef: &v1alpha1.LocalReference{Name: "minter"},
		ClientCertificates: &v1alpha1.AdminClientCertificates{
			CARef: v1alpha1.ConfigMapKeyReference{Name: "callers", Key: "ca.crt"}, Names: []v1alpha1.CallerName{"dns:mdm.example.com"},
		},
	}
}

func TestTheAdminExposure(t *testing.T) {
	f := newFixture(t)
	f.makeAll(withMinting)
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.waitFor(v1alpha1.ConditionOpenToAnyone, metav1.ConditionFalse, v1alpha1.ReasonProofRequired)
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonTLSNotReady, "Secret mint-tls does not exist")
	f.create(&corev1.Secret{ObjectMeta: f.meta("mint-tls"), StringData: map[string]string{"tls.crt": "c", "tls.key": "k"}})
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonBasicAuthNotFound, "Secret minter of exposure.admin")
	f.create(&corev1.Secret{ObjectMeta: f.meta("minter"), StringData: map[string]string{"username": "u", "password": "p"}})
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionFalse, v1alpha1.ReasonCABundleNotFound, "ConfigMap callers of exposure.admin.clientCertificates")
	f.create(&corev1.ConfigMap{ObjectMeta: f.meta("callers"), Data: map[string]string{"ca.crt": "PEM"}})
	f.waitFor(v1alpha1.ConditionExposed, metav1.ConditionTrue, v1alpha1.ReasonNotExposed)
	var service corev1.Service
	f.get("corp-ra-admin", &service)
	if service.Spec.Type != corev1.ServiceTypeClusterIP || service.Spec.Ports[0].TargetPort.String() != "mint" {
		t.Errorf("service %+v", service.Spec)
	}
	if _, config := f.config(); !config.Admin || config.Challenges[0].OneTime == nil || config.Challenges[0].OneTime.ValiditySeconds != 3600 {
		t.Errorf("configuration %+v", config)
	}
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Exposure.Admin = nil })
	testenv.Eventually(t, "the Service gone", func(ctx context.Context) error {
		err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-ra-admin"}, &service)
		if apierrors.IsNotFound(err) {
			return nil
		}
		return fmt.Errorf("reading it: %w", err)
	})
	f.get("corp-ra", &service) // the devices' stays
}

func TestOpenToAnyone(t *testing.T) {
	f := newFixture(t)
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) {
		ep.Spec.Challenges = []v1alpha1.Challenge{{Name: "all", Type: v1alpha1.ChallengeAnyone}}
	})
	f.waitFor(v1alpha1.ConditionOpenToAnyone, metav1.ConditionTrue, v1alpha1.ReasonAnyone, "challenge all lets in every device")
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestTheStateHasAKeyForChallenges(t *testing.T) {
	f := newFixture(t)
	f.makeAll(withMinting)
	var state corev1.Secret
	f.get("corp-ra-state", &state)
	hmac, challenge := state.Data[raconfig.HMACKeyFile], state.Data[raconfig.ChallengeKeyFile]
	if len(challenge) != render.StateKeyBytes || string(challenge) == string(hmac) {
		t.Errorf("the key for challenges has %d bytes, or is the other", len(challenge))
	}
}
