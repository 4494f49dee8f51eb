package racredential_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/google/go-cmp/cmp"
	"github.com/prometheus/client_golang/prometheus"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/controllers/racredential"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// quickly is how often tests have keyrings looked at.
const quickly = 300 * time.Millisecond

func TestMain(m *testing.M) { testenv.Main(m) }

// fixture is a namespace with the controller and a played cert-manager.
type fixture struct {
	*certManager
	t *testing.T
}

func newFixture(t *testing.T, r *racredential.Reconciler) *fixture {
	t.Helper()
	f := newQuietFixture(t)
	testenv.StartManager(t, f.namespace, r.SetupWithManager)
	return f
}

// newQuietFixture has no controller yet.
func newQuietFixture(t *testing.T) *fixture {
	t.Helper()
	t.Parallel()
	ns := testenv.Namespace(t)
	return &fixture{t: t, certManager: &certManager{t: t, client: testenv.Client(t), namespace: ns, ca: sceptest.NewCA(t)}}
}

func (f *fixture) createCredential(changes ...func(*v1alpha1.RACredential)) {
	f.t.Helper()
	rc := &v1alpha1.RACredential{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "corp"}}
	rc.Spec.IssuerRef = &v1alpha1.IssuerReference{Name: "ca"}
	rc.Spec.Duration.Duration, rc.Spec.RenewBefore.Duration, rc.Spec.Overlap.Duration = life, life/3, 7*24*time.Hour
	rc.Spec.LoadTimeout.Duration = time.Minute
	for _, change := range changes {
		change(rc)
	}
	if err := f.client.Create(f.t.Context(), rc); err != nil {
		f.t.Fatal(err)
	}
}

// edit changes the credential.
func (f *fixture) edit(change func(*v1alpha1.RACredential)) {
	f.t.Helper()
	var rc v1alpha1.RACredential
	f.get(f.t.Context(), "corp", &rc)
	before := rc.DeepCopy()
	change(&rc)
	if err := f.client.Patch(f.t.Context(), &rc, client.MergeFrom(before)); err != nil {
		f.t.Fatal(err)
	}
}

// ready makes an issuer and a credential whose certificates are issued, and waits until it is Ready.
func (f *fixture) ready() {
	f.t.Helper()
	f.makeIssuer(cmmeta.ConditionTrue)
	f.createCredential()
	f.issue("corp-signing")
	f.issue("corp-encryption")
	f.await(is("Ready", "True", "Succeeded"))
}

// check says in what a credential is not as expected.
type check func(*v1alpha1.RACredential) error

// await waits until all checks, and the rules of kstatus, hold; it returns the credential.
func (f *fixture) await(checks ...check) *v1alpha1.RACredential {
	f.t.Helper()
	var rc v1alpha1.RACredential
	testenv.Eventually(f.t, "the expected status", func(ctx context.Context) error {
		rc = v1alpha1.RACredential{}
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.namespace, Name: "corp"}, &rc); err != nil {
			return err
		}
		errs := []error{testenv.CheckKStatus(&rc, rc.Status.ObservedGeneration, rc.Status.Conditions)}
		for _, c := range checks {
			errs = append(errs, c(&rc))
		}
		return errors.Join(errs...)
	})
	return &rc
}

func is(conditionType, status, reason string, parts ...string) check {
	return func(rc *v1alpha1.RACredential) error {
		c := conditions.Find(rc.Status.Conditions, conditionType)
		if c == nil || string(c.Status) != status || c.Reason != reason {
			return fmt.Errorf("condition %s is not %s/%s but %+v", conditionType, status, reason, c)
		}
		for _, part := range parts {
			if !strings.Contains(c.Message, part) {
				return fmt.Errorf("condition %s does not say %q but %q", conditionType, part, c.Message)
			}
		}
		return nil
	}
}

func absent(conditionType string) check {
	return func(rc *v1alpha1.RACredential) error {
		if c := conditions.Find(rc.Status.Conditions, conditionType); c != nil {
			return fmt.Errorf("condition %s is there: %+v", conditionType, *c)
		}
		return nil
	}
}

func generations(n int) check {
	return func(rc *v1alpha1.RACredential) error {
		if len(rc.Status.Generations) != n {
			return fmt.Errorf("there are %d generations, not %d", len(rc.Status.Generations), n)
		}
		return nil
	}
}

