// Package issuer reads a cert-manager issuer and tells, as a condition, whether it
// can issue. Every kind of Scepter that names an issuer mirrors it in the same words.
package issuer

import (
	"context"
	"fmt"
	"strings"

	certmanager "github.com/cert-manager/cert-manager/pkg/apis/certmanager"
	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
)

// Fact is what was found out about an issuer.
type Fact struct {
	// Ref is the reference that was followed.
	Ref v1alpha1.IssuerReference
	// Namespace from which it was followed.
	Namespace string
	// Issuer is an Issuer or a ClusterIssuer; nil if there is none, or if it is of a foreign kind.
	Issuer certmanagerv1.GenericIssuer
	// Err says why it could not be read.
	Err error
}

// Observe reads the issuer that a reference names. Issuers of other groups are
// not read: the operator has no rights on kinds it does not know.
func Observe(ctx context.Context, reader client.Reader, namespace string, ref v1alpha1.IssuerReference) Fact {
	fact := Fact{Ref: ref, Namespace: namespace}
	issuer, key := empty(namespace, ref)
	if issuer == nil {
		return fact
	}
	err := reader.Get(ctx, key, issuer)
	switch {
	case apierrors.IsNotFound(err):
	case err != nil:
		fact.Err = err
	default:
		fact.Issuer = issuer
	}
	return fact
}

func empty(namespace string, ref v1alpha1.IssuerReference) (certmanagerv1.GenericIssuer, client.ObjectKey) {
	switch {
	case IsForeign(ref):
		return nil, client.ObjectKey{}
	case ref.Kind == certmanagerv1.ClusterIssuerKind:
		return &certmanagerv1.ClusterIssuer{}, client.ObjectKey{Name: ref.Name}
	}
	return &certmanagerv1.Issuer{}, client.ObjectKey{Namespace: namespace, Name: ref.Name}
}

// IsForeign says whether a reference names an issuer that cert-manager itself does not know.
func IsForeign(ref v1alpha1.IssuerReference) bool {
	ref = Canonical(ref)
	return ref.Group != certmanager.GroupName || ref.Kind != certmanagerv1.IssuerKind && ref.Kind != certmanagerv1.ClusterIssuerKind
}

// Canonical fills in the defaults of a reference, so that two can be compared.
func Canonical(ref v1alpha1.IssuerReference) v1alpha1.IssuerReference {
	if ref.Group == "" {
		ref.Group = certmanager.GroupName
	}
	if ref.Kind == "" {
		ref.Kind = certmanagerv1.IssuerKind
	}
	return ref
}

// Name is how messages name an issuer.
func Name(ref v1alpha1.IssuerReference) string {
	return Canonical(ref).Kind + " " + ref.Name
}

// Condition is the condition IssuerReady.
func (f Fact) Condition() metav1.Condition {
	const ready = v1alpha1.ConditionIssuerReady
	name := Name(f.Ref)
	switch {
	case IsForeign(f.Ref):
		return conditions.True(ready, v1alpha1.ReasonIssuerUnknown,
			fmt.Sprintf("%s is of the group %s, whose state is not read; failures show when it issues", name, f.Ref.Group))
	case f.Err != nil:
		return conditions.Unknown(ready, v1alpha1.ReasonReadFailed, name+" could not be read; the operator's log says why, and it tries again")
	case f.Issuer == nil:
		return conditions.False(ready, v1alpha1.ReasonIssuerNotFound, f.notFound(name))
	}
	return f.mirror(name)
}

func (f Fact) notFound(name string) string {
	if f.Ref.Kind == certmanagerv1.ClusterIssuerKind {
		return name + " does not exist: create it, or correct issuerRef"
	}
	return fmt.Sprintf("%s does not exist in namespace %s: create it, or correct issuerRef", name, f.Namespace)
}

// Unsupported says why the issuer can never sign what a device asks for, and what
// to do; "" if it may be able to, or is not known.
func (f Fact) Unsupported() string {
	if f.Issuer == nil {
		return ""
	}
	switch spec := f.Issuer.GetSpec(); {
	case spec.ACME != nil:
		return Name(f.Ref) + " is of type ACME, which has each DNS name validated over the network and knows no other name; " +
			"devices cannot answer that: name an issuer with a CA of its own in issuerRef (CA, Vault, Venafi or an external one)"
	case spec.SelfSigned != nil:
		return Name(f.Ref) + " is of type SelfSigned, which signs with the private key of whoever asks, and a device keeps that to itself: " +
			"name an issuer with a CA of its own in issuerRef; a SelfSigned issuer can issue the certificate of that CA"
	}
	return ""
}

// mirror repeats the issuer's own Ready condition.
func (f Fact) mirror(name string) metav1.Condition {
	const ready = v1alpha1.ConditionIssuerReady
	for _, c := range f.Issuer.GetStatus().Conditions {
		if c.Type != certmanagerv1.IssuerConditionReady {
			continue
		}
		if c.Status == cmmeta.ConditionTrue {
			return conditions.True(ready, v1alpha1.ReasonSucceeded, name+" is ready")
		}
		return conditions.False(ready, v1alpha1.ReasonIssuerNotReady,
			fmt.Sprintf("%s is not ready, cert-manager says: %s; repair the issuer", name, strings.TrimRight(c.Message, ". ")))
	}
	return conditions.False(ready, v1alpha1.ReasonIssuerNotReady,
		name+" has no Ready condition yet: see whether cert-manager is running")
}
