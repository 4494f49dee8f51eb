package scependpoint

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/baseline"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// trafficFixture is an endpoint with one server, which counts what a test says.
type trafficFixture struct {
	*keysFixture
	begin           time.Time // a full hour
	asked, enrolled uint64
	issued          *time.Time
}

func newTrafficFixture(t *testing.T) *trafficFixture {
	t.Helper()
	begin := time.Now().UTC().Truncate(time.Hour).Add(time.Hour)
	clock := clocktesting.NewFakePassiveClock(begin)
	f := &trafficFixture{begin: begin, keysFixture: &keysFixture{fixture: newFixture(t, func(o *Options) { o.Clock = clock }), clock: clock}}
	f.makeAll(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Funnel.Learning = &metav1.Duration{Duration: time.Minute} })
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests)
	f.say()
	f.after(time.Minute)
	return f
}

func (f *trafficFixture) say() {
	file, config := f.config()
	f.servers.say(podIP(0), raconfig.ReplicaStatus{
		ConfigHash: raconfig.Hash(file), ConfigGeneration: config.Endpoint.Generation, ActiveGeneration: config.ActiveGeneration,
		HeldGenerations: []string{"gen1"}, LastIssued: f.issued,
		Funnel: []raconfig.FunnelRow{{Family: "Apple", Steps: map[string]uint64{
			"GetCACaps": f.asked, "PKIOperation": f.enrolled, "opened": f.enrolled, "authenticated": f.enrolled, "judged": f.enrolled, "issued": f.enrolled,
		}}},
	})
}

// minute plays what comes in one, and has the controller look.
func (f *trafficFixture) minute(asked, enrolled uint64) {
	f.asked, f.enrolled = f.asked+asked, f.enrolled+enrolled
	if enrolled > 0 {
		now := f.clock.Now()
		f.issued = &now
	}
	f.say()
	f.after(time.Minute)
}

func (f *trafficFixture) status() v1alpha1.ScepEndpointStatus {
	f.t.Helper()
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	return ep.Status
}

func TestABrokenFunnelIsNamed(t *testing.T) {
	f := newTrafficFixture(t)
	for range 5 {
		f.minute(10, 10)
	}
	if got := f.status(); got.Funnel != nil || got.LastIssuedAt == nil || !got.LastIssuedAt.Time.Equal(f.begin) {
		t.Errorf("before it broke: %+v, issued last %v", got.Funnel, got.LastIssuedAt)
	}
	for range 3 {
		f.minute(100, 0)
	}
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionFalse, v1alpha1.ReasonFunnelBroken,
		"no PKIOperation arrives from clients of the family Apple since "+f.begin.Format("2006-01-02 15:04")+" UTC", "GetCACaps and GetCACert do", "status.urls")
	f.waitEvent(v1alpha1.ReasonFunnelBroken, "Apple")
	broken := f.status()
	f.minute(100, 0)
	if again := f.status(); fmt.Sprint(again.Funnel) != fmt.Sprint(broken.Funnel) || fmt.Sprint(again.Conditions) != fmt.Sprint(broken.Conditions) {
		t.Errorf("it goes on, and the status changed from\n%+v to\n%+v", broken.Funnel, again.Funnel)
	}
	f.minute(20, 20)
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests)
	if got := f.status().Funnel; got != nil {
		t.Errorf("it is whole again, and the status says %+v", got)
	}
}

func TestLooksAtTraffic(t *testing.T) {
	t.Parallel()
	for learning, want := range map[time.Duration]time.Duration{
		time.Minute: 10 * time.Second, 12 * time.Minute: 2 * time.Minute, 24 * time.Hour: restInterval,
	} {
		ep := &v1alpha1.ScepEndpoint{}
		ep.Spec.Funnel.Learning = &metav1.Duration{Duration: learning}
		if got := untilFunnel(ep); got != want {
			t.Errorf("who learns for %s is looked at after %s, want %s", learning, got, want)
		}
		ep.Spec.Funnel.Mode = v1alpha1.FunnelDisabled
		if got := untilFunnel(ep); got != restInterval {
			t.Errorf("who is not compared is looked at after %s", got)
		}
	}
}