// keyring reads the keyring Secret.
func (f *fixture) keyring() *raconfig.Keyring {
	f.t.Helper()
	var secret corev1.Secret
	f.get(f.t.Context(), "corp-keyring", &secret)
	k, err := raconfig.DecodeKeyring(secret.Data)
	if err != nil {
		f.t.Fatal(err)
	}
	return k
}

// versions are the resource versions of the credential and all that belongs to it.
func (f *fixture) versions(ctx context.Context) map[string]string {
	f.t.Helper()
	out := map[string]string{}
	for name, obj := range map[string]client.Object{
		"corp": &v1alpha1.RACredential{}, "corp-keyring": &corev1.Secret{},
		"corp-signing": &certmanagerv1.Certificate{}, "corp-encryption": &certmanagerv1.Certificate{},
	} {
		f.get(ctx, name, obj)
		out[name] = obj.GetResourceVersion()
	}
	return out
}

func (f *fixture) eventReasons(ctx context.Context) (map[string]int, error) {
	var list eventsv1.EventList
	if err := f.client.List(ctx, &list, client.InNamespace(f.namespace)); err != nil {
		return nil, err
	}
	reasons := map[string]int{}
	for i := range list.Items {
		reasons[list.Items[i].Reason]++
	}
	return reasons, nil
}

func (f *fixture) awaitEvents(want ...string) {
	f.t.Helper()
	testenv.Eventually(f.t, "Events "+strings.Join(want, ", "), func(ctx context.Context) error {
		got, err := f.eventReasons(ctx)
		if err != nil {
			return err
		}
		for _, reason := range want {
			if got[reason] == 0 {
				return fmt.Errorf("no Event %s among %v", reason, got)
			}
		}
		return nil
	})
}

func TestFromNothingToReady(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.makeIssuer(cmmeta.ConditionTrue)
	f.createCredential()
	f.await(is("Issued", "False", "NotIssued", "Certificate corp-"), is("KeyringReady", "False", "NotIssued"),
		is("Ready", "False", "NotIssued"), is("Reconciling", "True", "NotIssued"), absent("Stalled"))

	signing := f.awaitCertificate("corp-signing")
	want := certmanagerv1.CertificateSpec{
		CommonName: "corp RA signing", SecretName: "corp-signing",
		SecretTemplate:       &certmanagerv1.CertificateSecretTemplate{Labels: map[string]string{"scepter.dev/racredential": "corp"}},
		IssuerRef:            cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: "ca"},
		Usages:               []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature},
		Duration:             &metav1.Duration{Duration: 2160 * time.Hour},
		RenewBefore:          signing.Spec.RenewBefore,
		PrivateKey:           &certmanagerv1.CertificatePrivateKey{Algorithm: "RSA", Size: 2048, RotationPolicy: "Always"},
		RevisionHistoryLimit: signing.Spec.RevisionHistoryLimit,
	}
	if diff := cmp.Diff(want, signing.Spec); diff != "" || *signing.Spec.RevisionHistoryLimit != 2 {
		t.Errorf("Certificate corp-signing: %s", diff)
	}
	if early := signing.Spec.RenewBefore.Duration - 720*time.Hour; early < 0 || early >= 24*time.Hour {
		t.Errorf("it is renewed %s earlier than specified", early)
	}
	encryption := f.awaitCertificate("corp-encryption")
	if diff := cmp.Diff([]certmanagerv1.KeyUsage{certmanagerv1.UsageKeyEncipherment}, encryption.Spec.Usages); diff != "" {
		t.Error(diff)
	}

	first := f.issue("corp-signing")
	f.await(is("Issued", "False", "NotIssued", "corp-encryption"))
	second := f.issue("corp-encryption")
	rc := f.await(is("Ready", "True", "Succeeded"), absent("Reconciling"), generations(1))

	k := f.keyring()
	if id := raconfig.GenerationID(first, second); rc.Status.Generations[0].ID != id || k.Generations[0].ID != id {
		t.Errorf("generation %s is not %s", rc.Status.Generations[0].ID, id)
	}
	if chain := k.Generations[0].Certificates[0].Chain; len(chain) != 2 || !chain[1].Equal(f.ca.Root) {
		t.Errorf("the chain in the keyring has %d certificates", len(chain))
	}
	if rc.Status.KeyringSecret != "corp-keyring" || rc.Status.NotAfter == nil || rc.Status.RenewalTime == nil {
		t.Errorf("status: %+v", rc.Status)
	}
	var secret corev1.Secret
	f.get(f.t.Context(), "corp-keyring", &secret)
	if !metav1.IsControlledBy(&secret, rc) || secret.Labels["app.kubernetes.io/managed-by"] != "scepter" {
		t.Errorf("keyring Secret: %+v", secret.ObjectMeta)
	}
	f.awaitEvents("NotIssued", "GenerationAdded", "Issued", "KeyringReady", "Ready")
}

