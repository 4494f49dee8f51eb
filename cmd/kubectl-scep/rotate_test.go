package main

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
)

// vault is a namespace with an RACredential whose controller the test plays.
type vault struct {
	fixture
	credentials dynamic.ResourceInterface
}

func newVault(t *testing.T, spec map[string]any) *vault {
	t.Helper()
	c := ratest.NewCluster(t)
	v := &vault{fixture: fixture{Cluster: c}}
	v.access.loading.ExplicitPath = v.writeKubeconfig(t)
	admin, err := dynamic.NewForConfig(c.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	v.credentials = admin.Resource(v1alpha1.GroupVersion.WithResource("racredentials")).Namespace(c.Namespace)
	rc := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "RACredential",
		"metadata": map[string]any{"name": "policy"}, "spec": spec,
	}}
	if _, err := v.credentials.Create(t.Context(), rc, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return v
}

func issuedSpec() map[string]any {
	return map[string]any{"purpose": "PolicyModule", "issuerRef": map[string]any{"name": "corp-ca"}}
}

func (v *vault) get(t *testing.T) *v1alpha1.RACredential {
	t.Helper()
	found, err := v.credentials.Get(t.Context(), "policy", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rc := &v1alpha1.RACredential{}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, rc); err != nil {
		t.Fatal(err)
	}
	return rc
}

