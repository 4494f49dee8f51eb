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
	// CASecret with the CA's key, where signers issue.
	CASecret string `json:"caSecret"`
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
		Program:  Program{Image: "registry.example.com/scepter-ra:v0.1.0", PullPolicy: "IfNotPresent", ClusterRole: "scepter-ra", DirectClusterRole: "scepter-ra-direct"},
		CASecret: g.CASecret,

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
	for _, in := range []string{"minimal", "everything", "passthrough", "one-time", "direct", "direct-by-default", "recording"} {
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

// TestTheLastGoodConfigurationLiesBesideTheNewest where a ConfigMap has room for both.
func TestTheLastGoodConfigurationLiesBesideTheNewest(t *testing.T) {
	endpoint := &v1alpha1.ScepEndpoint{}
	for size, files := range map[int]int{0: 1, 1 << 10: 3, 2 * maxConfigBytes: 1} {
		good := raconfig.LastGood{Config: strings.Repeat("#", size), Revisions: []string{"corp-ra-5d9c7b6f4-"}}
		m, err := ConfigMap(endpoint, &raconfig.Config{Version: raconfig.Version}, good)
		if err != nil {
			t.Fatal(err)
		}
		if len(m.Data) != files || m.Data[raconfig.ConfigFile] == "" {
			t.Errorf("last good of %d bytes: %d files, want %d", size, len(m.Data), files)
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
	for _, name := range []string{
		ChildName(long), TLSOnlyIngressName(long), ConfigMapName(long), StateSecretName(long), TLSName(long, "scep.example.com"), KeyringName(long),
		DirectRoleBindingName(long), SignerName(long), SignerServerSecretName(long), SignerClientSecretName(long), RevokedName(long),
	} {
		if len(name) > 63 {
			t.Errorf("%q is longer than a DNS label", name)
		}
	}
	if TLSName("a", "x.example.com") == TLSName("a", "y.example.com") {
		t.Error("two hosts share a name")
	}
}
