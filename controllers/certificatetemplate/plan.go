package certificatetemplate

import (
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/ra/policy"
)

// verdict is what became of a template's compilation.
type verdict struct {
	ready metav1.Condition
	// err is nil if the template can be used. Only a change of the spec helps.
	err error
}

// judge compiles a template, in the very way the servers do. It is pure.
func judge(spec v1alpha1.CertificateTemplateSpec) verdict {
	_, err := policy.Compile(spec)
	if err == nil {
		return verdict{ready: conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, "The template can be used")}
	}
	return verdict{ready: conditions.False(v1alpha1.ConditionReady, reasonFor(err), messageFor(err)), err: err}
}

func reasonFor(err error) string {
	var rule *policy.RuleError
	var value *policy.ValueError
	switch {
	case errors.As(err, &rule):
		return v1alpha1.ReasonRuleInvalid
	case errors.As(err, &value):
		return v1alpha1.ReasonValueInvalid
	default:
		return v1alpha1.ReasonUsagesUnfit
	}
}

func messageFor(err error) string {
	return "Correct the template, servers go on with the one before: " + err.Error()
}
