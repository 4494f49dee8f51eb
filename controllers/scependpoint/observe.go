package scependpoint

import (
	"context"
	"fmt"
	"slices"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// read is the outcome of one read: a value, its absence (both nil), or an error.
type read[T any] struct {
	value *T
	err   error
}

func (r read[T]) absent() bool { return r.value == nil && r.err == nil }

// observation is everything that was read for one reconcile. A failed read is a
// fact like any other: it becomes an Unknown condition.
type observation struct {
	issuer     issuer.Fact
	templates  []read[v1alpha1.CertificateTemplate] // in the order of spec.templates
	challenges []challengeFact                      // in the order of spec.challenges
	credential read[v1alpha1.RACredential]
	keyring    read[metav1.PartialObjectMetadata]
	state      read[stateFact]
	config     read[raconfig.Config] // what the servers have been given last
	deployment read[appsv1.Deployment]
	account    read[corev1.ServiceAccount]
	replicas   read[[]replica]
	exposure   exposureFacts
	requests   read[[]certmanagerv1.CertificateRequest]
}

// exposureFacts is what was read about the ways in which devices come.
type exposureFacts struct {
	ingressClass read[networkingv1.IngressClass]
	gatewayKinds route.GatewayKinds
	httpRoute    read[gatewayv1.HTTPRoute]
	tlsRoute     read[gatewayv1.TLSRoute]
	certificates map[string]read[certmanagerv1.Certificate] // by the name of the host
	secrets      map[string]secretFact                      // of TLS certificates of the user's own, by the name of the host
	serverTLS    secretFact                                 // what the servers mount where TLS is passed through
	adminTLS     secretFact                                 // what they mount for the admin exposure
	adminBasic   secretFact                                 // the user that may mint challenges
}

// secretFact is what is kept of a Secret: never its values.
type secretFact struct {
	found    bool
	version  string // UID and resourceVersion
	hasKeys  bool
	labelled bool // it has LabelChallengeCredentials
	err      error
}

// stateFact says whether the endpoint's own key is as it should be.
type stateFact struct{ usable bool }

func (r *Reconciler) observe(ctx context.Context, ep *v1alpha1.ScepEndpoint) *observation {
	return &observation{
		issuer:     issuer.Observe(ctx, r.client, ep.Namespace, ep.Spec.Issuance.IssuerRef),
		templates:  r.observeTemplates(ctx, ep),
		challenges: r.observeChallenges(ctx, ep),
		credential: get(ctx, r.client, ep.Namespace, render.CredentialName(ep), &v1alpha1.RACredential{}),
		keyring:    r.observeKeyring(ctx, ep),
		state:      r.observeState(ctx, ep),
		config:     r.observeConfig(ctx, ep),
		deployment: get(ctx, r.client, ep.Namespace, render.ChildName(ep.Name), &appsv1.Deployment{}),
		account:    get(ctx, r.client, ep.Namespace, render.ChildName(ep.Name), &corev1.ServiceAccount{}),
		replicas:   r.observeReplicas(ctx, ep),
		exposure:   r.observeExposure(ctx, ep),
		requests:   r.observeRequests(ctx, ep),
	}
}

// get reads one object; "not found" is an answer, not an error.
func get[T any, P interface {
	*T
	client.Object
}](ctx context.Context, from client.Reader, namespace, name string, into P) read[T] {
	err := from.Get(ctx, client.ObjectKey{Namespace: namespace, Name: name}, into)
	if apierrors.IsNotFound(err) {
		return read[T]{}
	}
	if err != nil {
		return read[T]{err: fmt.Errorf("read %T %s: %w", into, name, err)}
	}
	return read[T]{value: into}
}

func (r *Reconciler) observeTemplates(ctx context.Context, ep *v1alpha1.ScepEndpoint) []read[v1alpha1.CertificateTemplate] {
	out := make([]read[v1alpha1.CertificateTemplate], 0, len(ep.Spec.Templates))
	for _, entry := range ep.Spec.Templates {
		out = append(out, get(ctx, r.client, ep.Namespace, entry.TemplateRef.Name, &v1alpha1.CertificateTemplate{}))
	}
	return out
}

// observeSecret reads a Secret by its name, from the API server: Secrets are
// neither listed nor watched, and their values are not kept.
func (r *Reconciler) observeSecret(ctx context.Context, namespace, name string, keys ...string) secretFact {
	seen := get(ctx, r.live, namespace, name, &corev1.Secret{})
	if seen.value == nil {
		return secretFact{err: seen.err}
	}
	hasKeys := !slices.ContainsFunc(keys, func(key string) bool { return len(strings.TrimSpace(string(seen.value.Data[key]))) == 0 })
	labelled := seen.value.Labels[v1alpha1.LabelChallengeCredentials] == "true"
	return secretFact{found: true, hasKeys: hasKeys, labelled: labelled, version: version(seen.value)}
}

func version(o client.Object) string { return string(o.GetUID()) + "/" + o.GetResourceVersion() }

func (r *Reconciler) observeKeyring(ctx context.Context, ep *v1alpha1.ScepEndpoint) read[metav1.PartialObjectMetadata] {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return get(ctx, r.live, ep.Namespace, render.KeyringName(render.CredentialName(ep)), secret)
}

func (r *Reconciler) observeState(ctx context.Context, ep *v1alpha1.ScepEndpoint) read[stateFact] {
	seen := get(ctx, r.live, ep.Namespace, render.StateSecretName(ep.Name), &corev1.Secret{})
	if seen.value == nil {
		return read[stateFact]{err: seen.err}
	}
	usable := metav1.IsControlledBy(seen.value, ep) &&
		len(seen.value.Data[raconfig.HMACKeyFile]) == render.StateKeyBytes &&
		len(seen.value.Data[raconfig.ChallengeKeyFile]) == render.StateKeyBytes
	return read[stateFact]{value: &stateFact{usable: usable}}
}

// observeConfig reads what the servers were given last. One that cannot be decoded is as good as absent.
func (r *Reconciler) observeConfig(ctx context.Context, ep *v1alpha1.ScepEndpoint) read[raconfig.Config] {
	seen := get(ctx, r.client, ep.Namespace, render.ConfigMapName(ep.Name), &corev1.ConfigMap{})
	if seen.value == nil {
		return read[raconfig.Config]{err: seen.err}
	}
	config, err := raconfig.Decode([]byte(seen.value.Data[raconfig.ConfigFile]))
	if err != nil {
		return read[raconfig.Config]{}
	}
	return read[raconfig.Config]{value: config}
}

func (r *Reconciler) observeRequests(ctx context.Context, ep *v1alpha1.ScepEndpoint) read[[]certmanagerv1.CertificateRequest] {
	var list certmanagerv1.CertificateRequestList
	err := r.client.List(ctx, &list, client.InNamespace(ep.Namespace), client.MatchingLabels{v1alpha1.LabelEndpoint: ep.Name})
	if err != nil {
		return read[[]certmanagerv1.CertificateRequest]{err: fmt.Errorf("list CertificateRequests: %w", err)}
	}
	return read[[]certmanagerv1.CertificateRequest]{value: &list.Items}
}
