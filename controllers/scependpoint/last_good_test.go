package scependpoint

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// TestWhichConfigurationIsTheLastGoodOne: the newest that every server uses.
func TestWhichConfigurationIsTheLastGoodOne(t *testing.T) {
	t.Parallel()
	const old, newer, next = "a", "b", "c"
	uses := func(name, file string) replica {
		return replica{name: name, ready: true, status: &raconfig.ReplicaStatus{ConfigHash: raconfig.Hash([]byte(file))}}
	}
	had := raconfig.LastGood{Config: old, Revisions: []string{"ra-old-"}}
	good := func(file string, revisions ...string) raconfig.LastGood {
		return raconfig.LastGood{Config: file, Revisions: revisions}
	}
	for name, tc := range map[string]struct {
		servers, signers read[[]replica]
		want             raconfig.LastGood
	}{
		"nobody is there":           {read[[]replica]{}, read[[]replica]{}, had},
		"nobody is there any more":  {value(), read[[]replica]{}, had},
		"all use the next":          {value(uses("ra-1-aaaaa", next), uses("ra-1-bbbbb", next)), read[[]replica]{}, good(next, "ra-1-")},
		"in the midst of a rollout": {value(uses("ra-2-aaaaa", next), uses("ra-1-bbbbb", next)), read[[]replica]{}, good(next, "ra-1-", "ra-2-")},
		"all use the newest":        {value(uses("ra-1-aaaaa", newer)), read[[]replica]{}, good(newer, "ra-1-")},
		"one refuses the newest":    {value(uses("ra-1-aaaaa", newer), uses("ra-1-bbbbb", old)), read[[]replica]{}, had},
		"one has none":              {value(uses("ra-1-aaaaa", next), replica{name: "ra-1-bbbbb", status: &raconfig.ReplicaStatus{}}), read[[]replica]{}, had},
		"a ready one says nothing":  {value(uses("ra-1-aaaaa", next), replica{name: "ra-1-bbbbb", ready: true}), read[[]replica]{}, had},
		"one starts":                {value(uses("ra-1-aaaaa", next), replica{name: "ra-1-bbbbb"}), read[[]replica]{}, good(next, "ra-1-")},
		"signers too":               {value(uses("ra-1-aaaaa", next)), value(uses("signer-1-aaaaa", next)), good(next, "ra-1-", "signer-1-")},
		"a signer refuses":          {value(uses("ra-1-aaaaa", next)), value(uses("signer-1-aaaaa", old)), had},
		"signers are not read":      {value(uses("ra-1-aaaaa", next)), read[[]replica]{err: errors.New("away")}, had},
	} {
		seen := &observation{files: configFiles{newest: newer, lastGood: had}, replicas: tc.servers, signers: signerFacts{replicas: tc.signers}}
		if got := planLastGood(seen, next); !reflect.DeepEqual(got, tc.want) {
			t.Errorf("%s: %+v, want %+v", name, got, tc.want)
		}
	}
}

func value(replicas ...replica) read[[]replica] { return read[[]replica]{value: &replicas} }

// TestTheLastGoodConfigurationStays while servers refuse the newest: beside it, for those of
// the same revision that start, and none is replaced. A correction ends it all.
func TestTheLastGoodConfigurationStays(t *testing.T) {
	const why = "config: config.yaml: template device: rules[0]: undeclared reference to 'csr.nothing'"
	f := newFixture(t)
	f.makeAll()
	good, config := f.config()
	f.waitLastGood(string(good))

	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Exposure.TrustedProxies = []string{"10.0.0.0/8"} })
	f.waitConfig(func(c *raconfig.Config) bool { return len(c.TrustedProxies) == 1 })
	for i := range 2 {
		f.servers.say(podIP(i), raconfig.ReplicaStatus{
			ConfigHash: raconfig.Hash(good), ConfigGeneration: config.Endpoint.Generation,
			ActiveGeneration: "gen1", HeldGenerations: []string{"gen1"}, Problems: []string{why},
		})
	}
	f.rolledOut(2)
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonServersUnavailable, why)
	f.mustHoldServers(why)

	f.load(0, "gen1")
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionTrue, v1alpha1.ReasonConfigRefused, why, "waits until they can use the configuration")
	f.waitLastGood(string(good))

	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Exposure.TrustedProxies = []string{"192.0.2.0/24"} })
	f.waitConfig(func(c *raconfig.Config) bool { return c.TrustedProxies[0] == "192.0.2.0/24" })
	f.load(0, "gen1")
	f.load(1, "gen1")
	f.waitServersOfTheAccount()
	f.rolledOut(2)
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	mended, _ := f.config()
	f.waitLastGood(string(mended))
}

