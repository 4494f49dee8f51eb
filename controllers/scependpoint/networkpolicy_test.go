package scependpoint

import (
	"context"
	"fmt"
	"testing"

	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
)

func TestTheNetworkPolicyOfServersComesAndGoes(t *testing.T) {
	f := newFixture(t)
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Server.NetworkPolicy = v1alpha1.NetworkPolicyGenerated })
	var policy networkingv1.NetworkPolicy
	f.waitChild("corp-ra", &policy)
	policy.Spec.Egress = []networkingv1.NetworkPolicyEgressRule{{}} // to everywhere
	if err := f.client.Update(t.Context(), &policy); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the NetworkPolicy as it was", func(ctx context.Context) error {
		if err := f.client.Get(ctx, client.ObjectKeyFromObject(&policy), &policy); err != nil {
			return err
		}
		if len(policy.Spec.Egress) != 3 {
			return fmt.Errorf("it is %+v", policy.Spec)
		}
		return nil
	})
	f.waitEvent("Restored", "NetworkPolicy corp-ra")
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Server.NetworkPolicy = v1alpha1.NetworkPolicyDisabled })
	testenv.Eventually(t, "no NetworkPolicy", func(ctx context.Context) error {
		if err := f.client.Get(ctx, client.ObjectKeyFromObject(&policy), &policy); !apierrors.IsNotFound(err) {
			return fmt.Errorf("it is there: %w", err)
		}
		return nil
	})
}
