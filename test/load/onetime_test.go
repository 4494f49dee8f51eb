package load

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// The race: so many challenges, each in the hands of so many devices.
const (
	raceChallenges = 50
	raceRivals     = 4
)

// testRace has 200 devices use 50 one-time challenges at once, at all servers.
func testRace(t *testing.T) {
	tickets := mint(t, raceChallenges)
	pods := mustHaveServers(t, 3)
	count := newTally()
	won := make([]int, raceChallenges)
	held := newHoldings()
	var mu sync.Mutex
	var group errgroup.Group
	start := make(chan struct{})
	for i := range raceChallenges * raceRivals {
		ticket := i / raceRivals
		c := shared.toPod(&pods[i%len(pods)])
		c.CA = shared.ca
		d := newDevice(t, fmt.Sprintf("race%04d", i), tickets[ticket], c, count)
		group.Go(func() error {
			<-start
			result, err := d.enrol(t.Context())
			if err != nil {
				return err
			}
			if result.Status == scep.StatusSuccess {
				held.add(d.name, result.Certificate)
				mu.Lock()
				defer mu.Unlock()
				won[ticket]++
				return nil
			}
			return cleanlyRefused(d, result)
		})
	}
	started := time.Now()
	close(start)
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	figures.add("one-time challenges", held.len(), count, time.Since(started))
	for ticket, n := range won {
		if n != 1 {
			t.Errorf("%d devices got a certificate by challenge %d, want 1", n, ticket)
		}
	}
	if refused, want := count.count(scep.StatusFailure.String()), raceChallenges*(raceRivals-1); refused != want {
		t.Errorf("%d devices were refused, want %d", refused, want)
	}
	mustHoldOne(t, "race", held, raceChallenges)
}

// cleanlyRefused: the device is told that it came too late, and no more.
func cleanlyRefused(d *device, result *scep.Result) error {
	const text = "challenge already used: ask for a new one"
	if result.Status != scep.StatusFailure || result.FailInfo != scep.BadRequest || result.FailInfoText != text {
		return fmt.Errorf("%s: %s %s %q, want FAILURE badRequest %q", d.name, result.Status, result.FailInfo, result.FailInfoText, text)
	}
	return nil
}

// mint asks the admin Service for challenges, as a management system does.
func mint(t *testing.T, n int) []string {
	t.Helper()
	var service corev1.Service
	if err := shared.api.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: endpoint + "-ra-admin"}, &service); err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(shared.roots)
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return shared.rig.Cluster.Dial(ctx, network, net.JoinHostPort(service.Spec.ClusterIP, "443"))
	}
	c := &http.Client{
		Transport: &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots}, IdleConnTimeout: time.Second},
		Timeout:   time.Minute,
	}
	tickets := make([]string, n)
	for i := range tickets {
		tickets[i] = mintOne(t, c)
	}
	return tickets
}

func mintOne(t *testing.T, c *http.Client) string {
	t.Helper()
	body, err := json.Marshal(raconfig.ChallengeRequest{})
	if err != nil {
		t.Fatal(err)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+adminHost+raconfig.ChallengesPath, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.SetBasicAuth("mdm", "let-me-mint")
	response, err := c.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	var minted raconfig.ChallengeReply
	if err := json.NewDecoder(response.Body).Decode(&minted); err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("HTTP status %d, %v", response.StatusCode, err)
	}
	return minted.Challenge
}

// mustHaveServers waits until so many servers are ready, and returns them.
func mustHaveServers(t *testing.T, n int) (pods []corev1.Pod) {
	t.Helper()
	mustWait(t, fmt.Sprintf("%d servers", n), func(ctx context.Context) (bool, string, error) {
		var err error
		pods, err = servers(ctx)
		return len(pods) == n, fmt.Sprintf("%d servers", len(pods)), err
	})
	return pods
}
