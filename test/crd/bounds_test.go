package crd

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	apiextensionsv1 "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
)

// foreign are Kubernetes' own types within ours; their bounds are not ours.
var foreign = []string{".metadata", ".spec.server.resources", ".spec.server.tolerations", ".spec.issuance.direct.resources", ".status.conditions[0]"}

func isForeign(path string) bool {
	return slices.ContainsFunc(foreign, func(prefix string) bool { return strings.HasPrefix(path, prefix) })
}

// violation is a value that breaks one keyword of a schema, and what is said of it.
type violation struct {
	keyword string
	value   any
	// at is the path below the field that the message names.
	at   string
	want string
}

// violations breaks each keyword of a schema once.
func violations(s *apiextensionsv1.JSONSchemaProps) []violation {
	var found []violation
	add := func(v violation) { found = append(found, v) }
	if s.MaxLength != nil {
		add(violation{"maxLength", strings.Repeat("a", int(*s.MaxLength)+1), "", "Too long"})
	}
	if s.MinLength != nil {
		add(violation{"minLength", "", "", fmt.Sprintf("should be at least %d chars long", *s.MinLength)})
	}
	if s.Pattern != "" {
		add(violation{"pattern", "! !", "", "should match '" + s.Pattern + "'"})
	}
	if len(s.Enum) > 0 {
		add(violation{"enum", "no-such-value", "", "Unsupported value: \"no-such-value\": supported values: "})
	}
	if s.Minimum != nil {
		add(violation{"minimum", int64(*s.Minimum) - 1, "", fmt.Sprintf("should be greater than or equal to %v", *s.Minimum)})
	}
	if s.Maximum != nil {
		add(violation{"maximum", int64(*s.Maximum) + 1, "", fmt.Sprintf("should be less than or equal to %v", *s.Maximum)})
	}
	if s.MaxProperties != nil {
		add(violation{"maxProperties", manyProperties(int(*s.MaxProperties) + 1), "", "Too many"})
	}
	return append(found, listViolations(s)...)
}

func listViolations(s *apiextensionsv1.JSONSchemaProps) []violation {
	var found []violation
	if s.MaxItems != nil {
		found = append(found, violation{"maxItems", manyItems(s, int(*s.MaxItems)+1), "", fmt.Sprintf("must have at most %d items", *s.MaxItems)})
	}
	if s.MinItems != nil {
		found = append(found, violation{"minItems", []any{}, "", fmt.Sprintf("should have at least %d items", *s.MinItems)})
	}
	if s.XListType != nil && *s.XListType != "atomic" {
		item := manyItems(s, 1)[0]
		found = append(found, violation{"listType", []any{item, item}, "[1]", "Duplicate value"})
	}
	return found
}

func manyProperties(n int) map[string]any {
	properties := map[string]any{}
	for i := range n {
		properties["key"+strconv.Itoa(i)] = "value"
	}
	return properties
}

// manyItems makes n items of a list that differ, in their keys if they have any.
func manyItems(s *apiextensionsv1.JSONSchemaProps, n int) []any {
	var items []any
	for i := range n {
		name := "item" + strconv.Itoa(i)
		if s.Items.Schema.Type != "object" {
			items = append(items, name)
			continue
		}
		item := map[string]any{}
		for _, key := range s.XListMapKeys {
			item[key] = name
		}
		items = append(items, item)
	}
	return items
}

// TestBounds breaks each bound that the CRDs declare on the spec, one at a time.
func TestBounds(t *testing.T) {
	ns := namespace(t)
	for kind, schema := range schemas(t) {
		broken := 0
		walk("", schema, func(path string, s *apiextensionsv1.JSONSchemaProps) {
			if !strings.HasPrefix(path, ".spec.") || isForeign(path) || strings.Contains(path, "*") {
				return
			}
			for _, v := range violations(s) {
				broken++
				t.Run(kind+path+"/"+v.keyword, func(t *testing.T) {
					object := sample(t, kind, ns)
					set(object.Object, path, v.value)
					err := tryCreate(object)
					checkMessage(t, err, strings.TrimPrefix(path, ".")+v.at+": ")
					checkMessage(t, err, v.want)
				})
			}
		})
		if broken == 0 {
			t.Errorf("%s declares no bounds", kind)
		}
	}
}

