package scependpoint

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
)

// longURLs gives the verdict on SCEP over GET, by what is known of the implementations
// in front: the worst of them.
func longURLs(ep *v1alpha1.ScepEndpoint, seen *observation) metav1.Condition {
	const long = v1alpha1.ConditionLongURLs
	if c, tried := triedURLs(ep, seen); tried {
		return c
	}
	if ep.Spec.Exposure.Ingress == nil && ep.Spec.Exposure.Gateway == nil {
		return conditions.True(long, v1alpha1.ReasonSucceeded, "the servers take URLs of 64 KiB")
	}
	ways := exposureStatus(ep, seen)
	worst := ways[0]
	for _, way := range ways[1:] {
		if badness[way.LongURLs] > badness[worst.LongURLs] {
			worst = way
		}
	}
	if worst.LongURLs == v1alpha1.LongURLsPass {
		return conditions.True(long, v1alpha1.ReasonSucceeded, through(worst)+" lets URLs of 64 KiB through, as far as is known")
	}
	verdict := longURLsVerdict(worst)
	if ep.Spec.Exposure.Service != nil {
		return conditions.True(long, v1alpha1.ReasonBypassed, fmt.Sprintf(
			"%s; devices that send long requests by GET have Service %s as a way past it", verdict.Message, render.ExposureServiceName(ep.Name)))
	}
	return verdict
}

// badness puts the verdicts in an order.
var badness = map[v1alpha1.LongURLs]int{
	v1alpha1.LongURLsPass: 0, v1alpha1.LongURLsUnknown: 1, v1alpha1.LongURLsNeedSetting: 2, v1alpha1.LongURLsLimited: 3,
}

func longURLsVerdict(way v1alpha1.ExposureStatus) metav1.Condition {
	const long, unproven = v1alpha1.ConditionLongURLs, v1alpha1.ReasonLongURLsUnproven
	switch way.LongURLs {
	case v1alpha1.LongURLsNeedSetting:
		return conditions.False(long, unproven, fmt.Sprintf(
			"%s lets URLs of %d bytes through as installed; for devices that send requests by GET its administrator sets %s (ready to copy in status.exposure)",
			through(way), way.LimitBytes, way.Advice[0].Do))
	case v1alpha1.LongURLsLimited:
		return conditions.False(long, unproven, fmt.Sprintf(
			"%s lets URLs of %d bytes through and no setting raises that: for devices that send long requests by GET set exposure.service", through(way), way.LimitBytes))
	}
	return conditions.Unknown(long, unproven, fmt.Sprintf(
		"nothing is known of the limit of %s: see that it lets URLs of 64 KiB through, for devices that send requests by GET", through(way)))
}

// through names what devices come through.
func through(way v1alpha1.ExposureStatus) string {
	if way.Implementation != "" {
		return way.Implementation
	}
	return fmt.Sprintf("%s %s", way.Kind, way.Name)
}
