package racredential_test

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/utils/ptr"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/controller/controllerutil"

	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const life = 90 * 24 * time.Hour

// certManager plays cert-manager: it issues what the Certificates ask for.
type certManager struct {
	t         *testing.T
	client    client.Client
	namespace string
	ca        *sceptest.CA
	issued    int
}

// makeIssuer makes the Issuer "ca", which says that it is ready, or not.
func (cm *certManager) makeIssuer(ready cmmeta.ConditionStatus) {
	cm.t.Helper()
	issuer := &certmanagerv1.Issuer{ObjectMeta: metav1.ObjectMeta{Namespace: cm.namespace, Name: "ca"}}
	issuer.Spec.SelfSigned = &certmanagerv1.SelfSignedIssuer{}
	if err := cm.client.Create(cm.t.Context(), issuer); err != nil {
		cm.t.Fatal(err)
	}
	cm.setIssuer(ready)
}

func (cm *certManager) setIssuer(ready cmmeta.ConditionStatus) {
	cm.t.Helper()
	var issuer certmanagerv1.Issuer
	cm.get(cm.t.Context(), "ca", &issuer)
	issuer.Status.Conditions = []certmanagerv1.IssuerCondition{{
		Type: certmanagerv1.IssuerConditionReady, Status: ready, Reason: "Test", Message: "the test says so",
	}}
	if err := cm.client.Status().Update(cm.t.Context(), &issuer); err != nil {
		cm.t.Fatal(err)
	}
}

func (cm *certManager) get(ctx context.Context, name string, obj client.Object) {
	cm.t.Helper()
	if err := cm.client.Get(ctx, client.ObjectKey{Namespace: cm.namespace, Name: name}, obj); err != nil {
		cm.t.Fatal(err)
	}
}

// awaitCertificate waits until the controller has asked for a certificate.
func (cm *certManager) awaitCertificate(name string) *certmanagerv1.Certificate {
	cm.t.Helper()
	var certificate certmanagerv1.Certificate
	testenv.Eventually(cm.t, "Certificate "+name, func(ctx context.Context) error {
		return cm.client.Get(ctx, client.ObjectKey{Namespace: cm.namespace, Name: name}, &certificate)
	})
	return &certificate
}

// issue issues a Certificate as it asks, but for the changes, and returns what was issued.
func (cm *certManager) issue(name string, changes ...func(*x509.Certificate)) *x509.Certificate {
	cm.t.Helper()
	certificate := cm.awaitCertificate(name)
	template := &x509.Certificate{NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(life)}
	template.Subject.CommonName = certificate.Spec.CommonName
	for _, usage := range certificate.Spec.Usages {
		switch usage {
		case certmanagerv1.UsageDigitalSignature:
			template.KeyUsage |= x509.KeyUsageDigitalSignature
		case certmanagerv1.UsageKeyEncipherment:
			template.KeyUsage |= x509.KeyUsageKeyEncipherment
		case certmanagerv1.UsageClientAuth:
			template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageClientAuth)
		default:
			cm.t.Fatalf("Certificate %s asks for usage %q", name, usage)
		}
	}
	for _, change := range changes {
		change(template)
	}
	cm.issued++
	key := sceptest.RSAKey(cm.t, cm.issued%6)
	made, err := cm.ca.Issue(template, key.Public())
	if err != nil {
		cm.t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		cm.t.Fatal(err)
	}
	cm.writeSecret(certificate, map[string][]byte{
		corev1.TLSCertKey:       append(pemOf("CERTIFICATE", made.Raw), pemOf("CERTIFICATE", cm.ca.Certificate.Raw)...),
		corev1.TLSPrivateKeyKey: pemOf("PRIVATE KEY", keyDER),
		cmmeta.TLSCAKey:         pemOf("CERTIFICATE", cm.ca.Root.Raw),
	})
	cm.setStatus(name, func(c *certmanagerv1.Certificate) {
		// Two certificates of one second would else leave the same status, and the second
		// write would be none: who acts on what was before it could not be told so.
		c.Status.Revision = new(ptr.Deref(c.Status.Revision, 0) + 1)
		c.Status.NotAfter = &metav1.Time{Time: made.NotAfter}
		c.Status.RenewalTime = &metav1.Time{Time: made.NotAfter.Add(-certificate.Spec.RenewBefore.Duration)}
		c.Status.Conditions = []certmanagerv1.CertificateCondition{{
			Type: certmanagerv1.CertificateConditionReady, Status: cmmeta.ConditionTrue, Reason: "Ready", ObservedGeneration: c.Generation,
		}}
	})
	return made
}

// fail says that issuing failed.
func (cm *certManager) fail(name, message string) {
	cm.t.Helper()
	cm.awaitCertificate(name)
	cm.setStatus(name, func(c *certmanagerv1.Certificate) {
		now := metav1.Now()
		c.Status.LastFailureTime = &now
		c.Status.Conditions = append(c.Status.Conditions, certmanagerv1.CertificateCondition{
			Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionFalse, Reason: "Failed", Message: message,
		})
	})
}

// begin says that issuing has begun.
func (cm *certManager) begin(name string) {
	cm.t.Helper()
	cm.setStatus(name, func(c *certmanagerv1.Certificate) {
		c.Status.Conditions = append(c.Status.Conditions, certmanagerv1.CertificateCondition{
			Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue, Reason: "Renewing",
		})
	})
}

func (cm *certManager) setStatus(name string, change func(*certmanagerv1.Certificate)) {
	cm.t.Helper()
	testenv.Eventually(cm.t, "status of Certificate "+name, func(ctx context.Context) error {
		var certificate certmanagerv1.Certificate
		if err := cm.client.Get(ctx, client.ObjectKey{Namespace: cm.namespace, Name: name}, &certificate); err != nil {
			return err
		}
		change(&certificate)
		return cm.client.Status().Update(ctx, &certificate)
	})
}

func (cm *certManager) writeSecret(certificate *certmanagerv1.Certificate, data map[string][]byte) {
	cm.t.Helper()
	secret := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: cm.namespace, Name: certificate.Spec.SecretName}}
	_, err := controllerutil.CreateOrUpdate(cm.t.Context(), cm.client, secret, func() error {
		secret.Type = corev1.SecretTypeTLS
		secret.Labels = certificate.Spec.SecretTemplate.Labels
		secret.Data = data
		return nil
	})
	if err != nil {
		cm.t.Fatal(fmt.Errorf("write Secret: %w", err))
	}
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}
