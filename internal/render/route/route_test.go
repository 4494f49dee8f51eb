package route

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/golden"
)

// goldenCase is the content of a testdata/<case>.in.yaml.
type goldenCase struct {
	Exposure   v1alpha1.Exposure `json:"exposure"`
	Controller string            `json:"controller"`
	Served     GatewayKinds      `json:"served"`
}

func TestChildrenGolden(t *testing.T) {
	cases, err := filepath.Glob("testdata/*.in.yaml")
	if err != nil || len(cases) == 0 {
		t.Fatalf("no cases in testdata: %v", err)
	}
	for _, in := range cases {
		t.Run(strings.TrimSuffix(filepath.Base(in), ".in.yaml"), func(t *testing.T) {
			golden.Compare(t, strings.TrimSuffix(in, ".in.yaml")+".out.yaml", renderCase(t, in))
		})
	}
}

func renderCase(t *testing.T, in string) []byte {
	t.Helper()
	raw, err := os.ReadFile(in)
	if err != nil {
		t.Fatal(err)
	}
	var g goldenCase
	if err := yaml.UnmarshalStrict(raw, &g); err != nil {
		t.Fatal(err)
	}
	ep := &v1alpha1.ScepEndpoint{}
	ep.Name, ep.Namespace = "corp", "pki"
	ep.Spec.Exposure = g.Exposure
	var out bytes.Buffer
	for _, url := range URLs(ep) {
		out.WriteString("# " + url + "\n")
	}
	for _, child := range Children(ep, ByController(g.Controller), g.Served) {
		document, err := yaml.Marshal(child)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(document)
	}
	return out.Bytes()
}

func TestByController(t *testing.T) {
	cases := map[string]struct {
		name string
		urls LongURLs
	}{
		"traefik.io/ingress-controller":          {"Traefik", URLsPass},
		"k8s.io/ingress-nginx":                   {"ingress-nginx", URLsNeedSetting},
		"haproxy.org/ingress-controller/default": {"HAProxy Kubernetes Ingress Controller", URLsNeedSetting},
		"haproxy-ingress.github.io/controller/x": {"HAProxy Ingress", URLsNeedSetting},
		"ingress.k8s.aws/alb":                    {"AWS Application Load Balancer", URLsLimited},
		"k8s.io/ingress-nginx-fork":              {"this ingress implementation", URLsUnknown},
		"":                                       {"this ingress implementation", URLsUnknown},
	}
	for controller, want := range cases {
		if got := ByController(controller); got.Name != want.name || got.URLs != want.urls {
			t.Errorf("%q: %s %s, want %s %s", controller, got.Name, got.URLs, want.name, want.urls)
		}
	}
}

func TestEveryVerdictIsComplete(t *testing.T) {
	for _, i := range implementations {
		if i.Name == "" || i.Controller == "" || i.LimitBytes == 0 {
			t.Errorf("%+v lacks a name, a controller or a limit", i)
		}
		if (i.URLs == URLsNeedSetting) != (i.Setting != "") {
			t.Errorf("%s: verdict %s with setting %q", i.Name, i.URLs, i.Setting)
		}
	}
}
