package issue

import (
	"context"
	"crypto/x509"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// TrialDuration is how long the certificates of trials are valid: nobody has their keys.
// The admission policy allows no more.
const TrialDuration = time.Hour

// Trial is a throw-away request.
type Trial struct {
	// ID of the trial, of which there is one object.
	ID string
	// Template is the endpoint's name of the template.
	Template string
	CSR      *x509.CertificateRequest
	Usages   []certmanagerv1.KeyUsage
}

// Try makes the object of a trial, unless there is one. Nothing else finds it: it has
// none of the labels by which devices find their requests. There is no sense in trying again
// after an error that wraps ErrRefused. What becomes of the object the operator sees.
func (c *CertManager) Try(ctx context.Context, t Trial) error {
	_, err := c.Store.Create(ctx, &certmanagerv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Name:        c.Names.Trial(t.ID),
			Labels:      map[string]string{v1alpha1.LabelEndpoint: c.Names.Endpoint, v1alpha1.LabelTrial: t.ID},
			Annotations: map[string]string{v1alpha1.AnnotationTemplate: t.Template},
		},
		Spec: c.spec(t.CSR, t.Usages, TrialDuration),
	})
	if err == nil || apierrors.IsAlreadyExists(err) {
		return nil
	}
	return judgeCreateError(err)
}

// Trial names the object of a trial.
func (n Names) Trial(id string) string {
	return n.Endpoint + "-" + n.hash("trial", []byte(id))[:nameDigits]
}
