package scependpoint

import (
	"slices"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// A template that asks for what the mode cannot do changes nothing for the servers.
func TestTheModeCannot(t *testing.T) {
	ep, seen := restingEndpoint()
	ep.Spec.Issuance.Mode = v1alpha1.IssuanceCertificateRequest
	ep.Status.Grants = &v1alpha1.IssuanceGrants{Usages: []certmanagerv1.KeyUsage{certmanagerv1.UsageClientAuth}}
	spec := &seen.templates[0].value.Spec
	spec.Backdate = &metav1.Duration{Duration: time.Hour}
	spec.Usages = []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature}

	p := planEndpoint(ep, seen, render.Program{Image: "ra"}, route.GatewayKinds{}, noon)
	status := endpointStatus(ep, seen, p, &done{}, noon)
	got := conditions.Find(status.Conditions, v1alpha1.ConditionAccepted)
	const want = "CertificateTemplate device asks for what issuance mode CertificateRequest cannot do: " +
		"backdate needs issuance mode Direct, for other issuers begin the validity themselves: leave it out; " +
		"until then the servers keep their last configuration"
	if got.Reason != v1alpha1.ReasonModeCannot || got.Message != want {
		t.Errorf("Accepted is %s: %s", got.Reason, got.Message)
	}
	if conditions.Find(status.Conditions, v1alpha1.ConditionStalled) == nil {
		t.Error("the endpoint is not stalled")
	}
	if p.config == nil || p.config.Templates[0].Spec.Backdate != nil {
		t.Error("the servers are to get the template")
	}
	if !slices.Equal(status.Grants.Usages, ep.Status.Grants.Usages) {
		t.Errorf("granted is %v: the servers go on with what they have", status.Grants.Usages)
	}
}

func TestTheModeStaysUntilTheTemplatesFit(t *testing.T) {
	ep, seen := restingEndpoint()
	ep.Spec.Issuance.Mode = v1alpha1.IssuanceCertificateRequest
	seen.config.value.Issuance.Mode = v1alpha1.IssuanceDirect
	seen.templates[0].value.Spec.Backdate = &metav1.Duration{Duration: time.Hour}
	if mode := effective(ep, seen).Spec.Issuance.Mode; mode != v1alpha1.IssuanceDirect {
		t.Errorf("the mode is to be %s", mode)
	}
	seen.templates[0].value.Spec.Backdate = nil
	if mode := effective(ep, seen).Spec.Issuance.Mode; mode != v1alpha1.IssuanceCertificateRequest {
		t.Errorf("the mode is to be %s, though the template fits", mode)
	}
}

// What the servers may ask for is all that some key may have.
func TestGrantsHoldTheUsagesOfEachKey(t *testing.T) {
	ep, seen := restingEndpoint()
	ep.Spec.Issuance.Mode = v1alpha1.IssuanceCertificateRequest
	spec := &seen.templates[0].value.Spec
	spec.Usages = []certmanagerv1.KeyUsage{certmanagerv1.UsageClientAuth}
	spec.Keys = []v1alpha1.KeyRequirement{{Algorithm: v1alpha1.RSAKey, Usages: []certmanagerv1.KeyUsage{certmanagerv1.UsageKeyEncipherment}}}
	want := []certmanagerv1.KeyUsage{certmanagerv1.UsageClientAuth, certmanagerv1.UsageKeyEncipherment}
	if got := grants(ep, seen).Usages; !slices.Equal(got, want) {
		t.Errorf("granted is %v, want %v", got, want)
	}
}
