package e2e

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// TestF01 first renews RA certificates ahead of time: a device that fetched GetCACert
// before still enrols. Then nobody renews them: the operator is away, and so is the
// issuer, until they have really ended. The servers stay up and tell devices to come
// again. The operator comes back, the issuer a moment after it, and devices enrol.
func TestF01(t *testing.T) {
	row := failureRow(t, "F01")
	o := newOwnTier(t, "away", life{lasts: 90 * time.Second})
	before := o.pods(t)

	early := o.client()
	early.CA = o.mustShow(t)
	o.issuer.give(life{lasts: time.Minute})
	mustRenewAhead(t, o, early.CA)
	if err := o.granted(early.Enrol(within(t, enrolLimit), enrolment(t, newName()))); err != nil {
		t.Fatalf("a device that fetched GetCACert before the renewal: %v", err)
	}

	shown := o.mustShow(t)
	o.issuer.hush()
	back := operatorAway(t)
	mustWait(t, "devices to be told to come again", o.refuses(t, shown))
	mustWait(t, "the end of the earlier certificates too", ended(early.CA))
	mustSayWhy(t, o.namespace, "certificate ended at")

	o.issuer.give(life{lasts: time.Hour})
	row.Injected() // for the operator, it is there when the operator comes
	returned := time.Now()
	back()
	mustWait(t, "the operator to be ready", operatorReady)
	t.Logf("the operator was ready %s after it was let back", time.Since(returned).Round(100*time.Millisecond))
	row.mustDetect(o.namespace, ownEndpoint)
	o.issuer.speak()
	row.mustHeal(o.namespace, ownEndpoint, o.enrols(t))
	if err := o.granted(o.client().Enrol(within(t, enrolLimit), enrolment(t, newName()))); err != nil {
		t.Fatal(err)
	}
	row.Served()
	if after := o.pods(t); !maps.Equal(before, after) {
		t.Errorf("the servers were %v, and are %v", before, after)
	}
	mustBeReady(t)
}

// mustRenewAhead renews the RA certificates, and waits until others are shown.
func mustRenewAhead(t *testing.T, o *ownTier, shown *scep.CACertificates) {
	t.Helper()
	for _, name := range []string{ownCredential + "-signing", ownCredential + "-encryption"} {
		if err := rig.RenewCertificate(t.Context(), shared.api, o.namespace, name); err != nil {
			t.Fatal(err)
		}
	}
	mustWait(t, "another RA generation in GetCACert", func(ctx context.Context) (bool, string, error) {
		now, err := o.client().GetCACert(ctx)
		return err == nil && differ(shown, now), "the same", err
	})
}

// ended checks that both of a pair have: the operator would go back to one that has not.
func ended(ca *scep.CACertificates) rig.Check {
	return func(context.Context) (bool, string, error) {
		now := time.Now()
		return now.After(ca.Signing.NotAfter) && now.After(ca.Encryption.NotAfter), ca.Signing.NotAfter.String(), nil
	}
}

// differ says whether both of a pair are others.
func differ(a, b *scep.CACertificates) bool {
	return !a.Signing.Equal(b.Signing) && !a.Encryption.Equal(b.Encryption)
}

// operatorAway stops the operator; the function it returns, and the end of the test,
// start it again.
func operatorAway(t *testing.T) (back func()) {
	t.Helper()
	const operator = "scepter-operator"
	scale(t, rig.SystemNamespace, operator, 0)
	back = func() { scale(t, rig.SystemNamespace, operator, 1) }
	t.Cleanup(back)
	mustWait(t, "the operator to be gone", func(ctx context.Context) (bool, string, error) {
		var pods corev1.PodList
		err := shared.api.List(ctx, &pods, client.InNamespace(rig.SystemNamespace))
		return len(pods.Items) == 0, fmt.Sprintf("%d pods", len(pods.Items)), err
	})
	return back
}

func operatorReady(ctx context.Context) (bool, string, error) {
	var pods corev1.PodList
	err := shared.api.List(ctx, &pods, client.InNamespace(rig.SystemNamespace))
	return slices.ContainsFunc(pods.Items, func(p corev1.Pod) bool { return rig.PodReady(&p) }), fmt.Sprintf("%d pods", len(pods.Items)), err
}

// refuses checks that a device that knows the RA's certificates is told to come again,
// while GetCACert is still answered.
func (o *ownTier) refuses(t *testing.T, known *scep.CACertificates) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		if err := o.answersGetCACert(ctx); err != nil {
			return false, "", err
		}
		once := o.client()
		once.PollLimit, once.CA = 0, known
		_, err := once.Enrol(ctx, enrolment(t, newName()))
		var status *scep.HTTPError
		if errors.As(err, &status) {
			return status.StatusCode == http.StatusServiceUnavailable && status.RetryAfter != "", status.Error(), nil
		}
		return false, fmt.Sprint(err), nil
	}
}

// answersGetCACert does not look at what it gets: our client refuses expired certificates.
func (o *ownTier) answersGetCACert(ctx context.Context) error {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, o.url()+"?operation=GetCACert", http.NoBody)
	if err != nil {
		return err
	}
	response, err := o.client().HTTP.Do(r)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("GetCACert: %s", response.Status)
	}
	return nil
}

// mustSayWhy looks for a line in the log of a namespace's server.
func mustSayWhy(t *testing.T, namespace, why string) {
	t.Helper()
	for name := range restarts(t, namespace) {
		pod, _, _ := strings.Cut(name, " ")
		log, err := clientset(t).CoreV1().Pods(namespace).GetLogs(pod, &corev1.PodLogOptions{}).DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(log), why) {
			return
		}
	}
	t.Errorf("no server says %q", why)
}
