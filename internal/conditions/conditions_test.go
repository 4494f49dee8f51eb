package conditions_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/internal/conditions"
)

var (
	earlier = time.Date(2031, 3, 4, 5, 6, 7, 0, time.UTC)
	now     = earlier.Add(time.Hour)
)

func TestMergeKeepsTheTimeOfAnUnchangedStatus(t *testing.T) {
	old := conditions.Merge(nil, earlier, 1,
		conditions.True("Issued", "Succeeded", "issued"),
		conditions.True("IssuerReady", "Succeeded", ""),
		conditions.False("Gone", "Succeeded", ""))
	got := conditions.Merge(old, now.Add(17*time.Millisecond), 2,
		conditions.False("IssuerReady", "IssuerNotFound", "make it"),
		conditions.True("Ready", "Succeeded", ""),
		conditions.True("Issued", "Other", "issued again"))
	want := []metav1.Condition{
		{Type: "Ready", Status: "True", Reason: "Succeeded", ObservedGeneration: 2, LastTransitionTime: metav1.NewTime(now)},
		{Type: "Issued", Status: "True", Reason: "Other", Message: "issued again", ObservedGeneration: 2, LastTransitionTime: metav1.NewTime(earlier)},
		{Type: "IssuerReady", Status: "False", Reason: "IssuerNotFound", Message: "make it", ObservedGeneration: 2, LastTransitionTime: metav1.NewTime(now)},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestMessagesAreBounded(t *testing.T) {
	for name, message := range map[string]string{
		"ascii":      strings.Repeat("a", 3000),
		"multi-byte": strings.Repeat("é", 3000),
		"offset":     "a" + strings.Repeat("é", 3000),
	} {
		t.Run(name, func(t *testing.T) {
			got := conditions.False("Issued", "Failed", message).Message
			if len(got) > conditions.MaxMessageBytes || len(got) < conditions.MaxMessageBytes-4 {
				t.Errorf("message has %d bytes", len(got))
			}
			if !utf8.ValidString(got) || !strings.HasSuffix(got, "…") {
				t.Errorf("message is cut badly: …%q", got[len(got)-8:])
			}
		})
	}
	exact := strings.Repeat("a", conditions.MaxMessageBytes)
	if got := conditions.True("Issued", "Succeeded", exact).Message; got != exact {
		t.Error("a message of the greatest length was cut")
	}
}

func TestSummarise(t *testing.T) {
	good := conditions.True("A", "Succeeded", "")
	bad := conditions.False("B", "Broken", "mend B")
	unknown := conditions.Unknown("C", "ReadFailed", "read C")
	informative := conditions.False("D", "Whatever", "")
	for name, tc := range map[string]struct {
		have    []metav1.Condition
		counted []string
		want    metav1.Condition
	}{
		"all true":            {[]metav1.Condition{good, informative}, []string{"A"}, conditions.True("Ready", "Succeeded", "All is as specified")},
		"first in order wins": {[]metav1.Condition{good, unknown, bad}, []string{"A", "B", "C"}, conditions.False("Ready", "Broken", "mend B")},
		"order is the caller's": {
			[]metav1.Condition{bad, unknown},
			[]string{"C", "B"},
			conditions.Unknown("Ready", "ReadFailed", "read C"),
		},
		"missing is unknown": {[]metav1.Condition{good}, []string{"A", "B"}, conditions.Unknown("Ready", "Progressing", "B has not been looked at yet")},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, conditions.Summarise(tc.have, tc.counted...)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestKStatus(t *testing.T) {
	ready := conditions.True("Ready", "Succeeded", "")
	broken := conditions.False("Ready", "Broken", "mend it")
	unknown := conditions.Unknown("Ready", "ReadFailed", "")
	for name, tc := range map[string]struct {
		ready   metav1.Condition
		stalled bool
		want    []metav1.Condition
	}{
		"ready":       {ready, false, []metav1.Condition{ready}},
		"not ready":   {broken, false, []metav1.Condition{broken, conditions.True("Reconciling", "Broken", "mend it")}},
		"not known":   {unknown, false, []metav1.Condition{unknown, conditions.True("Reconciling", "ReadFailed", "")}},
		"stalled":     {broken, true, []metav1.Condition{broken, conditions.True("Stalled", "Broken", "mend it")}},
		"both at all": {ready, true, []metav1.Condition{ready, conditions.True("Stalled", "Succeeded", "")}},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(tc.want, conditions.KStatus(tc.ready, tc.stalled)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestIsTrueRefusesAnEarlierGeneration(t *testing.T) {
	conds := conditions.Merge(nil, now, 3, conditions.True("Ready", "Succeeded", ""), conditions.False("Issued", "NotIssued", ""))
	for name, tc := range map[string]struct {
		conditionType string
		generation    int64
		want          bool
	}{
		"same generation": {"Ready", 3, true},
		"after an edit":   {"Ready", 4, false},
		"false":           {"Issued", 3, false},
		"missing":         {"Exposed", 3, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := conditions.IsTrue(conds, tc.conditionType, tc.generation); got != tc.want {
				t.Errorf("IsTrue = %t", got)
			}
		})
	}
}

func TestTransitions(t *testing.T) {
	old := []metav1.Condition{
		conditions.True("Ready", "Succeeded", ""),
		conditions.False("Issued", "NotIssued", ""),
		conditions.True("IssuerReady", "Succeeded", ""),
	}
	current := []metav1.Condition{
		conditions.False("Ready", "IssuanceFailed", ""),
		conditions.False("Issued", "IssuanceFailed", ""),
		conditions.True("IssuerReady", "Succeeded", "another message only"),
		conditions.Unknown("KeyringReady", "Progressing", ""),
		conditions.True("Exposed", "Succeeded", ""),
		conditions.True("Reconciling", "IssuanceFailed", ""),
	}
	var got []string
	for _, tr := range conditions.Transitions(old, current) {
		got = append(got, string(tr.From)+">"+tr.Type+"="+string(tr.Status)+":"+tr.Reason)
	}
	want := []string{"True>Ready=False:IssuanceFailed", "False>Issued=False:IssuanceFailed", ">Exposed=True:Succeeded"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if again := conditions.Transitions(current, current); len(again) != 0 {
		t.Errorf("at rest there are transitions: %v", again)
	}
}

func TestApplyCarriesEverything(t *testing.T) {
	conds := conditions.Merge(nil, now, 7, conditions.False("Issued", "NotIssued", "wait"))
	got := conditions.Apply(conds)[0]
	back := metav1.Condition{
		Type: *got.Type, Status: *got.Status, Reason: *got.Reason, Message: *got.Message,
		ObservedGeneration: *got.ObservedGeneration, LastTransitionTime: *got.LastTransitionTime,
	}
	if diff := cmp.Diff(conds[0], back); diff != "" {
		t.Error(diff)
	}
}
