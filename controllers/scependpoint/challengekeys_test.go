package scependpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// keysFixture has a clock that is set by hand.
type keysFixture struct {
	*fixture
	clock   *clocktesting.FakePassiveClock
	touched int
}

func newKeysFixture(t *testing.T) *keysFixture {
	t.Helper()
	clock := clocktesting.NewFakePassiveClock(time.Now())
	f := &keysFixture{fixture: newFixture(t, func(o *Options) { o.Clock = clock }), clock: clock}
	f.makeAll(withMinting)
	return f
}

func (f *keysFixture) state() *corev1.Secret {
	f.t.Helper()
	var state corev1.Secret
	f.get("corp-ra-state", &state)
	return &state
}

// storedKeys are the IDs of stored keys, in the order in which servers load them.
func storedKeys(state *corev1.Secret) []string {
	var ids []string
	for _, name := range []string{raconfig.ChallengeKeyFile, raconfig.PreviousChallengeKeyFile, raconfig.NextChallengeKeyFile} {
		if id := challengeKeyID(state.Data[name]); id != "" {
			ids = append(ids, id)
		}
	}
	return ids
}

// report plays a server that has these keys of one-time challenges.
func (f *keysFixture) report(i int, ids []string) {
	f.t.Helper()
	file, config := f.config()
	f.servers.say(podIP(i), raconfig.ReplicaStatus{
		ConfigHash: raconfig.Hash(file), ConfigGeneration: config.Endpoint.Generation, ActiveGeneration: config.ActiveGeneration,
		HeldGenerations: []string{"gen1"}, ChallengeKeys: ids,
	})
}

// after sets the clock, and has the controller look.
func (f *keysFixture) after(d time.Duration) {
	f.t.Helper()
	f.clock.SetTime(f.clock.Now().Add(d))
	f.touched++
	f.annotate(v1alpha1.AnnotationReconcile, fmt.Sprint(f.touched))
	testenv.Eventually(f.t, "a look at the endpoint", func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp"}, &ep); err != nil {
			return err
		}
		if ep.Status.LastHandledReconcileAt != fmt.Sprint(f.touched) {
			return errors.New("not yet")
		}
		return nil
	})
}

func (f *keysFixture) annotate(name, value string) {
	f.t.Helper()
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, name, value)
	ep := &v1alpha1.ScepEndpoint{ObjectMeta: f.meta("corp")}
	if err := f.client.Patch(f.t.Context(), ep, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		f.t.Fatal(err)
	}
}

// waitState waits until the state Secret is as it is wanted.
func (f *keysFixture) waitState(what string, is func(*corev1.Secret) bool) *corev1.Secret {
	f.t.Helper()
	var state corev1.Secret
	testenv.Eventually(f.t, what, func(ctx context.Context) error {
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-ra-state"}, &state); err != nil {
			return err
		}
		if !is(&state) {
			return fmt.Errorf("the keys are %v, %s", storedKeys(&state), state.Data[raconfig.ChallengeTimesFile])
		}
		return nil
	})
	return &state
}

// rests looks twice, and fails if that changes the Secret.
func (f *keysFixture) rests(state *corev1.Secret) {
	f.t.Helper()
	f.after(time.Minute)
	f.after(time.Minute)
	if now := f.state(); now.ResourceVersion != state.ResourceVersion {
		f.t.Errorf("the state Secret was written: keys %v, %s", storedKeys(now), now.Data[raconfig.ChallengeTimesFile])
	}
}

func settled(state *corev1.Secret) bool {
	return !rotation.DecodeKeyTimes(state.Data[raconfig.ChallengeTimesFile]).Settled.IsZero()
}

func TestTheChallengeKeyRotates(t *testing.T) {
	f := newKeysFixture(t)
	state := f.waitState("its times", func(s *corev1.Secret) bool { return len(s.Data[raconfig.ChallengeTimesFile]) > 0 })
	hmac, first := string(state.Data[raconfig.HMACKeyFile]), storedKeys(state)
	f.report(0, first)
	f.report(1, first)
	f.rests(state)

	before := f.nudges()
	f.annotate(v1alpha1.AnnotationRotate, f.clock.Now().Format(time.RFC3339))
	state = f.waitState("a next key", func(s *corev1.Secret) bool { return len(storedKeys(s)) == 2 })
	both := storedKeys(state)
	f.waitNudged(before)
	f.report(0, both)
	f.rests(state) // the other server does not hold it

	f.report(1, both)
	f.after(time.Minute)
	next := []string{both[1], both[0]}
	state = f.waitState("the switch", func(s *corev1.Secret) bool { return slices.Equal(storedKeys(s), next) })
	f.report(0, next)
	f.rests(state) // the other one still mints with the first

	f.report(1, next)
	f.after(time.Minute)
	state = f.waitState("all servers to mint with it", settled)
	f.rests(state) // challenges of the first are good for an hour

	f.after(2 * time.Hour)
	state = f.waitState("the first to go", func(s *corev1.Secret) bool { return slices.Equal(storedKeys(s), next[:1]) })
	f.report(0, next[:1])
	f.report(1, next[:1])
	f.rests(state)
	if string(state.Data[raconfig.HMACKeyFile]) != hmac {
		t.Error("the other key has changed: transactions are forgotten")
	}
}

// nudges are the touches of the pods, by their names.
func (f *keysFixture) nudges() map[string]string {
	f.t.Helper()
	var pods corev1.PodList
	if err := f.client.List(f.t.Context(), &pods, client.InNamespace(f.ns), client.MatchingLabels(render.PodSelector("corp"))); err != nil {
		f.t.Fatal(err)
	}
	out := map[string]string{}
	for _, pod := range pods.Items {
		out[pod.Name] = pod.Annotations[v1alpha1.AnnotationNudge]
	}
	return out
}

// waitNudged waits until each pod was touched again.
func (f *keysFixture) waitNudged(before map[string]string) {
	f.t.Helper()
	testenv.Eventually(f.t, "the pods to be touched", func(context.Context) error {
		for name, nudge := range f.nudges() {
			if nudge == before[name] {
				return fmt.Errorf("%s was not", name)
			}
		}
		return nil
	})
}

func TestAServerThatMayServeHoldsUpTheKeys(t *testing.T) {
	status := &raconfig.ReplicaStatus{ChallengeKeys: []string{"a"}}
	for name, tc := range map[string]struct {
		pod  replica
		want int
	}{
		"ready":            {replica{ready: true, started: true, ip: "192.0.2.1", status: status}, 1},
		"not ready":        {replica{started: true, ip: "192.0.2.1"}, 1},
		"without address":  {replica{started: true}, 1},
		"without a node":   {replica{}, 0},
		"ends":             {replica{leaving: true, started: true, ip: "192.0.2.1"}, 1},
		"answers and ends": {replica{leaving: true, status: status}, 1},
	} {
		seen := &observation{replicas: read[[]replica]{value: &[]replica{}}}
		if tc.pod.leaving {
			seen.leaving = []replica{tc.pod}
		} else {
			*seen.replicas.value = []replica{tc.pod}
		}
		if got := challengeKeysHeld(seen); len(got) != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}

func TestMountsHashFollowsTheState(t *testing.T) {
	of := func(version string) string {
		return mountsHash("h", &observation{state: read[stateFact]{value: &stateFact{version: version}}})
	}
	if of("uid/1") == of("uid/2") {
		t.Error("another version of the state Secret touches no pod")
	}
}
