package scependpoint

import (
	"context"
	"errors"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/peers"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// signerFacts is what was read about the signers of an endpoint that issues
// directly; of every other endpoint nothing is read.
type signerFacts struct {
	account    read[corev1.ServiceAccount]
	deployment read[appsv1.Deployment]
	replicas   read[[]replica]
	server     peerFact
	client     peerFact
	ca         read[metav1.PartialObjectMetadata] // the Secret with the CA's key
	revoked    read[revokedFact]
}

// peerFact is one of the two Secrets by which servers and signers know each other.
// Its keys were made here, and are kept for one reconcile: to write what is missing.
type peerFact struct {
	side    peers.Side
	data    map[string][]byte
	version string
	err     error
}

// revokedFact is what was seen of the list of revoked certificates.
type revokedFact struct {
	version string
	updated time.Time // zero if it cannot be read
}

func (r *Reconciler) observeSigners(ctx context.Context, ep *v1alpha1.ScepEndpoint, i issuer.Fact) signerFacts {
	if !render.IsDirect(ep) {
		return signerFacts{}
	}
	name := render.SignerName(ep.Name)
	account := get(ctx, r.client, ep.Namespace, name, &corev1.ServiceAccount{})
	return signerFacts{
		account:    account,
		deployment: get(ctx, r.client, ep.Namespace, name, &appsv1.Deployment{}),
		replicas:   r.observeSignerPods(ctx, ep),
		server:     r.observePeer(ctx, ep.Namespace, render.SignerServerSecretName(ep.Name), account.value),
		client:     r.observePeer(ctx, ep.Namespace, render.SignerClientSecretName(ep.Name), account.value),
		ca:         r.observeCA(ctx, ep, i),
		revoked:    r.observeRevoked(ctx, ep),
	}
}

// observePeer reads one of the two Secrets. One that somebody else made counts for
// nothing; the attempt to write it tells whose it is.
func (r *Reconciler) observePeer(ctx context.Context, namespace, name string, owner *corev1.ServiceAccount) peerFact {
	seen := get(ctx, r.live, namespace, name, &corev1.Secret{})
	if seen.value == nil || owner == nil || !metav1.IsControlledBy(seen.value, owner) {
		return peerFact{err: seen.err}
	}
	written, err := time.Parse(time.RFC3339, seen.value.Annotations[render.AnnotationWrittenAt])
	if err != nil {
		written = time.Time{}
	}
	return peerFact{side: peers.Decode(seen.value.Data, written), data: seen.value.Data, version: version(seen.value)}
}

// observeCA reads that the Secret is there, and in which version, not what is in it.
func (r *Reconciler) observeCA(ctx context.Context, ep *v1alpha1.ScepEndpoint, i issuer.Fact) read[metav1.PartialObjectMetadata] {
	name := caSecret(ep, i)
	if name == "" {
		return read[metav1.PartialObjectMetadata]{}
	}
	secret := &metav1.PartialObjectMetadata{}
	secret.SetGroupVersionKind(corev1.SchemeGroupVersion.WithKind("Secret"))
	return get(ctx, r.live, ep.Namespace, name, secret)
}

// observeRevoked asks the API server: a list that somebody made by hand may lack the
// labels by which the caches are scoped.
func (r *Reconciler) observeRevoked(ctx context.Context, ep *v1alpha1.ScepEndpoint) read[revokedFact] {
	seen := get(ctx, r.live, ep.Namespace, render.RevokedName(ep.Name), &corev1.ConfigMap{})
	if seen.value == nil {
		return read[revokedFact]{err: seen.err}
	}
	fact := &revokedFact{version: version(seen.value)}
	if list, err := raconfig.DecodeRevocations([]byte(seen.value.Data[raconfig.RevocationsFile])); err == nil {
		fact.updated = list.Updated
	}
	return read[revokedFact]{value: fact}
}

func (f *signerFacts) readErrors() error {
	return errors.Join(f.account.err, f.deployment.err, f.replicas.err, f.server.err, f.client.err, f.ca.err, f.revoked.err)
}
