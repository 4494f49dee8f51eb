package scependpoint

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/peers"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

func direct(ep *v1alpha1.ScepEndpoint) { ep.Spec.Issuance.Mode = v1alpha1.IssuanceDirect }

// makeDirect makes everything that an endpoint which issues directly refers to, the
// endpoint, and its running servers; signers do not run yet.
func (f *fixture) makeDirect() {
	f.t.Helper()
	f.makeIssuer()
	f.makeTemplate()
	f.makeChallenge()
	f.makeCredential("gen1")
	f.create(&corev1.Secret{ObjectMeta: f.meta("corp-ca"), StringData: map[string]string{"tls.crt": "a CA", "tls.key": "its key"}})
	f.create(f.endpoint(direct))
	f.waitChild("corp-ra", &appsv1.Deployment{})
	f.waitChild("corp-signer", &appsv1.Deployment{})
	f.runServers(2, "gen1")
}

func signerIP(i int) string { return fmt.Sprintf("192.0.2.%d", 101+i) }

// runSigners plays two signers that have loaded everything, but for what mod changes.
func (f *fixture) runSigners(mods ...func(*raconfig.SignerStatus)) {
	f.t.Helper()
	for i := range 2 {
		f.loadSigner(i, mods...)
		pod := &corev1.Pod{
			ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: fmt.Sprintf("corp-signer-%d", i), Labels: render.SignerLabels("corp")},
			Spec:       corev1.PodSpec{Containers: []corev1.Container{{Name: "signer", Image: "ra"}}},
		}
		f.create(pod)
		setStatus(f, pod, func(pod *corev1.Pod) {
			pod.Status = corev1.PodStatus{
				Phase: corev1.PodRunning, PodIP: signerIP(i), PodIPs: []corev1.PodIP{{IP: signerIP(i)}},
				Conditions: []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}},
			}
		})
	}
	f.available("corp-signer", 2)
}

func (f *fixture) loadSigner(i int, mods ...func(*raconfig.SignerStatus)) {
	f.t.Helper()
	file, config := f.config()
	status := raconfig.SignerStatus{
		ConfigHash: raconfig.Hash(file), ConfigGeneration: config.Endpoint.Generation, RevocationsUpdated: f.revocations().Updated,
	}
	for _, mod := range mods {
		mod(&status)
	}
	f.servers.saySigner(signerIP(i), status)
}

func (f *fixture) revocations() *raconfig.Revocations {
	f.t.Helper()
	var m corev1.ConfigMap
	f.waitChild("corp-revoked", &m)
	list, err := raconfig.DecodeRevocations([]byte(m.Data[raconfig.RevocationsFile]))
	if err != nil {
		f.t.Fatal(err)
	}
	return list
}

// signerChildren are what an endpoint has for its signers.
func signerChildren() map[string]client.Object {
	return map[string]client.Object{
		"Deployment": &appsv1.Deployment{}, "Service": &corev1.Service{}, "ServiceAccount": &corev1.ServiceAccount{},
		"PodDisruptionBudget": &policyv1.PodDisruptionBudget{}, "NetworkPolicy": &networkingv1.NetworkPolicy{},
	}
}

func TestSignersAreMadeAndOwned(t *testing.T) {
	f := newFixture(t)
	f.makeDirect()
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "0 of 2 signers run the current revision")
	f.runSigners()
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.waitFor(v1alpha1.ConditionEnrolling, metav1.ConditionUnknown, v1alpha1.ReasonNotRecorded)
	f.waitFor(v1alpha1.ConditionChallengesStored, metav1.ConditionFalse, v1alpha1.ReasonNoStaticChallenge)
	var ep v1alpha1.ScepEndpoint
	f.get("corp", &ep)
	if ep.Status.Grants != nil {
		t.Errorf("the servers may ask for %+v", ep.Status.Grants)
	}
	for kind, o := range signerChildren() {
		f.get("corp-signer", o)
		if !metav1.IsControlledBy(o, &ep) {
			t.Errorf("%s is not owned", kind)
		}
	}
	_, config := f.config()
	if s := config.Issuance.Signer; s == nil || s.Address != "corp-signer."+f.ns+".svc:8445" || s.CRL.ValiditySeconds != 86400 {
		t.Errorf("the servers are told of %+v", s)
	}
	f.wantBinding("corp-ra-direct", "scepter-ra-direct", "corp-ra")
	var revoked corev1.ConfigMap
	f.get("corp-revoked", &revoked)
	if len(revoked.OwnerReferences) != 0 || len(f.revocations().Revoked) != 0 {
		t.Errorf("the list of revoked certificates is somebody's, or not empty: %+v", revoked)
	}
}

