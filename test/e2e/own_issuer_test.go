package e2e

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// ownGroup is the group of issuers that are tests.
const ownGroup = "own.example.com"

// ownIssuer is an external issuer, in cert-manager's words: a program beside it that
// approves and signs the CertificateRequests of a namespace. cert-manager issues
// nothing that lasts less than an hour; this one gives Certificates as short a life as
// a test wants, so that they really end.
type ownIssuer struct {
	ca *sceptest.CA
	// lists are the URLs of revocation lists that its certificates name.
	lists []string

	t         *testing.T
	api       client.WithWatch
	namespace string
	stop      func() // set while it speaks

	mu sync.Mutex
	// life is what a Certificate of cert-manager gets; devices get what they ask for.
	life life
	// refuses is why no device gets a certificate; "": each does.
	refuses string
	// careless says that it leaves out the extended key usages it is asked for.
	careless bool
}

// life is a validity around the present.
type life struct{ began, lasts time.Duration }

// newOwnIssuer speaks at once, and until the test ends.
func newOwnIssuer(t *testing.T, namespace string, first life) *ownIssuer {
	t.Helper()
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", "testdata/own-issuers.yaml"); err != nil {
		t.Fatal(err)
	}
	if err := shared.rig.Kubectl(t.Context(), "wait", "--for=condition=Established", "--timeout=1m", "crd/issuers."+ownGroup); err != nil {
		t.Fatal(err)
	}
	api, err := client.NewWithWatch(restConfig(t), client.Options{Scheme: shared.api.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	i := &ownIssuer{ca: sceptest.NewCA(t), t: t, api: api, namespace: namespace, life: first}
	i.speak()
	t.Cleanup(i.hush)
	return i
}

// give sets the life of the Certificates to come.
func (i *ownIssuer) give(next life) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.life = next
}

// neglect has it leave out extended key usages, or not.
func (i *ownIssuer) neglect(careless bool) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.careless = careless
}

// refuse has it fail what devices ask for, with a message, or with "" issue it again.
func (i *ownIssuer) refuse(why string) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.refuses = why
}

// fails says why a request fails; "": it does not.
func (i *ownIssuer) fails(r *certmanagerv1.CertificateRequest) string {
	i.mu.Lock()
	defer i.mu.Unlock()
	if _, ofCertManager := r.Annotations[certmanagerv1.CertificateNameKey]; ofCertManager {
		return ""
	}
	return i.refuses
}

func (i *ownIssuer) isCareless() bool {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.careless
}

// speak answers all requests that are open, and those to come.
func (i *ownIssuer) speak() {
	ctx, cancel := context.WithCancel(context.WithoutCancel(i.t.Context()))
	done := make(chan struct{})
	i.stop = func() { cancel(); <-done }
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := i.listen(ctx); err != nil && ctx.Err() == nil {
				i.t.Logf("own issuer: %v", err)
			}
			select {
			case <-ctx.Done():
			case <-time.After(ownIssuerPause):
			}
		}
	}()
}

// ownIssuerPause is before it tries again.
const ownIssuerPause = 200 * time.Millisecond

// hush leaves requests without an answer. It may be called more than once.
func (i *ownIssuer) hush() {
	if i.stop != nil {
		i.stop()
		i.stop = nil
	}
}

// listen answers until its watch or an answer fails; a watch begins with all that is there.
func (i *ownIssuer) listen(ctx context.Context) error {
	watch, err := i.api.Watch(ctx, &certmanagerv1.CertificateRequestList{}, client.InNamespace(i.namespace))
	if err != nil {
		return err
	}
	defer watch.Stop()
	for event := range watch.ResultChan() {
		r, ok := event.Object.(*certmanagerv1.CertificateRequest)
		if !ok || r.Spec.IssuerRef.Group != ownGroup || len(r.Status.Certificate) > 0 || r.Status.FailureTime != nil {
			continue
		}
		if err := i.answer(r); err != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
		if err := i.api.Status().Update(ctx, r); client.IgnoreNotFound(err) != nil {
			return fmt.Errorf("%s: %w", r.Name, err)
		}
	}
	return nil
}

// answer fails a request or signs it.
func (i *ownIssuer) answer(r *certmanagerv1.CertificateRequest) error {
	why := i.fails(r)
	if why == "" {
		return i.sign(r)
	}
	now := metav1.Now()
	r.Status.FailureTime = &now
	r.Status.Conditions = []certmanagerv1.CertificateRequestCondition{{
		Type: certmanagerv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse,
		Reason: certmanagerv1.CertificateRequestReasonFailed, Message: why, LastTransitionTime: &now,
	}}
	return nil
}

func (i *ownIssuer) sign(r *certmanagerv1.CertificateRequest) error {
	block, _ := pem.Decode(r.Spec.Request)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		return fmt.Errorf("read the request: %w", err)
	}
	issued, err := i.ca.Issue(i.template(r, csr), csr.PublicKey)
	if err != nil {
		return err
	}
	r.Status.Certificate = slices.Concat(pemOf(issued), pemOf(i.ca.Certificate))
	r.Status.CA = pemOf(i.ca.Root)
	now := metav1.Now()
	r.Status.Conditions = []certmanagerv1.CertificateRequestCondition{
		{Type: certmanagerv1.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue, Reason: "Test", Message: "approved", LastTransitionTime: &now},
		{Type: certmanagerv1.CertificateRequestConditionReady, Status: cmmeta.ConditionTrue, Reason: certmanagerv1.CertificateRequestReasonIssued, LastTransitionTime: &now},
	}
	return nil
}

// Usages that this file's tiers ask for.
var (
	ownUsages = map[certmanagerv1.KeyUsage]x509.KeyUsage{
		certmanagerv1.UsageDigitalSignature: x509.KeyUsageDigitalSignature,
		certmanagerv1.UsageKeyEncipherment:  x509.KeyUsageKeyEncipherment,
	}
	ownPurposes = map[certmanagerv1.KeyUsage]x509.ExtKeyUsage{
		certmanagerv1.UsageClientAuth: x509.ExtKeyUsageClientAuth,
		certmanagerv1.UsageServerAuth: x509.ExtKeyUsageServerAuth,
	}
)

// template has what the request asks for, but the life that this issuer gives.
func (i *ownIssuer) template(r *certmanagerv1.CertificateRequest, csr *x509.CertificateRequest) *x509.Certificate {
	now := time.Now()
	template := &x509.Certificate{
		RawSubject: csr.RawSubject, DNSNames: csr.DNSNames, NotBefore: now, NotAfter: now.Add(r.Spec.Duration.Duration),
		CRLDistributionPoints: i.lists,
	}
	if _, ofCertManager := r.Annotations[certmanagerv1.CertificateNameKey]; ofCertManager {
		template.NotBefore, template.NotAfter = i.validity()
	}
	for _, usage := range r.Spec.Usages {
		template.KeyUsage |= ownUsages[usage]
		if purpose, ok := ownPurposes[usage]; ok && !i.isCareless() {
			template.ExtKeyUsage = append(template.ExtKeyUsage, purpose)
		}
	}
	return template
}

func pemOf(certificate *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
}

func (i *ownIssuer) validity() (notBefore, notAfter time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	now := time.Now()
	return now.Add(-i.life.began), now.Add(i.life.lasts)
}
