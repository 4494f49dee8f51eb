package apply

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"
	"k8s.io/client-go/rest"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/interceptor"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/scepter-pki/scepter/test/cluster/lab"
)

// config reaches a real API server.
var config *rest.Config

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "test environment:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		if assets, err = lab.EnvtestAssets(context.Background(), os.Stderr); err != nil {
			return 1, err
		}
	}
	env := &envtest.Environment{BinaryAssetsDirectory: assets, ControlPlaneStartTimeout: time.Minute, ControlPlaneStopTimeout: time.Minute}
	if config, err = env.Start(); err != nil {
		return 1, err
	}
	defer func() { err = errors.Join(err, env.Stop()) }()
	return m.Run(), nil
}

// world is a namespace with an owner (a ConfigMap does), and a client that counts its writes.
type world struct {
	t       *testing.T
	client  client.Client
	applier *Applier
	owner   *corev1.ConfigMap
	clock   *clocktesting.FakePassiveClock
	writes  int
}

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{t: t, clock: clocktesting.NewFakePassiveClock(time.Now())}
	direct, err := client.NewWithWatch(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	w.client = interceptor.NewClient(direct, interceptor.Funcs{
		Apply: func(ctx context.Context, c client.WithWatch, obj Object, opts ...client.ApplyOption) error {
			w.writes++
			return c.Apply(ctx, obj, opts...)
		},
	})
	w.applier = New(w.client, direct, "test", w.clock)
	ns := &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "apply-"}}
	w.create(ns)
	w.owner = &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: ns.Name, Name: "owner"}}
	w.create(w.owner)
	return w
}

func (w *world) create(o client.Object) {
	w.t.Helper()
	if err := w.client.Create(w.t.Context(), o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) service(name string, port int32) *corev1ac.ServiceApplyConfiguration {
	return corev1ac.Service(name, w.owner.Namespace).
		WithLabels(map[string]string{"child": "yes"}).
		WithSpec(corev1ac.ServiceSpec().
			WithSelector(map[string]string{"app": "ra"}).
			WithPorts(corev1ac.ServicePort().WithName("http").WithPort(port).WithProtocol(corev1.ProtocolTCP)))
}

func (w *world) get(name string) *corev1.Service {
	w.t.Helper()
	var s corev1.Service
	if err := w.client.Get(w.t.Context(), client.ObjectKey{Namespace: w.owner.Namespace, Name: name}, &s); err != nil {
		w.t.Fatal(err)
	}
	return &s
}

func (w *world) apply(want Action, objs ...Object) {
	w.t.Helper()
	outcomes, err := w.applier.Apply(w.t.Context(), w.owner, objs...)
	if err != nil || len(outcomes) != len(objs) {
		w.t.Fatalf("%+v, %v", outcomes, err)
	}
	for _, o := range outcomes {
		if o.Action != want {
			w.t.Errorf("%s: %s, want %s", o.Object, o.Action, want)
		}
	}
}

func TestApplyWritesOnlyWhatChanged(t *testing.T) {
	w := newWorld(t)
	w.apply(Created, w.service("ra", 80))
	if s := w.get("ra"); !metav1.IsControlledBy(s, w.owner) || s.Annotations[AnnotationApplied] == "" {
		t.Errorf("metadata: %+v", s.ObjectMeta)
	}
	before := w.writes
	w.apply(Unchanged, w.service("ra", 80))
	if w.writes != before {
		t.Error("an unchanged child was written")
	}
	w.apply(Updated, w.service("ra", 8080))
	if port := w.get("ra").Spec.Ports[0].Port; port != 8080 {
		t.Errorf("port %d", port)
	}
}

func TestApplyRestoresWhatOthersChanged(t *testing.T) {
	for name, spoil := range map[string]func(*corev1.Service){
		"a value":     func(s *corev1.Service) { s.Spec.Selector["app"] = "evil" },
		"a label":     func(s *corev1.Service) { delete(s.Labels, "child") },
		"a port":      func(s *corev1.Service) { s.Spec.Ports[0].Name = "other" },
		"two of them": func(s *corev1.Service) { s.Labels, s.Spec.Selector = nil, map[string]string{"x": "y"} },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			w.apply(Created, w.service("ra", 80))
			s := w.get("ra")
			spoil(s)
			if err := w.client.Update(t.Context(), s); err != nil {
				t.Fatal(err)
			}
			w.apply(Restored, w.service("ra", 80))
			w.apply(Unchanged, w.service("ra", 80))
		})
	}
}

func TestApplyLeavesWhatOthersAdd(t *testing.T) {
	w := newWorld(t)
	w.apply(Created, w.service("ra", 80))
	s := w.get("ra")
	s.Annotations["mesh.example.com/injected"] = "true"
	if err := w.client.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	w.apply(Unchanged, w.service("ra", 80))
}