func TestTrafficIsKeptOnceADay(t *testing.T) {
	f := newTrafficFixture(t)
	f.minute(10, 10)
	written := func() *corev1.ConfigMap {
		var c corev1.ConfigMap
		err := f.client.Get(t.Context(), client.ObjectKey{Namespace: f.ns, Name: render.FunnelName("corp")}, &c)
		if client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
		return &c
	}
	f.clock.SetTime(time.Now().Add(23 * time.Hour)) // the endpoint was made by another clock
	f.minute(10, 10)
	if c := written(); c.UID != "" {
		t.Fatal("it was written within a day")
	}
	f.clock.SetTime(f.clock.Now().Add(2 * time.Hour))
	f.minute(10, 10)
	var first *corev1.ConfigMap
	testenv.Eventually(t, "the ConfigMap", func(context.Context) error {
		if first = written(); first.UID == "" {
			return errors.New("not there")
		}
		return nil
	})
	if memory, err := baseline.Decode([]byte(first.Data[render.FunnelBaselineKey]), f.clock.Now()); err != nil || memory.Changed() {
		t.Errorf("what is kept: %v", err)
	}
	f.clock.SetTime(f.clock.Now().Add(48 * time.Hour))
	f.minute(0, 0)
	f.minute(0, 0)
	if c := written(); c.ResourceVersion != first.ResourceVersion {
		t.Error("nothing came, and it was written again")
	}
}

// TestWhatStandsSurvivesTheOperator has another Reconciler begin with what is kept.
func TestWhatStandsSurvivesTheOperator(t *testing.T) {
	f := newTrafficFixture(t)
	for range 5 {
		f.minute(10, 10)
	}
	for range 3 {
		f.minute(100, 0)
	}
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionFalse, v1alpha1.ReasonFunnelBroken)
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	another := &Reconciler{client: f.client, clock: f.clock}
	status := raconfig.ReplicaStatus{Funnel: []raconfig.FunnelRow{{Family: "Apple", Steps: map[string]uint64{"GetCACaps": 9000, "PKIOperation": 9000}}}}
	servers := read[[]replica]{value: &[]replica{{name: "corp-ra-0", status: &status}}}
	first := another.observeFunnel(t.Context(), &ep, servers, nil)
	if first.err != nil || first.known && len(first.breaks) == 0 && another.funnels.get(&ep) == nil {
		t.Fatalf("first look: %+v", first)
	}
	f.clock.SetTime(f.clock.Now().Add(2 * time.Minute))
	if second := another.observeFunnel(t.Context(), &ep, servers, nil); len(second.breaks) != 1 || second.breaks[0].Hop != baseline.PKIOperation {
		t.Errorf("second look: %+v", second)
	}
}

func TestBreaksInWords(t *testing.T) {
	t.Parallel()
	since := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	for hop, text := range hopTexts {
		said := describeBreaks([]baseline.Break{
			{Family: "Apple", Hop: hop, Since: since, Missed: 200},
			{Family: "Windows", Hop: baseline.Opened, Since: since},
		})
		for _, want := range []string{text.missed, text.still, text.remedy, "Apple since 2026-03-02 12:00 UTC", "Windows at Opened", "status.funnel"} {
			if !strings.Contains(said, want) {
				t.Errorf("%s lacks %q: %s", hop, want, said)
			}
		}
	}
	for hop := baseline.Arrives; hop <= baseline.Issued; hop++ {
		if _, ok := hopTexts[hop]; !ok {
			t.Errorf("nothing is said of %s", hop)
		}
	}
}