// TestRequired leaves out each required field, one at a time.
func TestRequired(t *testing.T) {
	ns := namespace(t)
	for kind, schema := range schemas(t) {
		walk("", schema, func(path string, s *apiextensionsv1.JSONSchemaProps) {
			if !strings.HasPrefix(path, ".spec") || isForeign(path) {
				return
			}
			for _, name := range s.Required {
				t.Run(kind+path+"."+name, func(t *testing.T) {
					object := sample(t, kind, ns)
					set(object.Object, path+"."+name, nil)
					checkMessage(t, tryCreate(object), strings.TrimPrefix(path, ".")+"."+name+": Required value")
				})
			}
		})
	}
}

// unbounded are strings and lists whose size something else limits.
var unbounded = regexp.MustCompile(`^\.(apiVersion|kind)$|` +
	`(\.validity|\.window|\.duration|\.renewBefore|\.overlap|\.loadTimeout|\.wait|\.pendingDeadline|\.drainDelay|\.[a-zA-Z]*[iI]nterval|\.maxDuration|\.timeout|\.rekeyWindow|\.afterExpiry|\.staleRevocation|\.backdate|\.acceptWithin|\.learning|\.collectWithin)$|` + // durations are parsed
	`\.nodeSelector\.\*$|` + // values of labels
	`\.status\.urls\[0\]$|\.status\.distrusted\[0\]$`) // the operator's own

// TestEverythingIsBounded keeps an object from growing without end.
func TestEverythingIsBounded(t *testing.T) {
	for kind, schema := range schemas(t) {
		walk("", schema, func(path string, s *apiextensionsv1.JSONSchemaProps) {
			if isForeign(path) || unbounded.MatchString(path) {
				return
			}
			switch {
			case s.Type == "string" && s.MaxLength == nil && len(s.Enum) == 0 && s.Format == "":
				t.Errorf("%s%s: a string without maxLength", kind, path)
			case s.Type == "array" && s.MaxItems == nil:
				t.Errorf("%s%s: a list without maxItems", kind, path)
			case s.Type == "object" && s.AdditionalProperties != nil && s.MaxProperties == nil:
				t.Errorf("%s%s: a map without maxProperties", kind, path)
			}
		})
	}
}

// TestEverythingIsDescribed keeps "kubectl explain" useful.
func TestEverythingIsDescribed(t *testing.T) {
	for kind, schema := range schemas(t) {
		walk("", schema, func(path string, s *apiextensionsv1.JSONSchemaProps) {
			if s.Description == "" && !strings.HasSuffix(path, "[0]") && !strings.HasSuffix(path, ".*") && path != ".metadata" {
				t.Errorf("%s%s has no description", kind, path)
			}
		})
	}
}

var pathStep = regexp.MustCompile(`\.([A-Za-z0-9]+)|\[0\]`)

// set puts a value at a path, and makes what is not there on the way; nil removes.
func set(object map[string]any, path string, value any) {
	steps := pathStep.FindAllString(path, -1)
	replace(object, steps, value)
}

// replace returns node with the value put at the end of steps.
func replace(node any, steps []string, value any) any {
	if len(steps) == 0 {
		return value
	}
	if steps[0] == "[0]" {
		list, _ := node.([]any)
		if len(list) == 0 {
			list = []any{nil}
		}
		list = slices.Clone(list)
		list[0] = replace(list[0], steps[1:], value)
		return list
	}
	fields, ok := node.(map[string]any)
	if !ok {
		fields = map[string]any{}
	}
	name := strings.TrimPrefix(steps[0], ".")
	if child := replace(fields[name], steps[1:], value); child != nil {
		fields[name] = child
	} else {
		delete(fields, name)
	}
	return fields
}
