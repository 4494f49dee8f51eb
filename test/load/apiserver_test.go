package load

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

const (
	apiServer = "kube-apiserver"
	// The API server hangs first, as behind a broken network, and is dead then.
	apiHangs = 25 * time.Second
	apiDead  = 35 * time.Second
	// So long after its return may the last device be served. An API server is half a
	// minute old before it knows the parameters of admission policies, the watches of all
	// others find it within a minute, and containers that gave up meanwhile start again.
	apiBackLimit = 5 * time.Minute
)

// testAPIServerAway takes the API server away for a minute: devices are told to come
// again, nothing of theirs is used up, and all are served afterwards.
func testAPIServerAway(t *testing.T) {
	count := newTally()
	waiting := newDevices(t, host, "stranded", 100, count)
	tickets := mint(t, 20)
	first, second := ticketHolders(t, "first", tickets, count), ticketHolders(t, "second", tickets, count)

	signalAPIServer(t, syscall.SIGSTOP)
	t.Cleanup(func() { restartAPIServer(t) })
	dies, returns := time.NewTimer(apiHangs), time.NewTimer(apiHangs+apiDead)
	started := time.Now()
	mustAllBeTurnedAway(t, first)
	mustShowCA(t)

	held := newHoldings()
	group, ctx := errgroup.WithContext(t.Context())
	group.Go(func() error { return enrolAll(ctx, waiting, len(waiting), held) })
	mustPass(ctx, t, dies)
	signalAPIServer(t, syscall.SIGKILL)
	mustAllBeTurnedAway(t, first)
	mustShowCA(t)
	mustPass(ctx, t, returns)
	if n := held.len(); n != 0 {
		t.Errorf("%d devices got a certificate without an API server", n)
	}
	restartAPIServer(t)
	back := time.Now()

	// A challenge that was turned away is still good: for its holder, and for somebody else.
	half := len(tickets) / 2
	group.Go(func() error { return enrolAll(ctx, first[:half], half, held) })
	group.Go(func() error { return enrolAll(ctx, second[half:], half, held) })
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	figures.add("API server away for 1 min", held.len(), count, time.Since(started))
	if took := time.Since(back); took > apiBackLimit {
		t.Errorf("the last device was served %s after the API server's return, want %s at most", took.Round(time.Second), apiBackLimit)
	}
	mustHoldOne(t, "stranded", held.of("stranded"), len(waiting))
	mustHoldOne(t, "first", held.of("first"), half)
	mustHoldOne(t, "second", held.of("second"), half)
	mustWait(t, "the endpoint to be Ready", rig.Ready(shared.api, namespace, endpoint))
}

// ticketHolders are devices with a one-time challenge each.
func ticketHolders(t *testing.T, wave string, tickets []string, count *tally) []*device {
	t.Helper()
	devices := make([]*device, len(tickets))
	for i, ticket := range tickets {
		devices[i] = newDevice(t, fmt.Sprintf("%s%04d", wave, i), ticket, shared.through(host), count)
	}
	return devices
}

func signalAPIServer(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := shared.rig.Cluster.Signal(t.Context(), apiServer, signal); err != nil {
		t.Fatal(err)
	}
}

// restartAPIServer starts it unless it runs, and waits until it answers.
func restartAPIServer(t *testing.T) {
	t.Helper()
	// A cleanup runs after the test's own context has ended.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), readyLimit)
	defer cancel()
	if shared.rig.Kubectl(ctx, "get", "--raw", "/readyz", "--request-timeout", "2s") == nil {
		return
	}
	if err := errors.Join(shared.rig.Cluster.Signal(ctx, apiServer, syscall.SIGKILL), shared.rig.Cluster.Restart(ctx, apiServer)); err != nil {
		t.Fatal(err)
	}
}

// mustAllBeTurnedAway has all devices ask once; each is told when to come again.
func mustAllBeTurnedAway(t *testing.T, devices []*device) {
	t.Helper()
	group, ctx := errgroup.WithContext(t.Context())
	for _, d := range devices {
		group.Go(func() error {
			_, err := d.client.Enrol(ctx, d.request)
			var status *scep.HTTPError
			if !errors.As(err, &status) || status.StatusCode != http.StatusServiceUnavailable || retryAfter(status) == 0 {
				return fmt.Errorf("%s: %w, want HTTP status 503 with Retry-After", d.name, err)
			}
			d.tally.met("HTTP 503")
			return nil
		})
	}
	if err := group.Wait(); err != nil {
		t.Error(err)
	}
}

// mustShowCA asks for what needs no API server.
func mustShowCA(t *testing.T) {
	t.Helper()
	ca, err := shared.through(host).GetCACert(t.Context())
	if err != nil {
		t.Error(err)
		return
	}
	if !ca.Encryption.Equal(shared.ca.Encryption) {
		t.Error("GetCACert shows another RA certificate than before")
	}
}

// mustPass waits for a time, unless the test ends before.
func mustPass(ctx context.Context, t *testing.T, timer *time.Timer) {
	t.Helper()
	select {
	case <-timer.C:
	case <-ctx.Done():
		t.Fatal("devices gave up before the API server was back")
	}
}
