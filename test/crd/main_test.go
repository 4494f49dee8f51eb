// Package crd loads the generated CRDs and the admission policy into a real API
// server, and asserts what a person who applies YAML is told.
package crd

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/scepter-pki/scepter/test/apiserver"
	"github.com/scepter-pki/scepter/test/internal/manifest"
)

const (
	template   = "CertificateTemplate"
	credential = "RACredential"
	endpoint   = "ScepEndpoint"
)

// server is this test binary's; TestMain sets it before any test runs.
var server *apiserver.Server

func TestMain(m *testing.M) {
	apiserver.Main(m, func(s *apiserver.Server) error {
		server = s
		return nil
	})
}

// namespace makes a namespace for one test.
func namespace(t *testing.T) string {
	t.Helper()
	ns := newObject("v1", "Namespace")
	ns.SetGenerateName("crd-")
	if err := server.Client.Create(context.Background(), ns); err != nil {
		t.Fatal(err)
	}
	return ns.GetName()
}

func newObject(apiVersion, kind string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.FromAPIVersionAndKind(apiVersion, kind))
	return object
}

// sample is the object of a kind in config/samples, in another namespace.
func sample(t *testing.T, kind, namespace string) *unstructured.Unstructured {
	t.Helper()
	objects, err := manifest.Read(filepath.Join(server.Root, "config/samples", strings.ToLower(kind)+".yaml"))
	if err != nil {
		t.Fatal(err)
	}
	objects[0].SetNamespace(namespace)
	return objects[0]
}

// change applies a JSON merge patch (RFC 7396), written in YAML, to an object:
// null removes, a list replaces.
func change(t *testing.T, object *unstructured.Unstructured, patch string) {
	t.Helper()
	var fields map[string]any
	if err := yaml.Unmarshal([]byte(patch), &fields); err != nil {
		t.Fatalf("patch %q: %v", patch, err)
	}
	merge(object.Object, fields)
}

func merge(into, from map[string]any) {
	for key, value := range from {
		fields, isMap := value.(map[string]any)
		existing, wasMap := into[key].(map[string]any)
		switch {
		case value == nil:
			delete(into, key)
		case isMap && wasMap:
			merge(existing, fields)
		default:
			into[key] = value
		}
	}
}

// tryCreate creates an object without a trace; unknown fields are errors.
func tryCreate(object *unstructured.Unstructured) error {
	return server.Client.Create(context.Background(), object.DeepCopy(), client.DryRunAll,
		client.FieldValidation(metav1.FieldValidationStrict))
}

// checkMessage compares an error with a fragment of its text; "" wants no error.
func checkMessage(t *testing.T, err error, want string) {
	t.Helper()
	switch {
	case want == "" && err != nil:
		t.Errorf("refused: %v", err)
	case want != "" && err == nil:
		t.Errorf("accepted, want the message %q", want)
	case want != "" && !strings.Contains(err.Error(), want):
		t.Errorf("the message is\n  %v\nwant in it\n  %s", err, want)
	}
}
