package scependpoint

import (
	"slices"
	"sync"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/baseline"
	"github.com/scepter-pki/scepter/internal/enrolrecord"
)

const (
	// collectInterval is at least between looks at servers while a certificate is waited for
	// that one of them may hand out: no watch tells of it.
	collectInterval = 10 * time.Second
	// exactUncollected is the highest count that is told exactly: each further one would
	// be a write.
	exactUncollected = 10
)

// owedFact are the requests, by their names, whose device was told to come again for its
// certificate, or was gone when it was sent, and has not come since as far as anybody knows.
type owedFact map[string]bool

// owedMemory remembers them for each endpoint for as long as the operator runs: servers
// know of their own answers only, and forget them when they end.
type owedMemory struct {
	mu sync.Mutex
	of map[types.NamespacedName]*owed
}

// owed is what is known of one endpoint's requests.
type owed struct {
	uid       types.UID
	owed      map[string]bool
	collected map[string]bool
}

func (m *owedMemory) forget(endpoint types.NamespacedName) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.of, endpoint)
}

// see takes a look at what the servers say, and gives what is owed still.
func (m *owedMemory) see(ep *v1alpha1.ScepEndpoint, seen *observation) owedFact {
	m.mu.Lock()
	defer m.mu.Unlock()
	one := m.of[client.ObjectKeyFromObject(ep)]
	if one == nil || one.uid != ep.UID {
		one = recallOwed(ep)
		if m.of == nil {
			m.of = map[types.NamespacedName]*owed{}
		}
		m.of[client.ObjectKeyFromObject(ep)] = one
	}
	one.learn(seen.leaving)
	if seen.replicas.value != nil {
		one.learn(*seen.replicas.value)
	}
	if seen.requests.value != nil {
		one.keepOnly(*seen.requests.value)
	}
	out := owedFact{}
	for name := range one.owed {
		out[name] = !one.collected[name]
	}
	return out
}

// recallOwed begins with what the status names.
func recallOwed(ep *v1alpha1.ScepEndpoint) *owed {
	one := &owed{uid: ep.UID, owed: map[string]bool{}, collected: map[string]bool{}}
	if before := ep.Status.Uncollected; before != nil {
		for _, name := range before.Requests {
			one.owed[name] = true
		}
	}
	return one
}

func (o *owed) learn(servers []replica) {
	for _, s := range servers {
		if s.status == nil || s.status.Collection == nil {
			continue
		}
		for _, name := range s.status.Collection.Owed {
			o.owed[name] = true
		}
		for _, name := range s.status.Collection.Collected {
			o.collected[name] = true
		}
	}
}

// keepOnly forgets requests that are there no more.
func (o *owed) keepOnly(requests []certmanagerv1.CertificateRequest) {
	there := map[string]bool{}
	for i := range requests {
		there[requests[i].Name] = true
	}
	for _, known := range []map[string]bool{o.owed, o.collected} {
		for name := range known {
			if !there[name] {
				delete(known, name)
			}
		}
	}
}

// awaited are the requests that were issued and are owed still, the one that was issued
// first in front.
func awaited(seen *observation) []*certmanagerv1.CertificateRequest {
	if seen.requests.value == nil {
		return nil
	}
	var out []*certmanagerv1.CertificateRequest
	for i := range *seen.requests.value {
		request := &(*seen.requests.value)[i]
		if state, _ := enrolrecord.StateOf(request); state == enrolrecord.Issued && seen.owed[request.Name] {
			out = append(out, request)
		}
	}
	slices.SortFunc(out, func(a, b *certmanagerv1.CertificateRequest) int {
		return enrolrecord.EndedAt(a).Compare(enrolrecord.EndedAt(b))
	})
	return out
}

func collectWithin(ep *v1alpha1.ScepEndpoint) time.Duration {
	if ep.Spec.Issuance.CollectWithin == nil {
		return time.Hour
	}
	return ep.Spec.Issuance.CollectWithin.Duration
}

// uncollectedStatus is nil where nothing waits for longer than is usual. What cannot be
// read stays as it was said.
func uncollectedStatus(ep *v1alpha1.ScepEndpoint, seen *observation, now time.Time) *v1alpha1.UncollectedCertificates {
	if seen.requests.value == nil {
		return ep.Status.Uncollected
	}
	late := slices.DeleteFunc(awaited(seen), func(r *certmanagerv1.CertificateRequest) bool {
		return now.Sub(enrolrecord.EndedAt(r)) < collectWithin(ep)
	})
	if len(late) == 0 {
		return nil
	}
	out := &v1alpha1.UncollectedCertificates{
		Count: roundedDown(len(late)),
		Since: metav1.NewTime(enrolrecord.EndedAt(late[0]).UTC().Truncate(time.Hour)),
	}
	for _, r := range late[:min(len(late), maxNamed)] {
		out.Requests = append(out.Requests, r.Name)
	}
	return out
}

func roundedDown(n int) int64 {
	if n <= exactUncollected {
		return int64(n)
	}
	return int64(baseline.Rounded(uint64(n))) //nolint:gosec // not negative, and not more than n
}

// untilUncollected is the time until the next look at certificates that are waited for:
// the longer it has lasted, the longer.
func untilUncollected(ep *v1alpha1.ScepEndpoint, seen *observation, now time.Time) time.Duration {
	waiting := awaited(seen)
	if len(waiting) == 0 {
		return restInterval
	}
	left := collectWithin(ep) - now.Sub(enrolrecord.EndedAt(waiting[0]))
	if left > 0 {
		return min(left, restInterval)
	}
	return min(max(-left/10, collectInterval), restInterval)
}
