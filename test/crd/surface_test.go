package crd

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/discovery"
	"k8s.io/client-go/kubernetes"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/golden"
	"github.com/scepter-pki/scepter/test/internal/manifest"
)

// TestSamples applies config/samples as a person would.
func TestSamples(t *testing.T) {
	objects, err := manifest.Read(filepath.Join(server.Root, "config/samples/*.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	ns := namespace(t)
	applied := 0
	for _, object := range objects {
		if object.GetKind() == "Kustomization" {
			continue
		}
		if object.GetNamespace() != "" {
			object.SetNamespace(ns)
		}
		err := server.Client.Patch(context.Background(), object, client.Apply, //nolint:staticcheck // an unstructured object applied as it is written
			client.DryRunAll, client.FieldOwner("test"), client.FieldValidation(metav1.FieldValidationStrict))
		if err != nil {
			t.Errorf("%s: %v", manifest.ID(object), err)
		}
		applied++
	}
	if applied < 8 {
		t.Errorf("config/samples has %d objects, want all that an endpoint needs", applied)
	}
}

func TestUnknownFieldIsRefused(t *testing.T) {
	object := sample(t, endpoint, namespace(t))
	change(t, object, "spec: {server: {image: evil}}")
	checkMessage(t, tryCreate(object), `unknown field "spec.server.image"`)
}

// minimal are the smallest objects that are accepted.
var minimal = map[string]string{
	template:   "{usages: [client auth]}",
	credential: "{issuerRef: {name: ca}}",
	endpoint: `
issuance: {issuerRef: {name: ca}}
templates: [{name: device, templateRef: {name: device}}]
challenges: [{name: mdm, type: Static, static: {secretRef: {name: s, key: k}, acknowledgeStoredChallenge: true}}]
exposure: {hosts: [{name: scep.example.com}], gateway: {parentRefs: [{name: edge}]}}`,
}

// TestDefaults compares what the API server makes of the minimal objects with golden files.
func TestDefaults(t *testing.T) {
	for kind, spec := range minimal {
		t.Run(kind, func(t *testing.T) {
			object := newObject(v1alpha1.GroupVersion.String(), kind)
			object.SetNamespace(namespace(t))
			object.SetName("minimal")
			change(t, object, "spec: {}")
			var fields map[string]any
			if err := yaml.Unmarshal([]byte(spec), &fields); err != nil {
				t.Fatal(err)
			}
			object.Object["spec"] = fields
			if err := server.Client.Create(context.Background(), object, client.DryRunAll); err != nil {
				t.Fatal(err)
			}
			got, err := yaml.Marshal(object.Object["spec"])
			if err != nil {
				t.Fatal(err)
			}
			golden.Compare(t, "testdata/defaults."+strings.ToLower(kind)+".yaml", got)
		})
	}
}

func TestNames(t *testing.T) {
	want := map[string]string{template: "scept", credential: "racred", endpoint: "scep"}
	d := discovery.NewDiscoveryClientForConfigOrDie(server.Config)
	list, err := d.ServerResourcesForGroupVersion(v1alpha1.GroupVersion.String())
	if err != nil {
		t.Fatal(err)
	}
	for _, resource := range list.APIResources {
		if strings.Contains(resource.Name, "/") {
			continue
		}
		if !slices.Equal(resource.ShortNames, []string{want[resource.Kind]}) {
			t.Errorf("%s has the short names %v, want %q", resource.Kind, resource.ShortNames, want[resource.Kind])
		}
		if !slices.Contains(resource.Categories, "scepter") || !resource.Namespaced {
			t.Errorf("%s: categories %v, namespaced %v", resource.Kind, resource.Categories, resource.Namespaced)
		}
		delete(want, resource.Kind)
	}
	if len(want) > 0 {
		t.Errorf("not served: %v", want)
	}
}

// TestColumns compares the columns of "kubectl get"; those in parentheses need -o wide.
func TestColumns(t *testing.T) {
	tests := map[string]string{
		"certificatetemplates": "Name Ready Reason Validity (Used by) Age",
		"racredentials":        "Name Ready Purpose Expires Renews Step (Reason) (Message) Age",
		"scependpoints":        "Name Ready Reason URL Replicas RA expires CA expires Age (Max URL) (Issuer) (Last issued) (Canary) (Message)",
	}
	clientset := kubernetes.NewForConfigOrDie(server.Config)
	for resource, want := range tests {
		t.Run(resource, func(t *testing.T) {
			raw, err := clientset.RESTClient().Get().
				AbsPath("/apis/scepter.dev/v1alpha1", resource).
				SetHeader("Accept", "application/json;as=Table;v=v1;g=meta.k8s.io").
				DoRaw(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			var table metav1.Table
			if err := json.Unmarshal(raw, &table); err != nil {
				t.Fatal(err)
			}
			var columns []string
			for _, column := range table.ColumnDefinitions {
				name := column.Name
				if column.Priority > 0 {
					name = "(" + name + ")"
				}
				columns = append(columns, name)
			}
			if got := strings.Join(columns, " "); got != want {
				t.Errorf("columns are\n  %s\nwant\n  %s", got, want)
			}
		})
	}
}

// TestScale scales an endpoint as "kubectl scale" and an autoscaler do.
func TestScale(t *testing.T) {
	ctx := context.Background()
	object := sample(t, endpoint, namespace(t))
	if err := server.Client.Create(ctx, object); err != nil {
		t.Fatal(err)
	}
	status := object.DeepCopy()
	change(t, status, "status: {replicas: 2, selector: 'app=ra'}")
	if err := server.Client.Status().Update(ctx, status); err != nil {
		t.Fatal(err)
	}
	scale := newObject("autoscaling/v1", "Scale")
	if err := server.Client.SubResource("scale").Get(ctx, object, scale); err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]any{"spec.replicas": int64(2), "status.replicas": int64(2), "status.selector": "app=ra"} {
		if got := field(scale, path); got != want {
			t.Errorf("scale %s is %v, want %v", path, got, want)
		}
	}
	change(t, scale, "spec: {replicas: 5}")
	if err := server.Client.SubResource("scale").Update(ctx, object, client.WithSubResourceBody(scale)); err != nil {
		t.Fatal(err)
	}
	if err := server.Client.Get(ctx, client.ObjectKeyFromObject(object), object); err != nil {
		t.Fatal(err)
	}
	if got := field(object, "spec.server.replicas"); got != int64(5) {
		t.Errorf("spec.server.replicas is %v after scaling to 5", got)
	}
}

func field(object *unstructured.Unstructured, path string) any {
	value, _, err := unstructured.NestedFieldNoCopy(object.Object, strings.Split(path, ".")...)
	if err != nil {
		return fmt.Sprint(err)
	}
	return value
}
