package e2e

import (
	"context"
	"fmt"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/test/rig"
)

// issuerCase is an issuer and what it does with the CSR of a device.
type issuerCase struct {
	ref cmmeta.IssuerReference
	// approved says whether cert-manager's own approver approves its requests.
	approved bool
	// ready and reason are the condition Ready that the request gets; "" for none: it
	// waits then, also where its issuer is not Ready.
	ready  cmmeta.ConditionStatus
	reason string
	// unsupported issuers are refused by the endpoint.
	unsupported bool
}

var issuerCases = map[string]issuerCase{
	"CA":                 {cmRef("Issuer", "fleet-ca"), true, cmmeta.ConditionTrue, certmanagerv1.CertificateRequestReasonIssued, false},
	"CA, of the cluster": {cmRef("ClusterIssuer", "issuers-ca"), true, cmmeta.ConditionTrue, certmanagerv1.CertificateRequestReasonIssued, false},
	"SelfSigned":         {cmRef("Issuer", "bootstrap"), true, cmmeta.ConditionFalse, certmanagerv1.CertificateRequestReasonFailed, true},
	"ACME":               {cmRef("Issuer", "issuers-acme"), true, "", "", true},
	"Vault, away":        {cmRef("Issuer", "issuers-vault"), true, "", "", false},
	"external, without a controller": {
		cmmeta.IssuerReference{Group: "pki.example.com", Kind: "Issuer", Name: "absent"}, false, "", "", false,
	},
}

func cmRef(kind, name string) cmmeta.IssuerReference {
	return cmmeta.IssuerReference{Group: "cert-manager.io", Kind: kind, Name: name}
}

// TestIssuerTypes shows what each type of issuer that can run here does with the
// CSR of a device, and that those which can never sign it are refused by name.
func TestIssuerTypes(t *testing.T) {
	shareCA(t)
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", "testdata/issuers.yaml"); err != nil {
		t.Fatal(err)
	}
	for name, tc := range issuerCases {
		t.Run(name, func(t *testing.T) {
			r := decent(t)
			r.GenerateName, r.Labels, r.Spec.IssuerRef = "issuers-", nil, tc.ref
			if err := shared.api.Create(t.Context(), r); err != nil {
				t.Fatal(err)
			}
			mustWait(t, "the issuer's answer", tc.answered(r))
			if tc.unsupported {
				refusedByEndpoint(t, tc.ref)
			}
		})
	}
	if err := shared.rig.Kubectl(t.Context(), "delete", "-f", "testdata/issuers.yaml", "--wait"); err != nil {
		t.Fatal(err)
	}
}

// shareCA lets a ClusterIssuer use the CA too.
func shareCA(t *testing.T) {
	t.Helper()
	secret := named(new(corev1.Secret), "fleet-ca")
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(secret), secret); err != nil {
		t.Fatal(err)
	}
	ours := &corev1.Secret{Data: secret.Data, Type: secret.Type}
	ours.Namespace, ours.Name = "cert-manager", "issuers-ca"
	create(t, ours)
}

// answered compares a request's conditions. An issuer without a controller is one
// that nothing is heard of: that nobody has approved or denied is all there is to see.
func (tc issuerCase) answered(r *certmanagerv1.CertificateRequest) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		if err := shared.api.Get(ctx, client.ObjectKeyFromObject(r), r); err != nil {
			return false, "", err
		}
		approved, ready := false, certmanagerv1.CertificateRequestCondition{}
		for _, c := range r.Status.Conditions {
			switch c.Type {
			case certmanagerv1.CertificateRequestConditionApproved:
				approved = c.Status == cmmeta.ConditionTrue
			case certmanagerv1.CertificateRequestConditionReady:
				ready = c
			}
		}
		seen := fmt.Sprintf("approved %t, ready %q %s: %s", approved, ready.Status, ready.Reason, ready.Message)
		return approved == tc.approved && ready.Status == tc.ready && ready.Reason == tc.reason, seen, nil
	}
}

// refusedByEndpoint makes an endpoint that names the issuer, and waits for its verdict.
func refusedByEndpoint(t *testing.T, ref cmmeta.IssuerReference) {
	t.Helper()
	ep := &v1alpha1.ScepEndpoint{}
	ep.Namespace, ep.Name = namespace, "unsupported"
	ep.Spec = v1alpha1.ScepEndpointSpec{
		Issuance: v1alpha1.Issuance{
			IssuerRef: v1alpha1.IssuerReference{Group: ref.Group, Kind: ref.Kind, Name: ref.Name},
			Wait:      metav1.Duration{Duration: time.Second}, PendingDeadline: metav1.Duration{Duration: time.Hour},
		},
		Templates:  []v1alpha1.EndpointTemplate{{Name: "device", TemplateRef: v1alpha1.LocalReference{Name: "device"}}},
		Challenges: []v1alpha1.Challenge{{Name: "once", Type: v1alpha1.ChallengeOneTime}},
	}
	create(t, ep)
	mustWait(t, "the endpoint to refuse its issuer", func(ctx context.Context) (bool, string, error) {
		if err := shared.api.Get(ctx, client.ObjectKeyFromObject(ep), ep); err != nil {
			return false, "", err
		}
		c := conditions.Find(ep.Status.Conditions, v1alpha1.ConditionAccepted)
		if c == nil {
			return false, "no condition yet", nil
		}
		return c.Reason == v1alpha1.ReasonUnsupportedIssuer, c.Reason + ": " + c.Message, nil
	})
	if err := shared.api.Delete(t.Context(), ep, client.PropagationPolicy(metav1.DeletePropagationForeground)); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the endpoint to be gone", func(ctx context.Context) (bool, string, error) {
		err := shared.api.Get(ctx, client.ObjectKeyFromObject(ep), ep)
		return apierrors.IsNotFound(err), fmt.Sprint(err), client.IgnoreNotFound(err)
	})
}

func create(t *testing.T, object client.Object) {
	t.Helper()
	if err := shared.api.Create(t.Context(), object); err != nil {
		t.Fatal(err)
	}
}
