package scependpoint

import (
	"fmt"
	"reflect"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// issuedAgo is a request whose certificate is so old.
func issuedAgo(name string, age time.Duration) certmanagerv1.CertificateRequest {
	at := metav1.NewTime(noon.Add(-age))
	done := granted
	done.LastTransitionTime = &at
	return request(name, age+time.Minute, 0, done)
}

func collectingServer(owed, collected []string) replica {
	return replica{status: &raconfig.ReplicaStatus{Collection: &raconfig.Collection{Owed: owed, Collected: collected}}}
}

// looked is what a memory makes of requests and of what two servers say.
func looked(m *owedMemory, ep *v1alpha1.ScepEndpoint, requests []certmanagerv1.CertificateRequest, servers ...replica) *observation {
	seen := &observation{
		requests: read[[]certmanagerv1.CertificateRequest]{value: &requests},
		replicas: read[[]replica]{value: &servers},
	}
	seen.owed = m.see(ep, seen)
	return seen
}

func TestUncollected(t *testing.T) {
	requests := []certmanagerv1.CertificateRequest{
		issuedAgo("old", 3*time.Hour), issuedAgo("late", 2*time.Hour), issuedAgo("young", time.Minute),
		issuedAgo("at-once", 5*time.Hour), request("waiting", 5*time.Hour, 0), request("denied", 5*time.Hour, 0, denied),
	}
	all := []string{"late", "old", "young", "waiting", "denied", "unknown"}
	for name, tc := range map[string]struct {
		servers []replica
		want    []string
	}{
		"no server knows of any":              {[]replica{{}, collectingServer(nil, nil)}, nil},
		"owed by one":                         {[]replica{collectingServer(all, nil), {}}, []string{"old", "late"}},
		"collected from another":              {[]replica{collectingServer(all, nil), collectingServer(nil, []string{"old"})}, []string{"late"}},
		"collected from the same, once again": {[]replica{collectingServer(all, []string{"old", "late"})}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			seen := looked(&owedMemory{}, weekly, requests, tc.servers...)
			var want *v1alpha1.UncollectedCertificates
			if tc.want != nil {
				want = &v1alpha1.UncollectedCertificates{Count: int64(len(tc.want)), Requests: tc.want}
				want.Since = metav1.NewTime(noon.Add(-2 * time.Hour))
				if tc.want[0] == "old" {
					want.Since = metav1.NewTime(noon.Add(-3 * time.Hour))
				}
			}
			if got := uncollectedStatus(weekly, seen, noon); !reflect.DeepEqual(got, want) {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// TestUncollectedOutlivesServers: a server that ends forgets what it owed; the operator does
// not, and another operator begins with what the status names.
func TestUncollectedOutlivesServers(t *testing.T) {
	requests := []certmanagerv1.CertificateRequest{issuedAgo("a", 2*time.Hour)}
	var first, second owedMemory
	looked(&first, weekly, requests, collectingServer([]string{"a"}, nil))
	seen := looked(&first, weekly, requests, replica{})
	ep := weekly.DeepCopy()
	if ep.Status.Uncollected = uncollectedStatus(weekly, seen, noon); ep.Status.Uncollected == nil {
		t.Fatal("it is forgotten with the server")
	}
	if again := uncollectedStatus(ep, looked(&second, ep, requests, replica{}), noon); !reflect.DeepEqual(again, ep.Status.Uncollected) {
		t.Errorf("another operator says %+v", again)
	}
	if unread := uncollectedStatus(ep, &observation{}, noon); unread != ep.Status.Uncollected {
		t.Errorf("without a list of requests: %+v", unread)
	}
	if got := uncollectedStatus(ep, looked(&second, ep, requests, collectingServer(nil, []string{"a"})), noon); got != nil {
		t.Errorf("collected, and %+v", got)
	}
	if looked(&first, weekly, nil, replica{}); len(first.of) != 1 {
		t.Error("the endpoint is forgotten")
	}
	for _, one := range first.of {
		if len(one.owed) != 0 {
			t.Errorf("the request is deleted, and still remembered: %v", one.owed)
		}
	}
}

func TestUncollectedIsCountedInSteps(t *testing.T) {
	for n, want := range map[int]int64{1: 1, 7: 7, 10: 10, 11: 10, 19: 10, 20: 20, 99: 50, 1234: 1000} {
		var requests []certmanagerv1.CertificateRequest
		var names []string
		for i := range n {
			names = append(names, fmt.Sprintf("r%04d", i))
			requests = append(requests, issuedAgo(names[i], 2*time.Hour))
		}
		got := uncollectedStatus(weekly, looked(&owedMemory{}, weekly, requests, collectingServer(names, nil)), noon)
		if got.Count != want || len(got.Requests) != min(n, maxNamed) {
			t.Errorf("of %d: %+v", n, got)
		}
	}
}

func TestUncollectedWakes(t *testing.T) {
	ep := weekly.DeepCopy()
	ep.Spec.Issuance.CollectWithin = &metav1.Duration{Duration: 2 * time.Minute}
	for age, want := range map[time.Duration]time.Duration{
		time.Minute:      time.Minute,     // when it is due
		3 * time.Minute:  collectInterval, // a server may have handed it out
		22 * time.Minute: 2 * time.Minute,
		24 * time.Hour:   restInterval,
	} {
		seen := looked(&owedMemory{}, ep, []certmanagerv1.CertificateRequest{issuedAgo("a", age)}, collectingServer([]string{"a"}, nil))
		if got := untilUncollected(ep, seen, noon); got != want {
			t.Errorf("issued %s ago: %s, want %s", age, got, want)
		}
	}
	if got := untilUncollected(ep, &observation{}, noon); got != restInterval {
		t.Errorf("at rest: %s", got)
	}
}