func TestIssuerInWhateverState(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.createCredential()
	f.await(is("IssuerReady", "False", "IssuerNotFound", "Issuer ca does not exist", "create it"), is("Ready", "False", "IssuerNotFound"))
	f.makeIssuer(cmmeta.ConditionFalse)
	f.await(is("IssuerReady", "False", "IssuerNotReady", "the test says so"))
	f.setIssuer(cmmeta.ConditionTrue)
	f.await(is("IssuerReady", "True", "Succeeded"))
	f.issue("corp-signing")
	f.issue("corp-encryption")
	f.await(is("Ready", "True", "Succeeded"))
	f.awaitEvents("IssuerNotFound", "IssuerNotReady", "IssuerReady", "Ready")
}

func TestClusterIssuersAreWatchedToo(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	name := "of-" + f.namespace
	f.createCredential(func(rc *v1alpha1.RACredential) {
		rc.Spec.IssuerRef = &v1alpha1.IssuerReference{Kind: "ClusterIssuer", Name: name}
	})
	f.await(is("IssuerReady", "False", "IssuerNotFound", "ClusterIssuer "+name))
	issuer := &certmanagerv1.ClusterIssuer{ObjectMeta: metav1.ObjectMeta{Name: name}}
	issuer.Spec.SelfSigned = &certmanagerv1.SelfSignedIssuer{}
	if err := f.client.Create(t.Context(), issuer); err != nil {
		t.Fatal(err)
	}
	f.await(is("IssuerReady", "False", "IssuerNotReady"))
}

func TestChildrenThatVanishOrChangeAreRestored(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.ready()
	t.Log("a Certificate is deleted")
	deleted := f.awaitCertificate("corp-signing")
	if err := f.client.Delete(t.Context(), deleted); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "a new Certificate", func(ctx context.Context) error {
		var c certmanagerv1.Certificate
		if err := f.client.Get(ctx, client.ObjectKeyFromObject(deleted), &c); err != nil {
			return err
		}
		if c.UID == deleted.UID {
			return errors.New("it is still the old one")
		}
		return nil
	})
	f.issue("corp-signing")
	f.issue("corp-encryption")
	f.await(is("Ready", "True", "Succeeded"), generations(2))

	t.Log("a Certificate is edited")
	edited := f.awaitCertificate("corp-encryption")
	edited.Spec.IsCA = true
	if err := f.client.Update(t.Context(), edited); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "isCA to be false again", func(ctx context.Context) error {
		f.get(ctx, "corp-encryption", edited)
		if edited.Spec.IsCA {
			return errors.New("isCA is true")
		}
		return nil
	})
	f.awaitEvents("Restored")
	f.issue("corp-encryption")
	f.issue("corp-signing")
	f.await(is("Ready", "True", "Succeeded"), generations(3))

	t.Log("the keyring is deleted")
	newest := f.keyring().IDs()[0]
	var lost corev1.Secret
	f.get(f.t.Context(), "corp-keyring", &lost)
	if err := f.client.Delete(t.Context(), &lost); err != nil {
		t.Fatal(err)
	}
	f.awaitSoundKeyring(newest, func(s *corev1.Secret) bool { return s.UID != lost.UID })

	t.Log("the keyring is damaged")
	f.damageKeyring(func(s *corev1.Secret) { s.Data[raconfig.KeyringIndexFile] = []byte("{") })
	f.awaitSoundKeyring(newest)
	f.damageKeyring(func(s *corev1.Secret) { s.Data = nil })
	f.awaitSoundKeyring(newest)
	f.await(is("Ready", "True", "Succeeded"))
}

