package helm

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/scepter-pki/scepter/test/golden"
)

// TestGolden renders each testdata/<case>.values.yaml and compares with <case>.golden.yaml.
func TestGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.values.yaml")
	if err != nil || len(cases) == 0 {
		t.Fatalf("cases: %v, %v", cases, err)
	}
	for _, path := range cases {
		name := strings.TrimSuffix(path, ".values.yaml")
		t.Run(filepath.Base(name), func(t *testing.T) {
			values, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got, err := render(t, string(values))
			if err != nil {
				t.Fatal(err)
			}
			golden.Compare(t, name+".golden.yaml", []byte(ownTemplates(got)))
		})
	}
}

// generated are templates that only wrap what "make generate" made; that they are
// right is what TestChartAndKustomizeInstallTheSame says.
var generated = []string{"admission.yaml", "crds.yaml", "roles.yaml"}

// ownTemplates leaves out the documents that come from generated templates.
func ownTemplates(rendered string) string {
	documents := strings.SplitAfter(rendered, "\n---\n")
	return strings.Join(slices.DeleteFunc(documents, func(document string) bool {
		return slices.ContainsFunc(generated, func(template string) bool {
			return strings.Contains(document, "# Source: scepter/templates/"+template+"\n")
		})
	}), "")
}

// TestRoles looks at which roles there are and who holds the operator's.
func TestRoles(t *testing.T) {
	tests := map[string]struct{ values, roles, bound string }{
		"default": {
			"{}", "scepter-challenge-minter scepter-edit scepter-operator scepter-ra scepter-ra-direct scepter-ra-reviews scepter-view",
			"ClusterRoleBinding / -> scepter-operator, ClusterRoleBinding / -> scepter-ra-reviews",
		},
		"no roles for users": {
			"aggregateRoles: false", "scepter-challenge-minter scepter-operator scepter-ra scepter-ra-direct scepter-ra-reviews",
			"ClusterRoleBinding / -> scepter-operator, ClusterRoleBinding / -> scepter-ra-reviews",
		},
		"some namespaces": {
			"namespaces: [edge, pki]", "scepter-challenge-minter scepter-edit scepter-operator scepter-operator-cluster scepter-ra scepter-ra-direct scepter-ra-reviews scepter-view",
			"ClusterRoleBinding / -> scepter-operator-cluster, ClusterRoleBinding / -> scepter-ra-reviews, RoleBinding edge/ -> scepter-operator, RoleBinding pki/ -> scepter-operator",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			var roles, bound []string
			for _, object := range objects(t, test.values) {
				switch object.GetKind() {
				case "ClusterRole":
					roles = append(roles, object.GetName())
				case "ClusterRoleBinding", "RoleBinding":
					if role, _, _ := unstructured.NestedString(object.Object, "roleRef", "name"); role != "scepter-leader-election" {
						bound = append(bound, object.GetKind()+" "+object.GetNamespace()+"/ -> "+role)
					}
				}
			}
			slices.Sort(roles)
			slices.Sort(bound)
			if got := strings.Join(roles, " "); got != test.roles {
				t.Errorf("roles are %q, want %q", got, test.roles)
			}
			if got := strings.Join(bound, ", "); got != test.bound {
				t.Errorf("bindings are %q, want %q", got, test.bound)
			}
		})
	}
}

func TestSchemaRefuses(t *testing.T) {
	tests := map[string]struct{ values, want string }{
		"an unknown value":         {"imagee: {tag: v1}", "additional properties 'imagee' not allowed"},
		"an unknown value inside":  {"image: {digest: sha256}", "additional properties 'digest' not allowed"},
		"an unknown pull policy":   {"image: {pullPolicy: Sometimes}", "value must be one of"},
		"a tag with a space":       {"image: {tag: 'a b'}", "does not match pattern"},
		"too many operators":       {"replicas: 11", "maximum: got 11, want 10"},
		"half an operator":         {"replicas: 0.5", "want integer"},
		"a namespace in capitals":  {"namespaces: [PKI]", "does not match pattern"},
		"a namespace twice":        {"namespaces: [pki, pki]", "are equal"},
		"an unknown log level":     {"logLevel: loud", "value must be one of"},
		"a string for a boolean":   {"crds: {keep: 'yes'}", "want boolean"},
		"a number for a label":     {"podLabels: {a: 1}", "want string"},
		"a wave of none":           {"limits: {imageWave: 0%}", "does not match pattern"},
		"an interval without unit": {"metrics: {serviceMonitor: {interval: '30'}}", "does not match pattern"},
		"a pull secret by name":    {"imagePullSecrets: [registry]", "want object"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			_, err := render(t, test.values)
			switch {
			case err == nil:
				t.Errorf("accepted, want %q", test.want)
			case !strings.Contains(err.Error(), test.want):
				t.Errorf("the message is\n  %v\nwant in it\n  %s", err, test.want)
			}
		})
	}
}

func TestLint(t *testing.T) {
	if out, err := runHelm(t, "", "lint", "--strict", chart()); err != nil {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNotes(t *testing.T) {
	tests := map[string]struct{ values, want string }{
		"default":         {"{}", "serving all namespaces"},
		"some namespaces": {"namespaces: [pki, edge]", "serving pki, edge"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			out, err := runHelm(t, test.values, "install", "scepter", chart(),
				"--namespace", releaseNamespace, "--dry-run=client", "--values", "-")
			if err != nil {
				t.Fatal(err)
			}
			_, notes, found := strings.Cut(out, "NOTES:")
			if !found || !strings.Contains(notes, test.want) {
				t.Errorf("the notes are %q, want in them %q", notes, test.want)
			}
		})
	}
}

// TestOperatorKnowsItsFlags asks the operator itself about the flags that the chart sets.
func TestOperatorKnowsItsFlags(t *testing.T) {
	help := exec.Command("go", "run", "./cmd/operator", "--help")
	help.Dir = server.Root
	known, err := help.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, known)
	}
	containers, _, _ := unstructured.NestedSlice(operatorPod(t, "namespaces: [pki]"), "containers")
	args, _, _ := unstructured.NestedStringSlice(containers[0].(map[string]any), "args")
	if len(args) == 0 {
		t.Fatal("the operator has no arguments")
	}
	for _, arg := range args {
		name, _, _ := strings.Cut(strings.TrimPrefix(arg, "--"), "=")
		if !regexp.MustCompile(`(?m)^  -` + name + `( |$)`).Match(known) {
			t.Errorf("the operator does not know %s", arg)
		}
	}
}
