package probe

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

var hourly = &raconfig.Canary{Level: v1alpha1.CanaryProtocol, IntervalSeconds: 3600}

// TestNoCanaryWithoutOrder: none is sent where none is wanted, or where the operator
// has told the prober to be silent.
func TestNoCanaryWithoutOrder(t *testing.T) {
	r := newRig(t)
	r.prober.CanaryKey = endpointKeys.Canary
	if got := r.look(); got.Server.Canary != nil || got.URLs[0].Canary != nil || r.key != nil {
		t.Errorf("%+v", got)
	}
	r.prober.CanaryKey, r.wanted.Canary = nil, hourly
	if got := r.look(); got.Server.Canary != nil || got.URLs[0].Canary != nil || r.key != nil {
		t.Errorf("%+v", got)
	}
}

// TestCanaryFailureCountsTheSecondTime: the rig's servers know no canaries, so each one
// fails, and is tried again at each look.
func TestCanaryFailureCountsTheSecondTime(t *testing.T) {
	r := newRig(t)
	r.prober.CanaryKey, r.wanted.Canary = endpointKeys.Canary, hourly
	first := r.look()
	if first.Server.Canary != nil || first.URLs[0].Canary != nil || !r.hasty() {
		t.Errorf("after one failure: %+v", first)
	}
	second := r.look()
	for _, got := range []*raconfig.CanaryResult{second.Server.Canary, second.URLs[0].Canary} {
		if got == nil || got.Failure == nil || got.Failure.Step != v1alpha1.CanaryGetCACert || got.Level != v1alpha1.CanaryProtocol {
			t.Errorf("after two failures: %+v", got)
		}
	}
	for range maxHasty - 1 {
		if !r.hasty() {
			t.Error("what has begun to fail is not tried soon")
		}
		r.look()
	}
	if r.hasty() {
		t.Error("a canary is sent in haste for ever")
	}
	r.wanted.Canary = nil
	if got := r.look(); got.Server.Canary != nil || got.URLs[0].Canary != nil {
		t.Errorf("turned off: %+v", got)
	}
}

// TestNoCanaryWithoutItsPass: by a way that fails, or strips header fields, none is
// sent: it would be taken for a device's.
func TestNoCanaryWithoutItsPass(t *testing.T) {
	posts := 0
	count := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				posts++
			}
			next.ServeHTTP(w, r)
		})
	}
	for name, handler := range map[string]http.Handler{
		"broken":    http.HandlerFunc(faults.Status(http.StatusBadGateway)),
		"stripping": stripping(healthy()),
	} {
		t.Run(name, func(t *testing.T) {
			p := prober(endpointKey, serve(t, count(handler)))
			p.CanaryKey = endpointKeys.Canary
			key, err := NewCanaryKey()
			if err != nil {
				t.Fatal(err)
			}
			o := &remembered{shapeDue: time.Now().Add(time.Hour)}
			for range 3 {
				o.lookAt(t.Context(), p, plain, ours, time.Hour, &canarySender{hourly, key, nil})
			}
			if posts != 0 || o.result.Canary != nil {
				t.Errorf("%d sent, %+v", posts, o.result.Canary)
			}
		})
	}
}

func TestCanaryStepsAreOfTheProtocol(t *testing.T) {
	if len(canarySteps) != 3 {
		t.Error(canarySteps)
	}
	for operation, step := range canarySteps {
		if !strings.EqualFold(operation, string(step)) {
			t.Errorf("%s: %s", operation, step)
		}
	}
}