// wantBinding checks that the servers have one role, and not another binding.
func (f *fixture) wantBinding(name, role, not string) {
	f.t.Helper()
	testenv.Eventually(f.t, "a RoleBinding to "+role, func(ctx context.Context) error {
		var binding rbacv1.RoleBinding
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: name}, &binding); err != nil {
			return err
		}
		if binding.RoleRef.Name != role {
			return fmt.Errorf("it is to %s", binding.RoleRef.Name)
		}
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: not}, &binding); !apierrors.IsNotFound(err) {
			return fmt.Errorf("RoleBinding %s is there too (%w)", not, err)
		}
		return nil
	})
}

func (f *fixture) peerSecrets() (server, clients *corev1.Secret) {
	f.t.Helper()
	server, clients = &corev1.Secret{}, &corev1.Secret{}
	f.get("corp-signer-server", server)
	f.get("corp-signer-client", clients)
	return server, clients
}

func TestServersAndSignersKnowEachOther(t *testing.T) {
	f := newFixture(t)
	f.makeDirect()
	f.runSigners()
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	server, clients := f.peerSecrets()
	var account corev1.ServiceAccount
	f.get("corp-signer", &account)
	if !metav1.IsControlledBy(server, &account) || !metav1.IsControlledBy(clients, &account) {
		t.Error("the Secrets do not go with the signers' service account")
	}
	if err := peersAgree(server, clients); err != nil {
		t.Error(err)
	}
	// One that was damaged is made anew; the other end learns of it.
	damaged := server.DeepCopy()
	damaged.Data[corev1.TLSPrivateKeyKey] = []byte("?")
	if err := f.client.Update(t.Context(), damaged); err != nil {
		t.Fatal(err)
	}
	f.force()
	testenv.Eventually(t, "another key", func(context.Context) error {
		anew, others := f.peerSecrets()
		if peers.Decode(anew.Data, time.Time{}).Active == nil || bytes.Equal(anew.Data[corev1.TLSCertKey], server.Data[corev1.TLSCertKey]) {
			return errors.New("the Secret is still damaged")
		}
		return peersAgree(anew, others)
	})
	server, clients = f.peerSecrets()
	// At rest nothing is written.
	testenv.Consistently(t, "no writes", time.Second, func(context.Context) error {
		s, c := f.peerSecrets()
		if s.ResourceVersion != server.ResourceVersion || c.ResourceVersion != clients.ResourceVersion {
			return errors.New("a Secret was written")
		}
		return nil
	})
}

func peersAgree(server, clients *corev1.Secret) error {
	for _, pair := range [][2]*corev1.Secret{{server, clients}, {clients, server}} {
		if !bytes.Equal(pair[0].Data[corev1.TLSCertKey], pair[1].Data[raconfig.PeersFile]) {
			return fmt.Errorf("%s does not trust %s", pair[1].Name, pair[0].Name)
		}
	}
	return nil
}

var reconciles int

// force has the endpoint reconciled now.
func (f *fixture) force() {
	f.t.Helper()
	reconciles++
	value := fmt.Sprint(reconciles)
	f.change(func(ep *v1alpha1.ScepEndpoint) {
		ep.Annotations = map[string]string{v1alpha1.AnnotationReconcile: value}
	})
}

