package main

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	"sigs.k8s.io/yaml"
)

const fieldsIntro = `# %[1]s: fields

Made from the CustomResourceDefinition by "make generate". What they are for, with
examples: [%[1]s](%[2]s). The same on a cluster: ` + "`kubectl explain %[3]s --recursive`" + `.
`

// kubernetesTypes are fields that Kubernetes documents itself.
var kubernetesTypes = []string{"conditions", "resources", "tolerations"}

// writeFields writes docs/crds/<kind>-fields.md for each kind.
func writeFields(root string) error {
	files, err := filepath.Glob(filepath.Join(root, "config/crd/scepter.dev_*.yaml"))
	if err != nil {
		return err
	}
	for _, file := range files {
		raw, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		var crd apiextensionsv1.CustomResourceDefinition
		if err := yaml.UnmarshalStrict(raw, &crd); err != nil {
			return fmt.Errorf("%s: %w", file, err)
		}
		page := filepath.Join(root, "docs/crds", crd.Spec.Names.Singular+"-fields.md")
		if err := writeFile(page, []byte(formatFields(&crd))); err != nil {
			return err
		}
	}
	return nil
}

func formatFields(crd *apiextensionsv1.CustomResourceDefinition) string {
	var out strings.Builder
	names := crd.Spec.Names
	fmt.Fprintf(&out, fieldsIntro, names.Kind, names.Singular+".md", names.Singular)
	schema := crd.Spec.Versions[0].Schema.OpenAPIV3Schema
	for _, part := range []string{"spec", "status"} {
		fmt.Fprintf(&out, "\n## %s\n\n| Field | Type | Default | Meaning |\n|---|---|---|---|\n", part)
		for _, f := range fieldsOf(schema.Properties[part], "") {
			fmt.Fprintf(&out, "| `%s` | %s | %s | %s |\n", f.path, f.kind, f.byDefault, f.meaning)
		}
	}
	return out.String()
}

// field is a row of the table.
type field struct{ path, kind, byDefault, meaning string }

// fieldsOf lists the fields below an object by path; lists and maps are descended into.
func fieldsOf(object apiextensionsv1.JSONSchemaProps, path string) []field {
	var fields []field
	for _, name := range slices.Sorted(maps.Keys(object.Properties)) {
		p := object.Properties[name]
		inner, suffix := elements(p)
		full := path + name + suffix
		fields = append(fields, newField(full, p, slices.Contains(object.Required, name)))
		if !slices.Contains(kubernetesTypes, name) {
			fields = append(fields, fieldsOf(inner, full+".")...)
		}
	}
	return fields
}

// elements is what a list or map holds, and how its path goes on; else the schema itself.
func elements(p apiextensionsv1.JSONSchemaProps) (inner apiextensionsv1.JSONSchemaProps, suffix string) {
	switch {
	case p.Items != nil && p.Items.Schema != nil:
		return *p.Items.Schema, "[]"
	case p.AdditionalProperties != nil && p.AdditionalProperties.Schema != nil:
		return *p.AdditionalProperties.Schema, "{}"
	}
	return p, ""
}

func newField(path string, p apiextensionsv1.JSONSchemaProps, required bool) field {
	inner, _ := elements(p)
	f := field{path: path, kind: inner.Type, meaning: cell(oneLine(p.Description))}
	if len(inner.Enum) > 0 {
		f.kind = values(inner.Enum)
	}
	switch {
	case p.Default != nil && string(p.Default.Raw) != "{}":
		f.byDefault = code(string(p.Default.Raw))
	case required:
		f.byDefault = "required"
	}
	return f
}

func values(enum []apiextensionsv1.JSON) string {
	var all []string
	for _, v := range enum {
		all = append(all, code(string(v.Raw)))
	}
	return strings.Join(all, ", ")
}

func code(json string) string { return "`" + strings.Trim(json, `"`) + "`" }
