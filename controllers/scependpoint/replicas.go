package scependpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

const (
	// statusTimeout bounds the question to one server, and so, as all are asked
	// side by side in groups of maxStatusReads, the time a reconcile spends on it.
	statusTimeout  = 2 * time.Second
	maxStatusReads = 16
	// maxStatusBytes bounds what a server may answer.
	maxStatusBytes = 64 << 10
)

// replica is one server: what its pod shows, and what it says of itself.
type replica struct {
	name    string
	ip      string
	ready   bool
	started bool // it is on a node, and may have mounted its files
	leaving bool // it ends, and may still have devices
	// keyrings are the RACredentials whose keyrings it mounts.
	keyrings []string
	nudge    string // the value of AnnotationNudge
	waiting  string // why a container does not run, in the words of Kubernetes
	status   *raconfig.ReplicaStatus
	signer   *raconfig.SignerStatus // what a signer says beyond status
	err      error                  // why there is no status
	prober   chosenProber           // which server probes the endpoint's URLs
}

// ReplicaStatusReader asks a server for its status.
type ReplicaStatusReader interface {
	// ReadStatus asks the server at a pod's address. It ends with the context.
	// It tells it the name of the pod that probes the endpoint's URLs.
	ReadStatus(ctx context.Context, podIP string, who chosenProber) (*raconfig.ReplicaStatus, error)
	// ReadSignerStatus asks a signer likewise.
	ReadSignerStatus(ctx context.Context, podIP string) (*raconfig.SignerStatus, error)
}

// observeReplicas lists the servers that are to stay, and those that end.
func (r *Reconciler) observeReplicas(ctx context.Context, ep *v1alpha1.ScepEndpoint) (staying read[[]replica], leaving []replica) {
	return r.observePods(ctx, ep, render.PodSelector(ep.Name), r.askServer)
}

// observeSignerPods likewise, of the signers.
func (r *Reconciler) observeSignerPods(ctx context.Context, ep *v1alpha1.ScepEndpoint) read[[]replica] {
	staying, _ := r.observePods(ctx, ep, render.SignerSelector(ep.Name), r.askSigner)
	return staying
}

func (r *Reconciler) observePods(
	ctx context.Context, ep *v1alpha1.ScepEndpoint, selector map[string]string, ask func(context.Context, *replica),
) (staying read[[]replica], leaving []replica) {
	var pods corev1.PodList
	err := r.client.List(ctx, &pods, client.InNamespace(ep.Namespace), client.MatchingLabels(selector))
	if err != nil {
		return read[[]replica]{err: fmt.Errorf("list pods: %w", err)}, nil
	}
	replicas := make([]replica, 0, len(pods.Items))
	for i := range pods.Items {
		if !podEnded(&pods.Items[i]) {
			replicas = append(replicas, podFacts(&pods.Items[i]))
		}
	}
	slices.SortFunc(replicas, func(a, b replica) int { return strings.Compare(a.name, b.name) })
	nameProber(ep, replicas)
	askReplicas(ctx, replicas, ask)
	leaves := func(r replica) bool { return r.leaving }
	leaving = slices.DeleteFunc(slices.Clone(replicas), func(r replica) bool { return !leaves(r) })
	replicas = slices.DeleteFunc(replicas, leaves)
	return read[[]replica]{value: &replicas}, leaving
}

func podEnded(pod *corev1.Pod) bool {
	return pod.Status.Phase == corev1.PodFailed || pod.Status.Phase == corev1.PodSucceeded
}

func stays(pod *corev1.Pod) bool { return pod.DeletionTimestamp == nil && !podEnded(pod) }

func podFacts(pod *corev1.Pod) replica {
	return replica{
		name:    pod.Name,
		ip:      pod.Status.PodIP,
		ready:   isPodReady(pod),
		nudge:   pod.Annotations[v1alpha1.AnnotationNudge],
		waiting: waitingReason(pod),
		started: pod.Spec.NodeName != "",
		leaving: pod.DeletionTimestamp != nil,

		keyrings: render.MountedKeyrings(&pod.Spec),
	}
}

func isPodReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func waitingReason(pod *corev1.Pod) string {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodScheduled && c.Status == corev1.ConditionFalse {
			return c.Reason
		}
	}
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Waiting != nil {
			return c.State.Waiting.Reason
		}
	}
	return ""
}

// askReplicas fills in the status of every replica that may answer, some at a time: one
// that is not ready may hold what it is to show.
func askReplicas(ctx context.Context, replicas []replica, ask func(context.Context, *replica)) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, maxStatusReads)
	for i := range replicas {
		if replicas[i].ip == "" {
			continue
		}
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, statusTimeout)
			defer cancel()
			ask(ctx, &replicas[i])
		})
	}
	wait.Wait()
}

func (r *Reconciler) askServer(ctx context.Context, one *replica) {
	one.status, one.err = r.replicas.ReadStatus(ctx, one.ip, one.prober)
}

func (r *Reconciler) askSigner(ctx context.Context, one *replica) {
	one.signer, one.err = r.replicas.ReadSignerStatus(ctx, one.ip)
	if one.err == nil {
		one.status = &raconfig.ReplicaStatus{
			ConfigHash: one.signer.ConfigHash, ConfigGeneration: one.signer.ConfigGeneration, Problems: one.signer.Problems,
		}
	}
}

// HTTPStatusReader asks servers over HTTP, directly: no proxy, no redirect, and
// nothing but the status path of the admin port.
type HTTPStatusReader struct{ client *http.Client }

// NewHTTPStatusReader makes a reader that keeps connections to the servers open.
func NewHTTPStatusReader() *HTTPStatusReader {
	return &HTTPStatusReader{client: &http.Client{
		Timeout: statusTimeout,
		Transport: &http.Transport{
			DialContext:         (&net.Dialer{Timeout: statusTimeout}).DialContext,
			MaxIdleConnsPerHost: 1,
			IdleConnTimeout:     30 * time.Second,
		},
		CheckRedirect: func(*http.Request, []*http.Request) error { return errors.New("a server's status does not redirect") },
	}}
}

// ReadStatus asks http://podIP:8081/status?prober=name.
func (h *HTTPStatusReader) ReadStatus(ctx context.Context, podIP string, who chosenProber) (*raconfig.ReplicaStatus, error) {
	tell := url.Values{raconfig.ProberParameter: {who.name}}
	if who.anew != "" {
		tell.Set(raconfig.AnewParameter, who.anew)
	}
	if who.noCanaries {
		tell.Set(raconfig.NoCanariesParameter, "")
	}
	return readStatus[raconfig.ReplicaStatus](ctx, h.client, podIP, tell)
}

// ReadSignerStatus asks the same of a signer.
func (h *HTTPStatusReader) ReadSignerStatus(ctx context.Context, podIP string) (*raconfig.SignerStatus, error) {
	return readStatus[raconfig.SignerStatus](ctx, h.client, podIP, nil)
}

func readStatus[T any](ctx context.Context, from *http.Client, podIP string, tell url.Values) (*T, error) {
	asked := url.URL{
		Scheme: "http", Host: net.JoinHostPort(podIP, strconv.Itoa(raconfig.AdminPort)), Path: raconfig.StatusPath, RawQuery: tell.Encode(),
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, asked.String(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", podIP, err)
	}
	response, err := from.Do(request)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", podIP, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status of %s: HTTP %d", podIP, response.StatusCode)
	}
	var status T
	if err := json.NewDecoder(io.LimitReader(response.Body, maxStatusBytes)).Decode(&status); err != nil {
		return nil, fmt.Errorf("status of %s: %w", podIP, err)
	}
	return &status, nil
}
