package scependpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// trialCase is an endpoint with two templates, and what is seen of it.
type trialCase struct {
	ep   *v1alpha1.ScepEndpoint
	seen *observation
	now  time.Time
}

func newTrialCase() *trialCase {
	ep := weekly.DeepCopy()
	ep.Spec.Issuance.Trial = v1alpha1.TrialOnChange
	i := &certmanagerv1.Issuer{ObjectMeta: metav1.ObjectMeta{Name: "corp-ca", UID: "issuer", Generation: 1}}
	i.Status.Conditions = []certmanagerv1.IssuerCondition{{Type: certmanagerv1.IssuerConditionReady, Status: cmmeta.ConditionTrue}}
	c := &trialCase{ep: ep, now: noon, seen: &observation{issuer: issuer.Fact{Ref: ep.Spec.Issuance.IssuerRef, Issuer: i}}}
	for _, name := range []string{"device", "laptop"} {
		ep.Spec.Templates = append(ep.Spec.Templates, v1alpha1.EndpointTemplate{Name: name})
		template := v1alpha1.CertificateTemplate{ObjectMeta: metav1.ObjectMeta{Name: name, Generation: 1}}
		template.Status.Conditions = []metav1.Condition{{Type: v1alpha1.ConditionReady, Status: metav1.ConditionTrue, ObservedGeneration: 1}}
		c.seen.templates = append(c.seen.templates, read[v1alpha1.CertificateTemplate]{value: &template})
	}
	return c
}

// look plans as a reconcile does, and keeps the status.
func (c *trialCase) look() (trials []v1alpha1.TemplateTrial, ordered *raconfig.Trial) {
	c.now = c.now.Add(time.Second)
	trials = planTrials(c.ep, c.seen, c.now)
	c.ep.Status.Trials = trials
	c.ep.Status.LastHandledReconcileAt = c.ep.Annotations[v1alpha1.AnnotationReconcile]
	return trials, orderedTrial(c.seen, trials)
}

// came puts the request of a trial in the place of all others.
func (c *trialCase) came(ordered *raconfig.Trial, conds ...requestCond) {
	r := request("trial-"+ordered.ID, 0, 0, conds...)
	r.Labels = map[string]string{v1alpha1.LabelTrial: ordered.ID}
	c.seen.trials = []certmanagerv1.CertificateRequest{r}
}

func results(trials []v1alpha1.TemplateTrial) string {
	var out []string
	for _, t := range trials {
		out = append(out, t.Template+" "+string(t.Result))
	}
	return strings.Join(out, ", ")
}

// pass has all templates tried, one after the other.
func (c *trialCase) pass(t *testing.T) {
	t.Helper()
	for range 2 {
		_, ordered := c.look()
		if ordered == nil {
			t.Fatal("nothing is tried")
		}
		c.came(ordered, granted)
	}
	if trials, ordered := c.look(); ordered != nil || results(trials) != "device Passed, laptop Passed" {
		t.Fatalf("after two trials: %s, and %+v is ordered", results(trials), ordered)
	}
}

func TestEachTemplateIsTriedOnce(t *testing.T) {
	c := newTrialCase()
	trials, first := c.look()
	if results(trials) != "device Pending, laptop Pending" || first == nil || first.Template != "device" {
		t.Fatalf("%s, ordered %+v", results(trials), first)
	}
	c.came(first, approved)
	if _, again := c.look(); again == nil || *again != *first {
		t.Errorf("while it waits, %+v is ordered after %+v", again, first)
	}
	c.pass(t)
	before := slices.Clone(c.ep.Status.Trials)
	c.seen.trials = nil
	c.ep.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "now"}
	if trials, ordered := c.look(); ordered != nil || !slices.Equal(trials, before) {
		t.Errorf("at rest: %+v, ordered %+v", trials, ordered)
	}
}

func TestTrialsFollowChanges(t *testing.T) {
	for name, tc := range map[string]struct {
		change func(*trialCase)
		want   string
	}{
		"nothing":    {func(*trialCase) {}, "device Passed, laptop Passed"},
		"a template": {func(c *trialCase) { c.seen.templates[1].value.Generation++ }, "device Passed, laptop Pending"},
		"the issuer": {func(c *trialCase) { c.seen.issuer.Issuer.(*certmanagerv1.Issuer).Generation++ }, "device Pending, laptop Pending"},
		"another issuer of the name": {
			func(c *trialCase) { c.seen.issuer.Issuer.(*certmanagerv1.Issuer).UID = "other" }, "device Pending, laptop Pending",
		},
		"a template is gone":    {func(c *trialCase) { c.seen.templates[0].value = nil }, "device Passed, laptop Passed"},
		"nothing is wanted now": {func(c *trialCase) { c.ep.Spec.Issuance.Trial = v1alpha1.TrialDisabled }, ""},
		"signers issue":         {func(c *trialCase) { c.ep.Spec.Issuance.Mode = v1alpha1.IssuanceDirect }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTrialCase()
			c.pass(t)
			tc.change(c)
			if trials, _ := c.look(); results(trials) != tc.want {
				t.Errorf("%s, want %s", results(trials), tc.want)
			}
		})
	}
}

