package scependpoint

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
)

// waitShown waits until the servers are told to show a generation.
func (f *fixture) waitShown(generation string) {
	f.t.Helper()
	testenv.Eventually(f.t, "generation "+generation+" shown", func(ctx context.Context) error {
		_, config, err := f.readConfig(ctx)
		if err == nil && config.ActiveGeneration != generation {
			return fmt.Errorf("%s is", config.ActiveGeneration)
		}
		return err
	})
}

// hurry shortens the wait for servers that do not load.
func (f *fixture) hurry() {
	f.t.Helper()
	var c v1alpha1.RACredential
	f.get("ra", &c)
	before := c.DeepCopy()
	c.Spec.LoadTimeout = metav1.Duration{Duration: 10 * time.Second}
	if err := f.client.Patch(f.t.Context(), &c, client.MergeFrom(before)); err != nil {
		f.t.Fatal(err)
	}
}

func TestAServerThatNeverLoads(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.hurry()
	f.setGenerations("gen2", "gen1")
	f.load(0, "gen2", "gen1")
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonRolloverForced, "gen2", "have not loaded it: corp-ra-1")
	f.waitShown("gen2")
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	s := ep.Status.RACredential
	if s.ActiveGeneration != "gen2" || s.Held != "1/2" || !slices.Equal(s.Missing, []string{"corp-ra-1"}) {
		t.Errorf("%+v", s)
	}
	if len(s.Previous) != 1 || s.Previous[0].Generation != "gen1" || s.Previous[0].Name != "ra" {
		t.Errorf("shown before: %+v", s.Previous)
	}
	// A third comes in the middle.
	f.setGenerations("gen3", "gen2", "gen1")
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonRollingOver, "gen3 is held by 0/2")
	f.load(0, "gen3", "gen2", "gen1")
	f.load(1, "gen3", "gen2", "gen1")
	f.waitShown("gen3")
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestAPausedDeployment(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.hurry()
	var d appsv1.Deployment
	f.get("corp-ra", &d)
	before := d.DeepCopy()
	d.Spec.Paused = true
	if err := f.client.Patch(t.Context(), &d, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
	f.setGenerations("gen2", "gen1")
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonRolloverStuck, "Deployment corp-ra is paused: resume it")
	if _, config := f.config(); config.ActiveGeneration != "gen1" {
		t.Errorf("%s is shown, which no server holds", config.ActiveGeneration)
	}
}

func TestADistrustedGenerationIsShownNoLonger(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.setGenerations("gen2", "gen1")
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonRollingOver)
	var c v1alpha1.RACredential
	f.get("ra", &c)
	setStatus(f, &c, func(c *v1alpha1.RACredential) { c.Status.Distrusted = []string{"fgen1"} })
	f.waitShown("gen2")
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonRolloverForced, "corp-ra-0, corp-ra-1")
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	if len(ep.Status.RACredential.Previous) != 0 {
		t.Errorf("it is still accepted: %+v", ep.Status.RACredential.Previous)
	}
}

// keyringsMounted are the Secrets that the servers mount as keyrings.
func (f *fixture) keyringsMounted(ctx context.Context) ([]string, error) {
	var d appsv1.Deployment
	if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-ra"}, &d); err != nil {
		return nil, err
	}
	var names []string
	for _, v := range d.Spec.Template.Spec.Volumes {
		if v.Secret != nil && (v.Name == "keyring" || v.Name == "keyring-ra") {
			names = append(names, v.Secret.SecretName)
		}
	}
	return names, nil
}

func TestAnotherRACredentialIsReferredTo(t *testing.T) {
	f := newFixture(t)
	f.makeAll()
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.RACredentialRef.Name = "other" })
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionFalse, v1alpha1.ReasonCredentialNotFound, "meanwhile generation gen1 of RACredential ra is shown")
	f.setGenerations("gen2", "gen1")
	f.load(0, "gen2", "gen1")
	f.load(1, "gen2", "gen1")
	f.waitShown("gen2") // what is shown is rolled over all the same
	var c v1alpha1.RACredential
	f.get("ra", &c)
	other := &v1alpha1.RACredential{ObjectMeta: f.meta("other"), Spec: c.Spec}
	f.create(other, &corev1.Secret{ObjectMeta: f.meta("other-keyring")})
	setStatus(f, other, func(c *v1alpha1.RACredential) {
		c.Status.Generations = []v1alpha1.CredentialGeneration{generation("new1", time.Now())}
	})
	f.waitFor(v1alpha1.ConditionCredentialReady, metav1.ConditionTrue, v1alpha1.ReasonRollingOver, "new1 of RACredential other is held by 0/2")
	testenv.Eventually(t, "both keyrings mounted", func(ctx context.Context) error {
		names, err := f.keyringsMounted(ctx)
		if err == nil && !slices.Equal(names, []string{"other-keyring", "ra-keyring"}) {
			return fmt.Errorf("mounted are %v", names)
		}
		return err
	})
	f.load(0, "new1", "gen2", "gen1")
	f.load(1, "new1", "gen2", "gen1")
	f.waitShown("new1")
	testenv.Eventually(t, "the status of both", func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp"}, &ep); err != nil {
			return err
		}
		s := ep.Status.RACredential
		accepted := func(p v1alpha1.ShownGeneration) bool { return p.Name == "ra" && p.Generation == "gen2" }
		if s.Name != "other" || s.ActiveGeneration != "new1" || !slices.ContainsFunc(s.Previous, accepted) {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}
