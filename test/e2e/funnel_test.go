package e2e

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// phones are devices that call themselves Apple's and ask again and again, each for the
// same certificate: that counts as an enrolment, and makes no new CertificateRequest.
type phones struct {
	enrolled atomic.Int64
}

const (
	phoneAgent = "profiled/1.0 CFNetwork/975.0.3 Darwin/18.2.0"
	phonePause = 500 * time.Millisecond
	// habit is how many enrolments make one, and for how long they go on until the
	// operator has surely looked.
	habit    = 45
	habitFor = 40 * time.Second
)

// agent sends requests as what calls itself so.
type agent struct {
	name string
	next http.RoundTripper
}

func (a agent) RoundTrip(r *http.Request) (*http.Response, error) {
	r = r.Clone(r.Context())
	r.Header.Set("User-Agent", a.name)
	return a.next.RoundTrip(r) //nolint:wrapcheck // of the transport that it stands for
}

// startPhones has some ask until the test ends.
func startPhones(t *testing.T, p *published, count int) *phones {
	t.Helper()
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan struct{}, count)
	all := &phones{}
	for range count {
		r, c := enrolment(t, newName()), p.client()
		c.HTTP.Transport = agent{phoneAgent, c.HTTP.Transport}
		go func() {
			defer func() { ended <- struct{}{} }()
			all.ask(ctx, c, r)
		}()
	}
	t.Cleanup(func() {
		stop()
		for range count {
			<-ended
		}
	})
	return all
}

func (a *phones) ask(ctx context.Context, c *scep.Client, r scep.EnrolRequest) {
	again := time.NewTicker(phonePause)
	defer again.Stop()
	for {
		if result, err := c.Enrol(ctx, r); err == nil && result.Status == scep.StatusSuccess {
			a.enrolled.Add(1)
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

// mustBecomeHabit waits until the operator knows what is usual.
func (a *phones) mustBecomeHabit(t *testing.T) {
	t.Helper()
	mustWait(t, "many enrolments", func(context.Context) (bool, string, error) {
		n := a.enrolled.Load()
		return n >= habit, fmt.Sprint(n), nil
	})
	began := time.Now()
	mustWait(t, "the operator to have looked", func(context.Context) (bool, string, error) {
		return time.Since(began) > habitFor, "", nil
	})
}

// brokenAt checks what the status says of the endpoint's traffic: where it breaks; "" for
// nowhere.
func (p *published) brokenAt(hop v1alpha1.FunnelHop) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		var ep v1alpha1.ScepEndpoint
		if err := shared.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: p.endpoint}, &ep); err != nil {
			return false, "", err
		}
		var breaks []string
		if ep.Status.Funnel != nil {
			for _, b := range ep.Status.Funnel.Breaks {
				breaks = append(breaks, b.Family+" at "+string(b.Hop))
			}
		}
		seen := strings.Join(breaks, ", ")
		if hop == "" {
			return seen == "", seen, nil
		}
		return seen == "Apple at "+string(hop), seen, nil
	}
}

// TestF45FunnelBreaks has a rule in the proxy in front refuse what phones send after
// GetCACert, and later all that they send: no probe is a phone, so only the traffic tells.
func TestF45FunnelBreaks(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F45")
	p := publish(t, "phones", nginx, 45)
	if err := shared.rig.Kubectl(t.Context(), "patch", "scependpoint", p.endpoint, "-n", namespace, "--type=merge", "-p", `{"spec": {"funnel": {"learning": "1m"}}}`); err != nil {
		t.Fatal(err)
	}
	fleet := startPhones(t, p, 3)
	fleet.mustBecomeHabit(t)
	mustWait(t, "nothing to be unusual", p.brokenAt(""))

	p.serve(t, func(s *proxySettings) {
		s.Plain = `set $asked "$arg_operation $http_user_agent"; if ($asked ~ "^PKIOperation .*CFNetwork") { return 403; }`
	})
	row.Injected()
	row.mustDetect(namespace, p.endpoint)
	p.says(t, v1alpha1.ConditionEnrolling, v1alpha1.ReasonFunnelBroken, "no PKIOperation arrives", "family Apple", "GetCACaps and GetCACert do", "lets POST")
	mustWait(t, "the hop in the status", p.brokenAt("PKIOperation"))
	p.serve(t)
	row.Remedied()
	mustWait(t, "the hop to be whole", p.brokenAt(""))
	row.mustHeal(namespace, p.endpoint, p.enrols(t))
	row.Served()

	p.serve(t, func(s *proxySettings) { s.Plain = `if ($http_user_agent ~ "CFNetwork") { return 404; }` })
	p.says(t, v1alpha1.ConditionEnrolling, v1alpha1.ReasonFunnelBroken, "nothing arrives", "family Apple", "what publishes the endpoint")
	p.serve(t)
	mustWait(t, "phones to arrive again", p.brokenAt(""))
}
