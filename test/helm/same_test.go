package helm

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/scepter-pki/scepter/test/internal/manifest"
)

// TestChartAndKustomizeInstallTheSame compares every object: rules, policy, CRDs,
// the operator's pod. Helm's own labels and annotations are left out, and the
// Namespace, which Helm leaves to its user.
func TestChartAndKustomizeInstallTheSame(t *testing.T) {
	fromChart := canonical(t, objects(t, "{}"))
	fromConfig := canonical(t, kustomize(t))
	delete(fromConfig, "Namespace /"+releaseNamespace)
	if len(fromConfig) < 10 {
		t.Fatalf("config/default has %d objects only", len(fromConfig))
	}
	for _, id := range slices.Sorted(maps.Keys(fromConfig)) {
		if got, ok := fromChart[id]; !ok {
			t.Errorf("the chart lacks %s", id)
		} else if got != fromConfig[id] {
			t.Errorf("%s differs:\nchart:  %s\nconfig: %s", id, got, fromConfig[id])
		}
	}
	for _, id := range slices.Sorted(maps.Keys(fromChart)) {
		if _, ok := fromConfig[id]; !ok {
			t.Errorf("config/default lacks %s", id)
		}
	}
}

// canonical is the JSON of objects without what only Helm adds, by their names.
func canonical(t *testing.T, all []*unstructured.Unstructured) map[string]string {
	t.Helper()
	byID := map[string]string{}
	for _, object := range all {
		stripLabels(object.Object)
		stripAnnotations(object)
		content, err := json.Marshal(object.Object)
		if err != nil {
			t.Fatal(err)
		}
		byID[manifest.ID(object)] = string(content)
	}
	return byID
}

// helmLabels are the beginnings of labels that only the chart sets.
var helmLabels = []string{"helm.sh/", "app.kubernetes.io/"}

// stripLabels takes labels off an object and the pods in it.
func stripLabels(fields map[string]any) {
	for key, value := range fields {
		child, ok := value.(map[string]any)
		if !ok {
			continue
		}
		if key == "metadata" {
			stripMetadata(child)
		}
		stripLabels(child)
	}
}

func stripMetadata(metadata map[string]any) {
	labels, ok := metadata["labels"].(map[string]any)
	if !ok {
		return
	}
	maps.DeleteFunc(labels, func(name string, _ any) bool {
		return slices.ContainsFunc(helmLabels, func(prefix string) bool { return strings.HasPrefix(name, prefix) })
	})
	if len(labels) == 0 {
		delete(metadata, "labels")
	}
}

func stripAnnotations(object *unstructured.Unstructured) {
	annotations := object.GetAnnotations()
	delete(annotations, "helm.sh/resource-policy")
	if len(annotations) == 0 {
		annotations = nil
	}
	object.SetAnnotations(annotations)
}

// TestCRDsAreKept looks at what "helm uninstall" leaves.
func TestCRDsAreKept(t *testing.T) {
	for values, want := range map[string]string{"{}": "keep", "crds: {keep: false}": ""} {
		count := 0
		for _, object := range objects(t, values) {
			if object.GetKind() != "CustomResourceDefinition" {
				continue
			}
			count++
			if got := object.GetAnnotations()["helm.sh/resource-policy"]; got != want {
				t.Errorf("%s: %s has the resource policy %q, want %q", values, object.GetName(), got, want)
			}
		}
		if count != 3 {
			t.Errorf("%s: %d CRDs, want 3", values, count)
		}
	}
}
