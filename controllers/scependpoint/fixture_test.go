package scependpoint

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const (
	testDay = 24 * time.Hour
	// testPace makes 15 seconds between two looks half a second.
	testPace = 30
)

// servers plays the registration authorities: it answers for them by pod address.
type servers struct {
	mu       sync.Mutex
	statuses map[string]*raconfig.ReplicaStatus
	signers  map[string]*raconfig.SignerStatus
}

func (s *servers) ReadStatus(_ context.Context, podIP string, _ chosenProber) (*raconfig.ReplicaStatus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status, ok := s.statuses[podIP]; ok {
		answer := *status
		return &answer, nil
	}
	return nil, errors.New("connection refused")
}

func (s *servers) ReadSignerStatus(_ context.Context, podIP string) (*raconfig.SignerStatus, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if status, ok := s.signers[podIP]; ok {
		answer := *status
		return &answer, nil
	}
	return nil, errors.New("connection refused")
}

func (s *servers) saySigner(podIP string, status raconfig.SignerStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.signers[podIP] = &status
}

func (s *servers) say(podIP string, status raconfig.ReplicaStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.statuses[podIP] = &status
}

// fixture is a namespace with a running controller, and hands to play everybody else.
type fixture struct {
	t       *testing.T
	ns      string
	client  client.Client
	servers *servers
}

func newFixture(t *testing.T, mods ...func(*Options)) *fixture {
	t.Helper()
	f := &fixture{t: t, ns: testenv.Namespace(t), client: testenv.Client(t), servers: &servers{
		statuses: map[string]*raconfig.ReplicaStatus{}, signers: map[string]*raconfig.SignerStatus{},
	}}
	mgr := testenv.NewManager(t, f.ns)
	options := Options{
		Program:  render.Program{Image: "registry.example.com/ra:test", ClusterRole: "scepter-ra", DirectClusterRole: "scepter-ra-direct"},
		Replicas: f.servers,
	}
	for _, mod := range mods {
		mod(&options)
	}
	r := New(mgr, options)
	r.pace = testPace
	if err := r.SetupWithManager(mgr); err != nil {
		t.Fatal(err)
	}
	testenv.Run(t, mgr)
	return f
}

func (f *fixture) create(objs ...client.Object) {
	f.t.Helper()
	for _, o := range objs {
		if err := f.client.Create(f.t.Context(), o); err != nil {
			f.t.Fatal(err)
		}
	}
}

// setStatus patches, because the controller may write to the same object meanwhile.
func setStatus[T client.Object](f *fixture, o T, change func(T)) {
	f.t.Helper()
	before, ok := o.DeepCopyObject().(T)
	if !ok {
		f.t.Fatalf("%T copies into something else", o)
	}
	change(o)
	if err := f.client.Status().Patch(f.t.Context(), o, client.MergeFrom(before)); err != nil {
		f.t.Fatal(err)
	}
}

func (f *fixture) meta(name string) metav1.ObjectMeta {
	return metav1.ObjectMeta{Namespace: f.ns, Name: name}
}

// endpoint is the smallest one, with an RACredential, a template and a challenge by name.
func (f *fixture) endpoint(mods ...func(*v1alpha1.ScepEndpoint)) *v1alpha1.ScepEndpoint {
	ep := &v1alpha1.ScepEndpoint{
		ObjectMeta: f.meta("corp"),
		Spec: v1alpha1.ScepEndpointSpec{
			Issuance:        v1alpha1.Issuance{IssuerRef: v1alpha1.IssuerReference{Name: "corp-ca"}, Wait: metav1.Duration{Duration: 10 * time.Second}, PendingDeadline: metav1.Duration{Duration: time.Hour}},
			RACredentialRef: &v1alpha1.LocalReference{Name: "ra"},
			Templates:       []v1alpha1.EndpointTemplate{{Name: "device", TemplateRef: v1alpha1.LocalReference{Name: "device"}}},
			Challenges: []v1alpha1.Challenge{{Name: "mdm", Type: v1alpha1.ChallengeStatic, Static: &v1alpha1.StaticChallenge{
				SecretRef: v1alpha1.SecretKeyReference{Name: "challenge", Key: "password"}, AcknowledgeStoredChallenge: true,
			}}},
		},
	}
	for _, mod := range mods {
		mod(ep)
	}
	return ep
}

