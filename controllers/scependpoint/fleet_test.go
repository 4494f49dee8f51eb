package scependpoint

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

const (
	fleetSize = 100
	fleetWave = 10 // the default of so many
	// fleetLimit is for what a hundred endpoints have to do with, on a busy machine.
	fleetLimit = 4 * time.Minute
	imageOne   = "registry.example.com/ra:1"
	imageTwo   = "registry.example.com/ra:2"
	imageThree = "registry.example.com/ra:3"
)

// fleet is a hundred endpoints in one namespace, with hands that play the Deployment
// controller, the kubelet and the servers.
type fleet struct {
	*fixture
	clock *clocktesting.FakePassiveClock

	mu sync.Mutex
	// broken names the endpoint that does not serve with an image.
	broken, brokenImage string
	// most is how many Deployments were being replaced at a time.
	most int
}

func newFleet(t *testing.T) *fleet {
	return &fleet{
		fixture: &fixture{t: t, ns: testenv.Namespace(t), client: testenv.Client(t), servers: &servers{
			statuses: map[string]*raconfig.ReplicaStatus{}, signers: map[string]*raconfig.SignerStatus{},
		}},
		clock: clocktesting.NewFakePassiveClock(time.Now()),
	}
}

func fleetName(i int) string { return fmt.Sprintf("corp-%03d", i) }

// fleetIP is the address of an endpoint's server, by the Deployment's name.
func fleetIP(deployment string) string {
	var i int
	if _, err := fmt.Sscanf(deployment, "corp-%d-ra", &i); err != nil {
		return ""
	}
	return fmt.Sprintf("192.0.2.%d", i+1)
}

// operate runs an operator that brings an image, until stop is called: as a crash, or an
// upgrade, ends it.
func (f *fleet) operate(image string) (r *Reconciler, stop func()) {
	f.t.Helper()
	mgr := testenv.NewManager(f.t, f.ns)
	r = New(mgr, Options{
		Program:  render.Program{Image: image, ClusterRole: "scepter-ra", DirectClusterRole: "scepter-ra-direct"},
		Replicas: f.servers, Clock: f.clock,
		Self: &appsv1.Deployment{
			TypeMeta: metav1.TypeMeta{APIVersion: "apps/v1", Kind: "Deployment"}, ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: "scepter-operator"},
		},
	})
	r.fleetInterval = 200 * time.Millisecond
	if err := r.SetupWithManager(mgr); err != nil {
		f.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- mgr.Start(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			f.t.Errorf("manager ended: %v", err)
		}
	})
	f.t.Cleanup(stop)
	return r, stop
}

// play plays until the test ends: a Deployment that was changed is being replaced for two
// rounds, and then all its servers are new and serve, unless that is the broken one.
func (f *fleet) play() {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		seen := map[string]int{} // rounds, by Deployment and its generation
		tick := time.NewTicker(250 * time.Millisecond)
		defer tick.Stop()
		for ctx.Err() == nil {
			if err := f.round(ctx, seen); err != nil && ctx.Err() == nil {
				f.t.Errorf("play the Deployment controller: %v", err)
				return
			}
			<-tick.C
		}
	}()
	f.t.Cleanup(func() {
		cancel()
		<-ended
	})
}

func (f *fleet) round(ctx context.Context, seen map[string]int) error {
	var list appsv1.DeploymentList
	if err := f.client.List(ctx, &list, client.InNamespace(f.ns)); err != nil {
		return err
	}
	replaced := 0
	for i := range list.Items {
		d := &list.Items[i]
		if d.Status.ObservedGeneration == d.Generation && d.Status.UpdatedReplicas == d.Status.Replicas {
			continue
		}
		if d.Status.ObservedGeneration > 0 { // its first servers replace nobody
			replaced++
		}
		key := fmt.Sprintf("%s/%d", d.Name, d.Generation)
		if seen[key]++; seen[key] < 2 || f.isBroken(d) {
			continue
		}
		if err := f.serve(ctx, d); err != nil {
			return err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.most = max(f.most, replaced)
	return nil
}

func (f *fleet) isBroken(d *appsv1.Deployment) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	return d.Name == render.ChildName(f.broken) && imageOf(d) == f.brokenImage
}

func (f *fleet) breaks(name, image string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.broken, f.brokenImage = name, image
}

// serve has the server of a Deployment run, ready, with the configuration of now.
func (f *fleet) serve(ctx context.Context, d *appsv1.Deployment) error {
	endpoint := d.Labels[v1alpha1.LabelEndpoint]
	if err := f.runServer(ctx, d.Name, endpoint); err != nil {
		return err
	}
	before := d.DeepCopy()
	d.Status.ObservedGeneration = d.Generation
	d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas = 1, 1, 1, 1
	return f.client.Status().Patch(ctx, d, client.MergeFrom(before))
}

func (f *fleet) runServer(ctx context.Context, deployment, endpoint string) error {
	var m corev1.ConfigMap
	if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: render.ConfigMapName(endpoint)}, &m); err != nil {
		return err
	}
	file := []byte(m.Data[raconfig.ConfigFile])
	config, err := raconfig.Decode(file)
	if err != nil {
		return err
	}
	ip := fleetIP(deployment)
	f.servers.say(ip, raconfig.ReplicaStatus{
		ConfigHash: raconfig.Hash(file), ConfigGeneration: config.Endpoint.Generation, ActiveGeneration: "gen1", HeldGenerations: []string{"gen1"},
	})
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: deployment + "-0", Labels: render.Labels(endpoint)},
		Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "ra", Image: "ra"}}},
	}
	if err := f.client.Create(ctx, pod); err != nil {
		return client.IgnoreAlreadyExists(err)
	}
	before := pod.DeepCopy()
	pod.Status = corev1.PodStatus{
		Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
		Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
	}
	return f.client.Status().Patch(ctx, pod, client.MergeFrom(before))
}