func TestSignersThatWereEditedAreRestored(t *testing.T) {
	f := newFixture(t)
	f.makeDirect()
	var policy networkingv1.NetworkPolicy
	f.waitChild("corp-signer", &policy)
	policy.Spec.Ingress = []networkingv1.NetworkPolicyIngressRule{{}} // from everywhere
	policy.Spec.PolicyTypes = []networkingv1.PolicyType{networkingv1.PolicyTypeIngress}
	if err := f.client.Update(t.Context(), &policy); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "the NetworkPolicy as it was", func(ctx context.Context) error {
		if err := f.client.Get(ctx, client.ObjectKeyFromObject(&policy), &policy); err != nil {
			return err
		}
		if len(policy.Spec.Ingress) != 2 || len(policy.Spec.Ingress[0].From) != 1 || len(policy.Spec.PolicyTypes) != 2 {
			return fmt.Errorf("it is %+v", policy.Spec)
		}
		return nil
	})
	f.waitEvent("Restored", "NetworkPolicy corp-signer")
	for kind, o := range signerChildren() {
		f.get("corp-signer", o)
		old := o.GetUID()
		if err := f.client.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		testenv.Eventually(t, "another "+kind, func(ctx context.Context) error {
			err := f.client.Get(ctx, client.ObjectKeyFromObject(o), o)
			if err == nil && o.GetUID() == old {
				err = errors.New("it is the same")
			}
			return err
		})
	}
}

func TestBackToCertificateRequests(t *testing.T) {
	f := newFixture(t)
	f.makeDirect()
	f.runSigners()
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Issuance.Mode = v1alpha1.IssuanceCertificateRequest })
	testenv.Eventually(t, "no signers", func(ctx context.Context) error {
		for kind, o := range signerChildren() {
			if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp-signer"}, o); !apierrors.IsNotFound(err) {
				return fmt.Errorf("%s: %w", kind, err)
			}
		}
		return nil
	})
	f.wantBinding("corp-ra", "scepter-ra", "corp-ra-direct")
	var servers appsv1.Deployment
	f.get("corp-ra", &servers)
	for _, v := range servers.Spec.Template.Spec.Volumes {
		if v.Name == "signer" {
			t.Error("the servers still mount what they show to signers")
		}
	}
	f.load(0, "gen1")
	f.load(1, "gen1")
	f.available("corp-ra", 2)
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.revocations() // what was revoked stays so
}

func TestSignersNeedACA(t *testing.T) {
	cluster := func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Issuance.IssuerRef.Kind = certmanagerv1.ClusterIssuerKind }
	foreign := func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Issuance.IssuerRef.Group = "example.com" }
	vault := func(ep *v1alpha1.ScepEndpoint) { ep.Spec.Issuance.IssuerRef.Name = "vault" }
	for name, mod := range map[string]func(*v1alpha1.ScepEndpoint){"ClusterIssuer": cluster, "foreign": foreign, "vault": vault} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t)
			i := &certmanagerv1.Issuer{ObjectMeta: f.meta("vault")}
			i.Spec.Vault = &certmanagerv1.VaultIssuer{Server: "https://vault.example.com", Path: "pki/sign/d", Auth: certmanagerv1.VaultAuth{}}
			f.create(i)
			f.makeAll()
			f.change(func(ep *v1alpha1.ScepEndpoint) { direct(ep); mod(ep) })
			f.waitFor(v1alpha1.ConditionAccepted, metav1.ConditionFalse, v1alpha1.ReasonModeCannot, "mode Direct signs with a CA's own key, which ")
			f.waitFor(v1alpha1.ConditionStalled, metav1.ConditionTrue, v1alpha1.ReasonModeCannot)
			// The servers go on as they were.
			f.wantBinding("corp-ra", "scepter-ra", "corp-ra-direct")
			var ep v1alpha1.ScepEndpoint
			f.get("corp", &ep)
			if ep.Status.Grants == nil {
				t.Error("the servers may ask for nothing any more")
			}
			if _, config := f.config(); config.Issuance.Mode != v1alpha1.IssuanceCertificateRequest {
				t.Errorf("the servers are told %s", config.Issuance.Mode)
			}
		})
	}
}

