package racredential_test

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	clocktesting "k8s.io/utils/clock/testing"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/controllers/racredential"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// awaitIssuing waits until cert-manager is asked for another certificate.
func (f *fixture) awaitIssuing(names ...string) {
	f.t.Helper()
	for _, name := range names {
		testenv.Eventually(f.t, "Certificate "+name+" to be issued anew", func(ctx context.Context) error {
			if !f.isIssuing(ctx, name) {
				return errors.New("it is not")
			}
			return nil
		})
	}
}

func (f *fixture) isIssuing(ctx context.Context, name string) bool {
	f.t.Helper()
	var certificate certmanagerv1.Certificate
	f.get(ctx, name, &certificate)
	return slices.ContainsFunc(certificate.Status.Conditions, func(c certmanagerv1.CertificateCondition) bool {
		return c.Type == certmanagerv1.CertificateConditionIssuing && c.Status == cmmeta.ConditionTrue && c.Reason == "Reissue" && c.LastTransitionTime != nil
	})
}

func (f *fixture) annotate(key, value string) {
	f.t.Helper()
	f.edit(func(rc *v1alpha1.RACredential) { metav1.SetMetaDataAnnotation(&rc.ObjectMeta, key, value) })
}

func attempts(n int32, checkName string) check {
	return func(rc *v1alpha1.RACredential) error {
		if r := rc.Status.Reissue; r == nil || r.Attempts != n || r.Check != checkName || r.NextTime == nil {
			return fmt.Errorf("reissue is %+v, not attempt %d for %s", r, n, checkName)
		}
		return nil
	}
}

func step(want v1alpha1.CredentialStep) check {
	return func(rc *v1alpha1.RACredential) error {
		if rc.Status.Step != want {
			return fmt.Errorf("step is %s, not %s", rc.Status.Step, want)
		}
		return nil
	}
}

func noReissue(rc *v1alpha1.RACredential) error {
	if rc.Status.Reissue != nil {
		return fmt.Errorf("reissue is %+v", rc.Status.Reissue)
	}
	return nil
}

func TestWhatFailsACheckIsIssuedAnewWithABackOffThatSurvivesTheOperator(t *testing.T) {
	clock := clocktesting.NewFakePassiveClock(time.Now())
	f := newQuietFixture(t)
	ctx, stop := context.WithCancel(t.Context())
	done := f.startFor(ctx, &racredential.Reconciler{Clock: clock, Interval: quickly})
	f.makeIssuer(cmmeta.ConditionTrue)
	f.createCredential(func(rc *v1alpha1.RACredential) { rc.Spec.Purpose = v1alpha1.PurposePolicyModule })
	noEKU := func(c *x509.Certificate) { c.ExtKeyUsage = nil }
	f.issue("corp-client", noEKU)
	f.awaitIssuing("corp-client")
	f.await(attempts(1, "Usages"), step(v1alpha1.StepIssuing), is("Issued", "False", "CertificateUnfit", "client auth", "asked for anew once"))
	f.issue("corp-client", noEKU)
	f.await(attempts(1, "Usages"), step(v1alpha1.StepChecking))
	stop()
	if err := <-done; err != nil {
		t.Fatal(err)
	}

	testenv.StartManager(t, f.namespace, (&racredential.Reconciler{Clock: clock, Interval: quickly}).SetupWithManager)
	testenv.Consistently(t, "the back-off holds", 2*time.Second, func(ctx context.Context) error {
		if f.isIssuing(ctx, "corp-client") {
			return errors.New("it was asked for again")
		}
		return nil
	})
	clock.SetTime(clock.Now().Add(31 * time.Second))
	f.awaitIssuing("corp-client")
	f.await(attempts(2, "Usages"), is("Issued", "False", "CertificateUnfit", "asked for anew 2 times"))
	f.issue("corp-client")
	f.await(is("Ready", "True", "Succeeded"), noReissue, step(v1alpha1.StepIdle), generations(1))
	f.awaitEvents("CertificateUnfit", "Reissued", "GenerationAdded")
}

