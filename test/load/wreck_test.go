package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"syscall"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/test/rig"
)

// mishaps of the wave, each when so many of a hundred devices have been served.
var mishaps = []struct {
	percent int
	what    string
	do      func(context.Context) error
}{
	{10, "a server is killed", killServer},
	{20, "a server's pod is deleted without grace", deleteServer},
	{30, "a server is killed", killServer},
	{40, "all servers are rolled over", rollOver},
}

var errTooLate = errors.New("most devices were served before")

// wreck does the mishaps. One that comes when the wave is over proves nothing.
func wreck(ctx context.Context, count *tally) error {
	for _, m := range mishaps {
		want := waveDevices * m.percent / 100
		err := rig.Wait(ctx, fmt.Sprintf("%d devices to be served", want), waveLimit, func(context.Context) (bool, string, error) {
			n := count.served()
			return n >= want, fmt.Sprintf("%d served", n), nil
		})
		if err != nil {
			return err
		}
		if count.served() > waveDevices/2 {
			return fmt.Errorf("%s: %w", m.what, errTooLate)
		}
		if err := m.do(ctx); err != nil {
			return fmt.Errorf("%s: %w", m.what, err)
		}
		count.met(m.what)
	}
	return nil
}

// servers are the tier's servers that are ready and not on their way out.
func servers(ctx context.Context) ([]corev1.Pod, error) {
	var all corev1.PodList
	labels := client.MatchingLabels{"app.kubernetes.io/name": "scepter-ra", "scepter.dev/endpoint": endpoint}
	if err := shared.api.List(ctx, &all, client.InNamespace(namespace), labels); err != nil {
		return nil, fmt.Errorf("list the servers: %w", err)
	}
	var ready []corev1.Pod
	for i := range all.Items {
		if all.Items[i].DeletionTimestamp == nil && rig.PodReady(&all.Items[i]) {
			ready = append(ready, all.Items[i])
		}
	}
	if len(ready) == 0 {
		return nil, errors.New("no server is ready")
	}
	return ready, nil
}

// killServer sends SIGKILL; the kubelet starts the container again.
func killServer(ctx context.Context) error {
	victim, err := unharmed(ctx)
	if err != nil {
		return err
	}
	return shared.rig.Cluster.SignalContainer(ctx, victim.Status.ContainerStatuses[0].ContainerID, syscall.SIGKILL)
}

func deleteServer(ctx context.Context) error {
	victim, err := unharmed(ctx)
	if err != nil {
		return err
	}
	return shared.api.Delete(ctx, victim, client.GracePeriodSeconds(0))
}

// unharmed is a server that was never killed: what the API server says of one that
// was may be old.
func unharmed(ctx context.Context) (*corev1.Pod, error) {
	pods, err := servers(ctx)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(pods, func(p corev1.Pod) bool { return p.Status.ContainerStatuses[0].RestartCount == 0 })
	if i < 0 {
		return nil, errors.New("every server was killed before")
	}
	return &pods[i], nil
}

func rollOver(ctx context.Context) error {
	if err := shared.rig.Kubectl(ctx, "rollout", "restart", "deployment/fleet-ra", "-n", namespace); err != nil {
		return err
	}
	return shared.rig.Kubectl(ctx, "rollout", "status", "deployment/fleet-ra", "-n", namespace, "--timeout=3m")
}

func mustWait(t *testing.T, what string, check rig.Check) {
	t.Helper()
	if err := rig.Wait(t.Context(), what, readyLimit, check); err != nil {
		t.Fatal(err)
	}
}