func (f *fixture) damageKeyring(change func(*corev1.Secret)) {
	f.t.Helper()
	var secret corev1.Secret
	f.get(f.t.Context(), "corp-keyring", &secret)
	change(&secret)
	if err := f.client.Update(f.t.Context(), &secret); err != nil {
		f.t.Fatal(err)
	}
}

// awaitSoundKeyring waits for a keyring Secret that can be read and whose newest
// generation is the given one.
func (f *fixture) awaitSoundKeyring(newest string, also ...func(*corev1.Secret) bool) {
	f.t.Helper()
	testenv.Eventually(f.t, "a sound keyring", func(ctx context.Context) error {
		var secret corev1.Secret
		if err := f.client.Get(ctx, client.ObjectKey{Namespace: f.namespace, Name: "corp-keyring"}, &secret); err != nil {
			return err
		}
		k, err := raconfig.DecodeKeyring(secret.Data)
		if err != nil {
			return err
		}
		for _, holds := range also {
			if !holds(&secret) {
				return errors.New("it is still the old Secret")
			}
		}
		if ids := k.IDs(); len(ids) == 0 || ids[0] != newest {
			return fmt.Errorf("it holds %v, not %s first", ids, newest)
		}
		return nil
	})
}

func TestUnfitCertificatesAreNamedAndKeptOut(t *testing.T) {
	for name, tc := range map[string]struct {
		spoil func(f *fixture)
		says  []string
	}{
		"wrong usages": {
			func(f *fixture) {
				f.issue("corp-signing", func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageKeyEncipherment })
			},
			[]string{"Secret corp-signing", "check Usages", "role Signing needs exactly digital signature", "asked for anew once", "use an issuer that keeps to the usages"},
		},
		"expired": {
			func(f *fixture) {
				f.issue("corp-signing", func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Second) })
			},
			[]string{"has expired", "asked for anew once", "see why cert-manager does not renew it"},
		},
		"CA certificate": {
			func(f *fixture) {
				f.issue("corp-signing", func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
			},
			[]string{"is a CA certificate"},
		},
		"not PEM": {
			func(f *fixture) {
				f.issue("corp-signing")
				f.writeSecret(f.awaitCertificate("corp-signing"), map[string][]byte{"tls.crt": []byte("junk"), "tls.key": []byte("junk")})
			},
			[]string{"Secret corp-signing is not understood", "tls.crt holds no certificate", "delete it"},
		},
		"another's key": {
			func(f *fixture) {
				f.issue("corp-signing")
				f.replaceKey("corp-signing")
			},
			[]string{"private key does not belong"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFixture(t, &racredential.Reconciler{Interval: quickly})
			f.makeIssuer(cmmeta.ConditionTrue)
			f.createCredential()
			tc.spoil(f)
			f.issue("corp-encryption")
			f.await(is("Issued", "False", "CertificateUnfit", tc.says...), is("Ready", "False", "CertificateUnfit"), is("KeyringReady", "False", "NotIssued"))
			if err := f.client.Get(t.Context(), client.ObjectKey{Namespace: f.namespace, Name: "corp-keyring"}, &corev1.Secret{}); !apierrors.IsNotFound(err) {
				t.Errorf("there is a keyring: %v", err)
			}
			f.awaitEvents("CertificateUnfit")
			f.issue("corp-signing")
			f.await(is("Ready", "True", "Succeeded"), generations(1))
		})
	}
}

// replaceKey gives a source a key that is not its certificate's.
func (f *fixture) replaceKey(name string) {
	f.t.Helper()
	var secret corev1.Secret
	f.get(f.t.Context(), name, &secret)
	der, err := x509.MarshalPKCS8PrivateKey(sceptest.RSAKey(f.t, 99))
	if err != nil {
		f.t.Fatal(err)
	}
	secret.Data["tls.key"] = pemOf("PRIVATE KEY", der)
	if err := f.client.Update(f.t.Context(), &secret); err != nil {
		f.t.Fatal(err)
	}
}

func TestIssuingFails(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.makeIssuer(cmmeta.ConditionTrue)
	f.createCredential()
	f.fail("corp-signing", "the CA is on holiday")
	f.await(is("Issued", "False", "IssuanceFailed", "Certificate corp-signing", "the CA is on holiday"))
	f.issue("corp-signing")
	f.issue("corp-encryption")
	f.await(is("Ready", "True", "Succeeded"))
}

