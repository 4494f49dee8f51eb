package helm

import (
	"context"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/test/internal/manifest"
)

// variants are values whose objects the API server has to accept.
var variants = map[string]string{
	"default":         "{}",
	"some namespaces": "namespaces: [default, kube-system]",
	"no limits":       "resources: {limits: null}",
	"without extras":  "{aggregateRoles: false, crds: {enabled: false}, metrics: {service: false}}",
	"with extras":     "{replicas: 3, podLabels: {a: b}, tolerations: [{operator: Exists}], imagePullSecrets: [{name: x}]}",
}

func TestAPIServerAccepts(t *testing.T) {
	makeNamespace(t, releaseNamespace, "restricted")
	for name, values := range variants {
		t.Run(name, func(t *testing.T) {
			for _, object := range objects(t, values) {
				if err := dryRun(object); err != nil {
					t.Errorf("%s: %v", manifest.ID(object), err)
				}
			}
		})
	}
}

// dryRun applies an object without a trace; unknown fields are errors.
func dryRun(object *unstructured.Unstructured) error {
	return server.Client.Patch(context.Background(), object.DeepCopy(), client.Apply, //nolint:staticcheck // an unstructured object applied as it was rendered
		client.DryRunAll, client.ForceOwnership, client.FieldOwner("helm-test"),
		client.FieldValidation(metav1.FieldValidationStrict))
}

// TestPodSecurity puts the operator's pod into a namespace that enforces "restricted".
func TestPodSecurity(t *testing.T) {
	const ns = "strict"
	makeNamespace(t, ns, "restricted")
	for name, values := range variants {
		t.Run(name, func(t *testing.T) {
			if err := createPod(t, ns, operatorPod(t, values)); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("the check can fail", func(t *testing.T) {
		pod := operatorPod(t, "{}")
		containers, _, _ := unstructured.NestedSlice(pod, "containers")
		containers[0].(map[string]any)["securityContext"] = map[string]any{"privileged": true}
		pod["containers"] = containers
		if err := createPod(t, ns, pod); err == nil || !strings.Contains(err.Error(), "violates PodSecurity") {
			t.Errorf("a privileged pod: %v", err)
		}
	})
}

// operatorPod is the pod spec in the rendered Deployment.
func operatorPod(t *testing.T, values string) map[string]any {
	t.Helper()
	deployment := find(t, objects(t, values), "Deployment")
	spec, found, err := unstructured.NestedMap(deployment.Object, "spec", "template", "spec")
	if err != nil || !found {
		t.Fatalf("no pod in the Deployment: %v", err)
	}
	return spec
}

func createPod(t *testing.T, namespace string, spec map[string]any) error {
	t.Helper()
	pod := newObject("v1", "Pod", "operator")
	pod.SetNamespace(namespace)
	pod.Object["spec"] = spec
	return server.Client.Create(context.Background(), pod, client.DryRunAll)
}

func makeNamespace(t *testing.T, name, podSecurity string) {
	t.Helper()
	ns := newObject("v1", "Namespace", name)
	ns.SetLabels(map[string]string{"pod-security.kubernetes.io/enforce": podSecurity})
	if err := server.Client.Create(context.Background(), ns); client.IgnoreAlreadyExists(err) != nil {
		t.Fatal(err)
	}
}

func newObject(apiVersion, kind, name string) *unstructured.Unstructured {
	object := &unstructured.Unstructured{}
	object.SetGroupVersionKind(schema.FromAPIVersionAndKind(apiVersion, kind))
	object.SetName(name)
	return object
}

// kustomize renders config/default.
func kustomize(t *testing.T) []*unstructured.Unstructured {
	t.Helper()
	out, err := exec.Command(server.Kubectl, "kustomize", filepath.Join(server.Root, "config", "default")).Output()
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := manifest.Parse(out)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

func TestAPIServerAcceptsKustomize(t *testing.T) {
	makeNamespace(t, releaseNamespace, "restricted")
	for _, object := range kustomize(t) {
		if err := dryRun(object); err != nil {
			t.Errorf("%s: %v", manifest.ID(object), err)
		}
	}
}