func (f *fixture) makeIssuer() {
	f.t.Helper()
	i := &certmanagerv1.Issuer{ObjectMeta: f.meta("corp-ca"), Spec: certmanagerv1.IssuerSpec{IssuerConfig: certmanagerv1.IssuerConfig{CA: &certmanagerv1.CAIssuer{SecretName: "corp-ca"}}}}
	f.create(i)
	setStatus(f, i, func(i *certmanagerv1.Issuer) {
		i.Status.Conditions = []certmanagerv1.IssuerCondition{{Type: certmanagerv1.IssuerConditionReady, Status: cmmeta.ConditionTrue, Reason: "IsReady"}}
	})
}

func (f *fixture) makeTemplate() {
	f.t.Helper()
	t := &v1alpha1.CertificateTemplate{
		ObjectMeta: f.meta("device"),
		Spec: v1alpha1.CertificateTemplateSpec{
			Usages:   []certmanagerv1.KeyUsage{certmanagerv1.UsageClientAuth, certmanagerv1.UsageDigitalSignature},
			Validity: metav1.Duration{Duration: 8760 * time.Hour},
		},
	}
	f.create(t)
	setStatus(f, t, func(t *v1alpha1.CertificateTemplate) {
		t.Status.ObservedGeneration = t.Generation
		t.Status.Conditions = conditions.Merge(nil, time.Now(), t.Generation, conditions.True(v1alpha1.ConditionReady, v1alpha1.ReasonSucceeded, ""))
	})
}

func (f *fixture) makeChallenge() {
	f.t.Helper()
	f.create(&corev1.Secret{ObjectMeta: f.meta("challenge"), StringData: map[string]string{"password": "correct horse"}})
}

func generation(id string, added time.Time) v1alpha1.CredentialGeneration {
	return v1alpha1.CredentialGeneration{
		ID: id, AddedAt: metav1.NewTime(added),
		Certificates: []v1alpha1.CredentialCertificate{{
			Role: v1alpha1.RoleCombined, Fingerprint: "f" + id,
			NotBefore: metav1.NewTime(added.Add(-time.Hour)), NotAfter: metav1.NewTime(added.Add(90 * testDay)),
		}},
	}
}

func (f *fixture) makeCredential(ids ...string) {
	f.t.Helper()
	f.create(&v1alpha1.RACredential{
		ObjectMeta: f.meta("ra"),
		Spec: v1alpha1.RACredentialSpec{
			Purpose: v1alpha1.PurposeRA, IssuerRef: &v1alpha1.IssuerReference{Name: "corp-ca"},
			Key:      v1alpha1.CredentialKey{Algorithm: v1alpha1.RSAKey, Size: 2048},
			Duration: metav1.Duration{Duration: 90 * testDay}, RenewBefore: metav1.Duration{Duration: 30 * testDay}, Overlap: metav1.Duration{Duration: 7 * testDay},
			LoadTimeout: metav1.Duration{Duration: time.Minute},
		},
	}, &corev1.Secret{ObjectMeta: f.meta("ra-keyring")})
	f.setGenerations(ids...)
}

// setGenerations plays the RACredential's controller: the newest comes first.
func (f *fixture) setGenerations(ids ...string) {
	f.t.Helper()
	var c v1alpha1.RACredential
	f.get("ra", &c)
	setStatus(f, &c, func(c *v1alpha1.RACredential) {
		c.Status.Generations = nil
		for i, id := range ids {
			c.Status.Generations = append(c.Status.Generations, generation(id, time.Now().Add(-time.Duration(i)*time.Hour)))
		}
	})
}

func (f *fixture) get(name string, into client.Object) {
	f.t.Helper()
	if err := f.client.Get(f.t.Context(), client.ObjectKey{Namespace: f.ns, Name: name}, into); err != nil {
		f.t.Fatal(err)
	}
}

// runServers plays the Deployment controller, the kubelet and the servers: n
// ready pods that have loaded the current configuration and hold the generations.
func (f *fixture) runServers(n int, holds ...string) {
	f.t.Helper()
	for i := range n {
		ip := podIP(i)
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: fmt.Sprintf("corp-ra-%d", i), Labels: render.Labels("corp")},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "ra", Image: "ra"}}},
		}
		f.create(pod)
		f.load(i, holds...)
		setStatus(f, pod, func(pod *corev1.Pod) {
			pod.Status = corev1.PodStatus{
				Phase: corev1.PodRunning, PodIP: ip, PodIPs: []corev1.PodIP{{IP: ip}},
				Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			}
		})
	}
	f.deploymentAvailable(n)
}

