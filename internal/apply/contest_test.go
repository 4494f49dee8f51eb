package apply

import (
	"errors"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

const foreign = "group-policy"

// spoil changes the child as another manager does.
func (w *world) spoil(change func(*corev1.Service)) {
	w.t.Helper()
	s := w.get("ra")
	change(s)
	if err := w.client.Update(w.t.Context(), s, client.FieldOwner(foreign)); err != nil {
		w.t.Fatal(err)
	}
}

// loseTheSelector fights over the selector: it is changed again each time it was put back.
func (w *world) loseTheSelector() {
	w.t.Helper()
	w.apply(Created, w.service("ra", 80))
	for range contestFlips - 1 {
		w.spoil(evil)
		w.apply(Restored, w.service("ra", 80))
		w.pass(time.Minute)
	}
	w.spoil(evil)
	w.contested(foreign, "spec.selector")
}

func evil(s *corev1.Service) { s.Spec.Selector["app"] = "evil" }

func (w *world) pass(d time.Duration) { w.clock.SetTime(w.clock.Now().Add(d)) }

// contested applies the child and expects that a manager has won a field.
func (w *world) contested(manager, field string) {
	w.t.Helper()
	outcomes, err := w.applier.Apply(w.t.Context(), w.owner, w.service("ra", 80))
	var contested *ContestedError
	if !errors.As(err, &contested) || outcomes[0].Action != Contested {
		w.t.Fatalf("%+v, %v", outcomes, err)
	}
	if !slices.Equal(contested.Fields, []string{field}) || !slices.Equal(contested.Managers, []string{manager}) {
		w.t.Errorf("contested: %+v, want %s by %s", contested, field, manager)
	}
}

// TestContestedFieldIsLeftAlone and named, while the rest of the child is put back.
func TestContestedFieldIsLeftAlone(t *testing.T) {
	w := newWorld(t)
	w.loseTheSelector()
	before := w.writes
	w.contested(foreign, "spec.selector")
	if w.writes != before {
		t.Error("a contested field costs writes")
	}
	w.spoil(func(s *corev1.Service) { delete(s.Labels, "child") })
	w.contested(foreign, "spec.selector")
	if s := w.get("ra"); s.Labels["child"] != "yes" || s.Spec.Selector["app"] != "evil" {
		t.Errorf("labels %v, selector %v: only what is not contested is put back", s.Labels, s.Spec.Selector)
	}
}

func TestContestEnds(t *testing.T) {
	cases := map[string]struct {
		do   func(*world)
		port int32
		want Action
	}{
		"after a rest":                  {func(w *world) { w.pass(contestRest) }, 80, Restored},
		"when the other gives in":       {func(w *world) { w.spoil(func(s *corev1.Service) { s.Spec.Selector["app"] = "ra" }) }, 80, Unchanged},
		"when something else is wanted": {func(*world) {}, 8080, Updated},
		"on request": {func(w *world) {
			w.owner.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "now"}
		}, 80, Restored},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.loseTheSelector()
			c.do(w)
			w.apply(c.want, w.service("ra", c.port))
			if got := w.get("ra").Spec.Selector["app"]; got != "ra" {
				t.Errorf("selector %q", got)
			}
		})
	}
}

// TestSlowDriftIsNoContest: what is changed by hand now and then is put back for ever.
func TestSlowDriftIsNoContest(t *testing.T) {
	w := newWorld(t)
	w.apply(Created, w.service("ra", 80))
	for range 3 * contestFlips {
		w.spoil(evil)
		w.apply(Restored, w.service("ra", 80))
		w.pass(contestWindow/2 + time.Second)
	}
}

// TestOurAnnotationRemoved: whoever replaces all annotations is a manager like others, but
// who only takes away owns nothing, so nothing names him.
func TestOurAnnotationRemoved(t *testing.T) {
	w := newWorld(t)
	w.apply(Created, w.service("ra", 80))
	bare := func(s *corev1.Service) { s.Annotations = nil }
	for range contestFlips - 1 {
		w.spoil(bare)
		w.apply(Restored, w.service("ra", 80))
	}
	w.spoil(bare)
	w.contested(nobody, "metadata.annotations."+AnnotationApplied)
	before := w.writes
	w.contested(nobody, "metadata.annotations."+AnnotationApplied)
	if w.writes != before {
		t.Error("a contested annotation costs writes")
	}
}
