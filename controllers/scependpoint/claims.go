package scependpoint

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

const (
	// claimsInterval is how often claims of one-time challenges are looked through:
	// nothing waits for the old ones to go.
	claimsInterval = 10 * time.Minute
	// claimsPage is how many are read at once.
	claimsPage = 500
	// claimKeptFor holds for a claim without AnnotationKeepUntil: the longest
	// validity of a challenge, and an hour.
	claimKeptFor = 721 * time.Hour
)

// claimSweep remembers when an endpoint's claims were looked through last.
type claimSweep struct {
	mu   sync.Mutex
	last map[types.NamespacedName]time.Time
}

func (s *claimSweep) due(endpoint types.NamespacedName, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.last[endpoint]
	return !ok || now.Sub(last) >= claimsInterval
}

func (s *claimSweep) done(endpoint types.NamespacedName, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.last == nil {
		s.last = map[types.NamespacedName]time.Time{}
	}
	s.last[endpoint] = now
}

func (s *claimSweep) forget(endpoint types.NamespacedName) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.last, endpoint)
}

// observeExpiredClaims names claims whose challenge can be used no more, up to
// maxPrunedAtOnce of them; nothing before the next look is due. They are looked for
// in every mode: the mode may have changed. Leases are read from the API server a
// page at a time, without their content, for there may be very many.
func (r *Reconciler) observeExpiredClaims(ctx context.Context, ep *v1alpha1.ScepEndpoint) read[[]string] {
	key, now := client.ObjectKeyFromObject(ep), r.clock.Now()
	if !r.claims.due(key, now) {
		return read[[]string]{}
	}
	var expired []string
	page := &metav1.PartialObjectMetadataList{}
	page.SetGroupVersionKind(coordinationv1.SchemeGroupVersion.WithKind("LeaseList"))
	for {
		err := r.live.List(ctx, page, client.InNamespace(ep.Namespace), client.Limit(claimsPage), client.Continue(page.Continue),
			client.MatchingLabels{v1alpha1.LabelEndpoint: ep.Name, v1alpha1.LabelClaim: v1alpha1.ClaimOneTime})
		if err != nil {
			return read[[]string]{err: fmt.Errorf("list claims: %w", err)}
		}
		expired = append(expired, expiredClaims(page.Items, now)...)
		if len(expired) >= maxPrunedAtOnce {
			expired = expired[:maxPrunedAtOnce]
			return read[[]string]{value: &expired} // and look again soon
		}
		if page.Continue == "" {
			r.claims.done(key, now)
			return read[[]string]{value: &expired}
		}
	}
}

func expiredClaims(claims []metav1.PartialObjectMetadata, now time.Time) []string {
	var names []string
	for i := range claims {
		if !now.Before(keepClaimUntil(&claims[i])) && claims[i].DeletionTimestamp == nil {
			names = append(names, claims[i].Name)
		}
	}
	slices.Sort(names)
	return names
}

func keepClaimUntil(claim *metav1.PartialObjectMetadata) time.Time {
	until, err := time.Parse(time.RFC3339, claim.Annotations[v1alpha1.AnnotationKeepUntil])
	if err != nil {
		return claim.CreationTimestamp.Add(claimKeptFor)
	}
	return until
}