func TestARenewalIsASecondGeneration(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.ready()
	old := f.keyring().Generations[0]
	f.begin("corp-signing")
	f.begin("corp-encryption")
	signing := f.issue("corp-signing")
	encryption := f.issue("corp-encryption")
	rc := f.await(is("Ready", "True", "Succeeded"), generations(2))
	k := f.keyring()
	if k.Generations[0].ID != raconfig.GenerationID(signing, encryption) || k.Generations[1].ID != old.ID {
		t.Errorf("keyring: %v", k.IDs())
	}
	if rc.Status.Generations[0].ID != k.Generations[0].ID {
		t.Error("the status does not list the newest first")
	}
	if key := k.Generations[1].ByRole(v1alpha1.RoleEncryption).Key; key == nil {
		t.Error("the old key is gone")
	}
	f.awaitEvents("GenerationAdded")
}

func TestAtRestNothingIsWritten(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.ready()
	before := f.versions(t.Context())
	// What is watched stirs, but nothing that matters changes.
	for i := range 3 {
		var issuer certmanagerv1.Issuer
		f.get(f.t.Context(), "ca", &issuer)
		issuer.Labels = map[string]string{"stirred": fmt.Sprint(i)}
		if err := f.client.Update(t.Context(), &issuer); err != nil {
			t.Fatal(err)
		}
	}
	testenv.Consistently(t, "nothing is written", time.Second, func(ctx context.Context) error {
		if diff := cmp.Diff(before, f.versions(ctx)); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
	// A reconcile really takes place, and its only trace is the echo.
	f.edit(func(rc *v1alpha1.RACredential) {
		rc.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "now"}
	})
	f.await(func(rc *v1alpha1.RACredential) error {
		if rc.Status.LastHandledReconcileAt != "now" {
			return errors.New("the request to reconcile was not handled")
		}
		return nil
	})
	after := f.versions(t.Context())
	delete(before, "corp")
	delete(after, "corp")
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}

func TestAnotherOperatorTakesOverWithoutAWrite(t *testing.T) {
	f := newQuietFixture(t)
	ctx, stop := context.WithCancel(t.Context())
	done := f.startFor(ctx, &racredential.Reconciler{Interval: quickly})
	f.ready()
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}
	before := f.versions(t.Context())
	testenv.StartManager(t, f.namespace, (&racredential.Reconciler{Interval: quickly}).SetupWithManager)
	testenv.Consistently(t, "nothing is written", 2*time.Second, func(ctx context.Context) error {
		if diff := cmp.Diff(before, f.versions(ctx)); diff != "" {
			return errors.New(diff)
		}
		return nil
	})
}

// startFor runs a controller until a context ends.
func (f *fixture) startFor(ctx context.Context, r *racredential.Reconciler) <-chan error {
	f.t.Helper()
	mgr := testenv.NewManager(f.t, f.namespace)
	if err := r.SetupWithManager(mgr); err != nil {
		f.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- mgr.Start(ctx) }()
	return done
}

func TestANameThatIsTaken(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.makeIssuer(cmmeta.ConditionTrue)
	strange := &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "corp-keyring"},
		Data:       map[string][]byte{"mine": []byte("do not touch")},
	}
	if err := f.client.Create(t.Context(), strange); err != nil {
		t.Fatal(err)
	}
	f.createCredential()
	f.issue("corp-signing")
	f.issue("corp-encryption")
	f.await(is("KeyringReady", "False", "NotOwned", "Secret corp-keyring", "delete or rename"), is("Ready", "False", "NotOwned"))
	var untouched corev1.Secret
	f.get(f.t.Context(), "corp-keyring", &untouched)
	if diff := cmp.Diff(strange.Data, untouched.Data); diff != "" {
		t.Errorf("a stranger's Secret was changed: %s", diff)
	}
	if err := f.client.Delete(t.Context(), strange); err != nil {
		t.Fatal(err)
	}
	f.await(is("Ready", "True", "Succeeded"), generations(1))
}