// TestAnIssuerThatLosesItsCA leaves the signers that run as they are.
func TestAnIssuerThatLosesItsCA(t *testing.T) {
	f := newFixture(t)
	f.makeDirect()
	f.runSigners()
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	var i certmanagerv1.Issuer
	f.get("corp-ca", &i)
	i.Spec.CA, i.Spec.SelfSigned = nil, &certmanagerv1.SelfSignedIssuer{}
	if err := f.client.Update(t.Context(), &i); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "Accepted=False", func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: "corp"}, &ep); err != nil {
			return err
		}
		for _, c := range ep.Status.Conditions {
			if c.Type == v1alpha1.ConditionAccepted && c.Status == metav1.ConditionFalse {
				return nil
			}
		}
		return errors.New(describe(ep.Status.Conditions))
	})
	var d appsv1.Deployment
	f.get("corp-signer", &d)
	if d.DeletionTimestamp != nil {
		t.Error("the signers were deleted")
	}
}

func TestWhatSignersLackShows(t *testing.T) {
	f := newFixture(t)
	f.makeDirect()
	f.runSigners(func(s *raconfig.SignerStatus) {
		s.CRLProblem = "the CA's certificate lacks the usage crl sign; issue it anew"
	})
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionTrue, v1alpha1.ReasonNoRevocationList, "lacks the usage crl sign")
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	for i := range 2 {
		f.loadSigner(i, func(s *raconfig.SignerStatus) {
			s.ConfigHash, s.ConfigGeneration, s.Problems = "old", 0, []string{"ca/tls.key: not the key of tls.crt"}
		})
	}
	f.force()
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonServersUnavailable, "a signer cannot use the configuration: ca/tls.key")
	f.available("corp-signer", 0)
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonProgressing, "0 of 2 signers")
	f.available("corp-signer", 2)
	if err := f.client.Delete(t.Context(), &corev1.Secret{ObjectMeta: f.meta("corp-ca")}); err != nil {
		t.Fatal(err)
	}
	f.force()
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonServersUnavailable, "Secret corp-ca, which Issuer corp-ca names, does not exist")
}

// TestARevocationReachesTheSigners touches their pods, again while one says that it
// has not seen the list, and not those of the servers.
func TestARevocationReachesTheSigners(t *testing.T) {
	f := newFixture(t)
	f.makeDirect()
	f.runSigners()
	f.waitFor(v1alpha1.ConditionReady, metav1.ConditionTrue, v1alpha1.ReasonSucceeded)
	f.waitNudged("corp-signer-0", "", ".1")
	before := f.nudgeOf("corp-signer-0")
	server := f.nudgeOf("corp-ra-0")
	list, _, err := f.revocations().With(time.Now().Add(time.Minute), raconfig.Revocation{Serial: "4711", Time: time.Now(), Reason: raconfig.KeyCompromise})
	if err != nil {
		t.Fatal(err)
	}
	file, err := raconfig.EncodeRevocations(list)
	if err != nil {
		t.Fatal(err)
	}
	var m corev1.ConfigMap
	f.get("corp-revoked", &m)
	m.Data[raconfig.RevocationsFile] = string(file)
	if err := f.client.Update(t.Context(), &m); err != nil {
		t.Fatal(err)
	}
	f.waitNudged("corp-signer-0", before, ".2")
	f.loadSigner(0)
	f.loadSigner(1)
	if f.nudgeOf("corp-ra-0") != server {
		t.Error("the servers were touched too")
	}
}

