package scependpoint

import (
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// loggingAt is the endpoint with the log level that counts at a time.
func loggingAt(ep *v1alpha1.ScepEndpoint, now time.Time) *v1alpha1.ScepEndpoint {
	level := ep.Spec.Logging.LevelAt(metav1.NewTime(now))
	if level == ep.Spec.Logging.Level {
		return ep
	}
	ep = ep.DeepCopy()
	ep.Spec.Logging.Level = level
	return ep
}
