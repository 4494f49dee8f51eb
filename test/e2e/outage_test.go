package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

const certManager = "cert-manager"

// issuerAway stops cert-manager's controller; the function it returns, and the
// end of the test, start it again.
func issuerAway(t *testing.T) (back func()) {
	t.Helper()
	scale(t, certManager, certManager, 0)
	mustWait(t, "cert-manager's controller to be gone", func(ctx context.Context) (bool, string, error) {
		var pods corev1.PodList
		err := shared.api.List(ctx, &pods, client.InNamespace(certManager), client.MatchingLabels{"app.kubernetes.io/component": "controller"})
		return len(pods.Items) == 0, fmt.Sprintf("%d pods", len(pods.Items)), err
	})
	back = func() { scale(t, certManager, certManager, 1) }
	t.Cleanup(back)
	return back
}

func scale(t *testing.T, namespace, name string, replicas int32) {
	t.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name}}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	// A cleanup runs after the test's own context has ended.
	if err := shared.api.Patch(context.WithoutCancel(t.Context()), d, patch); err != nil {
		t.Fatal(err)
	}
}

// pending sends a request that must be answered PENDING, and returns the client
// and the request to go on with.
func pending(t *testing.T, c *scep.Client) scep.EnrolRequest {
	t.Helper()
	r := enrolment(t, newName())
	r.TransactionID = "pending-" + r.Template.Subject.CommonName
	c.PollLimit = 0
	result, err := c.Enrol(within(t, enrolLimit), r)
	if err != nil {
		t.Fatal(err)
	}
	if result.Status != scep.StatusPending {
		t.Fatalf("got %s, want PENDING while cert-manager is away", result.Status)
	}
	return r
}

// TestIssuerAway enrols while cert-manager is away: the device is told to poll,
// and is served when cert-manager is back; polls go to whichever server.
func TestIssuerAway(t *testing.T) {
	back := issuerAway(t)
	c := through("http")
	pending(t, through("http"))
	type outcome struct {
		result *scep.Result
		err    error
	}
	r := enrolment(t, newName())
	ended := make(chan outcome, 1)
	go func() {
		result, err := c.Enrol(within(t, readyLimit), r)
		ended <- outcome{result, err}
	}()
	mustWait(t, "the request to be recorded", recorded(t, 2))
	back()
	o := <-ended
	granted(t, r.Key, o.result, o.err)
	mustBeReady(t)
}

// recorded checks that there are as many requests that nobody has answered.
func recorded(t *testing.T, want int) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		open, err := openRequests(ctx)
		return open >= want, fmt.Sprintf("%d open requests", open), err
	}
}

// TestPollsReachAnyServer asks one server and polls the other, over and over.
func TestPollsReachAnyServer(t *testing.T) {
	pods := servers(t)
	if len(pods) < 2 {
		t.Fatalf("%d servers, want 2", len(pods))
	}
	back := issuerAway(t)
	r := pending(t, toPod(&pods[0]))
	other := toPod(&pods[1])
	other.PollLimit = 0
	again, err := other.Enrol(within(t, enrolLimit), r)
	if err != nil {
		t.Fatal(err)
	}
	if again.Status != scep.StatusPending {
		t.Fatalf("the other server answered the same request with %s, want PENDING", again.Status)
	}
	back()
	other.PollLimit = -1
	first := mustEnrol(t, other, r)
	second := mustEnrol(t, toPod(&pods[0]), r)
	if !bytes.Equal(first.Raw, second.Raw) {
		t.Error("two servers answered one transaction with different certificates")
	}
}

// TestServerDiesDuringEnrolment kills the server that holds a device's request;
// the device's retry of the same request collects the one certificate.
func TestServerDiesDuringEnrolment(t *testing.T) {
	pods := servers(t)
	back := issuerAway(t)
	victim := pods[0]
	r := enrolment(t, newName())
	r.TransactionID = "killed-" + r.Template.Subject.CommonName
	dead := make(chan error, 1)
	go func() {
		_, err := toPod(&victim).Enrol(within(t, enrolLimit), r)
		dead <- err
	}()
	mustWait(t, "the request to be recorded", recorded(t, 1))
	now := client.GracePeriodSeconds(0)
	if err := shared.api.Delete(t.Context(), &victim, now); err != nil {
		t.Fatal(err)
	}
	if err := <-dead; err == nil {
		t.Error("the enrolment survived its server")
	}
	back()
	mustEnrol(t, through("http"), r)
	if n := requestsFor(t, r.Template.Subject.CommonName); n != 1 {
		t.Errorf("the transaction made %d CertificateRequests, want 1", n)
	}
	mustBeReady(t)
}

// TestOperatorRestarts takes the operator away: devices do not notice.
func TestOperatorRestarts(t *testing.T) {
	var pods corev1.PodList
	if err := shared.api.List(t.Context(), &pods, client.InNamespace(rig.SystemNamespace)); err != nil {
		t.Fatal(err)
	}
	for i := range pods.Items {
		if err := shared.api.Delete(t.Context(), &pods.Items[i]); err != nil {
			t.Fatal(err)
		}
	}
	mustEnrol(t, through("http"), enrolment(t, newName()))
	gone := slices.Clone(pods.Items)
	mustWait(t, "another operator", func(ctx context.Context) (bool, string, error) {
		var now corev1.PodList
		if err := shared.api.List(ctx, &now, client.InNamespace(rig.SystemNamespace)); err != nil {
			return false, "", err
		}
		fresh := slices.ContainsFunc(now.Items, func(p corev1.Pod) bool {
			return podReady(&p) && !slices.ContainsFunc(gone, func(old corev1.Pod) bool { return old.UID == p.UID })
		})
		return fresh, fmt.Sprintf("%d pods", len(now.Items)), nil
	})
	touch(t)
	mustWait(t, "the operator to handle the endpoint", handled(t))
	mustBeReady(t)
}

var errNoAnnotation = errors.New("the endpoint has no reconcile annotation")
