// Package e2e tests the whole of Scepter in a real cluster, with real devices'
// clients: YAML in, certificates out, and everything that may go wrong between.
//
// The tests share one cluster. Those of the endpoint of tier.yaml, and those that
// take something away which all need (operator, cert-manager), run one after the
// other, and each leaves the endpoint Ready. Tests with an endpoint of their own,
// and mostly a namespace, call t.Parallel: they run together when the others are done, and leave
// alone what is not theirs. With CLUSTER=current they use the current kubectl context
// (see test/cluster/README.md).
//
// The tests named TestF… prove rows of the catalogue of failures (test/failures).
package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/test/failures"
	"github.com/scepter-pki/scepter/test/golden"
	"github.com/scepter-pki/scepter/test/rig"
	"github.com/scepter-pki/scepter/test/stock"
)

// Names in testdata/tier.yaml.
const (
	namespace    = "tier"
	endpoint     = "fleet"
	host         = "scep.example.com"
	challenge    = "correct-horse-battery"
	organization = "Example Corp"
	domain       = ".devices.example.com"
)

// Limits of what tests wait for.
const (
	upLimit    = 20 * time.Minute // with cold caches, binaries are built first
	readyLimit = 3 * time.Minute
	enrolLimit = 2 * time.Minute
)

// tier is the cluster with Scepter and the endpoint that all tests share.
type tier struct {
	rig     *rig.Rig
	api     client.Client
	device  stock.Runner
	clients []stock.Client
	ca      []byte
}

var shared *tier

func TestMain(m *testing.M) {
	if ingress := os.Getenv(frontEnv); ingress != "" {
		os.Exit(beFront(ingress))
	}
	if file := os.Getenv(guardEnv); file != "" {
		os.Exit(beGuard(file))
	}
	if file := os.Getenv(judgeEnv); file != "" {
		os.Exit(beJudge(file))
	}
	if files := os.Getenv(liarEnv); files != "" {
		os.Exit(beLiar(files))
	}
	if dir := os.Getenv(libraryEnv); dir != "" {
		os.Exit(beLibrary(dir))
	}
	if os.Getenv(silentEnv) != "" {
		os.Exit(beSilent())
	}
	os.Exit(run(m))
}

func run(m *testing.M) (code int) {
	dir, err := os.MkdirTemp("", "scepter-e2e-")
	if err != nil {
		return fail(err)
	}
	defer func() { _ = os.RemoveAll(dir) }()
	log, err := os.Create(filepath.Join(os.TempDir(), "scepter-e2e.log"))
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
	failures.Print(os.Stdout)
	if code == 0 && golden.Updating() {
		if err := failures.Keep(figuresFile); err != nil {
			return fail(err)
		}
	}
	return code
}

func fail(err error) int {
	fmt.Fprintln(os.Stderr, "e2e:", err)
	return 1
}

// newTier returns a tier also with an error, if there is something to take down.
func newTier(ctx context.Context, dir string, log io.Writer) (*tier, error) {
	if err := stock.Install(ctx, stock.CertmongerPackages...); err != nil {
		return nil, err
	}
	r, err := rig.Up(ctx, rig.Options{Name: "e2e", Dir: dir, Log: log})
	if err != nil {
		return nil, err
	}
	t := &tier{rig: r}
	if err := r.Install(ctx); err != nil {
		return t, err
	}
	if t.api, err = r.Client(); err != nil {
		return t, err
	}
	return t, t.endpointReady(ctx)
}

func (t *tier) endpointReady(ctx context.Context) error {
	if err := t.rig.Kubectl(ctx, "apply", "--server-side", "-f", t.rig.Path("test", "e2e", "testdata", "tier.yaml")); err != nil {
		return err
	}
	if err := rig.Wait(ctx, "the endpoint to be Ready", readyLimit, rig.Ready(t.api, namespace, endpoint)); err != nil {
		return errors.Join(err, t.rig.Kubectl(ctx, "get", "all,scepter,certificates", "-A", "-o", "wide"))
	}
	var err error
	if t.ca, err = rig.CA(ctx, t.api, namespace, "fleet-ca"); err != nil {
		return err
	}
	t.device, err = t.rig.Device(ctx, t.ca, host)
	t.clients = stock.All(t.device)
	return err
}

func (t *tier) down() int {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := t.rig.Down(ctx); err != nil {
		return fail(err)
	}
	return 0
}
