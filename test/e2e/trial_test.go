package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/rig"
)

// notOffered is what an issuer says that does not know the template.
const notOffered = "CERTSRV_E_UNSUPPORTED_CERT_TYPE: the requested certificate template is not supported by this CA"

// TestF20TemplateNotOffered has an issuer that issues what a template asks for, and then,
// when the template changes, does not: a throw-away request tells before a device does.
func TestF20TemplateNotOffered(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F20")
	o := newOwnTier(t, "trial", life{lasts: time.Hour})
	o.change(t, func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Issuance.Trial = v1alpha1.TrialOnChange })
	mustWait(t, "the trial to pass", o.tried(v1alpha1.TrialPassed, 1))
	row.Used("an issuer that offers the template")

	o.issuer.refuse(notOffered)
	template := &v1alpha1.CertificateTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: o.namespace, Name: "device"}}
	if err := shared.api.Patch(t.Context(), template, client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"validity":"5h"}}`))); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the trial to fail", o.tried(v1alpha1.TrialFailed, 2))
	mustWait(t, "the condition", condition("ScepEndpoint", o.namespace, ownEndpoint, v1alpha1.ConditionIssuerReady,
		func(c *metav1.Condition) bool {
			return c.Reason == v1alpha1.ReasonTrialFailed && strings.Contains(c.Message, notOffered)
		}))

	o.issuer.refuse("")
	o.change(t, func(ep *v1alpha1.ScepEndpoint) {
		ep.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "the CA offers it now"}
	})
	mustWait(t, "the trial to pass", o.tried(v1alpha1.TrialPassed, 3))
	row.Used("one that does not")
	mustWait(t, "the endpoint to be Ready", rig.Ready(shared.api, o.namespace, ownEndpoint))
	mustWait(t, "a device to enrol", o.enrols(t))
}

// tried checks what became of the trial, and how many were made in all.
func (o *ownTier) tried(want v1alpha1.TrialResult, made int) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		var ep v1alpha1.ScepEndpoint
		if err := shared.api.Get(ctx, client.ObjectKey{Namespace: o.namespace, Name: ownEndpoint}, &ep); err != nil {
			return false, "", err
		}
		var all certmanagerv1.CertificateRequestList
		if err := shared.api.List(ctx, &all, client.InNamespace(o.namespace), client.HasLabels{v1alpha1.LabelTrial}); err != nil {
			return false, "", err
		}
		seen := fmt.Sprintf("%d requests, %+v", len(all.Items), ep.Status.Trials)
		return len(ep.Status.Trials) == 1 && ep.Status.Trials[0].Result == want && len(all.Items) == made, seen, nil
	}
}