func TestAChangeOfLayout(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.ready()
	f.edit(func(rc *v1alpha1.RACredential) { rc.Spec.Layout = v1alpha1.LayoutCombined })
	combined := f.awaitCertificate("corp-combined")
	want := []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageKeyEncipherment}
	if diff := cmp.Diff(want, combined.Spec.Usages); diff != "" {
		t.Error(diff)
	}
	testenv.Eventually(t, "the pair's Certificates to go", func(ctx context.Context) error {
		var list certmanagerv1.CertificateList
		if err := f.client.List(ctx, &list, client.InNamespace(f.namespace)); err != nil {
			return err
		}
		if len(list.Items) != 1 {
			return fmt.Errorf("there are %d Certificates", len(list.Items))
		}
		return nil
	})
	f.await(is("Issued", "False", "NotIssued", "corp-combined"), is("KeyringReady", "True", "Succeeded"), generations(1))
	f.issue("corp-combined")
	rc := f.await(is("Ready", "True", "Succeeded"), generations(2))
	if rc.Status.Generations[0].Certificates[0].Role != v1alpha1.RoleCombined {
		t.Errorf("newest: %+v", rc.Status.Generations[0])
	}
}

func TestAPolicyModulesCredential(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.makeIssuer(cmmeta.ConditionTrue)
	f.createCredential(func(rc *v1alpha1.RACredential) {
		rc.Spec.Purpose = v1alpha1.PurposePolicyModule
		rc.Spec.CommonName = "policy client 7"
	})
	f.issue("corp-client", func(c *x509.Certificate) { c.ExtKeyUsage = nil })
	f.await(is("Issued", "False", "CertificateUnfit", "role Client needs exactly digital signature, client auth"))
	made := f.issue("corp-client")
	f.await(is("Ready", "True", "Succeeded"), generations(1))
	if made.Subject.CommonName != "policy client 7" {
		t.Errorf("common name %q", made.Subject.CommonName)
	}
}

func TestALeftOverSecretIsNotTaken(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.makeIssuer(cmmeta.ConditionTrue)
	f.createCredential()
	f.issue("corp-signing")
	f.issue("corp-encryption")
	f.await(is("Ready", "True", "Succeeded"))
	// After an edit the Secrets hold what the earlier spec asked for.
	f.edit(func(rc *v1alpha1.RACredential) { rc.Spec.Key.Size = 3072 })
	f.await(is("Issued", "False", "NotIssued"), is("KeyringReady", "True", "Succeeded"), generations(1))
}

func TestTheOverlapEndsByTheClock(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Now())
	f := newFixture(t, &racredential.Reconciler{Clock: clock, Interval: quickly})
	f.ready()
	clock.SetTime(time.Now().Add(life - time.Hour))
	f.await(is("Issued", "True", "RenewalOverdue", "cert-manager has not renewed"), is("Ready", "True", "Succeeded"))
	f.awaitEvents("RenewalOverdue")
	clock.SetTime(time.Now().Add(life + time.Hour))
	f.edit(func(rc *v1alpha1.RACredential) { rc.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "1"} })
	f.await(is("KeyringReady", "False", "Expired", "has expired"), is("Issued", "False", "CertificateUnfit"), generations(1))
	f.awaitEvents("Expired")

	begin := func(c *x509.Certificate) { c.NotAfter = time.Now().Add(2 * life) }
	f.issue("corp-signing", begin)
	f.issue("corp-encryption", begin)
	rc := f.await(is("Ready", "True", "Succeeded"))
	newest := rc.Status.Generations[0].ID
	clock.SetTime(time.Now().Add(life + 8*24*time.Hour))
	f.edit(func(rc *v1alpha1.RACredential) { rc.Annotations = map[string]string{v1alpha1.AnnotationReconcile: "2"} })
	f.await(is("Ready", "True", "Succeeded"), func(rc *v1alpha1.RACredential) error {
		if got := rc.Status.Generations; got[len(got)-1].Certificates[0].NotAfter.Before(&metav1.Time{Time: clock.Now()}) {
			return fmt.Errorf("an expired generation is left of %d", len(got))
		}
		return nil
	})
	if f.keyring().Generations[0].ID != newest {
		t.Error("the newest generation went")
	}
	f.awaitEvents("GenerationRetired")
}