func (f *fixture) nudgeOf(pod string) string {
	f.t.Helper()
	var p corev1.Pod
	f.get(pod, &p)
	return p.Annotations[v1alpha1.AnnotationNudge]
}

func (f *fixture) waitNudged(pod, not, suffix string) {
	f.t.Helper()
	testenv.Eventually(f.t, "a touch of "+pod, func(ctx context.Context) error {
		var p corev1.Pod
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.ns, Name: pod}, &p); err != nil {
			return err
		}
		if have := p.Annotations[v1alpha1.AnnotationNudge]; have == not || !strings.HasSuffix(have, suffix) {
			return fmt.Errorf("it is %q", have)
		}
		return nil
	})
}

func TestANameInTheSignersWay(t *testing.T) {
	f := newFixture(t)
	f.create(&corev1.Secret{ObjectMeta: f.meta("corp-signer-client"), StringData: map[string]string{"tls.key": "mine"}})
	f.makeDirect()
	f.waitFor(v1alpha1.ConditionServersAvailable, metav1.ConditionFalse, v1alpha1.ReasonNotOwned, "Secret corp-signer-client")
	var s corev1.Secret
	f.get("corp-signer-client", &s)
	if want := map[string][]byte{"tls.key": []byte("mine")}; !maps.EqualFunc(s.Data, want, bytes.Equal) {
		t.Error("the foreign Secret was written to")
	}
}

func (f *fixture) makeClaim(name string, annotations map[string]string) {
	f.t.Helper()
	f.create(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{
		Namespace: f.ns, Name: name, Annotations: annotations,
		Labels: map[string]string{v1alpha1.LabelEndpoint: "corp", v1alpha1.LabelClaim: v1alpha1.ClaimOneTime},
	}})
}

func TestClaimsGoWhenTheirTimeIsOver(t *testing.T) {
	f := newFixture(t)
	until := func(d time.Duration) map[string]string {
		return map[string]string{v1alpha1.AnnotationKeepUntil: time.Now().Add(d).UTC().Format(time.RFC3339)}
	}
	f.makeClaim("corp-old", until(-time.Minute))
	f.makeClaim("corp-used", until(time.Hour))
	f.makeClaim("corp-unknown", nil)
	f.create(&coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: f.ns, Name: "leader", Annotations: until(-time.Minute)}})
	f.create(f.endpoint(direct))
	testenv.Eventually(t, "the old claim gone, and nothing else", func(ctx context.Context) error {
		var list coordinationv1.LeaseList
		if err := f.client.List(ctx, &list, client.InNamespace(f.ns)); err != nil {
			return err
		}
		var names []string
		for _, l := range list.Items {
			names = append(names, l.Name)
		}
		if have := strings.Join(names, " "); have != "corp-unknown corp-used leader" {
			return fmt.Errorf("there are %s", have)
		}
		return nil
	})
}

func TestWhenClaimsAreLookedThrough(t *testing.T) {
	var s claimSweep
	key := client.ObjectKey{Namespace: "pki", Name: "corp"}
	if !s.due(key, noon) {
		t.Error("not at once")
	}
	s.done(key, noon)
	if s.due(key, noon.Add(claimsInterval-time.Second)) || !s.due(key, noon.Add(claimsInterval)) {
		t.Error("not after the interval")
	}
	s.forget(key)
	if !s.due(key, noon) {
		t.Error("it is remembered")
	}
}

func TestAClaimWithoutATimeIsKeptForLong(t *testing.T) {
	claims := []metav1.PartialObjectMetadata{{ObjectMeta: metav1.ObjectMeta{Name: "c", CreationTimestamp: metav1.NewTime(noon)}}}
	if got := expiredClaims(claims, noon.Add(claimKeptFor-time.Second)); len(got) != 0 {
		t.Errorf("%v goes early", got)
	}
	if got := expiredClaims(claims, noon.Add(claimKeptFor)); len(got) != 1 {
		t.Error("it never goes")
	}
}
