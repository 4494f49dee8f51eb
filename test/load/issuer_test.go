package load

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/internal/scep"
)

const (
	certManager  = "cert-manager"
	issuerAway   = 2 * time.Minute
	issuerAwayBy = 300 // devices
	directWave   = 500
)

// testIssuerAway stops cert-manager for two minutes, and a server dies meanwhile. All
// devices are told to wait; when cert-manager is back, all are served. Those of an
// endpoint that issues directly do not notice.
func testIssuerAway(t *testing.T) {
	count := newTally()
	devices := newDevices(t, host, "patient", issuerAwayBy, count)
	scaleCertManager(t, 0)
	mustWait(t, "cert-manager's controller to be gone", noController)
	back := time.NewTimer(issuerAway)
	t.Cleanup(func() { back.Stop(); scaleCertManager(t, 1) })
	started := time.Now()

	mustAllBePending(t, devices)
	if err := killServer(t.Context()); err != nil {
		t.Fatal(err)
	}
	held := newHoldings()
	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() error { return enrolAll(ctx, devices, len(devices), held) })
	mustIssueDirectly(t)
	select {
	case <-back.C:
	case <-ctx.Done():
		t.Fatal(group.Wait())
	}
	if n := held.len(); n != 0 {
		t.Errorf("%d devices got a certificate without an issuer", n)
	}
	scaleCertManager(t, 1)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	figures.add("cert-manager away for 2 min", held.len(), count, time.Since(started))
	mustHoldOne(t, "patient", held, len(devices))
}

// mustAllBePending has all devices ask once; each is told to come again.
func mustAllBePending(t *testing.T, devices []*device) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	for _, d := range devices {
		group.Go(func() error {
			once := *d.client
			once.PollLimit = 0
			result, err := once.Enrol(ctx, d.request)
			if err == nil && result.Status != scep.StatusPending {
				err = fmt.Errorf("%s: %s, want PENDING", d.name, result.Status)
			}
			if err == nil {
				d.tally.met(result.Status.String())
			}
			return err
		})
	}
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
}

// mustIssueDirectly has a wave of devices enrol without cert-manager.
func mustIssueDirectly(t *testing.T) {
	t.Helper()
	count, held := newTally(), newHoldings()
	devices := newDevices(t, directHost, "direct", directWave, count)
	started := time.Now()
	if err := enrolAll(t.Context(), devices, waveAtOnce, held); err != nil {
		t.Fatal(err)
	}
	figures.add("direct", held.len(), count, time.Since(started))
	mustDiffer(t, held, directWave)
	if asked := requestsOf(t, "direct"); len(asked) > 0 {
		t.Errorf("%d devices of the direct endpoint have CertificateRequests", len(asked))
	}
}

func scaleCertManager(t *testing.T, replicas int) {
	t.Helper()
	d := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: certManager, Name: certManager}}
	patch := client.RawPatch("application/merge-patch+json", fmt.Appendf(nil, `{"spec":{"replicas":%d}}`, replicas))
	// A cleanup runs after the test's own context has ended.
	if err := shared.api.Patch(context.WithoutCancel(t.Context()), d, patch); err != nil {
		t.Fatal(err)
	}
}

func noController(ctx context.Context) (bool, string, error) {
	var pods corev1.PodList
	err := shared.api.List(ctx, &pods, client.InNamespace(certManager), client.MatchingLabels{"app.kubernetes.io/component": "controller"})
	return len(pods.Items) == 0, fmt.Sprintf("%d pods", len(pods.Items)), err
}
