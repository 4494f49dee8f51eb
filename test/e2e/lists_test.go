package e2e

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
	"github.com/scepter-pki/scepter/test/rig"
)

// A listed tier has a CA whose certificates name a revocation list, at a host of the test's.
type listed struct {
	*ownTier
	host *library
	// old and request are of a device that has enrolled.
	old     *x509.Certificate
	request scep.EnrolRequest
}

// newListed makes one whose template refuses certificates that are revoked, and has a device.
func newListed(t *testing.T) *listed {
	t.Helper()
	l := &listed{host: newLibrary(t)}
	l.ownTier = newOwnTier(t, "listed", life{lasts: time.Hour}, func(i *ownIssuer) {
		i.lists = []string{l.host.url + "/crl"}
		l.host.publish(t, i.ca)
	})
	l.change(t, &v1alpha1.CertificateTemplate{}, "device", `{"spec": {"renewal": {"revoked": "Refuse"}}}`)
	l.change(t, &v1alpha1.ScepEndpoint{}, ownEndpoint, `{"spec": {"server": {"replicas": 1}, "probes": {"interval": "10s"}}}`)
	mustWait(t, "one server to be left", func(context.Context) (bool, string, error) {
		pods := l.pods(t)
		return len(pods) == 1, fmt.Sprint(pods), nil
	})
	l.request = enrolment(t, newName())
	result, err := l.client().Enrol(within(t, enrolLimit), l.request)
	if err := l.granted(result, err); err != nil {
		t.Fatal(err)
	}
	l.old = result.Certificate
	if !slices.Equal(l.old.CRLDistributionPoints, l.issuer.lists) {
		t.Fatalf("the device's certificate names the lists %v", l.old.CRLDistributionPoints)
	}
	mustWait(t, "the host of the list to be reached", l.reaches)
	return l
}

// publish has the file crl be a list of the CA that ends soon, and another in time, until
// the test ends.
func (l *library) publish(t *testing.T, ca *sceptest.CA) {
	t.Helper()
	const every, holds = time.Second, 10 * time.Second
	put := func() { l.put(t, revocationList(t, ca.Certificate, ca.Key, holds)) }
	put()
	ctx, cancel := context.WithCancel(context.WithoutCancel(t.Context()))
	done := make(chan struct{})
	t.Cleanup(func() { cancel(); <-done })
	go func() {
		defer close(done)
		for tick := time.NewTicker(every); ; {
			select {
			case <-ctx.Done():
				tick.Stop()
				return
			case <-tick.C:
				put()
			}
		}
	}()
}

// change patches an object of the tier.
func (l *listed) change(t *testing.T, object client.Object, name, patch string) {
	t.Helper()
	object.SetNamespace(l.namespace)
	object.SetName(name)
	if err := shared.api.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

// reaches checks that the servers look for the host, and find it.
func (l *listed) reaches(ctx context.Context) (bool, string, error) {
	ep := &v1alpha1.ScepEndpoint{}
	if err := shared.api.Get(ctx, client.ObjectKey{Namespace: l.namespace, Name: ownEndpoint}, ep); err != nil || ep.Status.Probes == nil {
		return false, "nothing is probed", err
	}
	seen := ep.Status.Probes.Dependencies
	return slices.ContainsFunc(seen, func(p v1alpha1.ProbedService) bool {
		return p.Kind == "Revocation" && p.Result == v1alpha1.ProbePassed && strings.Contains(l.host.url, p.Host)
	}), fmt.Sprintf("%+v", seen), nil
}

// renew has the device renew its certificate by itself.
func (l *listed) renew(ctx context.Context, t *testing.T) (*scep.Result, error) {
	t.Helper()
	c := l.client()
	c.PollLimit = 0
	return c.Renew(ctx, renewal(t, l.old, l.request.Key))
}

// renews checks that it gets one.
func (l *listed) renews(t *testing.T) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		result, err := l.renew(ctx, t)
		return err == nil && result.Status == scep.StatusSuccess, outcome(result), err
	}
}