func TestAnEndpointHoldsWhatItShows(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.ready()
	first := f.keyring().IDs()[0]
	f.showGeneration(first)
	for i := range 4 {
		f.issue("corp-signing")
		f.issue("corp-encryption")
		f.await(generations(min(i+2, raconfig.MaxGenerations)), is("Ready", "True", "Succeeded"), func(*v1alpha1.RACredential) error {
			if k := f.keyring(); k.Find(first) == nil {
				return fmt.Errorf("the generation on show is gone: %v", k.IDs())
			}
			return nil
		})
	}
}

// showGeneration makes an endpoint whose status says that it shows a generation.
func (f *fixture) showGeneration(id string) {
	f.t.Helper()
	ep := &v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: "ep"}}
	ep.Spec.Issuance.IssuerRef.Name = "ca"
	ep.Spec.Issuance.Wait.Duration = 10 * time.Second
	ep.Spec.Issuance.PendingDeadline.Duration = time.Hour
	ep.Spec.Templates = []v1alpha1.EndpointTemplate{{Name: "device", TemplateRef: v1alpha1.LocalReference{Name: "device"}}}
	ep.Spec.Challenges = []v1alpha1.Challenge{{Name: "mdm", Type: v1alpha1.ChallengeStatic, Static: &v1alpha1.StaticChallenge{
		SecretRef: v1alpha1.SecretKeyReference{Name: "challenge", Key: "password"}, AcknowledgeStoredChallenge: true,
	}}}
	if err := f.client.Create(f.t.Context(), ep); err != nil {
		f.t.Fatal(err)
	}
	ep.Status.RACredential = &v1alpha1.EndpointCredentialStatus{Name: "corp", ActiveGeneration: id}
	if err := f.client.Status().Update(f.t.Context(), ep); err != nil {
		f.t.Fatal(err)
	}
}

func TestMetrics(t *testing.T) {
	registry := prometheus.NewPedanticRegistry()
	f := newFixture(t, &racredential.Reconciler{Registerer: registry, Interval: quickly})
	f.createCredential()
	testenv.Eventually(t, "a credential that is not ready", func(context.Context) error { return gauge(registry, "scepter_racredential_ready", 0) })
	f.makeIssuer(cmmeta.ConditionTrue)
	f.issue("corp-signing")
	f.issue("corp-encryption")
	rc := f.await(is("Ready", "True", "Succeeded"))
	testenv.Eventually(t, "a credential that is ready", func(context.Context) error { return gauge(registry, "scepter_racredential_ready", 1) })
	for _, c := range rc.Status.Generations[0].Certificates {
		for name, want := range map[string]time.Time{
			"not_before": c.NotBefore.Time, "expiration": c.NotAfter.Time, "renewal": c.RenewalTime.Time,
		} {
			testenv.Eventually(t, name, func(context.Context) error {
				return gauge(registry, "scepter_racredential_"+name+"_timestamp_seconds", float64(want.Unix()), string(c.Role))
			})
		}
	}
	if err := f.client.Delete(t.Context(), rc); err != nil {
		t.Fatal(err)
	}
	testenv.Eventually(t, "no series", func(context.Context) error {
		if err := gauge(registry, "scepter_racredential_ready", 1); !errors.Is(err, errNoSeries) {
			return fmt.Errorf("series are left (%w)", err)
		}
		return nil
	})
}

var errNoSeries = errors.New("no such series")

// gauge compares the value of a series: that of the role, if one is given, or the only one.
func gauge(registry *prometheus.Registry, name string, want float64, role ...string) error {
	families, err := registry.Gather()
	if err != nil {
		return err
	}
	for _, family := range families {
		if family.GetName() != name {
			continue
		}
		for _, metric := range family.GetMetric() {
			if labels := fmt.Sprint(metric.GetLabel()); len(role) > 0 && !strings.Contains(labels, strconv.Quote(role[0])) {
				continue
			}
			if got := metric.GetGauge().GetValue(); got != want {
				return fmt.Errorf("%s of %v is %v, not %v", name, role, got, want)
			}
			return nil
		}
	}
	return errNoSeries
}

func TestDeletedCredentialsAreLeftAlone(t *testing.T) {
	r := &racredential.Reconciler{Interval: quickly}
	f := newFixture(t, r)
	result, err := r.Reconcile(t.Context(), ctrl.Request{NamespacedName: client.ObjectKey{Namespace: f.namespace, Name: "gone"}})
	if err != nil || result.RequeueAfter != 0 {
		t.Errorf("result %+v, error %v", result, err)
	}
}
