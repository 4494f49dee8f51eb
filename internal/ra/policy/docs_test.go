package policy

import (
	"os"
	"regexp"
	"strings"
	"testing"

	"sigs.k8s.io/yaml"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

const page = "../../../docs/templates.md"

var yamlBlock = regexp.MustCompile("(?s)```yaml\n(.*?)```")

// Every example on the page can be used, and every variable is on it.
func TestThePageOfTemplates(t *testing.T) {
	t.Parallel()
	text := string(must(os.ReadFile(page)))
	examples := yamlBlock.FindAllStringSubmatch(text, -1)
	if len(examples) < 6 {
		t.Fatalf("%d examples", len(examples))
	}
	for _, e := range examples {
		var object v1alpha1.CertificateTemplate
		if err := yaml.UnmarshalStrict([]byte(e[1]), &object); err != nil {
			t.Errorf("%v in\n%s", err, e[1])
			continue
		}
		if _, err := Compile(object.Spec); err != nil {
			t.Errorf("%s: %v", object.Name, err)
		}
	}
	golden := strings.Split(strings.TrimSpace(string(must(os.ReadFile("testdata/variables.golden")))), "\n")
	for _, line := range golden[1:] {
		name, _, _ := strings.Cut(line, " ")
		if strings.Contains(name, "[]") || name == "challenge" {
			continue // described with the list
		}
		short := strings.TrimPrefix(name, "csr.subject")
		if !strings.Contains(text, "`"+name+"`") && (short == name || !strings.Contains(text, "`"+short+"`")) {
			t.Errorf("%s is not on the page", name)
		}
	}
}
