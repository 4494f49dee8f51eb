package ratest

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/asn1"
	"encoding/pem"
	"sync"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	certmanagerclient "github.com/cert-manager/cert-manager/pkg/client/clientset/versioned/typed/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// Mood says what an Issuer does with requests.
type Mood int

// The moods.
const (
	Signs Mood = iota
	Holds
	Denies
	Fails
	Invalidates
	SignsForServers // with a usage nobody asked for
	SignsAnotherKey
	SignsCA
)

// Issuer signs CertificateRequests as cert-manager's CA issuer does, or does not.
type Issuer struct {
	CA *sceptest.CA

	t        testing.TB
	requests certmanagerclient.CertificateRequestInterface
	wake     chan struct{}
	mu       sync.Mutex
	mood     Mood
	another  *sceptest.CA // signs in the place of CA
}

func startIssuer(t testing.TB, requests certmanagerclient.CertificateRequestInterface) *Issuer {
	t.Helper()
	i := &Issuer{CA: sceptest.NewCA(t), t: t, requests: requests, wake: make(chan struct{}, 1)}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		i.run(ctx)
	}()
	t.Cleanup(func() {
		cancel()
		<-done
	})
	return i
}

// Set changes the mood, also towards requests that are held.
func (i *Issuer) Set(m Mood) {
	i.mu.Lock()
	i.mood = m
	i.mu.Unlock()
	select {
	case i.wake <- struct{}{}:
	default:
	}
}

// Replace has another CA sign from now on.
func (i *Issuer) Replace(ca *sceptest.CA) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.another = ca
}

// signer is the CA that signs.
func (i *Issuer) signer() *sceptest.CA {
	i.mu.Lock()
	defer i.mu.Unlock()
	return cmp.Or(i.another, i.CA)
}

func (i *Issuer) now() Mood {
	i.mu.Lock()
	defer i.mu.Unlock()
	return i.mood
}

// run looks at every request often; tests are short.
func (i *Issuer) run(ctx context.Context) {
	tick := time.NewTicker(25 * time.Millisecond)
	defer tick.Stop()
	for {
		if list, err := i.requests.List(ctx, metav1.ListOptions{}); err == nil {
			for n := range list.Items {
				i.treat(ctx, &list.Items[n])
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		case <-i.wake:
		}
	}
}

// verdicts are the conditions of the moods that do not sign.
var verdicts = map[Mood]certmanagerv1.CertificateRequestCondition{
	Denies:      {Type: certmanagerv1.CertificateRequestConditionDenied, Status: cmmeta.ConditionTrue, Reason: "policy", Message: "no"},
	Fails:       {Type: certmanagerv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: certmanagerv1.CertificateRequestReasonFailed, Message: "broken"},
	Invalidates: {Type: certmanagerv1.CertificateRequestConditionInvalidRequest, Status: cmmeta.ConditionTrue, Reason: "bad", Message: "bad"},
}

func (i *Issuer) treat(ctx context.Context, r *certmanagerv1.CertificateRequest) {
	mood := i.now()
	if len(r.Status.Conditions) > 0 || mood == Holds {
		return
	}
	condition, refused := verdicts[mood]
	if !refused {
		r.Status.Certificate = i.sign(r, mood)
		r.Status.CA = raconfig.EncodeCertificates([]*x509.Certificate{i.signer().Certificate})
		condition = certmanagerv1.CertificateRequestCondition{
			Type: certmanagerv1.CertificateRequestConditionReady, Status: cmmeta.ConditionTrue, Reason: certmanagerv1.CertificateRequestReasonIssued,
		}
	}
	r.Status.Conditions = []certmanagerv1.CertificateRequestCondition{condition}
	if _, err := i.requests.UpdateStatus(ctx, r, metav1.UpdateOptions{}); err != nil && ctx.Err() == nil {
		i.t.Logf("issuer: %v", err)
	}
}

// bits and purposes of the usages that the tests' templates name.
var (
	bits = map[certmanagerv1.KeyUsage]x509.KeyUsage{
		certmanagerv1.UsageDigitalSignature: x509.KeyUsageDigitalSignature,
		certmanagerv1.UsageKeyEncipherment:  x509.KeyUsageKeyEncipherment,
	}
	purposes = map[certmanagerv1.KeyUsage]x509.ExtKeyUsage{
		certmanagerv1.UsageClientAuth: x509.ExtKeyUsageClientAuth,
		certmanagerv1.UsageServerAuth: x509.ExtKeyUsageServerAuth,
	}
)

func (i *Issuer) sign(r *certmanagerv1.CertificateRequest, mood Mood) []byte {
	block, _ := pem.Decode(r.Spec.Request)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		i.t.Errorf("issuer: %v", err)
		return nil
	}
	template := &x509.Certificate{RawSubject: csr.RawSubject}
	for _, e := range csr.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) {
			template.ExtraExtensions = append(template.ExtraExtensions, e)
		}
	}
	for _, u := range r.Spec.Usages {
		template.KeyUsage |= bits[u]
		if purpose, ok := purposes[u]; ok {
			template.ExtKeyUsage = append(template.ExtKeyUsage, purpose)
		}
	}
	key := csr.PublicKey
	switch mood {
	case SignsForServers:
		template.ExtKeyUsage = append(template.ExtKeyUsage, x509.ExtKeyUsageServerAuth)
	case SignsAnotherKey:
		key = i.CA.Key.Public()
	case SignsCA:
		template.IsCA, template.BasicConstraintsValid = true, true
	}
	issued, err := i.signer().Issue(template, key)
	if err != nil {
		i.t.Errorf("issuer: %v", err)
		return nil
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: issued.Raw})
}