func podIP(i int) string { return fmt.Sprintf("192.0.2.%d", i+1) }

// load plays a server that has read its files as they are now.
func (f *fixture) load(i int, holds ...string) {
	f.t.Helper()
	file, config := f.config()
	f.servers.say(podIP(i), raconfig.ReplicaStatus{
		ConfigHash: raconfig.Hash(file), ConfigGeneration: config.Endpoint.Generation,
		ActiveGeneration: config.ActiveGeneration, HeldGenerations: holds,
	})
}

func (f *fixture) config() ([]byte, *raconfig.Config) {
	f.t.Helper()
	file, config, err := f.readConfig(f.t.Context())
	if err != nil {
		f.t.Fatal(err)
	}
	return file, config
}

func (f *fixture) readConfig(ctx context.Context) ([]byte, *raconfig.Config, error) {
	var m corev1.ConfigMap
	if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-ra-config"}, &m); err != nil {
		return nil, nil, err
	}
	file := []byte(m.Data[raconfig.ConfigFile])
	config, err := raconfig.Decode(file)
	return file, config, err
}

func (f *fixture) deploymentAvailable(n int) {
	f.t.Helper()
	f.available("corp-ra", n)
}

// available plays the Deployment controller.
func (f *fixture) available(name string, n int) {
	f.t.Helper()
	var d appsv1.Deployment
	f.get(name, &d)
	setStatus(f, &d, func(d *appsv1.Deployment) {
		count := int32(n)
		d.Status.ObservedGeneration = d.Generation
		d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.ReadyReplicas, d.Status.AvailableReplicas = count, count, count, count
	})
}

// waitFor waits until the endpoint has a condition with a status, a reason and
// what its message says, and checks the rules of kstatus on the way.
func (f *fixture) waitFor(conditionType string, status metav1.ConditionStatus, reason string, says ...string) {
	f.t.Helper()
	testenv.Eventually(f.t, fmt.Sprintf("%s=%s %s", conditionType, status, reason), func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp"}, &ep); err != nil {
			return err
		}
		c := conditions.Find(ep.Status.Conditions, conditionType)
		if c == nil || c.Status != status || c.Reason != reason || c.ObservedGeneration != ep.Generation {
			return fmt.Errorf("conditions are %s", describe(ep.Status.Conditions))
		}
		for _, text := range says {
			if !strings.Contains(c.Message, text) {
				return fmt.Errorf("%s says: %s", conditionType, c.Message)
			}
		}
		return testenv.CheckKStatus(&ep, ep.Status.ObservedGeneration, ep.Status.Conditions)
	})
}

func describe(conds []metav1.Condition) string {
	out := ""
	for _, c := range conds {
		out += fmt.Sprintf("\n  %s=%s %s (%d): %s", c.Type, c.Status, c.Reason, c.ObservedGeneration, c.Message)
	}
	return out
}

func (f *fixture) waitChild(name string, into client.Object) {
	f.t.Helper()
	testenv.Eventually(f.t, fmt.Sprintf("%T %s", into, name), func(ctx context.Context) error {
		return f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: name}, into)
	})
}

// makeAll makes everything an endpoint refers to, the endpoint, and its running servers.
func (f *fixture) makeAll(mods ...func(*v1alpha1.ScepEndpoint)) {
	f.t.Helper()
	f.makeIssuer()
	f.makeTemplate()
	f.makeChallenge()
	f.makeCredential("gen1")
	f.create(f.endpoint(mods...))
	f.waitChild("corp-ra", &appsv1.Deployment{})
	f.runServers(2, "gen1")
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
}

// change edits the endpoint's spec.
func (f *fixture) change(mod func(*v1alpha1.ScepEndpoint)) {
	f.t.Helper()
	testenv.Eventually(f.t, "an edit of the endpoint", func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp"}, &ep); err != nil {
			return err
		}
		mod(&ep)
		return f.client.Update(ctx, &ep)
	})
}