// say plays the RACredential's controller.
func (v *vault) say(t *testing.T, status v1alpha1.RACredentialStatus) {
	t.Helper()
	object, err := runtime.DefaultUnstructuredConverter.ToUnstructured(&v1alpha1.RACredential{Status: status})
	if err != nil {
		t.Fatal(err)
	}
	rc, err := v.credentials.Get(t.Context(), "policy", metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	rc.Object["status"] = object["status"]
	if _, err := v.credentials.UpdateStatus(t.Context(), rc, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func held(id string, state v1alpha1.GenerationState) v1alpha1.CredentialGeneration {
	at := metav1.NewTime(time.Date(2031, 1, 2, 3, 4, 5, 0, time.UTC))
	return v1alpha1.CredentialGeneration{ID: id, State: state, AddedAt: at, Certificates: []v1alpha1.CredentialCertificate{{
		Role: v1alpha1.RoleClient, Fingerprint: strings.Repeat(id, 32), NotBefore: at, NotAfter: at,
	}}}
}

var asked = time.Date(2031, 2, 3, 4, 5, 6, 0, time.UTC)

func (v *vault) options() *rotateOptions {
	return &rotateOptions{
		access: &access{loading: v.access.loading}, timeout: time.Minute, interval: 10 * time.Millisecond, now: func() time.Time { return asked },
	}
}

func (v *vault) rotate(t *testing.T, o *rotateOptions, answer string) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	var out bytes.Buffer
	err := o.run(ctx, "policy", strings.NewReader(answer), &out)
	return out.String(), err
}

func TestRotate(t *testing.T) {
	t.Parallel()
	v := newVault(t, issuedSpec())
	out, err := v.rotate(t, v.options(), "")
	if err != nil || out != "RACredential policy: new certificates are asked for\n" {
		t.Fatalf("printed %q (%v)", out, err)
	}
	annotations := v.get(t).Annotations
	if annotations[v1alpha1.AnnotationRotate] != "2031-02-03T04:05:06Z" || annotations[v1alpha1.AnnotationDistrust] != "" {
		t.Errorf("annotations %v", annotations)
	}
}

func TestDistrust(t *testing.T) {
	t.Parallel()
	v := newVault(t, issuedSpec())
	v.say(t, v1alpha1.RACredentialStatus{Generations: []v1alpha1.CredentialGeneration{held("b2", ""), held("a1", "")}})
	o := v.options()
	o.distrust = true
	for _, answer := range []string{"no\n", "", "y\n", "\n"} {
		if out, err := v.rotate(t, o, answer); err == nil || !strings.Contains(err.Error(), "nothing was changed") || !strings.Contains(out, "without an overlap") {
			t.Errorf("answer %q: printed %q (%v)", answer, out, err)
		}
		if annotations := v.get(t).Annotations; len(annotations) > 0 {
			t.Fatalf("answer %q: annotations %v", answer, annotations)
		}
	}
	out, err := v.rotate(t, o, "yes\n")
	if err != nil || !strings.Contains(out, "Client "+strings.Repeat("a1", 32)+", until 2031-01-02T03:04:05Z") {
		t.Fatalf("printed %q (%v)", out, err)
	}
	want := strings.Repeat("b2", 32) + "," + strings.Repeat("a1", 32)
	if got := v.get(t).Annotations; got[v1alpha1.AnnotationDistrust] != want || got[v1alpha1.AnnotationRotate] == "" {
		t.Errorf("annotations %v", got)
	}
	// Once more adds what has come since, and forgets nothing.
	v.say(t, v1alpha1.RACredentialStatus{Generations: []v1alpha1.CredentialGeneration{held("c3", "")}})
	o.yes = true
	if out, err = v.rotate(t, o, ""); err != nil || strings.Contains(out, "Type yes") {
		t.Fatalf("printed %q (%v)", out, err)
	}
	if got := v.get(t).Annotations[v1alpha1.AnnotationDistrust]; got != want+","+strings.Repeat("c3", 32) {
		t.Errorf("distrusted: %s", got)
	}
}

// TestRotateWaits until the new generation is active, and says what is in the way.
func TestRotateWaits(t *testing.T) {
	t.Parallel()
	v := newVault(t, issuedSpec())
	v.say(t, v1alpha1.RACredentialStatus{Generations: []v1alpha1.CredentialGeneration{held("a1", v1alpha1.GenerationActive)}})
	o := v.options()
	o.wait, o.timeout = true, 2*time.Second
	out, err := v.rotate(t, o, "")
	if err == nil || !strings.Contains(err.Error(), "waited in vain, the operator has not taken it up yet") {
		t.Errorf("printed %q (%v)", out, err)
	}
	status := v1alpha1.RACredentialStatus{
		LastHandledRotateAt: "2031-02-03T04:05:06Z", Step: v1alpha1.StepProbing,
		Generations: []v1alpha1.CredentialGeneration{held("b2", v1alpha1.GenerationNext), held("a1", v1alpha1.GenerationActive)},
		Conditions: []metav1.Condition{{
			Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonNextNotAccepted, Message: "register it there",
			LastTransitionTime: metav1.NewTime(asked),
		}},
	}
	before := v.get(t)
	before.Status.Generations = before.Status.Generations[:1]
	v.say(t, status)
	for _, c := range []struct {
		change func()
		want   string
		done   bool
	}{
		{func() {}, "generation b2 is next, step Probing: register it there", false},
		{func() { status.Generations[0].State = v1alpha1.GenerationActive }, "generation b2 is active", true},
		{func() { status.Generations, status.Step = status.Generations[1:], v1alpha1.StepIssuing }, "step Issuing: register it there", false},
	} {
		c.change()
		v.say(t, status)
		if got := progressOf(v.get(t), before, status.LastHandledRotateAt); got.text != c.want || got.done != c.done {
			t.Errorf("got %+v, want %q", got, c.want)
		}
	}
}

// tattler has the controller work as soon as a command has printed that it asked for it.
type tattler struct {
	bytes.Buffer
	heard chan struct{}
}

func (w *tattler) Write(p []byte) (int, error) {
	if w.Len() == 0 {
		close(w.heard)
	}
	return w.Buffer.Write(p)
}

// TestRotateFollows to the end, while the controller works.
func TestRotateFollows(t *testing.T) {
	t.Parallel()
	v := newVault(t, issuedSpec())
	v.say(t, v1alpha1.RACredentialStatus{Generations: []v1alpha1.CredentialGeneration{held("a1", v1alpha1.GenerationActive)}})
	o := v.options()
	o.wait = true
	out := &tattler{heard: make(chan struct{})}
	finished := make(chan error, 1)
	go func() { finished <- o.run(t.Context(), "policy", strings.NewReader(""), out) }()
	<-out.heard
	v.say(t, v1alpha1.RACredentialStatus{
		LastHandledRotateAt: "2031-02-03T04:05:06Z", Step: v1alpha1.StepOverlap,
		Generations: []v1alpha1.CredentialGeneration{held("b2", v1alpha1.GenerationActive), held("a1", v1alpha1.GenerationPrevious)},
	})
	if err := <-finished; err != nil || !strings.HasSuffix(out.String(), "generation b2 is active\n") {
		t.Errorf("printed %q (%v)", out.String(), err)
	}
}

func TestRotateRefused(t *testing.T) {
	t.Parallel()
	v := newVault(t, map[string]any{
		"purpose": "PolicyModule", "external": map[string]any{"secretRefs": []any{map[string]any{"name": "s", "role": "Client"}}},
	})
	if _, err := v.rotate(t, v.options(), ""); err == nil || !strings.Contains(err.Error(), "put others into the Secrets of spec.external") {
		t.Errorf("error %v", err)
	}
	o := v.options()
	o.access.overrides.Context.Namespace = "elsewhere"
	if _, err := v.rotate(t, o, ""); err == nil || !strings.Contains(err.Error(), "read RACredential policy in namespace elsewhere") {
		t.Errorf("error %v", err)
	}
}
