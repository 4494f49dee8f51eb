package racredential

import (
	"context"
	"errors"
	"fmt"

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

// observation is all that a reconcile reads. A read that failed is a field.
type observation struct {
	issuer  issuer.Fact
	sources []source
	keyring keyring
	// inUse are the generations that endpoints show at present.
	inUse    []string
	inUseErr error
}

// source is one certificate to be issued, as cert-manager left it.
type source struct {
	role v1alpha1.CredentialRole
	name string
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
	seen := &observation{
		issuer:  issuer.Observe(ctx, r.client, rc.Namespace, rc.Spec.IssuerRef),
		keyring: r.observeKeyring(ctx, rc),
	}
	for _, role := range rolesOf(&rc.Spec) {
		seen.sources = append(seen.sources, r.observeSource(ctx, rc, role))
	}
	seen.inUse, seen.inUseErr = r.generationsInUse(ctx, rc)
	return seen
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

// parseSource reads what cert-manager writes: tls.crt (the certificate and its
// intermediates), tls.key, and ca.crt (the issuer's own idea of its CA).
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
	leaf := certificates[0]
	chain := pkifacts.OrderChain(leaf, append(certificates[1:], authorities...))
	return &raconfig.Certificate{Role: role, Certificate: leaf, Chain: chain, Key: key}, nil
}

func (r *Reconciler) observeKeyring(ctx context.Context, rc *v1alpha1.RACredential) keyring {
	secret, err := r.readSecret(ctx, client.ObjectKey{Namespace: rc.Namespace, Name: render.KeyringName(rc.Name)})
	if err != nil || secret == nil {
		return keyring{readErr: err}
	}
	content, err := raconfig.DecodeKeyring(secret.Data)
	return keyring{exists: true, content: content, damage: err}
}

// generationsInUse asks the endpoints of the namespace which generation they show.
func (r *Reconciler) generationsInUse(ctx context.Context, rc *v1alpha1.RACredential) ([]string, error) {
	var endpoints v1alpha1.ScepEndpointList
	if err := r.client.List(ctx, &endpoints, client.InNamespace(rc.Namespace)); err != nil {
		return nil, fmt.Errorf("list ScepEndpoints: %w", err)
	}
	var ids []string
	for i := range endpoints.Items {
		used := endpoints.Items[i].Status.RACredential
		if used != nil && used.Name == rc.Name && used.ActiveGeneration != "" {
			ids = append(ids, used.ActiveGeneration)
		}
	}
	return ids, nil
}

// err joins the reads that failed and that are worth another try.
func (o *observation) err() error {
	errs := []error{o.issuer.Err, o.keyring.readErr, o.inUseErr}
	for i := range o.sources {
		errs = append(errs, o.sources[i].readErr)
	}
	return errors.Join(errs...)
}

// sound says whether there is a keyring that is understood.
func (k *keyring) sound() bool { return k.exists && k.damage == nil }

// issued says whether the Certificate is Ready as its spec is now: a Secret that
// was left over, or that an earlier spec asked for, does not count.
func (s *source) issued() bool {
	c := s.condition(certmanagerv1.CertificateConditionReady)
	return c != nil && c.Status == cmmeta.ConditionTrue && c.ObservedGeneration >= s.certificate.Generation
}

// issuing says whether cert-manager works on the next certificate.
func (s *source) issuing() bool {
	c := s.condition(certmanagerv1.CertificateConditionIssuing)
	return c != nil && c.Status == cmmeta.ConditionTrue
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
