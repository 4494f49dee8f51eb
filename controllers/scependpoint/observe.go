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
	"k8s.io/apimachinery/pkg/types"
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
	recording  []recordingFact
	credential read[v1alpha1.RACredential]
	keyring    read[metav1.PartialObjectMetadata]
	earlier    []credentialFact // of what is or was shown, where that is another RACredential
	state      read[stateFact]
	config     read[raconfig.Config] // what the servers have been given last
	files      configFiles           // the same, as it is written, and the last good one
	deployment read[appsv1.Deployment]
	account    read[corev1.ServiceAccount]
	replicas   read[[]replica]
	leaving    []replica // servers that end
	exposure   exposureFacts
	requests   read[[]certmanagerv1.CertificateRequest] // of devices
	trials     []certmanagerv1.CertificateRequest       // of no device
	canaries   []certmanagerv1.CertificateRequest       // likewise
	signers    signerFacts
	ca         caFacts
	claims     read[[]string] // those to be deleted
	funnel     funnelFact
	owed       owedFact
}

// exposureFacts is what was read about the ways in which devices come.
type exposureFacts struct {
	lost         read[map[string]types.NamespacedName] // hosts that older endpoints have, by name
	ingressClass read[networkingv1.IngressClass]
	ingresses    []read[networkingv1.Ingress] // ours, as they are
	service      read[corev1.Service]         // that of exposure.service
	gateways     []gatewayFact
	raised       bool // the operator keeps the ingress implementation's limit raised
	gatewayKinds route.GatewayKinds
	httpRoute    read[gatewayv1.HTTPRoute]
	tlsRoute     read[gatewayv1.TLSRoute]
	listenerSets map[string]read[gatewayv1.ListenerSet]     // ours, by name
	certificates map[string]read[certmanagerv1.Certificate] // by the name of the host
	secrets      map[string]secretFact                      // of TLS certificates of the user's own, by the name of the host
	serverTLS    secretFact                                 // what the servers mount where TLS is passed through
	adminTLS     secretFact                                 // what they mount for the admin exposure
	adminBasic   secretFact                                 // the user that may mint challenges
	adminClients secretFact                                 // the CAs of callers with client certificates, in a ConfigMap
}

// secretFact is what is kept of a Secret: never its values.
type secretFact struct {
	found    bool
	version  string // UID and resourceVersion
	hasKeys  bool
	labelled bool     // it has LabelChallengeCredentials
	findings []string // of a bundle of CA certificates
	err      error
}

func (r *Reconciler) observe(ctx context.Context, ep *v1alpha1.ScepEndpoint) *observation {
	from := issuer.Observe(ctx, r.client, ep.Namespace, ep.Spec.Issuance.IssuerRef)
	seen := &observation{
		issuer:     from,
		templates:  r.observeTemplates(ctx, ep),
		challenges: r.observeChallenges(ctx, ep),
		recording:  r.observeRecording(ctx, ep),
		credential: get(ctx, r.client, ep.Namespace, render.CredentialName(ep), &v1alpha1.RACredential{}),
		keyring:    r.observeKeyring(ctx, ep.Namespace, render.CredentialName(ep)),
		state:      r.observeState(ctx, ep),
		deployment: get(ctx, r.client, ep.Namespace, render.ChildName(ep.Name), &appsv1.Deployment{}),
		account:    get(ctx, r.client, ep.Namespace, render.ChildName(ep.Name), &corev1.ServiceAccount{}),
		exposure:   r.observeExposure(ctx, ep),
		signers:    r.observeSigners(ctx, ep, from),
		claims:     r.observeExpiredClaims(ctx, ep),
	}
	seen.requests, seen.trials, seen.canaries = r.observeRequests(ctx, ep)
	seen.config, seen.files = r.observeConfig(ctx, ep)
	seen.replicas, seen.leaving = r.observeReplicas(ctx, ep)
	seen.owed = r.owed.see(ep, seen)
	seen.funnel = r.observeFunnel(ctx, ep, seen.replicas, seen.leaving)
	seen.earlier = r.observeEarlier(ctx, ep, seen.config.value)
	seen.ca = r.observeAuthorities(ctx, ep, from, seen.credentialFacts(ep))
	return seen
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

func (r *Reconciler) observeKeyring(ctx context.Context, namespace, credential string) read[metav1.PartialObjectMetadata] {
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return get(ctx, r.live, namespace, render.KeyringName(credential), secret)
}

// observeConfig reads what the servers were given last. One that cannot be decoded is as
// good as absent, but for the last good one beside it.
func (r *Reconciler) observeConfig(ctx context.Context, ep *v1alpha1.ScepEndpoint) (read[raconfig.Config], configFiles) {
	seen := get(ctx, r.client, ep.Namespace, render.ConfigMapName(ep.Name), &corev1.ConfigMap{})
	if seen.value == nil {
		return read[raconfig.Config]{err: seen.err}, configFiles{}
	}
	files := configFiles{newest: seen.value.Data[raconfig.ConfigFile], lastGood: raconfig.ReadLastGood(seen.value.Data)}
	config, err := raconfig.Decode([]byte(files.newest))
	if err != nil {
		return read[raconfig.Config]{}, files
	}
	return read[raconfig.Config]{value: config}, files
}

// observeRequests lists the records of enrolments, and the requests of trials and canaries.
func (r *Reconciler) observeRequests(
	ctx context.Context, ep *v1alpha1.ScepEndpoint,
) (records read[[]certmanagerv1.CertificateRequest], trials, canaries []certmanagerv1.CertificateRequest) {
	var list certmanagerv1.CertificateRequestList
	err := r.client.List(ctx, &list, client.InNamespace(ep.Namespace), client.MatchingLabels{v1alpha1.LabelEndpoint: ep.Name})
	if err != nil {
		return read[[]certmanagerv1.CertificateRequest]{err: fmt.Errorf("list CertificateRequests: %w", err)}, nil, nil
	}
	found, trials := split(slices.DeleteFunc(list.Items, ofCertificate), v1alpha1.LabelTrial)
	found, canaries = split(found, v1alpha1.LabelCanary)
	return read[[]certmanagerv1.CertificateRequest]{value: &found}, trials, canaries
}

// split takes the requests with a label, which are of no device, out of the records of
// enrolments.
func split(all []certmanagerv1.CertificateRequest, label string) (records, labelled []certmanagerv1.CertificateRequest) {
	records = []certmanagerv1.CertificateRequest{}
	for _, r := range all {
		if r.Labels[label] != "" {
			labelled = append(labelled, r)
			continue
		}
		records = append(records, r)
	}
	return records, labelled
}

// ofCertificate says whether cert-manager made a request for a Certificate, with whose
// labels: those of an endpoint's own TLS are no enrolments.
func ofCertificate(request certmanagerv1.CertificateRequest) bool {
	owner := metav1.GetControllerOf(&request)
	return owner != nil && owner.Kind == certmanagerv1.CertificateKind
}