// mustHoldServers gives the operator a reason to replace servers, which it must not follow.
func (f *fixture) mustHoldServers(why string) {
	f.t.Helper()
	var before, after appsv1.Deployment
	f.get("corp-ra", &before)
	if err := f.client.Delete(f.t.Context(), &corev1.ServiceAccount{ObjectMeta: f.meta("corp-ra")}); err != nil {
		f.t.Fatal(err)
	}
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonServersUnavailable, why, "waits until they can use the configuration")
	f.get("corp-ra", &after)
	if !reflect.DeepEqual(before.Spec.Template, after.Spec.Template) {
		f.t.Error("servers are replaced while they refuse the configuration")
	}
}

// rolledOut plays the Deployment controller, as soon as the Deployment is of the present spec.
func (f *fixture) rolledOut(n int) {
	f.t.Helper()
	testenv.Eventually(f.t, "the Deployment of the present spec", func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		var d appsv1.Deployment
		if err := errors.Join(
			f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp"}, &ep), f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-ra"}, &d),
		); err != nil {
			return err
		}
		if got := d.Annotations[render.AnnotationGeneration]; got != strconv.FormatInt(ep.Generation, 10) {
			return fmt.Errorf("it is of generation %s, want %d", got, ep.Generation)
		}
		return nil
	})
	f.deploymentAvailable(n)
}

// waitServersOfTheAccount waits until the servers are to have a token of the present account.
func (f *fixture) waitServersOfTheAccount() {
	f.t.Helper()
	testenv.Eventually(f.t, "servers of the new account", func(ctx context.Context) error {
		var account corev1.ServiceAccount
		var d appsv1.Deployment
		key := client.ObjectKey{Namespace: f.ns, Name: "corp-ra"}
		if err := errors.Join(f.client.Get(ctx, key, &account), f.client.Get(ctx, key, &d)); err != nil {
			return err
		}
		if got := d.Spec.Template.Annotations[render.AnnotationServiceAccountUID]; got != string(account.UID) {
			return fmt.Errorf("they are of %s, want %s", got, account.UID)
		}
		return nil
	})
}

// waitConfig waits until the servers are given a configuration like this.
func (f *fixture) waitConfig(is func(*raconfig.Config) bool) {
	f.t.Helper()
	testenv.Eventually(f.t, "the configuration", func(ctx context.Context) error {
		_, config, err := f.readConfig(ctx)
		if err == nil && !is(config) {
			err = fmt.Errorf("it is %+v", config)
		}
		return err
	})
}

// waitLastGood waits until a configuration is the last good one, for servers of the
// revision that runs.
func (f *fixture) waitLastGood(want string) {
	f.t.Helper()
	testenv.Eventually(f.t, "the last good configuration", func(ctx context.Context) error {
		var m corev1.ConfigMap
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-ra-config"}, &m); err != nil {
			return err
		}
		got := raconfig.ReadLastGood(m.Data)
		if got.Config != want || !got.Fits("corp-ra-0") || got.Fits("corp-ra-5d9c7b6f4-x2x7k") {
			return fmt.Errorf("it is for %q: %s", got.Revisions, got.Config)
		}
		return nil
	})
}