func TestARequestedRotation(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.ready()
	asked := time.Now().Format(time.RFC3339)
	f.annotate(v1alpha1.AnnotationRotate, asked)
	f.awaitIssuing("corp-signing", "corp-encryption")
	f.await(noReissue, step(v1alpha1.StepIssuing), func(rc *v1alpha1.RACredential) error {
		if rc.Status.LastHandledRotateAt != asked {
			return fmt.Errorf("handled %q", rc.Status.LastHandledRotateAt)
		}
		return nil
	})
	f.issue("corp-signing")
	f.issue("corp-encryption")
	f.await(is("Ready", "True", "Succeeded"), generations(2), step(v1alpha1.StepOverlap))
	testenv.Consistently(t, "it is done once", time.Second, func(ctx context.Context) error {
		if f.isIssuing(ctx, "corp-signing") || f.isIssuing(ctx, "corp-encryption") {
			return errors.New("it was asked for again")
		}
		return nil
	})
	f.awaitEvents("Reissued")
}

func TestDistrustByAnnotation(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.ready()
	first := f.keyring().Generations[0]
	f.showGeneration(first.ID) // even what an endpoint shows goes
	var prints []string
	for _, c := range first.Certificates {
		prints = append(prints, raconfig.Fingerprint(c.Certificate))
	}
	f.annotate(v1alpha1.AnnotationDistrust, strings.Join(prints, ","))
	f.awaitIssuing("corp-signing", "corp-encryption")
	f.await(generations(0), is("KeyringReady", "False", "NotIssued"), is("Issued", "False", "CertificateUnfit", "declared distrusted"))
	f.issue("corp-signing")
	f.issue("corp-encryption")
	f.await(is("Ready", "True", "Succeeded"), generations(1))

	t.Log("sticky: the annotation goes, what it said stays")
	f.annotate(v1alpha1.AnnotationDistrust, "the key of the old one")
	f.await(is("Issued", "False", "DistrustNotRecorded", "is no SHA-256 fingerprint", "correct it"))
	f.edit(func(rc *v1alpha1.RACredential) { rc.Annotations = nil })
	f.await(is("Ready", "True", "Succeeded"), func(rc *v1alpha1.RACredential) error {
		if !slices.Equal(rc.Status.Distrusted, prints) {
			return fmt.Errorf("distrusted: %v", rc.Status.Distrusted)
		}
		return nil
	})
}

func TestANewCABehindTheIssuer(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.ready()
	f.showGeneration(f.keyring().IDs()[0])
	f.ca = sceptest.NewCA(t)
	var ep v1alpha1.ScepEndpoint
	f.get(t.Context(), "ep", &ep)
	ep.Status.IssuingCA = &v1alpha1.IssuingCAStatus{Fingerprint: raconfig.Fingerprint(f.ca.Certificate), Since: metav1.Now()}
	if err := f.client.Status().Update(t.Context(), &ep); err != nil {
		t.Fatal(err)
	}
	f.awaitIssuing("corp-signing", "corp-encryption")
	f.await(is("Issued", "False", "CAChanged", "come from another CA"), is("KeyringReady", "True", "Succeeded"), generations(1))
	f.issue("corp-signing")
	f.issue("corp-encryption")
	f.await(is("Ready", "True", "Succeeded"), generations(2), noReissue, step(v1alpha1.StepLoading))
}

// bring writes a Secret as a person does who has a certificate from elsewhere.
func (f *fixture) bring(name string, usage x509.KeyUsage, changes ...func(*x509.Certificate)) {
	f.t.Helper()
	template := &x509.Certificate{NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(life), KeyUsage: usage}
	for _, change := range changes {
		change(template)
	}
	f.issued++
	key := sceptest.RSAKey(f.t, f.issued%6)
	made, err := f.ca.Issue(template, key.Public())
	if err != nil {
		f.t.Fatal(err)
	}
	f.putSecret(name, map[string][]byte{
		"tls.crt": slices.Concat(pemOf("CERTIFICATE", f.ca.Root.Raw), pemOf("CERTIFICATE", f.ca.Certificate.Raw), pemOf("CERTIFICATE", made.Raw)),
		"tls.key": pemOf("RSA PRIVATE KEY", x509.MarshalPKCS1PrivateKey(key)),
	})
}

func (f *fixture) putSecret(name string, data map[string][]byte) {
	f.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: f.namespace, Name: name}, Data: data}
	if err := f.client.Create(f.t.Context(), secret); client.IgnoreAlreadyExists(err) != nil {
		f.t.Fatal(err)
	} else if err == nil {
		return
	}
	if err := f.client.Update(f.t.Context(), secret); err != nil {
		f.t.Fatal(err)
	}
}

func external(refs ...v1alpha1.ExternalSecret) func(*v1alpha1.RACredential) {
	return func(rc *v1alpha1.RACredential) {
		rc.Spec.IssuerRef, rc.Spec.External = nil, &v1alpha1.ExternalCredential{SecretRefs: refs}
	}
}

