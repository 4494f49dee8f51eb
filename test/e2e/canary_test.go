package e2e

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probemark"
)

// TestCanary: a healthy endpoint's servers come to the end of an exchange like a
// device's, by its public URLs; it shows, and nothing is issued for it.
func TestCanary(t *testing.T) {
	mustWait(t, "the canaries to come to their end", func(ctx context.Context) (bool, string, error) {
		ep := named(&v1alpha1.ScepEndpoint{}, endpoint)
		if err := shared.api.Get(ctx, client.ObjectKeyFromObject(ep), ep); err != nil {
			return false, "", err
		}
		if ep.Status.Probes == nil || ep.Status.Probes.Canary == nil {
			return false, "no canary yet", nil
		}
		canary := ep.Status.Probes.Canary
		return canary.Result == v1alpha1.CanaryPassed, fmt.Sprintf("%+v", *canary), nil
	})
	columns, err := shared.rig.KubectlOutput(t.Context(), "get", "scependpoints", endpoint, "-n", namespace, "-o", "wide")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(columns, "CANARY") || !strings.Contains(columns, string(v1alpha1.CanaryPassed)) {
		t.Errorf("the columns do not tell it:\n%s", columns)
	}
	var requests certmanagerv1.CertificateRequestList
	if err := shared.api.List(t.Context(), &requests, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	for i := range requests.Items {
		block, _ := pem.Decode(requests.Items[i].Spec.Request)
		if block == nil {
			continue
		}
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err == nil && csr.Subject.CommonName == probemark.CanaryName {
			t.Errorf("a canary made CertificateRequest %s", requests.Items[i].Name)
		}
	}
}
