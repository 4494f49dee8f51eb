package scependpoint

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
)

// accessMissing says which rights servers lack, as they reviewed them: whatever they were
// bound to, the API server has the last word.
func accessMissing(ep *v1alpha1.ScepEndpoint, seen *observation) (metav1.Condition, bool) {
	if seen.replicas.value == nil {
		return metav1.Condition{}, false
	}
	var missing []string
	servers, lacking := 0, 0
	for _, r := range *seen.replicas.value {
		if r.status == nil {
			continue
		}
		servers++
		if len(r.status.MissingRights) > 0 {
			lacking++
			missing = append(missing, r.status.MissingRights...)
		}
	}
	if lacking == 0 {
		return metav1.Condition{}, false
	}
	slices.Sort(missing)
	missing = slices.Compact(missing)
	binding := render.ChildName(ep.Name)
	if render.IsDirect(ep) {
		binding = render.DirectRoleBindingName(ep.Name)
	}
	return conditions.False(v1alpha1.ConditionEnrolling, v1alpha1.ReasonAccessMissing, fmt.Sprintf(
		"the API server does not allow %d of %d servers to: %s. Install the ClusterRole that RoleBinding %s names as it came with the operator, "+
			"and see what else authorizes; kubectl auth can-i %s -n %s --as system:serviceaccount:%s:%s tells when it is mended",
		lacking, servers, strings.Join(missing, ", "), binding, missing[0], ep.Namespace, ep.Namespace, render.ChildName(ep.Name))), true
}