func TestAPairFromOutside(t *testing.T) {
	const signs, encrypts = x509.KeyUsageDigitalSignature, x509.KeyUsageKeyEncipherment
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.createCredential(external(
		v1alpha1.ExternalSecret{Name: "ndes-signing", Role: v1alpha1.RoleSigning},
		v1alpha1.ExternalSecret{Name: "ndes-encryption", Role: v1alpha1.RoleEncryption}))
	f.await(is("Issued", "False", "ExternalSecretNotFound", "Secret ndes-signing", "create it"), absent("IssuerReady"), step(v1alpha1.StepIssuing))
	f.bring("ndes-signing", signs)
	f.await(is("Issued", "False", "ExternalSecretNotFound", "Secret ndes-encryption"))
	f.bring("ndes-encryption", encrypts|signs)
	f.await(is("Issued", "False", "CertificateUnfit", "Secret ndes-encryption", "check Usages", "correct the role"), generations(0), step(v1alpha1.StepChecking))
	f.bring("ndes-encryption", encrypts)
	f.await(is("Ready", "True", "Succeeded"), generations(1), noReissue, step(v1alpha1.StepIdle))
	first := f.keyring().IDs()[0]

	t.Log("bad input loses nothing")
	f.putSecret("ndes-signing", map[string][]byte{"tls.crt": []byte("junk"), "tls.key": []byte("junk")})
	f.await(is("Issued", "False", "ExternalSecretInvalid", "tls.crt holds no certificate", "stays in use"), is("KeyringReady", "True", "Succeeded"), generations(1))
	if got := f.keyring().IDs(); !slices.Equal(got, []string{first}) {
		t.Fatalf("the keyring holds %v", got)
	}

	t.Log("a replacement is a rollover, and one that ends soon is announced")
	f.bring("ndes-signing", signs, func(c *x509.Certificate) { c.NotAfter = time.Now().Add(life / 4) })
	f.await(is("Issued", "True", "ReplacementDue", "put new ones", "external.secretRefs"), is("Ready", "True", "Succeeded"), generations(2))
	f.awaitEvents("ExternalSecretNotFound", "ExternalSecretInvalid", "ReplacementDue", "GenerationAdded")
	var list certmanagerv1.CertificateList
	if err := f.client.List(t.Context(), &list, client.InNamespace(f.namespace)); err != nil || len(list.Items) != 0 {
		t.Errorf("%d Certificates, error %v", len(list.Items), err)
	}
}

func TestFromAnIssuerToTheKeyringOfAnotherCluster(t *testing.T) {
	f := newFixture(t, &racredential.Reconciler{Interval: quickly})
	f.ready()
	own := f.keyring().IDs()[0]
	f.edit(external(v1alpha1.ExternalSecret{Name: "theirs"}))
	f.await(is("Issued", "False", "ExternalSecretNotFound"), generations(1))
	f.awaitCertificate("corp-signing") // not given up before there is something better

	theirs := newQuietKeyring(f)
	f.putSecret("theirs", theirs)
	f.await(is("Ready", "True", "Succeeded"), generations(3))
	ids := f.keyring().IDs()
	if !slices.Contains(ids, own) || ids[0] == own {
		t.Errorf("the keyring holds %v", ids)
	}
	testenv.Eventually(t, "the Certificates to go", func(ctx context.Context) error {
		var list certmanagerv1.CertificateList
		if err := f.client.List(ctx, &list, client.InNamespace(f.namespace)); err != nil || len(list.Items) > 0 {
			return fmt.Errorf("%d Certificates, error %w", len(list.Items), err)
		}
		return nil
	})
}

// newQuietKeyring is the data of a keyring with two generations.
func newQuietKeyring(f *fixture) map[string][]byte {
	f.t.Helper()
	k := &raconfig.Keyring{}
	for i := range 2 {
		key := sceptest.RSAKey(f.t, i+1)
		made, err := f.ca.Issue(&x509.Certificate{
			NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(life),
			KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		}, key.Public())
		if err != nil {
			f.t.Fatal(err)
		}
		k.Generations = append(k.Generations, raconfig.Generation{
			ID: raconfig.GenerationID(made), AddedAt: time.Now().Add(-time.Duration(i+1) * time.Hour),
			Certificates: []raconfig.Certificate{{Role: v1alpha1.RoleCombined, Certificate: made, Chain: f.ca.Chain(), Key: key}},
		})
	}
	data, err := raconfig.EncodeKeyring(k)
	if err != nil {
		f.t.Fatal(err)
	}
	return data
}
