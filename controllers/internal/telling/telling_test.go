package telling_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/events"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/telling"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
)

func drain(recorder *events.FakeRecorder) []string {
	var out []string
	for len(recorder.Events) > 0 {
		out = append(out, <-recorder.Events)
	}
	return out
}

func TestTransitions(t *testing.T) {
	good := []metav1.Condition{conditions.True("Ready", "Succeeded", "all"), conditions.True("Issued", "Succeeded", "done")}
	bad := []metav1.Condition{
		conditions.False("Ready", "IssuanceFailed", "mend it"),
		conditions.False("Issued", "IssuanceFailed", "mend it"),
		conditions.True("Reconciling", "IssuanceFailed", "mend it"),
	}
	for name, tc := range map[string]struct {
		old, current []metav1.Condition
		want         []string
	}{
		"at rest":     {good, good, nil},
		"worse, once": {good, bad, []string{"Warning IssuanceFailed Issued is False: mend it"}},
		"recovered":   {bad, good, []string{"Normal Ready Ready is True: all", "Normal Issued Issued is True: done"}},
		"still waiting": {
			nil,
			[]metav1.Condition{conditions.False("Issued", "NotIssued", "wait")},
			[]string{"Normal NotIssued Issued is False: wait"},
		},
		"something to do ahead of time": {
			good,
			[]metav1.Condition{good[0], conditions.True("Issued", "ReplacementDue", "replace it")},
			[]string{"Warning ReplacementDue Issued is True: replace it"},
		},
		"Ready alone": {
			nil,
			[]metav1.Condition{conditions.False("Ready", "RuleInvalid", "mend it"), conditions.True("Stalled", "RuleInvalid", "mend it")},
			[]string{"Warning RuleInvalid Ready is False: mend it"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			recorder := events.NewFakeRecorder(10)
			telling.Transitions(recorder, &v1alpha1.RACredential{}, tc.old, tc.current)
			if diff := cmp.Diff(tc.want, drain(recorder)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestNotesKeepToTheLimitOfEvents(t *testing.T) {
	recorder := events.NewFakeRecorder(10)
	telling.Transitions(recorder, &v1alpha1.RACredential{}, nil,
		[]metav1.Condition{conditions.False("Issued", "IssuanceFailed", strings.Repeat("100% ", 1000))})
	got := drain(recorder)
	if len(got) != 1 || len(got[0]) > 1024+len("Warning IssuanceFailed ") || strings.Contains(got[0], "!") {
		t.Errorf("events: %q", got)
	}
}

func TestRestored(t *testing.T) {
	recorder := events.NewFakeRecorder(10)
	ref := apply.Ref{Name: "corp-signing"}
	ref.Kind = "Certificate"
	telling.Restored(recorder, &v1alpha1.RACredential{}, []apply.Outcome{
		{Object: ref, Action: apply.Unchanged}, {Object: ref, Action: apply.Restored}, {Object: ref, Action: apply.Updated},
	})
	want := []string{"Warning Restored Certificate corp-signing was changed by somebody else and was put back"}
	if diff := cmp.Diff(want, drain(recorder)); diff != "" {
		t.Error(diff)
	}
}
