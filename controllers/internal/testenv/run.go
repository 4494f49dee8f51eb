package testenv

import (
	"context"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/cache"
	"sigs.k8s.io/controller-runtime/pkg/client"
	controllerconfig "sigs.k8s.io/controller-runtime/pkg/config"
	metricsserver "sigs.k8s.io/controller-runtime/pkg/metrics/server"
)

const (
	waitLimit    = 2 * time.Minute
	waitInterval = 50 * time.Millisecond
)

// Config returns a copy of the administrator's configuration for the API server.
func Config() *rest.Config { return rest.CopyConfig(config) }

// Client returns an administrator's client that reads from the API server itself, not from a cache.
func Client(t testing.TB) client.Client {
	t.Helper()
	c, err := client.New(Config(), client.Options{Scheme: Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Namespace makes a namespace that no other test uses, and returns its name.
// Nothing deletes it but the end of the API server.
func Namespace(t testing.TB) string {
	t.Helper()
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}
	if err := Client(t).Create(t.Context(), ns); err != nil {
		t.Fatal(err)
	}
	return ns.Name
}

// StartManager runs a manager that sees one namespace (and what is
// cluster-wide) until the test ends.
func StartManager(t testing.TB, namespace string, setup func(ctrl.Manager) error) {
	t.Helper()
	mgr := NewManager(t, namespace)
	if err := setup(mgr); err != nil {
		t.Fatalf("set up controller: %v", err)
	}
	Run(t, mgr)
}

// NewManager makes a manager that sees one namespace (and what is cluster-wide).
func NewManager(t testing.TB, namespace string) ctrl.Manager {
	t.Helper()
	manyOfOneName := true
	mgr, err := ctrl.NewManager(Config(), ctrl.Options{
		Scheme:     Scheme(),
		Metrics:    metricsserver.Options{BindAddress: "0"},
		Cache:      cache.Options{DefaultNamespaces: map[string]cache.Config{namespace: {}}},
		Controller: controllerconfig.Controller{SkipNameValidation: &manyOfOneName},
		// Secrets are never cached, as in the operator.
		Client: client.Options{Cache: &client.CacheOptions{DisableFor: []client.Object{&corev1.Secret{}}}},
	})
	if err != nil {
		t.Fatalf("make manager: %v", err)
	}
	return mgr
}

// Run runs a manager until the test ends.
func Run(t testing.TB, mgr ctrl.Manager) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("manager ended: %v", err)
		}
	})
}

// Eventually waits until cond returns nil. When the limit is reached it fails
// the test with the last error, which should say what there was instead.
func Eventually(t testing.TB, what string, cond func(ctx context.Context) error) {
	t.Helper()
	within(t, waitLimit, waitInterval, what, cond)
}

// Within is Eventually with a limit of its own, for what many objects have to do with: it
// looks more rarely.
func Within(t testing.TB, limit time.Duration, what string, cond func(ctx context.Context) error) {
	t.Helper()
	within(t, limit, 20*waitInterval, what, cond)
}

func within(t testing.TB, limit, interval time.Duration, what string, cond func(ctx context.Context) error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(interval)
	defer tick.Stop()
	var last error
	for {
		err := cond(ctx)
		if err == nil {
			return
		}
		if ctx.Err() == nil || last == nil { // a read that the limit cut off says nothing
			last = err
		}
		select {
		case <-ctx.Done():
			t.Fatalf("waited %s in vain for: %s\nlast state: %v", limit, what, last)
		case <-tick.C:
		}
	}
}

// Consistently fails the test as soon as cond returns an error within the given time.
func Consistently(t testing.TB, what string, during time.Duration, cond func(ctx context.Context) error) {
	t.Helper()
	tick := time.NewTicker(waitInterval)
	defer tick.Stop()
	end := time.After(during)
	for {
		if err := cond(t.Context()); err != nil {
			t.Fatalf("not so any more: %s\nstate: %v", what, err)
		}
		select {
		case <-end:
			return
		case <-tick.C:
		}
	}
}