// says waits until the server tells of the host that is away, with a reason.
func (l *listed) says(t *testing.T, reason string, status metav1.ConditionStatus, parts ...string) {
	t.Helper()
	parts = append(parts, "1 of 1 servers", strings.TrimPrefix(l.host.url, "http://"), "see how busy it is")
	mustWait(t, "Enrolling to say "+reason, condition("ScepEndpoint", l.namespace, ownEndpoint, v1alpha1.ConditionEnrolling,
		func(c *metav1.Condition) bool {
			missing := func(part string) bool { return !strings.Contains(c.Message, part) }
			return c.Reason == reason && c.Status == status && !slices.ContainsFunc(parts, missing)
		}))
}

// TestF08ListsAreAway has a packet filter drop what goes to the host of the CA's revocation
// list, which ends soon after: renewals wait, or go on where the template bears a list that
// has ended; devices with a challenge enrol meanwhile, and no server is started again.
func TestF08ListsAreAway(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F08")
	l := newListed(t)
	mustWait(t, "the device to renew", l.renews(t))
	mustWait(t, "Enrolling to be True", condition("ScepEndpoint", l.namespace, ownEndpoint, v1alpha1.ConditionEnrolling, isTrue))
	before := l.pods(t)

	_, port, _ := strings.Cut(strings.TrimPrefix(l.host.url, "http://"), ":")
	nft(t, "add table inet listed; add chain inet listed input { type filter hook input priority -10 ; }; "+
		"add rule inet listed input tcp dport "+port+" drop")
	t.Cleanup(func() {
		_ = shared.rig.Cluster.Exec(context.WithoutCancel(t.Context()), "nft", "delete table inet listed").Run() // gone if the test came to its end
	})
	row.Injected()
	row.mustDetect(l.namespace, ownEndpoint)
	l.says(t, v1alpha1.ReasonRevocationUnknown, metav1.ConditionFalse, "devices with a challenge enrol")
	_, err := l.renew(within(t, enrolLimit), t)
	var refused *scep.HTTPError
	if !errors.As(err, &refused) || refused.StatusCode != http.StatusServiceUnavailable || refused.RetryAfter == "" {
		t.Errorf("a renewal while nothing tells what is revoked: %v, want HTTP 503 with Retry-After", err)
	}
	mustWait(t, "a device with a challenge to enrol", l.enrols(t))

	l.change(t, &v1alpha1.CertificateTemplate{}, "device", `{"spec": {"renewal": {"staleRevocation": "1h"}}}`)
	l.says(t, v1alpha1.ReasonRevocationStale, metav1.ConditionTrue, "staleRevocation")
	mustWait(t, "the device to renew by the list that has ended", l.renews(t))

	nft(t, "delete table inet listed")
	row.Remedied()
	l.change(t, &v1alpha1.CertificateTemplate{}, "device", `{"spec": {"renewal": {"staleRevocation": null}}}`)
	mustWait(t, "the device to renew", l.renews(t))
	mustWait(t, "Enrolling to be well", condition("ScepEndpoint", l.namespace, ownEndpoint, v1alpha1.ConditionEnrolling,
		func(c *metav1.Condition) bool { return c.Reason == v1alpha1.ReasonSucceeded }))
	row.mustHeal(l.namespace, ownEndpoint, l.enrols(t))
	row.Served()
	if after := l.pods(t); !maps.Equal(before, after) {
		t.Errorf("servers were started again: %v, before %v", after, before)
	}
}

// nft changes the packet filter of the cluster's node.
func nft(t *testing.T, commands string) {
	t.Helper()
	out, err := shared.rig.Cluster.Exec(context.WithoutCancel(t.Context()), "nft", commands).CombinedOutput()
	if err != nil {
		t.Fatalf("nft: %v: %s", err, bytes.TrimSpace(out))
	}
}
