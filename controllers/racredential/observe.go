package racredential

import (
	"context"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// reasonExpired is cert-manager's reason for a Certificate that has expired and is else as specified.
const reasonExpired = "Expired"

// observation is all that a reconcile reads. A read that failed is a field.
type observation struct {
	// issuer that the certificates come from; empty for those from outside.
	issuer  issuer.Fact
	sources []source
	// imported are earlier generations that came with the sources.
	imported  []raconfig.Generation
	keyring   keyring
	endpoints endpoints
}

// source is one certificate, as cert-manager or a person left it in a Secret.
type source struct {
	role v1alpha1.CredentialRole
	name string
	// external is true for a Secret that a person filled.
	external bool
	// certificate is nil if it does not exist.
	certificate *certmanagerv1.Certificate
	// material is what its Secret holds; nil if that does not exist or is not understood.
	material *raconfig.Certificate
	// contentErr says why the Secret's content is not understood.
	contentErr error
	// readErr says why the Certificate or the Secret could not be read.
	readErr error
}

// keyring is the keyring Secret.
type keyring struct {
	exists  bool
	content *raconfig.Keyring
	// damage says why the content is not understood.
	damage error
	// readErr says why the Secret could not be read.
	readErr error
}

func (r *Reconciler) observe(ctx context.Context, rc *v1alpha1.RACredential) *observation {
	seen := &observation{keyring: r.observeKeyring(ctx, rc), endpoints: r.observeEndpoints(ctx, rc)}
	if rc.Spec.External != nil {
		seen.sources, seen.imported = r.observeExternal(ctx, rc)
		seen.completeChains()
		return seen
	}
	seen.issuer = issuer.Observe(ctx, r.client, rc.Namespace, *rc.Spec.IssuerRef)
	for _, role := range rolesOf(&rc.Spec) {
		seen.sources = append(seen.sources, r.observeSource(ctx, rc, role))
	}
	seen.completeChains()
	return seen
}

// completeChains adds what the issuer does not give and an endpoint does.
func (o *observation) completeChains() {
	for i := range o.sources {
		if m := o.sources[i].material; m != nil {
			m.Chain = pkifacts.CompleteChain(m.Certificate, m.Chain, o.endpoints.chain)
		}
	}
}

func (r *Reconciler) observeSource(ctx context.Context, rc *v1alpha1.RACredential, role v1alpha1.CredentialRole) source {
	s := source{role: role, name: sourceName(rc.Name, role)}
	key := client.ObjectKey{Namespace: rc.Namespace, Name: s.name}
	var certificate certmanagerv1.Certificate
	switch err := r.client.Get(ctx, key, &certificate); {
	case apierrors.IsNotFound(err):
	case err != nil:
		s.readErr = fmt.Errorf("read Certificate %s: %w", s.name, err)
		return s
	default:
		s.certificate = &certificate
	}
	secret, err := r.readSecret(ctx, key)
	if err != nil {
		s.readErr = err
		return s
	}
	if secret != nil && len(secret.Data[corev1.TLSCertKey]) > 0 {
		s.material, s.contentErr = parseSource(role, secret.Data)
	}
	return s
}

// readSecret returns nil if the Secret does not exist.
func (r *Reconciler) readSecret(ctx context.Context, key client.ObjectKey) (*corev1.Secret, error) {
	var secret corev1.Secret
	err := r.live.Get(ctx, key, &secret)
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Secret %s: %w", key.Name, err)
	}
	return &secret, nil
}

// parseSource reads what cert-manager writes, and people too: tls.crt (the certificate
// and its intermediates; cert-manager puts the certificate first), tls.key, and the
// issuer's own idea of its CA.
func parseSource(role v1alpha1.CredentialRole, data map[string][]byte) (*raconfig.Certificate, error) {
	certificates, err := raconfig.ParseCertificates(data[corev1.TLSCertKey])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", corev1.TLSCertKey, err)
	}
	if len(certificates) == 0 {
		return nil, fmt.Errorf("%s holds no certificate", corev1.TLSCertKey)
	}
	authorities, err := raconfig.ParseCertificates(data[cmmeta.TLSCAKey])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", cmmeta.TLSCAKey, err)
	}
	key, err := raconfig.ParsePrivateKey(data[corev1.TLSPrivateKeyKey])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", corev1.TLSPrivateKeyKey, err)
	}
	leaf := certificateOf(key, certificates)
	chain := pkifacts.OrderChain(leaf, append(certificates, authorities...))
	return &raconfig.Certificate{Role: role, Certificate: leaf, Chain: chain, Key: key}, nil
}

// certificateOf is the certificate that a key belongs to, or the first if it belongs to none.
func certificateOf(key crypto.Signer, certificates []*x509.Certificate) *x509.Certificate {
	for _, c := range certificates {
		if pkifacts.CheckKeyMatch(c, key) == nil {
			return c
		}
	}
	return certificates[0]
}

func (r *Reconciler) observeKeyring(ctx context.Context, rc *v1alpha1.RACredential) keyring {
	secret, err := r.readSecret(ctx, client.ObjectKey{Namespace: rc.Namespace, Name: render.KeyringName(rc.Name)})
	if err != nil || secret == nil {
		return keyring{readErr: err}
	}
	content, err := raconfig.DecodeKeyring(secret.Data)
	return keyring{exists: true, content: content, damage: err}
}

// err joins the reads that failed and that are worth another try.
func (o *observation) err() error {
	errs := []error{o.issuer.Err, o.keyring.readErr, o.endpoints.readErr}
	for i := range o.sources {
		errs = append(errs, o.sources[i].readErr)
	}
	return errors.Join(errs...)
}

// sound says whether there is a keyring that is understood.
func (k *keyring) sound() bool { return k.exists && k.damage == nil }

// issued says whether the Secret holds what is asked for now. For cert-manager that is
// a Certificate that is Ready, or that was until it expired, as its spec is now: a
// Secret that was left over, or that an earlier spec asked for, does not count.
func (s *source) issued() bool {
	if s.external {
		return s.material != nil
	}
	c := s.condition(certmanagerv1.CertificateConditionReady)
	if c == nil || c.ObservedGeneration < s.certificate.Generation {
		return false
	}
	return c.Status == cmmeta.ConditionTrue || c.Reason == reasonExpired
}

// issuing says whether cert-manager works on the next certificate.
func (s *source) issuing() bool {
	c := s.condition(certmanagerv1.CertificateConditionIssuing)
	return c != nil && c.Status == cmmeta.ConditionTrue
}

// failedAt is when cert-manager failed, if that was the latest it did; else zero.
func (s *source) failedAt() time.Time {
	if _, failed := s.failure(); failed {
		return s.certificate.Status.LastFailureTime.Time
	}
	return time.Time{}
}

// failure is cert-manager's account of the latest issuance if it failed.
func (s *source) failure() (string, bool) {
	c := s.condition(certmanagerv1.CertificateConditionIssuing)
	if c == nil || c.Status != cmmeta.ConditionFalse || s.certificate.Status.LastFailureTime == nil {
		return "", false
	}
	return c.Message, true
}

func (s *source) condition(conditionType certmanagerv1.CertificateConditionType) *certmanagerv1.CertificateCondition {
	if s.certificate == nil {
		return nil
	}
	for i := range s.certificate.Status.Conditions {
		if c := &s.certificate.Status.Conditions[i]; c.Type == conditionType {
			return c
		}
	}
	return nil
}
