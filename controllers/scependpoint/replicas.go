package scependpoint

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
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
	nudge   string // the value of AnnotationNudge
	waiting string // why a container does not run, in the words of Kubernetes
	status  *raconfig.ReplicaStatus
	err     error // why there is no status
}

// ReplicaStatusReader asks a server for its status.
type ReplicaStatusReader interface {
	// ReadStatus asks the server at a pod's address. It ends with the context.
	ReadStatus(ctx context.Context, podIP string) (*raconfig.ReplicaStatus, error)
}

// observeReplicas lists the pods that are to stay and asks those that are ready.
func (r *Reconciler) observeReplicas(ctx context.Context, ep *v1alpha1.ScepEndpoint) read[[]replica] {
	var pods corev1.PodList
	err := r.client.List(ctx, &pods, client.InNamespace(ep.Namespace), client.MatchingLabels(render.PodSelector(ep.Name)))
	if err != nil {
		return read[[]replica]{err: fmt.Errorf("list pods: %w", err)}
	}
	replicas := make([]replica, 0, len(pods.Items))
	for i := range pods.Items {
		if stays(&pods.Items[i]) {
			replicas = append(replicas, podFacts(&pods.Items[i]))
		}
	}
	slices.SortFunc(replicas, func(a, b replica) int { return strings.Compare(a.name, b.name) })
	r.askReplicas(ctx, replicas)
	return read[[]replica]{value: &replicas}
}

func stays(pod *corev1.Pod) bool {
	return pod.DeletionTimestamp == nil && pod.Status.Phase != corev1.PodFailed && pod.Status.Phase != corev1.PodSucceeded
}

func podFacts(pod *corev1.Pod) replica {
	return replica{
		name:    pod.Name,
		ip:      pod.Status.PodIP,
		ready:   isPodReady(pod),
		nudge:   pod.Annotations[v1alpha1.AnnotationNudge],
		waiting: waitingReason(pod),
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

// askReplicas fills in the status of every ready replica, some at a time.
func (r *Reconciler) askReplicas(ctx context.Context, replicas []replica) {
	var wait sync.WaitGroup
	slots := make(chan struct{}, maxStatusReads)
	for i := range replicas {
		if !replicas[i].ready {
			continue
		}
		wait.Go(func() {
			slots <- struct{}{}
			defer func() { <-slots }()
			ctx, cancel := context.WithTimeout(ctx, statusTimeout)
			defer cancel()
			replicas[i].status, replicas[i].err = r.replicas.ReadStatus(ctx, replicas[i].ip)
		})
	}
	wait.Wait()
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

// ReadStatus asks http://podIP:8081/status.
func (h *HTTPStatusReader) ReadStatus(ctx context.Context, podIP string) (*raconfig.ReplicaStatus, error) {
	url := "http://" + net.JoinHostPort(podIP, strconv.Itoa(raconfig.AdminPort)) + raconfig.StatusPath
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", podIP, err)
	}
	response, err := h.client.Do(request)
	if err != nil {
		return nil, fmt.Errorf("status of %s: %w", podIP, err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("status of %s: HTTP %d", podIP, response.StatusCode)
	}
	var status raconfig.ReplicaStatus
	if err := json.NewDecoder(io.LimitReader(response.Body, maxStatusBytes)).Decode(&status); err != nil {
		return nil, fmt.Errorf("status of %s: %w", podIP, err)
	}
	return &status, nil
}
