package issue

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/policy"
)

// Canary is an order that no device makes.
type Canary struct {
	// Every is how often a certificate may be issued to canaries, about.
	Every time.Duration
}

const (
	// canaryDuration is how long canaries' certificates are valid. The admission policy
	// allows no more.
	canaryDuration = time.Hour
	// canaryRetry is how long an issuer that has failed a canary is left alone.
	canaryRetry = 5 * time.Minute
	// canaryWait is how long a canary's request may wait for an answer before another is made.
	canaryWait = time.Hour
)

// CanaryGrant is all that a canary gets: digital signatures, for an hour. Without an
// extended usage no service that looks for one lets it in.
func CanaryGrant() *policy.Grant {
	return &policy.Grant{Usages: []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature}, Duration: canaryDuration}
}

// IsCanaryRequest says whether a CSR asks for a canary's name and for nothing else.
func IsCanaryRequest(csr *x509.CertificateRequest) bool {
	return csr.Subject.CommonName == probemark.CanaryName && len(csr.Subject.Names) == 1 && len(csr.Extensions) == 0
}

// recordCanary makes a request, unless a canary had one lately: the objects are the
// record by which all servers together keep the pace, whoever asks.
func (c *CertManager) recordCanary(ctx context.Context, o Order) (*Record, error) {
	if !c.Store.Synced() {
		return nil, unavailable(errNotSynced)
	}
	last, err := c.lastCanary(ctx)
	if err != nil {
		return nil, err
	}
	if last != nil && c.Now().Before(last.created.Add(o.Canary.holds(last.State))) {
		return last, nil
	}
	object, _, err := c.createOrGet(ctx, c.buildCanary(o))
	if err != nil {
		return nil, err
	}
	return c.trust(object)
}

// holds is for how long after its making a canary's request keeps another from being made.
// The prober's own pace varies by a tenth.
func (o *Canary) holds(s State) time.Duration {
	switch s {
	case Issued:
		return o.Every * 4 / 5
	case Waiting:
		return min(canaryWait, o.Every)
	default:
		return min(canaryRetry, o.Every)
	}
}

// lastCanary is the newest record of a canary that counts; nil if there is none.
func (c *CertManager) lastCanary(ctx context.Context) (*Record, error) {
	var found []*Record
	for _, name := range c.Store.Known(v1alpha1.LabelCanary, string(v1alpha1.CanaryFull)) {
		object, err := c.Store.Get(ctx, name)
		if err != nil {
			return nil, unavailable(err)
		}
		if object == nil {
			continue
		}
		record, why := c.trust(object)
		if why != nil {
			c.ignore(ctx, name, why)
			continue
		}
		found = append(found, record)
	}
	return newest(found), nil
}

// buildCanary leaves out the labels by which devices find their requests.
func (c *CertManager) buildCanary(o Order) *certmanagerv1.CertificateRequest {
	return &certmanagerv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Name:   c.Names.canary(o.Request),
			Labels: map[string]string{v1alpha1.LabelEndpoint: c.Names.Endpoint, v1alpha1.LabelCanary: string(v1alpha1.CanaryFull)},
		},
		Spec: c.spec(o.CSR, o.Grant.Usages, o.Grant.Duration),
	}
}

// canary names the object of a canary's message: sent again, it is the same.
func (n Names) canary(r Request) string {
	signer := sha256.Sum256(r.Signer.Raw)
	return n.Endpoint + "-" + n.hash("canary", []byte(r.TransactionID), r.CSR.RawSubjectPublicKeyInfo, signer[:])[:nameDigits]
}
