package scependpoint

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

func TestMissingRightsShowOnEnrolling(t *testing.T) {
	ep, seen := restingEndpoint()
	before := *(*seen.replicas.value)[0].status
	status := before
	status.MissingRights = []string{"watch certificaterequests.cert-manager.io", "create certificaterequests.cert-manager.io"}
	(*seen.replicas.value)[0].status = &status
	wantSays(t, enrolling(ep, seen, noon), metav1.ConditionFalse, v1alpha1.ReasonAccessMissing,
		"1 of 2 servers", "to: create certificaterequests.cert-manager.io, watch certificaterequests", "RoleBinding corp-ra",
		"auth can-i create certificaterequests.cert-manager.io -n "+ep.Namespace)
	if ailments(&status) == ailments(&before) {
		t.Error("a server that says so wakes nobody")
	}
}
