package e2e

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"testing"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// Names in testdata/own.yaml.
const (
	ownEndpoint   = "own"
	ownCredential = "own-ra"
)

// ownTier is a namespace, an endpoint and an issuer of a test's own.
type ownTier struct {
	namespace, host string
	issuer          *ownIssuer
}

// newOwnTier makes one, with what is changed of its issuer, and waits until the ingress knows
// it. It is gone when the test ends.
func newOwnTier(t *testing.T, namespace string, first life, changes ...func(*ownIssuer)) *ownTier {
	t.Helper()
	o := &ownTier{namespace: namespace, host: namespace + ".example.com"}
	o.issuer = newOwnIssuer(t, namespace, first)
	for _, change := range changes {
		change(o.issuer)
	}
	manifest, err := os.ReadFile("testdata/own.yaml")
	if err != nil {
		t.Fatal(err)
	}
	filled := os.Expand(string(manifest), func(name string) string {
		return map[string]string{"NAMESPACE": o.namespace, "HOST": o.host}[name]
	})
	file := filepath.Join(t.TempDir(), "own.yaml")
	if err := os.WriteFile(file, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.rig.Kubectl(context.WithoutCancel(t.Context()), "delete", "namespace", namespace, "--wait=false"); err != nil {
			t.Error(err)
		}
	})
	mustWait(t, "the endpoint of "+namespace+" to be Ready", rig.Ready(shared.api, namespace, ownEndpoint))
	mustWait(t, "the ingress to know "+o.host, func(ctx context.Context) (bool, string, error) {
		_, err := o.client().GetCACert(ctx)
		return err == nil, "", err
	})
	return o
}

func (o *ownTier) url() string { return "http://" + o.host + "/scep" }

// client is a SCEP client of our own behind the ingress, which nothing is kept from.
func (o *ownTier) client() *scep.Client { return newStrictClient(o.url(), shared.rig.Dial) }

// mustShow fetches GetCACert.
func (o *ownTier) mustShow(t *testing.T) *scep.CACertificates {
	t.Helper()
	ca, err := o.client().GetCACert(within(t, enrolLimit))
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

// enrols checks that a device is served.
func (o *ownTier) enrols(t *testing.T) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		once := o.client()
		once.PollLimit = 0
		result, err := once.Enrol(ctx, enrolment(t, newName()))
		return err == nil, "", o.granted(result, err)
	}
}

// granted checks that an enrolment brought a certificate of the tier's CA.
func (o *ownTier) granted(result *scep.Result, err error) error {
	switch {
	case err != nil:
		return err
	case result.Status != scep.StatusSuccess:
		return fmt.Errorf("%s %s: %s", result.Status, result.FailInfo, result.FailInfoText)
	case !o.issuer.ca.Issued(result.Certificate):
		return fmt.Errorf("the certificate of %s is not of this tier's CA", result.Certificate.Subject)
	}
	return nil
}

// pods are all of the tier's, with how often their containers were started again.
func (o *ownTier) pods(t *testing.T) map[string]int32 {
	t.Helper()
	return restarts(t, o.namespace)
}

// restarts counts, for each pod of a namespace by name and UID, how often its containers
// were started again.
func restarts(t *testing.T, namespace string) map[string]int32 {
	t.Helper()
	var all corev1.PodList
	if err := shared.api.List(t.Context(), &all, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	counts := map[string]int32{}
	for i := range all.Items {
		pod := &all.Items[i]
		name := pod.Name + " " + string(pod.UID)
		for _, c := range pod.Status.ContainerStatuses {
			counts[name] += c.RestartCount
		}
	}
	return counts
}
