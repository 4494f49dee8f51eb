// Package access knows which rights a server needs in its namespace, and asks the API server
// whether it has them.
package access

import (
	"context"
	"sync"
	"time"

	authorizationv1 "k8s.io/api/authorization/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"

	"github.com/scepter-pki/scepter/internal/ra/rounds"
)

// When the rights are reviewed: about every minute, and soon again while one is missing.
// A review is stored nowhere.
const (
	every        = time.Minute
	everyMissing = 3 * time.Second
	jitter       = 0.1
	timeout      = 5 * time.Second
)

// Right is an action that has to be allowed.
type Right struct {
	Group, Resource, Verb string
}

// String is as kubectl auth can-i wants it: "create certificaterequests.cert-manager.io".
func (r Right) String() string { return r.Verb + " " + r.Resource + "." + r.Group }

// The rights that a server needs, by how the endpoint issues: config/rbac/ra.yaml gives them.
var (
	// ByRequests is for CertificateRequests.
	ByRequests = rights("cert-manager.io", "certificaterequests", "create", "get", "list", "watch")
	// Direct is for endpoints whose signers issue: the claims of one-time challenges.
	Direct = rights("coordination.k8s.io", "leases", "create", "get")
)

func rights(group, resource string, verbs ...string) []Right {
	out := make([]Right, 0, len(verbs))
	for _, verb := range verbs {
		out = append(out, Right{group, resource, verb})
	}
	return out
}

// Wanted is a namespace and what has to be allowed there; no rights: nothing has.
type Wanted struct {
	Namespace string
	Rights    []Right
}

// Reviewer asks, again and again. It is safe for concurrent use.
type Reviewer struct {
	reviews authorizationclient.SelfSubjectAccessReviewInterface
	wanted  func() Wanted
	now     func() time.Time
	wake    chan struct{}

	mu      sync.Mutex
	missing []string
}

// New makes a Reviewer; Run makes it work.
func New(reviews authorizationclient.SelfSubjectAccessReviewInterface, wanted func() Wanted, now func() time.Time) *Reviewer {
	return &Reviewer{reviews: reviews, wanted: wanted, now: now, wake: make(chan struct{}, 1)}
}

// Refused has the rights reviewed now: the API server has just refused something.
func (r *Reviewer) Refused() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// Missing lists the rights that the server was last known to lack, each as Right.String
// makes it; nil while none is known to be missing.
func (r *Reviewer) Missing() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.missing
}

// Run reviews until the context ends.
func (r *Reviewer) Run(ctx context.Context) { rounds.Run(ctx, r.wake, r.now, r.round) }

// round reviews every right. What cannot be reviewed counts as it did before: an API server
// that is away is told of elsewhere, and where servers may not even ask, nobody knows.
func (r *Reviewer) round(ctx context.Context) time.Time {
	wanted := r.wanted()
	var missing []string
	for _, right := range wanted.Rights {
		allowed, err := r.review(ctx, wanted.Namespace, right)
		if err != nil {
			return r.now().Add(wait.Jitter(every, jitter))
		}
		if !allowed {
			missing = append(missing, right.String())
		}
	}
	r.mu.Lock()
	r.missing = missing
	r.mu.Unlock()
	if len(missing) > 0 {
		return r.now().Add(wait.Jitter(everyMissing, jitter))
	}
	return r.now().Add(wait.Jitter(every, jitter))
}

func (r *Reviewer) review(ctx context.Context, namespace string, right Right) (allowed bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	answer, err := r.reviews.Create(ctx, &authorizationv1.SelfSubjectAccessReview{
		Spec: authorizationv1.SelfSubjectAccessReviewSpec{ResourceAttributes: &authorizationv1.ResourceAttributes{
			Namespace: namespace, Group: right.Group, Resource: right.Resource, Verb: right.Verb,
		}},
	}, metav1.CreateOptions{})
	if err != nil {
		return false, err //nolint:wrapcheck // it is counted, not told
	}
	return answer.Status.Allowed, nil
}