func TestABreakHidesNothingThatIsKnownToBeWrong(t *testing.T) {
	t.Parallel()
	broken := []baseline.Break{{Family: "Apple", Hop: baseline.Issued}}
	for status, want := range map[metav1.ConditionStatus]string{
		metav1.ConditionTrue: v1alpha1.ReasonFunnelBroken, metav1.ConditionUnknown: v1alpha1.ReasonFunnelBroken, metav1.ConditionFalse: "Before",
	} {
		before := metav1.Condition{Type: v1alpha1.ConditionEnrolling, Status: status, Reason: "Before"}
		if got := orBroken(before, broken); got.Reason != want {
			t.Errorf("%s becomes %s", status, got.Reason)
		}
		if got := orBroken(before, nil); got != before {
			t.Errorf("%s becomes %+v without a break", status, got)
		}
	}
}

func TestAMistakenProfileIsTold(t *testing.T) {
	t.Parallel()
	noRequests := metav1.Condition{Type: v1alpha1.ConditionEnrolling, Status: metav1.ConditionUnknown, Reason: v1alpha1.ReasonNoRequests}
	issuedAt := metav1.NewTime(time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC))
	came := func(counts ...map[string]uint64) *observation {
		var servers []replica
		for _, paths := range counts {
			servers = append(servers, replica{status: &raconfig.ReplicaStatus{Paths: paths}})
		}
		servers = append(servers, replica{}) // one that does not answer
		return &observation{replicas: read[[]replica]{value: &servers}, funnel: funnelFact{known: true}}
	}
	folder := came(map[string]uint64{"NDESFolder": 2, "Foreign": 900}, map[string]uint64{"NDESFolder": 1, "Space": 3})
	for name, c := range map[string]struct {
		before   metav1.Condition
		issued   *metav1.Time
		seen     *observation
		reason   string
		says     string
		mistakes int
	}{
		"nobody answers":         {noRequests, nil, &observation{}, v1alpha1.ReasonNoRequests, "", 0},
		"as it should be":        {noRequests, nil, came(map[string]uint64{"SCEP": 90, "Other": 7}), v1alpha1.ReasonNoRequests, "", 0},
		"a stray one":            {noRequests, nil, came(map[string]uint64{"NDESFolder": 2}), v1alpha1.ReasonNoRequests, "", 0},
		"two mistakes":           {noRequests, nil, folder, v1alpha1.ReasonProfileMistaken, "%20); it lacks /mscep.dll: correct", 2},
		"devices enrol":          {noRequests, &issuedAt, folder, v1alpha1.ReasonNoRequests, "", 2},
		"something else is told": {metav1.Condition{Reason: v1alpha1.ReasonRequestsFailing}, nil, folder, v1alpha1.ReasonRequestsFailing, "", 2},
	} {
		ep := &v1alpha1.ScepEndpoint{}
		ep.Status.LastIssuedAt = c.issued
		if got := orMistaken(c.before, ep, c.seen); got.Reason != c.reason || !strings.Contains(got.Message, c.says) {
			t.Errorf("%s: %s: %s", name, got.Reason, got.Message)
		}
		if got := mistakes(c.seen); len(got) != c.mistakes {
			t.Errorf("%s: mistakes %v", name, got)
		}
	}
}

// TestMisledRequestsWake: the first requests by a mistaken path do, and no more of them.
func TestMisledRequestsWake(t *testing.T) {
	folder := func(n uint64) string {
		return misled(map[string]uint64{string(v1alpha1.MistakeNDESFolder): n, "SCEP": 7})
	}
	if folder(0) != "" || folder(1) == "" || folder(1) == folder(2) || folder(2) == folder(minMistakes) {
		t.Errorf("%q, %q, %q", folder(1), folder(2), folder(3))
	}
	if folder(minMistakes) != folder(minMistakes+100) {
		t.Error("every request wakes")
	}
	if folder(1) == misled(map[string]uint64{string(v1alpha1.MistakeSpace): 1}) {
		t.Error("another mistake does not wake")
	}
}