// all checks each endpoint, until all are as they should be.
func (f *fleet) all(what string, check func(*v1alpha1.ScepEndpoint) error) {
	f.t.Helper()
	testenv.Within(f.t, fleetLimit, what, func(ctx context.Context) error {
		var list v1alpha1.ScepEndpointList
		if err := f.client.List(ctx, &list, client.InNamespace(f.ns)); err != nil {
			return err
		}
		if len(list.Items) != fleetSize {
			return fmt.Errorf("there are %d endpoints", len(list.Items))
		}
		var wrong []error
		for i := range list.Items {
			if err := check(&list.Items[i]); err != nil {
				wrong = append(wrong, fmt.Errorf("%s: %w", list.Items[i].Name, err))
			}
		}
		return errors.Join(wrong[:min(len(wrong), 3)]...)
	})
}

func has(conditionType string, status metav1.ConditionStatus, reason string) func(*v1alpha1.ScepEndpoint) error {
	return func(ep *v1alpha1.ScepEndpoint) error {
		c := conditions.Find(ep.Status.Conditions, conditionType)
		if c == nil || c.Status != status || c.Reason != reason {
			return fmt.Errorf("%s is %+v, remedy %+v", conditionType, c, ep.Status.Remedy)
		}
		return nil
	}
}

// with lists the endpoints whose servers are to run an image.
func (f *fleet) with(ctx context.Context, image string) ([]string, error) {
	var list appsv1.DeploymentList
	if err := f.client.List(ctx, &list, client.InNamespace(f.ns)); err != nil {
		return nil, err
	}
	var names []string
	for i := range list.Items {
		if imageOf(&list.Items[i]) == image {
			names = append(names, list.Items[i].Labels[v1alpha1.LabelEndpoint])
		}
	}
	slices.Sort(names)
	return names, nil
}

func (f *fleet) waitForImage(image string, n int) []string {
	f.t.Helper()
	var names []string
	testenv.Within(f.t, fleetLimit, fmt.Sprintf("%d endpoints with %s", n, image), func(ctx context.Context) (err error) {
		if names, err = f.with(ctx, image); err == nil && len(names) != n {
			return fmt.Errorf("%d have it", len(names))
		}
		return err
	})
	return names
}

// mostReplaced is how many were replaced at a time since it was asked last.
func (f *fleet) mostReplaced() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	most := f.most
	f.most = 0
	return most
}

// issuerReady plays cert-manager, for the issuer of all.
func (f *fleet) issuerReady(status cmmeta.ConditionStatus) {
	f.t.Helper()
	var i certmanagerv1.Issuer
	f.get("corp-ca", &i)
	setStatus(f.fixture, &i, func(i *certmanagerv1.Issuer) {
		i.Status.Conditions = []certmanagerv1.IssuerCondition{{Type: certmanagerv1.IssuerConditionReady, Status: status, Reason: "Played"}}
	})
}

// systemicEvents are the warnings about all endpoints.
func (f *fleet) systemicEvents(ctx context.Context) ([]string, error) {
	var list eventsv1.EventList
	if err := f.client.List(ctx, &list, client.InNamespace(f.ns)); err != nil {
		return nil, err
	}
	var notes []string
	for i := range list.Items {
		if e := &list.Items[i]; e.Reason == v1alpha1.ReasonSystemicStop && e.Type == corev1.EventTypeWarning {
			notes = append(notes, e.Regarding.Kind+" "+e.Regarding.Name+": "+e.Note)
		}
	}
	return notes, nil
}

// TestAHundredEndpoints lives through an upgrade whose image does not run on one of them,
// an operator that ends meanwhile, a better image, and an issuer that fails for all.
func TestAHundredEndpoints(t *testing.T) {
	f := newFleet(t)
	f.makeIssuer()
	f.makeTemplate()
	f.makeChallenge()
	f.makeCredential("gen1")
	for i := range fleetSize {
		f.create(f.endpoint(func(ep *v1alpha1.ScepEndpoint) { ep.Name, ep.Spec.Server.Replicas = fleetName(i), ptr.To[int32](1) }))
	}
	f.play()
	_, stop := f.operate(imageOne)
	f.all("all Ready", has(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded))
	stop()
	f.breaks(fleetName(15), imageTwo)
	f.mostReplaced()
	f.mustStopAtTheBrokenWave()
	f.mustGetABetterImage()
	f.mustStopWhatIsSystemic()
}

