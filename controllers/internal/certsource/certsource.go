// Package certsource reads CA certificates from where a CertificateSource says they
// are. What is missing or cannot be used is a fact with a cause and a remedy.
package certsource

import (
	"context"
	"fmt"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/pkifacts"
)

// Fact is what was found at a source.
type Fact struct {
	// Wanted is false where no source is named.
	Wanted bool
	// Bundle is nil where there is nothing to use.
	Bundle *pkifacts.Bundle
	// Problem says why there is nothing, and what to do; "" if there is something, or
	// if it could not be read.
	Problem string
	// Err says why it could not be read: to be tried again.
	Err error
	// Where names the field and the object, for messages.
	Where string
}

// Usable says whether there are certificates.
func (f Fact) Usable() bool { return f.Bundle != nil }

// Observe reads a source, by name. Field is where it stands in the spec.
func Observe(ctx context.Context, reader client.Reader, namespace, field string, source *v1alpha1.CertificateSource) Fact {
	if source == nil {
		return Fact{}
	}
	at := locate(source)
	fact := Fact{Wanted: true, Where: field + at.name}
	in, found, err := at.read(ctx, reader, namespace)
	switch bundle := pkifacts.ReadBundle(in); {
	case err != nil:
		fact.Err = fmt.Errorf("read %s: %w", fact.Where, err)
	case !found:
		fact.Problem = fmt.Sprintf("%s does not exist in namespace %s, or lacks that key: create it, or correct the reference", fact.Where, namespace)
	case bundle.Empty():
		fact.Problem = fact.Where + " holds no CA certificate in PEM: put it there"
	default:
		fact.Bundle = bundle
	}
	return fact
}

// location is one of the places where certificates may be.
type location struct {
	name string // for messages
	read func(ctx context.Context, reader client.Reader, namespace string) (content []byte, found bool, err error)
}

func locate(s *v1alpha1.CertificateSource) location {
	switch {
	case s.ConfigMapRef != nil:
		ref := s.ConfigMapRef
		return location{fmt.Sprintf(": ConfigMap %s, key %s,", ref.Name, ref.Key), func(ctx context.Context, reader client.Reader, namespace string) ([]byte, bool, error) {
			var object corev1.ConfigMap
			found, err := get(ctx, reader, client.ObjectKey{Namespace: namespace, Name: ref.Name}, &object)
			content, has := object.Data[ref.Key]
			return []byte(content), found && has, err
		}}
	case s.SecretRef != nil:
		ref := s.SecretRef
		return location{fmt.Sprintf(": Secret %s, key %s,", ref.Name, ref.Key), func(ctx context.Context, reader client.Reader, namespace string) ([]byte, bool, error) {
			var object corev1.Secret
			found, err := get(ctx, reader, client.ObjectKey{Namespace: namespace, Name: ref.Name}, &object)
			content, has := object.Data[ref.Key]
			return content, found && has, err
		}}
	}
	return location{".pem", func(context.Context, client.Reader, string) ([]byte, bool, error) { return []byte(s.PEM), true, nil }}
}

func get(ctx context.Context, reader client.Reader, key client.ObjectKey, into client.Object) (found bool, err error) {
	err = reader.Get(ctx, key, into)
	if apierrors.IsNotFound(err) {
		return false, nil
	}
	return err == nil, err //nolint:wrapcheck // the caller says what was read
}
