package scependpoint

import (
	"context"
	"fmt"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
)

// TestLoggingEndsByItself raises the log level for a moment: the configuration has it,
// and then has it no more, though nobody touches the endpoint.
func TestLoggingEndsByItself(t *testing.T) {
	f := newFixture(t)
	until := metav1.NewTime(time.Now().Add(10 * time.Second))
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) {
		ep.Spec.Logging = v1alpha1.Logging{Level: v1alpha1.LogDebug, Until: &until}
	})
	for _, want := range []v1alpha1.LogLevel{v1alpha1.LogDebug, v1alpha1.LogInfo} {
		testenv.Eventually(t, "log level "+string(want), func(ctx context.Context) error {
			_, config, err := f.readConfig(ctx)
			if err == nil && config.LogLevel != want {
				err = fmt.Errorf("it is %s", config.LogLevel)
			}
			return err
		})
	}
}