func (f *fleet) mustStopAtTheBrokenWave() {
	f.t.Helper()
	r, stop := f.operate(imageTwo)
	names := f.waitForImage(imageTwo, 2*fleetWave)
	if names[0] != fleetName(0) || names[len(names)-1] != fleetName(2*fleetWave-1) {
		f.t.Errorf("the first waves were %v", names)
	}
	f.all("an end of all but the broken one", func(ep *v1alpha1.ScepEndpoint) error {
		switch i := slices.Index(names, ep.Name); {
		case ep.Name == fleetName(15):
			return has(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonProgressing)(ep)
		case i < 0:
			return has(v1alpha1.ConditionServersAvailable, metav1.ConditionTrue, v1alpha1.ReasonImageWaiting)(ep)
		}
		return healed(ep)
	})
	f.clock.SetTime(f.clock.Now().Add(11 * time.Minute))
	f.all("the roll-out stopped", func(ep *v1alpha1.ScepEndpoint) error {
		if slices.Contains(names, ep.Name) {
			return nil
		}
		return has(v1alpha1.ConditionServersAvailable, metav1.ConditionTrue, v1alpha1.ReasonImageStopped)(ep)
	})
	if out := r.ledger.Last(); !out.Stopped || len(out.Wave) != 1 || !strings.HasSuffix(out.Wave[0], fleetName(15)) || out.Behind != fleetSize-2*fleetWave {
		f.t.Errorf("outlook: %+v", out)
	}
	f.waitForImage(imageTwo, 2*fleetWave)
	if most := f.mostReplaced(); most > fleetWave || most == 0 {
		f.t.Errorf("%d endpoints got the image at a time", most)
	}
	stop()
}

func healed(ep *v1alpha1.ScepEndpoint) error {
	if r := ep.Status.Remedy; r != nil && r.State != v1alpha1.RemedySettled {
		return fmt.Errorf("remedy is %+v", r)
	}
	return has(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)(ep)
}

func (f *fleet) mustGetABetterImage() {
	f.t.Helper()
	_, stop := f.operate(imageThree)
	testenv.Within(f.t, fleetLimit, "some waves", func(ctx context.Context) error {
		names, err := f.with(ctx, imageThree)
		if err == nil && len(names) < 3*fleetWave {
			err = fmt.Errorf("%d have it", len(names))
		}
		return err
	})
	stop() // in the midst of a wave, most likely
	_, stop = f.operate(imageThree)
	f.waitForImage(imageThree, fleetSize)
	f.all("all settled", healed)
	if most := f.mostReplaced(); most > fleetWave+1 || most == 0 { // and the one that was broken before
		f.t.Errorf("%d endpoints got the image at a time", most)
	}
	stop()
}

func (f *fleet) mustStopWhatIsSystemic() {
	f.t.Helper()
	f.clock.SetTime(f.clock.Now().Add(3 * time.Hour)) // no back-off is left
	f.operate(imageThree)
	f.issuerReady(cmmeta.ConditionFalse)
	f.all("none Ready", has(v1alpha1.ConditionReady, metav1.ConditionFalse, v1alpha1.ReasonIssuerNotReady))
	testenv.Within(f.t, fleetLimit, "one Event", func(ctx context.Context) error {
		notes, err := f.systemicEvents(ctx)
		if err == nil && (len(notes) != 1 || !strings.Contains(notes[0], "Deployment scepter-operator: ") || !strings.Contains(notes[0], v1alpha1.ReasonIssuerNotReady)) {
			err = fmt.Errorf("events: %q", notes)
		}
		return err
	})
	var account corev1.ServiceAccount
	f.get(render.ChildName(fleetName(7)), &account)
	if err := f.client.Delete(f.t.Context(), &account); err != nil {
		f.t.Fatal(err)
	}
	f.waitForOne(fleetName(7), has(v1alpha1.ConditionServersAvailable, metav1.ConditionTrue, v1alpha1.ReasonSystemicStop))
	if most := f.mostReplaced(); most != 0 {
		f.t.Errorf("servers of %d endpoints were replaced", most)
	}
	f.issuerReady(cmmeta.ConditionTrue)
	f.waitForOne(fleetName(7), func(ep *v1alpha1.ScepEndpoint) error {
		if r := ep.Status.Remedy; r == nil || r.Cause != v1alpha1.RemedyServiceAccount || r.State != v1alpha1.RemedySettled {
			return fmt.Errorf("remedy is %+v", r)
		}
		return has(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)(ep)
	})
	if notes, err := f.systemicEvents(f.t.Context()); err != nil || len(notes) != 1 {
		f.t.Errorf("events: %q (%v)", notes, err)
	}
}

func (f *fleet) waitForOne(name string, check func(*v1alpha1.ScepEndpoint) error) {
	f.t.Helper()
	testenv.Within(f.t, fleetLimit, name, func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: name}, &ep); err != nil {
			return err
		}
		return check(&ep)
	})
}
