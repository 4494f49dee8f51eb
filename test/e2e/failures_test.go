package e2e

import (
	"context"
	"slices"
	"testing"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/failures"
	"github.com/scepter-pki/scepter/test/rig"
)

// figuresFile keeps what the tests of the catalogue's rows measured.
const figuresFile = "../failures/figures.yaml"

// failureProof is the proof of a row of the catalogue in this cluster.
type failureProof struct {
	*failures.Proof
	t *testing.T
}

// failureRow begins the proof of a row: test/failures/catalogue.yaml has what it
// promises, and the test fails where a promise is not kept or a step is missing.
func failureRow(t *testing.T, id string) *failureProof {
	t.Helper()
	return &failureProof{failures.Begin(t, id), t}
}

// mustDetect waits until an object shows the condition and the reason of the row.
func (p *failureProof) mustDetect(namespace, name string) {
	p.t.Helper()
	promise := p.Row.Promise
	mustWait(p.t, "the condition of "+p.Row.ID, condition(promise.On, namespace, name, promise.Condition,
		func(c *metav1.Condition) bool { return c.Reason == promise.Reason }))
	p.Detected(promise.Condition, promise.Reason)
}

// mustHeal waits until a device enrols and the object is Ready again.
func (p *failureProof) mustHeal(namespace, name string, enrols rig.Check) {
	p.t.Helper()
	mustWait(p.t, "a device to enrol", enrols)
	mustWait(p.t, name+" to be Ready", condition(p.Row.Promise.On, namespace, name, v1alpha1.ConditionReady, isTrue))
	p.Healed()
}

// refusedCase is a request that a device does not get through with, and what tells why.
type refusedCase struct {
	reason   refusal.Reason
	failInfo scep.FailInfo
	// says are parts of the failInfoText.
	says []string
	send func() (*scep.Result, error)
}

// mustRefuse has devices refused for the reasons of the row: each is told to the device, is
// in the audit record, and is counted under its own name.
func (p *failureProof) mustRefuse(cases ...refusedCase) {
	p.t.Helper()
	var reasons []string
	for _, c := range cases {
		reason := string(c.reason)
		before := refusalsFor(p.t, reason)
		result, err := c.send()
		mustRefuse(p.t, result, err, c.says...)
		if result.FailInfo != c.failInfo {
			p.t.Errorf("%s: failInfo %s, want %s", reason, result.FailInfo, c.failInfo)
		}
		mustBeAudited(p.t, result.TransactionID, reason)
		if after := refusalsFor(p.t, reason); after <= before {
			p.t.Errorf("the metric of refusals for %s went from %v to %v", reason, before, after)
		}
		if !slices.Contains(reasons, reason) {
			reasons = append(reasons, reason)
		}
	}
	p.Detected(reasons...)
}

func isTrue(c *metav1.Condition) bool { return c.Status == metav1.ConditionTrue }

// condition checks that a condition of one of our objects is as it should be, for its
// present spec.
func condition(kind, namespace, name, conditionType string, fits func(*metav1.Condition) bool) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		conditions, generation, err := conditionsOf(ctx, kind, client.ObjectKey{Namespace: namespace, Name: name})
		if err != nil {
			return false, "", err
		}
		have := meta.FindStatusCondition(conditions, conditionType)
		if have == nil {
			return false, "no condition " + conditionType, nil
		}
		seen := have.Type + "=" + string(have.Status) + " " + have.Reason + ": " + have.Message
		return fits(have) && have.ObservedGeneration == generation, seen, nil
	}
}

// conditionsOf reads one of our objects.
func conditionsOf(ctx context.Context, kind string, key client.ObjectKey) ([]metav1.Condition, int64, error) {
	if kind == "RACredential" {
		var rc v1alpha1.RACredential
		err := shared.api.Get(ctx, key, &rc)
		return rc.Status.Conditions, rc.Generation, err
	}
	var ep v1alpha1.ScepEndpoint
	err := shared.api.Get(ctx, key, &ep)
	return ep.Status.Conditions, ep.Generation, err
}
