package scependpoint

import (
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/ra/policy"
)

// modeProblem finds a template that asks for what the issuance mode cannot do.
// Templates know no mode: endpoints of different modes may use the same one.
func modeProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	mode := ep.Spec.Issuance.Mode
	for i, t := range seen.templates {
		if t.value == nil {
			continue
		}
		if problems := policy.ModeProblems(t.value.Spec, mode); len(problems) > 0 {
			return conditions.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonModeCannot, fmt.Sprintf(
				"CertificateTemplate %s asks for what issuance mode %s cannot do: %s; until then the servers keep their last configuration",
				ep.Spec.Templates[i].TemplateRef.Name, mode, strings.Join(problems, "; "))), true
		}
	}
	return metav1.Condition{}, false
}

// usableTemplates says whether a configuration can be made of the templates.
func usableTemplates(ep *v1alpha1.ScepEndpoint, seen *observation) bool {
	if _, bad := modeProblem(ep, seen); bad {
		return false
	}
	return acceptedTemplates(seen) && ambiguity(ep, seen) == nil
}
