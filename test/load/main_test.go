// Package load tests what Scepter promises under load and in outages, in a real
// cluster: each device gets one certificate and no device is lost, whatever is killed
// meanwhile. At the end it prints the figures that it measured.
//
// It stops the cluster's API server and kills containers, so it wants a cluster of
// its own (CLUSTER=current is refused). cert-manager runs there as its chart has it:
// five workers, and no limit of its own on what it asks of the API server, because that
// shares itself out (API Priority and Fairness).
package load

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
	"github.com/scepter-pki/scepter/test/stock"
)

// Names in testdata/load.yaml.
const (
	namespace    = "load"
	endpoint     = "fleet"
	direct       = "direct"
	issuer       = "fleet-ca"
	host         = "scep.example.com"
	directHost   = "direct.example.com"
	adminHost    = "scep-admin.example.com"
	challenge    = "correct-horse-battery"
	organization = "Example Corp"
	domain       = ".devices.example.com"
)

// Limits of what tests wait for.
const (
	upLimit    = 20 * time.Minute // with cold caches, binaries are built first
	readyLimit = 5 * time.Minute
	waveLimit  = 10 * time.Minute
)

// tier is the cluster with Scepter and the endpoint that all tests share.
type tier struct {
	rig    *rig.Rig
	api    client.Client
	pods   kubernetes.Interface
	device stock.Runner
	ca     *scep.CACertificates
	roots  []byte // the CA, PEM
	keys   *keyPool
}

var shared *tier

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "scepter-load-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log, err := os.Create(filepath.Join(os.TempDir(), "scepter-load.log"))
	if err != nil {
		return fail(err)
	}
	defer func() { _ = log.Close() }()
	ctx, cancel := context.WithTimeout(context.Background(), upLimit)
	defer cancel()
	shared, err = newTier(ctx, dir, log)
	if shared != nil {
		defer func() { code = max(code, shared.down()) }()
	}
	if err != nil {
		return fail(fmt.Errorf("%w (details: %s)", err, log.Name()))
	}
	code = m.Run()
	figures.print(os.Stdout)
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "load:", err)
	return 1
}

var errNotOurs = errors.New("CLUSTER=current: these tests stop the API server, and want a cluster of their own")

// newTier returns a tier also with an error, if there is something to take down.
func newTier(ctx context.Context, dir string, log io.Writer) (*tier, error) {
	if rig.Current() {
		return nil, errNotOurs
	}
	if err := stock.Install(ctx, stock.CertmongerPackages...); err != nil {
		return nil, err
	}
	r, err := rig.Up(ctx, rig.Options{Name: "load", Dir: dir, Log: log})
	if err != nil {
		return nil, err
	}
	t := &tier{rig: r}
	if err := r.Install(ctx); err != nil {
		return t, err
	}
	if t.keys, err = newKeyPool(); err != nil {
		return t, err
	}
	return t, t.connect(ctx)
}

func (t *tier) connect(ctx context.Context) error {
	config, err := t.rig.Cluster.RESTConfig()
	if err != nil {
		return err
	}
	if t.pods, err = kubernetes.NewForConfig(config); err != nil {
		return err
	}
	if t.api, err = t.rig.Client(); err != nil {
		return err
	}
	if err := t.rig.Kubectl(ctx, "apply", "--server-side", "-f", t.rig.Path("test", "load", "testdata", "load.yaml")); err != nil {
		return err
	}
	for _, name := range []string{endpoint, direct} {
		if err := rig.Wait(ctx, "the endpoint to be Ready", readyLimit, rig.Ready(t.api, namespace, name)); err != nil {
			return errors.Join(err, t.rig.Kubectl(ctx, "get", "all,scepter,certificates", "-A", "-o", "wide"))
		}
	}
	if t.roots, err = rig.CA(ctx, t.api, namespace, issuer); err != nil {
		return err
	}
	if t.device, err = t.rig.Device(ctx, t.roots, host); err != nil {
		return err
	}
	return t.routesWork(ctx)
}

// routesWork waits until the ingress has taken notice of both endpoints.
func (t *tier) routesWork(ctx context.Context) error {
	for _, name := range []string{directHost, host} {
		err := rig.Wait(ctx, "GetCACert through the ingress", readyLimit, func(ctx context.Context) (bool, string, error) {
			var err error
			t.ca, err = t.through(name).GetCACert(ctx)
			return err == nil, "", err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func (t *tier) down() int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := t.rig.Down(ctx); err != nil {
		return fail(err)
	}
	return 0
}