func TestATrialThatFails(t *testing.T) {
	refused := func(c *trialCase, id string) {
		c.seen.replicas.value = &[]replica{{}, {status: &raconfig.ReplicaStatus{Trial: &raconfig.TrialProblem{ID: id, Refused: true, Message: "not\nhere."}}}}
	}
	for name, tc := range map[string]struct {
		become func(*trialCase, *raconfig.Trial)
		says   string
	}{
		"failed":  {func(c *trialCase, o *raconfig.Trial) { c.came(o, failedBy) }, ": broken; let"},
		"denied":  {func(c *trialCase, o *raconfig.Trial) { c.came(o, denied) }, ": not you; let"},
		"refused": {func(c *trialCase, o *raconfig.Trial) { refused(c, o.ID) }, ": not here; let"},
		"ignored": {func(c *trialCase, o *raconfig.Trial) { c.came(o); c.now = c.now.Add(8 * testDay) }, "spec.issuance.pendingDeadline; let"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newTrialCase()
			_, first := c.look()
			tc.become(c, first)
			trials, next := c.look()
			if results(trials) != "device Failed, laptop Pending" || next == nil || next.Template != "laptop" {
				t.Fatalf("%s, ordered %+v", results(trials), next)
			}
			ready := conditions.True(v1alpha1.ConditionIssuerReady, v1alpha1.ReasonSucceeded, "ready")
			got := orTrial(ready, c.ep, trials)
			if got.Reason != v1alpha1.ReasonTrialFailed || got.Status != metav1.ConditionFalse || !strings.Contains(got.Message, tc.says) {
				t.Errorf("%s %s: %s", got.Status, got.Reason, got.Message)
			}
			c.ep.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "again"}
			trials, again := c.look()
			if results(trials) != "device Pending, laptop Pending" || again == nil || again.ID == first.ID {
				t.Errorf("asked for: %s, ordered %+v", results(trials), again)
			}
		})
	}
}

func TestTrialsWaitForTheIssuer(t *testing.T) {
	c := newTrialCase()
	c.seen.issuer.Issuer.(*certmanagerv1.Issuer).Status.Conditions[0].Status = cmmeta.ConditionFalse
	if trials, ordered := c.look(); ordered != nil || results(trials) != "device Pending, laptop Pending" {
		t.Errorf("%s, ordered %+v", results(trials), ordered)
	}
}

func TestTrialsAreNoRecords(t *testing.T) {
	trial := request("trial", 2*time.Hour, 0, granted)
	trial.Labels = map[string]string{v1alpha1.LabelTrial: "id"}
	records, trials := split([]certmanagerv1.CertificateRequest{request("a", 0, 0), trial, request("b", 0, 0)}, v1alpha1.LabelTrial)
	if len(records) != 2 || len(trials) != 1 {
		t.Fatalf("%d records and %d trials", len(records), len(trials))
	}
	seen := &observation{trials: trials}
	pending := []v1alpha1.TemplateTrial{{ID: "id", Result: v1alpha1.TrialPending}}
	if got := expiredTrials(seen, pending, noon); len(got) != 0 {
		t.Errorf("while it is waited for, %v are deleted", got)
	}
	if got := expiredTrials(seen, nil, noon); !slices.Equal(got, []string{"trial"}) {
		t.Errorf("afterwards %v are deleted", got)
	}
	if got := expiredTrials(seen, nil, noon.Add(-90*time.Minute)); len(got) != 0 {
		t.Errorf("within an hour %v are deleted", got)
	}
}

func TestWhatAnIssuerSaysIsBounded(t *testing.T) {
	if got := cleaned("a\n\tb \x1b[31mc..  "); got != "a b [31mc" {
		t.Errorf("%q", got)
	}
	if got := cleaned(strings.Repeat("ä", 1000)); len(got) != maxTrialMessage {
		t.Errorf("%d bytes", len(got))
	}
}

// TestATrialIsOrdered plays the server: the configuration names the trial until its request
// has come to something.
func TestATrialIsOrdered(t *testing.T) {
	f := newFixture(t)
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Issuance.Trial = v1alpha1.TrialOnChange })
	var ordered *raconfig.Trial
	testenv.Eventually(t, "a trial to be ordered", func(ctx context.Context) error {
		_, config, err := f.readConfig(ctx)
		if err == nil && config.Trial == nil {
			err = errors.New("none")
		}
		if err == nil {
			ordered = config.Trial
		}
		return err
	})
	tried := &certmanagerv1.CertificateRequest{ObjectMeta: f.meta("corp-trial")}
	tried.Labels = map[string]string{v1alpha1.LabelEndpoint: "corp", v1alpha1.LabelTrial: ordered.ID}
	tried.Spec = certmanagerv1.CertificateRequestSpec{Request: []byte("x"), IssuerRef: cmmeta.IssuerReference{Name: "corp-ca"}}
	f.create(tried)
	setStatus(f, tried, func(r *certmanagerv1.CertificateRequest) { r.Status.Conditions = []requestCond{failedBy} })
	f.waitFor(v1alpha1.ConditionIssuerReady, metav1.ConditionFalse, v1alpha1.ReasonTrialFailed, "template "+ordered.Template, "broken")
	testenv.Eventually(t, "no trial to be ordered", func(ctx context.Context) error {
		_, config, err := f.readConfig(ctx)
		if err == nil && config.Trial != nil {
			err = fmt.Errorf("%+v", *config.Trial)
		}
		return err
	})
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests)
}
