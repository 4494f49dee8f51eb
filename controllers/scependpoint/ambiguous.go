package scependpoint

import (
	"errors"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/ra/policy/selection"
)

// ambiguity finds two templates of an endpoint that answer to the same Microsoft name
// or OID; nil if there are none, or not all templates were read. The API server
// cannot tell: templates are objects of their own.
func ambiguity(ep *v1alpha1.ScepEndpoint, seen *observation) *selection.AmbiguousError {
	var entries []selection.Entry
	for i, t := range seen.templates {
		if t.value == nil {
			return nil
		}
		entry := ep.Spec.Templates[i]
		entries = append(entries, selection.Entry{
			Name: entry.Name, Default: entry.Default, KeyUsage: entry.KeyUsage, Microsoft: t.value.Spec.Microsoft,
		})
	}
	_, err := selection.New(entries)
	var ambiguous *selection.AmbiguousError
	errors.As(err, &ambiguous)
	return ambiguous
}

func ambiguityProblem(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	ambiguous := ambiguity(ep, seen)
	if ambiguous == nil {
		return metav1.Condition{}, false
	}
	return conditions.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonTemplatesAmbiguous,
		ambiguous.Error()+"; until then the servers keep their last configuration"), true
}
