package scependpoint

import (
	"bytes"
	"context"
	"errors"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// earlierState is the Secret of an earlier build, with one key.
func (f *fixture) earlierState(immutable bool) []byte {
	f.t.Helper()
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	hmac := bytes.Repeat([]byte("h"), render.StateKeyBytes)
	state := &corev1.Secret{
		ObjectMeta: f.meta("corp-ra-state"), Immutable: &immutable,
		Data: map[string][]byte{raconfig.HMACKeyFile: hmac},
	}
	if err := controllerutil.SetControllerReference(&ep, state, f.client.Scheme()); err != nil {
		f.t.Fatal(err)
	}
	state.Labels = render.Labels("corp")
	f.create(state)
	return hmac
}

// replaceState puts an earlier one in the place of what the operator made.
func (f *fixture) replaceState(immutable bool) []byte {
	f.t.Helper()
	f.makeAll(withMinting)
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Suspend = true })
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionUnknown, v1alpha1.ReasonSuspended)
	if err := f.client.Delete(f.t.Context(), &corev1.Secret{ObjectMeta: f.meta("corp-ra-state")}); err != nil {
		f.t.Fatal(err)
	}
	hmac := f.earlierState(immutable)
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Suspend = false })
	return hmac
}

func TestAStateWithoutAKeyIsCompleted(t *testing.T) {
	f := newFixture(t)
	hmac := f.replaceState(false)
	testenv.Eventually(t, "the key for challenges", func(ctx context.Context) error {
		var state corev1.Secret
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-ra-state"}, &state); err != nil {
			return err
		}
		if len(state.Data[raconfig.ChallengeKeyFile]) != render.StateKeyBytes {
			return errors.New("there is none")
		}
		if !bytes.Equal(state.Data[raconfig.HMACKeyFile], hmac) {
			t.Error("the other key has changed: transactions are forgotten")
		}
		return nil
	})
}

func TestAStateThatCannotBeCompleted(t *testing.T) {
	f := newFixture(t)
	f.replaceState(true)
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonStateFixed, "Secret corp-ra-state lacks a key and is immutable", "delete it")
	if err := f.client.Delete(t.Context(), &corev1.Secret{ObjectMeta: f.meta("corp-ra-state")}); err != nil {
		t.Fatal(err)
	}
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Exposure.Admin = nil })
	f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

func TestPasswordsThatStayReadable(t *testing.T) {
	oneTime := func(rekey time.Duration) v1alpha1.Challenge {
		c := v1alpha1.Challenge{Name: "helpdesk", Type: v1alpha1.ChallengeOneTime, OneTime: &v1alpha1.OneTimeChallenge{}}
		if rekey > 0 {
			c.OneTime.RekeyWindow = &metav1.Duration{Duration: rekey}
		}
		return c
	}
	static := v1alpha1.Challenge{Name: "mdm", Type: v1alpha1.ChallengeStatic}
	intune := v1alpha1.Challenge{Name: "intune", Type: v1alpha1.ChallengeIntune}
	for name, tc := range map[string]struct {
		challenges []v1alpha1.Challenge
		reason     string
		names      string
	}{
		"static":                {[]v1alpha1.Challenge{oneTime(0), static}, v1alpha1.ReasonStaticChallenge, "mdm"},
		"static and a service":  {[]v1alpha1.Challenge{intune, static}, v1alpha1.ReasonStaticChallenge, "mdm, intune"},
		"services":              {[]v1alpha1.Challenge{hookChallenge(), intune}, v1alpha1.ReasonServiceChallenge, "hook, intune"},
		"a window for new keys": {[]v1alpha1.Challenge{oneTime(time.Minute)}, v1alpha1.ReasonServiceChallenge, "helpdesk"},
		"once":                  {[]v1alpha1.Challenge{oneTime(0)}, v1alpha1.ReasonNoStaticChallenge, ""},
		"anyone":                {[]v1alpha1.Challenge{{Name: "all", Type: v1alpha1.ChallengeAnyone}}, v1alpha1.ReasonNoStaticChallenge, ""},
	} {
		ep := &v1alpha1.ScepEndpoint{Spec: v1alpha1.ScepEndpointSpec{Challenges: tc.challenges}}
		got := challengesStored(ep)
		if got.Reason != tc.reason || !bytes.Contains([]byte(got.Message), []byte(tc.names)) {
			t.Errorf("%s: %s: %s", name, got.Reason, got.Message)
		}
	}
}
