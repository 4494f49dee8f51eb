package apply

import (
	"maps"
	"reflect"
	"slices"

	"k8s.io/apimachinery/pkg/api/resource"
)

// associative lists may hold elements of other managers beside ours, in any
// order: listType map or set in the API. Every other list is compared whole.
var associative = map[string]bool{
	"containers":                true,
	"env":                       true,
	"finalizers":                true,
	"imagePullSecrets":          true,
	"initContainers":            true,
	"ownerReferences":           true,
	"ports":                     true,
	"topologySpreadConstraints": true,
	"volumeMounts":              true,
	"volumes":                   true,
}

// atomic maps are owned as a whole in the API: whoever writes one key writes all.
var atomic = map[string]bool{"matchLabels": true, "nodeSelector": true, "selector": true}

// quantities are the fields whose values may be written in several ways ("0.05", "50m").
var quantities = map[string]bool{"limits": true, "requests": true}

// differences lists what live lacks of all that want says, in a fixed order; what
// want leaves out does not count.
func differences(live, want any) []path { return differ(nil, live, want) }

func differ(at path, live, want any) []path {
	switch want := want.(type) {
	case map[string]any:
		return differMap(at, live, want)
	case []any:
		return differList(at, live, want)
	}
	if live == nil && isEmpty(want) || reflect.DeepEqual(live, want) || sameNumber(live, want) {
		return nil
	}
	return []path{at}
}

func differMap(at path, live any, want map[string]any) []path {
	have, isMap := live.(map[string]any)
	if !isMap && live != nil {
		return []path{at}
	}
	var out []path
	for _, key := range slices.Sorted(maps.Keys(want)) {
		if quantities[at.last()] && sameQuantity(have[key], want[key]) {
			continue
		}
		out = append(out, differ(at.to(key), have[key], want[key])...)
	}
	if len(out) > 0 && atomic[at.last()] {
		return []path{at}
	}
	return out
}

func differList(at path, live any, want []any) []path {
	have, isList := live.([]any)
	switch {
	case live == nil && len(want) == 0:
		return nil
	case !isList:
		return []path{at}
	case associative[at.last()]:
		return differElements(at, have, want)
	case len(have) != len(want):
		return []path{at}
	}
	for i := range want {
		if len(differ(nil, have[i], want[i])) > 0 {
			return []path{at}
		}
	}
	return nil
}

// differElements compares the elements of an associative list by their names. Where
// they have none, the list is one thing.
func differElements(at path, live, want []any) []path {
	var out []path
	for _, one := range want {
		name := nameOf(one)
		have, element := named(live, name), at.to("["+name+"]")
		switch {
		case name == "" && !containsSome(live, one):
			return []path{at}
		case name != "" && have == nil:
			out = append(out, element)
		case name != "":
			out = append(out, differ(element, have, one)...)
		}
	}
	return out
}

func containsSome(live []any, one any) bool {
	return slices.ContainsFunc(live, func(candidate any) bool { return len(differ(nil, candidate, one)) == 0 })
}

func nameOf(element any) string {
	m, isMap := element.(map[string]any)
	if !isMap {
		return ""
	}
	name, _ := m["name"].(string)
	return name
}

// named finds the element of a name; nil if there is none.
func named(elements []any, name string) any {
	i := slices.IndexFunc(elements, func(e any) bool { return nameOf(e) == name })
	if i < 0 {
		return nil
	}
	return elements[i]
}

// isEmpty is true for values that the API server, or a typed object, leaves out.
func isEmpty(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		for _, each := range v {
			if !isEmpty(each) {
				return false
			}
		}
		return true
	case []any:
		return len(v) == 0
	case nil:
		return true
	}
	return reflect.ValueOf(v).IsZero()
}

func sameQuantity(live, want any) bool {
	l, okLive := live.(string)
	w, okWant := want.(string)
	if !okLive || !okWant {
		return false
	}
	a, errLive := resource.ParseQuantity(l)
	b, errWant := resource.ParseQuantity(w)
	return errLive == nil && errWant == nil && a.Cmp(b) == 0
}

// sameNumber covers the two ways in which decoded JSON holds a whole number.
func sameNumber(live, want any) bool {
	a, okLive := asFloat(live)
	b, okWant := asFloat(want)
	return okLive && okWant && a == b
}

func asFloat(v any) (float64, bool) {
	switch v := v.(type) {
	case int64:
		return float64(v), true
	case float64:
		return v, true
	}
	return 0, false
}
