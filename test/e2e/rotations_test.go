package e2e

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
	"github.com/scepter-pki/scepter/test/stock"
)

const (
	rotations     = 10
	rotationLimit = 10 * time.Minute // of all together
	// rotationPause is between two enrolments of a device.
	rotationPause = 300 * time.Millisecond
	// leastEnrolments are of each device, or it was no load: certmonger takes long for one
	// where other tests run beside it.
	leastEnrolments = 3
)

// rotationLife has cert-manager renew after a quarter of a minute (at two thirds of
// the life), by itself; each certificate ends within the test.
var rotationLife = life{began: 165 * time.Second, lasts: 105 * time.Second}

// TestTenRotations has RA certificates with a life of minutes renewed ten times while
// devices enrol at all times, stock ones and our own. Half of the enrolments are of
// devices that fetched GetCACert one rotation earlier. None may fail, and no pod may
// start anew.
func TestTenRotations(t *testing.T) {
	t.Parallel()
	o := newOwnTier(t, "rotations", rotationLife)
	before, operator := o.pods(t), restarts(t, rig.SystemNamespace)
	devices := newRotationDevices(t, o)
	started := time.Now()

	ctx, stop := context.WithCancel(t.Context())
	var running errgroup.Group
	for _, d := range devices.all() {
		running.Go(func() error { return devices.keepEnrolling(ctx, d) })
	}
	err := rig.Wait(t.Context(), "ten rotations", rotationLimit, devices.rotated)
	stop()
	if err := errors.Join(err, running.Wait()); err != nil {
		t.Fatal(err)
	}
	devices.report(t, time.Since(started))
	if first := devices.shown[0].Signing.NotAfter; time.Now().Before(first) {
		t.Errorf("the first certificate has not ended yet, but at %s", first)
	}
	if after := o.pods(t); !maps.Equal(before, after) {
		t.Errorf("the servers were %v, and are %v", before, after)
	}
	if after := restarts(t, rig.SystemNamespace); !maps.Equal(operator, after) {
		t.Errorf("the operator was %v, and is %v", operator, after)
	}
}

// rotationDevices are the load, and what they came to.
type rotationDevices struct {
	tier   *ownTier
	dir    string // files of stock clients
	runner stock.Runner
	keys   map[rotationDevice]*rsa.PrivateKey // of our own, one for all enrolments: a key takes long

	mu       sync.Mutex
	shown    []*scep.CACertificates // by GetCACert, one a rotation
	fetched  []string               // the same, as strongSwan fetched it
	enrolled map[rotationDevice]int
}

// rotationDevice is a client, early if it fetched GetCACert one rotation before it enrols.
type rotationDevice struct {
	client string
	early  bool
	number int // of its kind
}

func newRotationDevices(t *testing.T, o *ownTier) *rotationDevices {
	t.Helper()
	runner, err := shared.rig.Device(t.Context(), shared.ca, o.host)
	if err != nil {
		t.Fatal(err)
	}
	d := &rotationDevices{
		tier: o, dir: t.TempDir(), runner: runner,
		keys: map[rotationDevice]*rsa.PrivateKey{}, enrolled: map[rotationDevice]int{},
	}
	for _, device := range d.all() {
		d.keys[device] = newKey(t)
	}
	if _, _, err := d.rotated(t.Context()); err != nil {
		t.Fatal(err)
	}
	return d
}

// Names of the clients.
const (
	ownClient  = "own"
	strongSwan = "strongSwan"
	scepClient = "scepclient"
	certmonger = "certmonger"
)

// all are as many that fetch GetCACert early as others; scepclient and certmonger fetch
// it themselves, each time.
func (d *rotationDevices) all() []rotationDevice {
	return []rotationDevice{
		{ownClient, true, 1},
		{ownClient, true, 2},
		{ownClient, true, 3},
		{strongSwan, true, 4},
		{ownClient, false, 5},
		{strongSwan, false, 6},
		{scepClient, false, 7},
		{certmonger, false, 8},
	}
}

