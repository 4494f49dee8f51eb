package scependpoint

import (
	"context"
	"fmt"
	"io"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// stateFact says whether the endpoint's own keys are as they should be. It holds none.
type stateFact struct {
	usable bool
	// fixed: a key is missing, and the Secret is immutable, so that none can be added.
	fixed bool
	// immutable: its keys cannot be rotated.
	immutable bool
	version   string // UID and resourceVersion
	slots     rotation.KeySlots
	times     rotation.KeyTimes
}

func (r *Reconciler) observeState(ctx context.Context, ep *v1alpha1.ScepEndpoint) read[stateFact] {
	seen := get(ctx, r.live, ep.Namespace, render.StateSecretName(ep.Name), &corev1.Secret{})
	if seen.value == nil {
		return read[stateFact]{err: seen.err}
	}
	data := seen.value.Data
	complete := isStateKey(data[raconfig.HMACKeyFile]) && isStateKey(data[raconfig.ChallengeKeyFile])
	immutable := seen.value.Immutable != nil && *seen.value.Immutable
	return read[stateFact]{value: &stateFact{
		usable:    metav1.IsControlledBy(seen.value, ep) && complete,
		fixed:     !complete && immutable,
		immutable: immutable,
		version:   version(seen.value),
		slots: rotation.KeySlots{
			Active:   challengeKeyID(data[raconfig.ChallengeKeyFile]),
			Next:     challengeKeyID(data[raconfig.NextChallengeKeyFile]),
			Previous: challengeKeyID(data[raconfig.PreviousChallengeKeyFile]),
		},
		times: rotation.DecodeKeyTimes(data[raconfig.ChallengeTimesFile]),
	}}
}

func isStateKey(key []byte) bool { return len(key) == render.StateKeyBytes }

// challengeKeyID is empty for what is no key.
func challengeKeyID(key []byte) string {
	if !isStateKey(key) {
		return ""
	}
	return raconfig.ChallengeKeyID(key)
}

// planKeys plans the keys of one-time challenges, from what the servers are given and
// what they say.
func planKeys(ep *v1alpha1.ScepEndpoint, seen *observation, config *raconfig.Config, now time.Time) rotation.KeyPlan {
	state := seen.state.value
	if state == nil || !state.usable || state.immutable {
		return rotation.KeyPlan{}
	}
	return rotation.PlanKeys(rotation.KeyInput{
		KeySlots:    state.slots,
		Times:       state.times,
		Servers:     challengeKeysHeld(seen),
		Unknown:     seen.replicas.value == nil,
		Longest:     longestChallenge(config),
		Period:      rotation.KeyPeriod,
		RotateAfter: rotateAfter(ep),
		Now:         now,
	})
}

// challengeKeysHeld has each server that may have devices, ready or not: one that ends too,
// but none that has not even a node to mount its files on.
func challengeKeysHeld(seen *observation) [][]string {
	if seen.replicas.value == nil {
		return nil
	}
	var held [][]string
	for _, r := range slices.Concat(*seen.replicas.value, seen.leaving) {
		switch {
		case r.status != nil:
			held = append(held, r.status.ChallengeKeys)
		case r.started || r.ip != "":
			held = append(held, nil)
		}
	}
	return held
}

// longestChallenge is how long a one-time challenge can be of use, at most.
func longestChallenge(config *raconfig.Config) time.Duration {
	var longest int64
	if config == nil {
		return 0
	}
	for _, c := range config.Challenges {
		if c.OneTime != nil {
			longest = max(longest, c.OneTime.ValiditySeconds+c.OneTime.RekeySeconds)
		}
	}
	return time.Duration(longest) * time.Second
}

// rotateAfter is zero where nobody asks for another key.
func rotateAfter(ep *v1alpha1.ScepEndpoint) time.Time {
	at, err := time.Parse(time.RFC3339, ep.Annotations[v1alpha1.AnnotationRotate])
	if err != nil {
		return time.Time{}
	}
	return at
}

// lacksChallengeKeys says whether a server has other keys of one-time challenges than
// those that are stored. One of an earlier version does not say which it has.
func lacksChallengeKeys(s *raconfig.ReplicaStatus, seen *observation) bool {
	if seen.state.value == nil || len(s.ChallengeKeys) == 0 {
		return false
	}
	slots := seen.state.value.slots
	wanted := slices.DeleteFunc([]string{slots.Active, slots.Previous, slots.Next}, func(id string) bool { return id == "" })
	return !s.HoldsChallengeKeys(wanted)
}

// untilKeys is the time until the next look at the keys of one-time challenges.
func untilKeys(p *plan, d *done, now time.Time) time.Duration {
	switch {
	case p.keys.Step != rotation.KeyRest && d.wrote("Secret"):
		return settleMin // the pods are nudged when the new version was seen
	case p.keys.Waiting:
		return settle(p.keys.Times.Changed, now)
	case p.keys.Next.After(now):
		return min(p.keys.Next.Sub(now), restInterval)
	}
	return restInterval
}

// makeState makes the state Secret, or adds the keys that it lacks, or takes the next
// step of their rotation. They come from here and are kept nowhere else, so what is
// there stays, and nothing is written over what was not seen.
func (r *Reconciler) makeState(ctx context.Context, ep *v1alpha1.ScepEndpoint, p *plan, seen read[stateFact]) ([]apply.Outcome, error) {
	if !p.makeState && p.keys.Step == rotation.KeyRest {
		return nil, nil
	}
	live := get(ctx, r.live, ep.Namespace, render.StateSecretName(ep.Name), &corev1.Secret{})
	switch {
	case live.err != nil:
		return nil, live.err
	case seen.value != nil && (live.value == nil || version(live.value) != seen.value.version):
		return nil, nil // it changed meanwhile: the next look plans anew
	}
	keys, err := r.stateKeys(live.value)
	if err != nil {
		return nil, err
	}
	if err := r.takeStep(&keys, p.keys); err != nil {
		return nil, err
	}
	wanted := render.StateSecret(ep, keys)
	if live.value != nil {
		wanted.WithResourceVersion(live.value.ResourceVersion)
	}
	return r.applier.Apply(ctx, ep, wanted)
}

// verifyingFiles are those beside the two keys without which nothing works.
var verifyingFiles = []string{raconfig.NextChallengeKeyFile, raconfig.PreviousChallengeKeyFile, raconfig.ChallengeTimesFile}

// stateKeys are those of a Secret, which may be nil, and new ones for those it lacks.
func (r *Reconciler) stateKeys(s *corev1.Secret) (render.StateKeys, error) {
	var data map[string][]byte
	if s != nil {
		data = s.Data
	}
	keys := render.StateKeys{HMAC: data[raconfig.HMACKeyFile], Challenge: data[raconfig.ChallengeKeyFile], Verify: map[string][]byte{}}
	for _, name := range verifyingFiles {
		if content, ok := data[name]; ok {
			keys.Verify[name] = content
		}
	}
	for _, key := range []*[]byte{&keys.HMAC, &keys.Challenge} {
		if isStateKey(*key) {
			continue
		}
		made, err := r.newStateKey()
		if err != nil {
			return keys, err
		}
		*key = made
	}
	return keys, nil
}

func (r *Reconciler) newStateKey() ([]byte, error) {
	key := make([]byte, render.StateKeyBytes)
	if _, err := io.ReadFull(r.random, key); err != nil {
		return nil, fmt.Errorf("make the endpoint's keys: %w", err)
	}
	return key, nil
}

// takeStep changes the keys as was planned.
func (r *Reconciler) takeStep(keys *render.StateKeys, p rotation.KeyPlan) error {
	if p.Step == rotation.KeyRest {
		return nil
	}
	switch p.Step {
	case rotation.KeyMake:
		made, err := r.newStateKey()
		if err != nil {
			return err
		}
		keys.Verify[raconfig.NextChallengeKeyFile] = made
	case rotation.KeySwitch:
		keys.Verify[raconfig.PreviousChallengeKeyFile] = keys.Challenge
		keys.Challenge = keys.Verify[raconfig.NextChallengeKeyFile]
		keys.Verify[raconfig.NextChallengeKeyFile] = []byte{}
	case rotation.KeyDrop:
		keys.Verify[raconfig.PreviousChallengeKeyFile] = []byte{}
	case rotation.KeyRest, rotation.KeyNote:
	}
	times, err := rotation.EncodeKeyTimes(p.Times)
	keys.Verify[raconfig.ChallengeTimesFile] = times
	return err
}