func TestApplyDropsWhatIsNotWantedAnyMore(t *testing.T) {
	w := newWorld(t)
	w.apply(Created, w.service("ra", 80).WithAnnotations(map[string]string{"old": "yes"}))
	w.apply(Updated, w.service("ra", 80))
	if _, there := w.get("ra").Annotations["old"]; there {
		t.Error("the annotation is still there")
	}
}

func TestApplyTakesNothingOver(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.owner.Namespace, Name: "ra"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}}})
	before := w.get("ra").ResourceVersion
	outcomes, err := w.applier.Apply(t.Context(), w.owner, w.service("ra", 80), w.service("other", 80))
	var notOwned *NotOwnedError
	if !errors.As(err, &notOwned) || notOwned.Object.Name != "ra" {
		t.Fatalf("error %v", err)
	}
	if outcomes[0].Action != Failed || outcomes[1].Action != Created {
		t.Errorf("outcomes: %+v; the second child must not wait for the first", outcomes)
	}
	if w.get("ra").ResourceVersion != before {
		t.Error("the foreign object was written")
	}
}

// TestApplyDoesNotBelieveAnEmptyCache gives it a cache that hides objects without our label.
func TestApplyDoesNotBelieveAnEmptyCache(t *testing.T) {
	w := newWorld(t)
	w.create(&corev1.Service{ObjectMeta: metav1.ObjectMeta{Namespace: w.owner.Namespace, Name: "ra"}, Spec: corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}}})
	direct, err := client.NewWithWatch(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	blind := interceptor.NewClient(direct, interceptor.Funcs{
		Get: func(_ context.Context, _ client.WithWatch, key client.ObjectKey, _ client.Object, _ ...client.GetOption) error {
			return apierrors.NewNotFound(schema.GroupResource{Resource: "services"}, key.Name)
		},
	})
	_, err = New(blind, direct, "test", w.clock).Apply(t.Context(), w.owner, w.service("ra", 80))
	var notOwned *NotOwnedError
	if !errors.As(err, &notOwned) {
		t.Errorf("error %v", err)
	}
}

func TestPrune(t *testing.T) {
	w := newWorld(t)
	w.apply(Created, w.service("keep", 80), w.service("drop", 80))
	w.create(&corev1.Service{
		ObjectMeta: metav1.ObjectMeta{Namespace: w.owner.Namespace, Name: "foreign", Labels: map[string]string{"child": "yes"}},
		Spec:       corev1.ServiceSpec{Ports: []corev1.ServicePort{{Port: 1}}},
	})
	kept, err := RefOf(w.service("keep", 80))
	if err != nil {
		t.Fatal(err)
	}
	services := []schema.GroupVersionKind{corev1.SchemeGroupVersion.WithKind("Service")}
	pruned, err := w.applier.Prune(t.Context(), w.owner, map[string]string{"child": "yes"}, services, sets.New(kept))
	if err != nil || len(pruned) != 1 || pruned[0].Name != "drop" {
		t.Fatalf("pruned %v, %v", pruned, err)
	}
	w.get("keep")
	w.get("foreign")
}

func TestPruneNothingAfterAFailedList(t *testing.T) {
	w := newWorld(t)
	w.apply(Created, w.service("ra", 80))
	direct, err := client.NewWithWatch(config, client.Options{})
	if err != nil {
		t.Fatal(err)
	}
	broken := interceptor.NewClient(direct, interceptor.Funcs{
		List: func(context.Context, client.WithWatch, client.ObjectList, ...client.ListOption) error {
			return errors.New("no list today")
		},
	})
	services := []schema.GroupVersionKind{corev1.SchemeGroupVersion.WithKind("Service")}
	pruned, err := New(broken, direct, "test", w.clock).Prune(t.Context(), w.owner, map[string]string{"child": "yes"}, services, sets.New[Ref]())
	if err == nil || len(pruned) != 0 {
		t.Errorf("pruned %v, %v", pruned, err)
	}
	w.get("ra")
}

func TestApplyRefusesAnObjectWithoutAName(t *testing.T) {
	w := newWorld(t)
	if _, err := w.applier.Apply(t.Context(), w.owner, corev1ac.Service("", w.owner.Namespace)); err == nil {
		t.Error("no error")
	}
}

// TestCompareSaysWhatApplyWouldDo without doing it.
func TestCompareSaysWhatApplyWouldDo(t *testing.T) {
	w := newWorld(t)
	w.apply(Created, w.service("ra", 80))
	compare := func(port int32, want Action, fields ...string) {
		t.Helper()
		action, got, err := w.applier.Compare(w.owner, w.get("ra"), w.service("ra", port))
		if err != nil || action != want || !slices.Equal(got, fields) {
			t.Errorf("port %d: %s %q (%v), want %s %q", port, action, got, err, want, fields)
		}
	}
	before := w.writes
	compare(80, Unchanged)
	compare(81, Updated, "metadata.annotations.scepter.dev/applied", "spec.ports[http].port")
	s := w.get("ra")
	s.Spec.Ports[0].Port = 82
	if err := w.client.Update(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	compare(80, Restored, "spec.ports[http].port")
	if w.writes != before {
		t.Error("something was written")
	}
}
