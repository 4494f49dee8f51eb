package render

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/test/golden"
)

// goldenCase is the content of a testdata/<case>.in.yaml.
type goldenCase struct {
	Endpoint  v1alpha1.ScepEndpoint          `json:"endpoint"`
	Templates []v1alpha1.CertificateTemplate `json:"templates"`
	// ActiveGeneration left out: no configuration can be made yet.
	ActiveGeneration string `json:"activeGeneration"`
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
	input := Input{
		Endpoint: &g.Endpoint,
		Program:  Program{Image: "registry.example.com/scepter-ra:v0.1.0", PullPolicy: "IfNotPresent", ClusterRole: "scepter-ra"},

		ServiceAccountUID: "5eaacc00-0000-4000-8000-000000000001",
	}
	if g.ActiveGeneration != "" {
		input.Config = Config(&g.Endpoint, g.Templates, g.Endpoint.Spec.Challenges, g.ActiveGeneration)
	}
	children, err := Children(input)
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	for _, child := range children {
		document, err := yaml.Marshal(child)
		if err != nil {
			t.Fatal(err)
		}
		out.WriteString("---\n")
		out.Write(document)
	}
	return out.Bytes()
}

func TestConfigIsReadByTheServers(t *testing.T) {
	for _, in := range []string{"minimal", "everything", "passthrough", "one-time"} {
		raw, err := os.ReadFile("testdata/" + in + ".in.yaml")
		if err != nil {
			t.Fatal(err)
		}
		var g goldenCase
		if err := yaml.Unmarshal(raw, &g); err != nil {
			t.Fatal(err)
		}
		file, err := raconfig.Encode(Config(&g.Endpoint, g.Templates, g.Endpoint.Spec.Challenges, g.ActiveGeneration))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := raconfig.Decode(file); err != nil {
			t.Errorf("%s: %v", in, err)
		}
	}
}

func TestNamesFit(t *testing.T) {
	long := strings.Repeat("e", 40)
	ep := &v1alpha1.ScepEndpoint{}
	ep.Name = long
	if name := CredentialName(ep); len(name) > maxCredentialName || name == long {
		t.Errorf("RACredential %q: want another name of at most %d characters", name, maxCredentialName)
	}
	for _, name := range []string{ChildName(long), TLSOnlyIngressName(long), ConfigMapName(long), StateSecretName(long), TLSName(long, "scep.example.com"), KeyringName(long)} {
		if len(name) > 63 {
			t.Errorf("%q is longer than a DNS label", name)
		}
	}
	if TLSName("a", "x.example.com") == TLSName("a", "y.example.com") {
		t.Error("two hosts share a name")
	}
}
