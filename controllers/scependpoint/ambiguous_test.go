package scependpoint

import (
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// withKiosk adds to the resting endpoint a second template with a Microsoft name.
func withKiosk(first, second string) (*v1alpha1.ScepEndpoint, *observation) {
	ep, seen := restingEndpoint()
	ep.Spec.Templates[0].Default = true
	ep.Spec.Templates = append(ep.Spec.Templates, v1alpha1.EndpointTemplate{Name: "kiosk", TemplateRef: v1alpha1.LocalReference{Name: "kiosk"}})
	kiosk := seen.templates[0].value.DeepCopy()
	kiosk.Name = "kiosk"
	seen.templates[0].value.Spec.Microsoft = &v1alpha1.MicrosoftTemplate{Name: first}
	kiosk.Spec.Microsoft = &v1alpha1.MicrosoftTemplate{Name: second}
	seen.templates = append(seen.templates, read[v1alpha1.CertificateTemplate]{value: kiosk})
	return ep, seen
}

func TestAmbiguousTemplates(t *testing.T) {
	for name, tc := range map[string]struct {
		first, second string
		reason        string
		planned       int // templates in the configuration
	}{
		"names of their own": {"Workstation", "Kiosk", v1alpha1.ReasonSucceeded, 2},
		"the same name":      {"Kiosk", "KIOSK", v1alpha1.ReasonTemplatesAmbiguous, 1},
	} {
		t.Run(name, func(t *testing.T) {
			ep, seen := withKiosk(tc.first, tc.second)
			p := planEndpoint(ep, seen, render.Program{Image: "ra"}, route.GatewayKinds{}, noon)
			status := endpointStatus(ep, seen, p, &done{}, noon)
			got := conditions.Find(status.Conditions, v1alpha1.ConditionAccepted)
			if got.Reason != tc.reason {
				t.Errorf("Accepted is %s: %s", got.Reason, got.Message)
			}
			if n := len(p.config.Templates); n != tc.planned {
				t.Errorf("the servers are to have %d templates, want %d", n, tc.planned)
			}
		})
	}
}

func TestAmbiguityNamesBothAndTheRemedy(t *testing.T) {
	ep, seen := withKiosk("Kiosk", "KIOSK")
	const want = `templates device and kiosk both have the Microsoft template "KIOSK": leave it to one of them; until then the servers keep their last configuration`
	got, bad := ambiguityProblem(ep, seen)
	if !bad || got.Status != metav1.ConditionFalse || got.Message != want {
		t.Errorf("condition %+v", got)
	}
	seen.templates[1].value = nil
	if got, bad := ambiguityProblem(ep, seen); bad {
		t.Errorf("a template that is not there is ambiguous: %s", got.Message)
	}
}