// rotated notes each generation that GetCACert shows for the first time, and counts: while
// servers switch over, one still shows the earlier.
func (d *rotationDevices) rotated(ctx context.Context) (bool, string, error) {
	now, err := d.tier.client().GetCACert(ctx)
	if err != nil {
		return false, "", err
	}
	d.mu.Lock()
	n := len(d.shown)
	known := slices.ContainsFunc(d.shown, func(earlier *scep.CACertificates) bool { return !differ(earlier, now) })
	d.mu.Unlock()
	if known {
		return n > rotations, fmt.Sprintf("%d rotations", n-1), nil
	}
	dir := filepath.Join(d.dir, fmt.Sprintf("generation-%d", n))
	if err := os.Mkdir(dir, 0o700); err != nil {
		return false, "", err
	}
	if err := (&stock.StrongSwan{Run: d.runner}).FetchCA(ctx, dir, d.tier.url()); err != nil {
		return false, "", errors.Join(err, os.RemoveAll(dir))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shown, d.fetched = append(d.shown, now), append(d.fetched, dir)
	return n >= rotations, fmt.Sprintf("%d rotations", n), nil
}

// earlier is what GetCACert showed one rotation ago; before the first, what it shows.
func (d *rotationDevices) earlier() (*scep.CACertificates, string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	i := max(0, len(d.shown)-2)
	return d.shown[i], d.fetched[i]
}

// keepEnrolling enrols until the time is up; the enrolment that runs then is finished.
func (d *rotationDevices) keepEnrolling(ctx context.Context, device rotationDevice) error {
	for ctx.Err() == nil {
		name := newName()
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), enrolLimit)
		err := d.enrol(limited, device, name)
		cancel()
		if err != nil {
			return fmt.Errorf("%s (early: %t): %s: %w", device.client, device.early, name, err)
		}
		d.mu.Lock()
		d.enrolled[device]++
		d.mu.Unlock()
		select {
		case <-ctx.Done():
		case <-time.After(rotationPause):
		}
	}
	return nil
}

func (d *rotationDevices) enrol(ctx context.Context, device rotationDevice, name string) error {
	if device.client == ownClient {
		return d.enrolOwn(ctx, device, name)
	}
	dir := filepath.Join(d.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return err
	}
	got, err := d.stock(device).Enrol(ctx, dir, stock.Request{
		URL: d.tier.url(), CommonName: name, Organization: organization, Challenge: challenge, PollInterval: time.Second,
	})
	if err == nil && !d.tier.issuer.ca.Issued(got.Certificate) {
		err = errors.New("the certificate is not of this tier's CA")
	}
	return err
}

func (d *rotationDevices) enrolOwn(ctx context.Context, device rotationDevice, name string) error {
	c := d.tier.client()
	if device.early {
		c.CA, _ = d.earlier()
	}
	return d.tier.granted(c.Enrol(ctx, scep.EnrolRequest{
		Key: d.keys[device], ChallengePassword: challenge, TransactionID: name,
		Template: &x509.CertificateRequest{Subject: pkix.Name{CommonName: name, Organization: []string{organization}}},
	}))
}

func (d *rotationDevices) stock(device rotationDevice) stock.Client {
	switch device.client {
	case scepClient:
		return &stock.ScepClient{Run: d.runner}
	case certmonger:
		return &stock.Certmonger{Run: d.runner}
	}
	s := &stock.StrongSwan{Run: d.runner}
	if device.early {
		_, s.CA = d.earlier()
	}
	return s
}

// report logs the figures, and checks that the load was one.
func (d *rotationDevices) report(t *testing.T, took time.Duration) {
	t.Helper()
	early, all := 0, 0
	byClient := map[string]int{}
	for device, n := range d.enrolled {
		all += n
		byClient[device.client] += n
		if device.early {
			early += n
		}
	}
	t.Logf("%d rotations in %s: %d enrolments, %d of them with GetCACert of one rotation earlier, none failed",
		len(d.shown)-1, took.Round(time.Second), all, early)
	for _, client := range slices.Sorted(maps.Keys(byClient)) {
		t.Logf("%s: %d enrolments", client, byClient[client])
	}
	for _, device := range d.all() {
		if d.enrolled[device] < leastEnrolments {
			t.Errorf("%s (early: %t) enrolled %d times only", device.client, device.early, d.enrolled[device])
		}
	}
	if early*2 < all*9/10 {
		t.Errorf("%d of %d enrolments were of devices that fetched GetCACert early, want half", early, all)
	}
}
