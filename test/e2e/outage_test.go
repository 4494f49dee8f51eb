package e2e

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
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

// TestF29ApprovedLater polls for an answer that comes late: at any server, and also when
// the one that took the request is gone.
func TestF29ApprovedLater(t *testing.T) {
	row := failureRow(t, "F29")
	pods := servers(t)
	if len(pods) < 2 {
		t.Fatalf("%d servers, want 2", len(pods))
	}
	back := issuerAway(t)
	r := pending(t, toPod(&pods[0]))
	other := toPod(&pods[1])
	mustStayPending(t, other, r)
	row.Used("another server")
	if err := shared.api.Delete(t.Context(), &pods[0], client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
	back()
	other.PollLimit = -1
	first := mustEnrol(t, other, r)
	mustWait(t, "both servers", twoServers(t))
	for _, pod := range servers(t) {
		if again := mustEnrol(t, toPod(&pod), r); !bytes.Equal(first.Raw, again.Raw) {
			t.Error("two servers answered one transaction with different certificates")
		}
	}
	row.Used("after a restart")
	mustBeReady(t)
}

func mustStayPending(t *testing.T, c *scep.Client, r scep.EnrolRequest) {
	t.Helper()
	c.PollLimit = 0
	again, err := c.Enrol(within(t, enrolLimit), r)
	if err != nil {
		t.Fatal(err)
	}
	if again.Status != scep.StatusPending {
		t.Fatalf("the same request was answered with %s, want PENDING", again.Status)
	}
}

// TestF32AskingAgain sends one request over and over, to each server and through the
// ingress: one certificate, one CertificateRequest.
func TestF32AskingAgain(t *testing.T) {
	row := failureRow(t, "F32")
	r := enrolment(t, newName())
	r.TransactionID = "again-" + r.Template.Subject.CommonName
	first := mustEnrol(t, through("http"), r)
	clients := []*scep.Client{through("http"), through("https")}
	for _, pod := range servers(t) {
		clients = append(clients, toPod(&pod))
	}
	for _, c := range clients {
		if again := mustEnrol(t, c, r); !bytes.Equal(first.Raw, again.Raw) {
			t.Error("one transaction has two certificates")
		}
	}
	if n := requestsFor(t, r.Template.Subject.CommonName); n != 1 {
		t.Errorf("the transaction made %d CertificateRequests, want 1", n)
	}
	row.Used("each server, http and https")
}

// TestF18Denied has an approver deny a device's request: the device hears so, and so does
// whoever looks at the endpoint, until the next request is granted.
func TestF18Denied(t *testing.T) {
	row := failureRow(t, "F18")
	back := issuerAway(t)
	r := pending(t, through("http"))
	deny(t)
	row.Injected()
	result, err := through("http").Enrol(within(t, enrolLimit), r)
	mustRefuse(t, result, err, "denied")
	row.mustDetect(namespace, endpoint)
	back()
	row.Remedied()
	mustEnrol(t, through("http"), enrolment(t, newName()))
	mustWait(t, "the condition Enrolling", condition("ScepEndpoint", namespace, endpoint, v1alpha1.ConditionEnrolling, isTrue))
	row.mustHeal(namespace, endpoint, enrols(t))
	row.Served()
}

// deny denies whatever waits, as an approver does.
func deny(t *testing.T) {
	t.Helper()
	all, err := requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i := range all {
		if len(all[i].Status.Certificate) > 0 || len(all[i].Status.Conditions) > 0 {
			continue
		}
		now := metav1.Now()
		all[i].Status.Conditions = []certmanagerv1.CertificateRequestCondition{{
			Type: certmanagerv1.CertificateRequestConditionDenied, Status: cmmeta.ConditionTrue,
			Reason: "policy.example.com", Message: "not this device", LastTransitionTime: &now,
		}}
		if err := shared.api.Status().Update(t.Context(), &all[i]); err != nil {
			t.Fatal(err)
		}
	}
}

// TestF19IssuerBroken breaks the issuer: its own condition shows on the endpoint, devices
// are told to poll, and are served when it is well again.
func TestF19IssuerBroken(t *testing.T) {
	row := failureRow(t, "F19")
	setCASecret(t, "gone")
	t.Cleanup(func() { setCASecret(t, "fleet-ca") })
	row.Injected()
	row.mustDetect(namespace, endpoint)
	c := through("http")
	r := pending(t, c)
	setCASecret(t, "fleet-ca")
	row.Remedied()
	row.mustHeal(namespace, endpoint, enrols(t))
	c.PollLimit = -1
	mustEnrol(t, c, r)
	row.Served()
}

// setCASecret tells the tier's Issuer which Secret holds its CA.
func setCASecret(t *testing.T, name string) {
	t.Helper()
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec": {"ca": {"secretName": %q}}}`, name))
	// A cleanup runs after the test's own context has ended.
	if err := shared.api.Patch(context.WithoutCancel(t.Context()), named(&certmanagerv1.Issuer{}, "fleet-ca"), patch); err != nil {
		t.Fatal(err)
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
			return rig.PodReady(&p) && !slices.ContainsFunc(gone, func(old corev1.Pod) bool { return old.UID == p.UID })
		})
		return fresh, fmt.Sprintf("%d pods", len(now.Items)), nil
	})
	touch(t)
	mustWait(t, "the operator to handle the endpoint", handled(t))
	mustBeReady(t)
}

var errNoAnnotation = errors.New("the endpoint has no reconcile annotation")
