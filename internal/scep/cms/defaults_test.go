package cms_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

const (
	moduleRoot    = "../../.."
	smallstepPath = "github.com/smallstep/pkcs7"
)

// What this module may use of smallstep/pkcs7: nothing that reads or sets one of
// its package-wide variables, which are ContentEncryptionAlgorithm,
// KeyEncryptionAlgorithm, KeyEncryptionHash, the default digest and the switch of
// its second certificate parser. NewSignedData reads the default digest, so a test
// that calls it names another one at once. Modules of their own are programs of
// their own.
var (
	allowed        = []string{"DegenerateCertificate"}
	allowedInTests = []string{
		"DegenerateCertificate", "Parse", "NewSignedData", "SignerInfoConfig", "Attribute",
		"OIDDigestAlgorithmSHA1", "OIDDigestAlgorithmSHA256", "OIDDigestAlgorithmSHA384", "OIDDigestAlgorithmSHA512",
	}
)

func TestNobodyUsesPackageWideDefaults(t *testing.T) {
	t.Parallel()
	importers := 0
	err := filepath.WalkDir(moduleRoot, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && foreign(path) {
			return filepath.SkipDir
		}
		if d.IsDir() || filepath.Ext(path) != ".go" {
			return nil
		}
		if checkImporter(t, path) {
			importers++
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if importers < 2 { // certificate.go and a test of ours
		t.Errorf("found %d files that import %s", importers, smallstepPath)
	}
}

// foreign is a directory with nothing of this module's.
func foreign(dir string) bool {
	if dir == moduleRoot {
		return false
	}
	_, err := os.Stat(filepath.Join(dir, "go.mod"))
	name := filepath.Base(dir)
	return err == nil || name == "dist" || name == "testdata" || strings.HasPrefix(name, ".")
}

// checkImporter is false if the file does not import smallstep/pkcs7.
func checkImporter(t *testing.T, path string) bool {
	t.Helper()
	files := token.NewFileSet()
	imports, err := parser.ParseFile(files, path, nil, parser.ImportsOnly)
	if err != nil {
		t.Error(err)
		return false
	}
	if !slices.ContainsFunc(imports.Imports, func(i *ast.ImportSpec) bool { return i.Path.Value == `"`+smallstepPath+`"` }) {
		return false
	}
	file, err := parser.ParseFile(files, path, nil, parser.SkipObjectResolution)
	if err != nil {
		t.Error(err)
		return false
	}
	for _, complaint := range misuses(file, strings.HasSuffix(path, "_test.go")) {
		t.Errorf("%s: %s", path, complaint)
	}
	return true
}

// misuses looks at one file.
func misuses(file *ast.File, test bool) []string {
	permitted := allowed
	if test {
		permitted = allowedInTests
	}
	var complaints []string
	name := "pkcs7"
	for _, i := range file.Imports {
		if i.Path.Value == `"`+smallstepPath+`"` && i.Name != nil {
			complaints = append(complaints, "imports it by another name")
		}
	}
	for _, declaration := range file.Decls {
		used := selectors(declaration)
		for _, s := range used {
			if strings.HasPrefix(s, name+".") && !slices.Contains(permitted, strings.TrimPrefix(s, name+".")) {
				complaints = append(complaints, "uses "+s)
			}
		}
		digest := func(s string) bool { return strings.HasSuffix(s, ".SetDigestAlgorithm") }
		if slices.Contains(used, name+".NewSignedData") && !slices.ContainsFunc(used, digest) {
			complaints = append(complaints, "uses the default digest")
		}
	}
	return complaints
}

// selectors are all x.Y in a declaration, where x is a name.
func selectors(declaration ast.Decl) []string {
	var found []string
	ast.Inspect(declaration, func(n ast.Node) bool {
		if s, ok := n.(*ast.SelectorExpr); ok {
			if x, ok := s.X.(*ast.Ident); ok {
				found = append(found, x.Name+"."+s.Sel.Name)
			}
		}
		return true
	})
	return found
}

func TestMisuses(t *testing.T) {
	t.Parallel()
	const header = "package x\nimport \"" + smallstepPath + "\"\n"
	for name, test := range map[string]struct {
		source string
		test   bool
		count  int
	}{
		"bundle":                 {header + "var _, _ = pkcs7.DegenerateCertificate(nil)", false, 0},
		"sets the cipher":        {header + "func f() { pkcs7.ContentEncryptionAlgorithm = 1 }", false, 1},
		"sets it in a test":      {header + "func f() { pkcs7.ContentEncryptionAlgorithm = 1 }", true, 1},
		"encrypts with it":       {header + "var _, _ = pkcs7.Encrypt(nil, nil)", true, 1},
		"sets the digest":        {header + "var _ = pkcs7.SetDefaultDigestAlgorithm(nil)", true, 1},
		"parses":                 {header + "var _, _ = pkcs7.Parse(nil)", false, 1},
		"parses in a test":       {header + "var _, _ = pkcs7.Parse(nil)", true, 0},
		"default digest":         {header + "func f() { pkcs7.NewSignedData(nil) }", true, 1},
		"named digest":           {header + "func f() { s, _ := pkcs7.NewSignedData(nil); s.SetDigestAlgorithm(nil) }", true, 0},
		"hides behind a name":    {"package x\nimport p \"" + smallstepPath + "\"\nvar _ = p.KeyEncryptionHash", false, 1},
		"hides behind no name":   {"package x\nimport . \"" + smallstepPath + "\"\nvar _ = KeyEncryptionHash", false, 1},
		"something else's field": {header + "func f(x struct{ KeyEncryptionHash int }) { _ = x.KeyEncryptionHash }", false, 0},
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "", test.source, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		if got := misuses(file, test.test); len(got) != test.count {
			t.Errorf("%s: %q", name, got)
		}
	}
}
