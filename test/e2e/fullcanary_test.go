package e2e

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probemark"
)

// TestFullCanary has a certificate issued to a canary, by the ingress and the endpoint's own
// issuer: one, which is good for nothing, and which is no device's.
func TestFullCanary(t *testing.T) {
	t.Parallel()
	o := newOwnTier(t, "canary", life{lasts: time.Hour})
	o.change(t, func(ep *v1alpha1.ScepEndpoint) {
		ep.Spec.Probes.Canary.Level = v1alpha1.CanaryFull
	})
	var ep v1alpha1.ScepEndpoint
	mustWait(t, "a canary to get a certificate", func(ctx context.Context) (bool, string, error) {
		ep = v1alpha1.ScepEndpoint{}
		if err := shared.api.Get(ctx, client.ObjectKey{Namespace: o.namespace, Name: ownEndpoint}, &ep); err != nil {
			return false, "", err
		}
		if ep.Status.Probes == nil || ep.Status.Probes.Canary == nil {
			return false, "no canary yet", nil
		}
		canary := ep.Status.Probes.Canary
		return canary.Level == v1alpha1.CanaryFull && canary.Result == v1alpha1.CanaryPassed, fmt.Sprintf("%+v", *canary), nil
	})
	if ep.Status.LastIssuedAt != nil {
		t.Errorf("it counts as an enrolment: %s", ep.Status.LastIssuedAt)
	}
	certificate := o.mustCanary(t)
	if !o.issuer.ca.Issued(certificate) || !probemark.IsCanary(certificate) || len(certificate.ExtKeyUsage) > 0 ||
		certificate.KeyUsage != x509.KeyUsageDigitalSignature || time.Until(certificate.NotAfter) > time.Hour {
		t.Errorf("%s: usages %v and %v, until %s", certificate.Subject, certificate.KeyUsage, certificate.ExtKeyUsage, certificate.NotAfter)
	}
	mustWait(t, "a device to enrol", o.enrols(t))
}

// mustCanary is the one certificate that was issued to canaries.
func (o *ownTier) mustCanary(t *testing.T) *x509.Certificate {
	t.Helper()
	var all certmanagerv1.CertificateRequestList
	if err := shared.api.List(t.Context(), &all, client.InNamespace(o.namespace), client.HasLabels{v1alpha1.LabelCanary}); err != nil {
		t.Fatal(err)
	}
	if len(all.Items) != 1 {
		t.Fatalf("%d requests of canaries", len(all.Items))
	}
	block, _ := pem.Decode(all.Items[0].Status.Certificate)
	if block == nil {
		t.Fatalf("CertificateRequest %s has no certificate", all.Items[0].Name)
	}
	certificate, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}
