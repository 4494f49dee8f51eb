package apply

import (
	"reflect"

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

// quantities are the fields whose values may be written in several ways ("0.05", "50m").
var quantities = map[string]bool{"limits": true, "requests": true}

// contains says whether live has all that want says; what want leaves out does
// not count. The field is the name under which both were found.
func contains(field string, live, want any) bool {
	if live == nil {
		return isEmpty(want)
	}
	switch want := want.(type) {
	case map[string]any:
		live, ok := live.(map[string]any)
		return ok && containsMap(field, live, want)
	case []any:
		live, ok := live.([]any)
		return ok && containsList(field, live, want)
	}
	return reflect.DeepEqual(live, want) || sameNumber(live, want)
}

func containsMap(field string, live, want map[string]any) bool {
	for key, value := range want {
		if quantities[field] && sameQuantity(live[key], value) {
			continue
		}
		if !contains(key, live[key], value) {
			return false
		}
	}
	return true
}

func containsList(field string, live, want []any) bool {
	if associative[field] {
		return containsAll(live, want)
	}
	if len(live) != len(want) {
		return false
	}
	for i := range want {
		if !contains("", live[i], want[i]) {
			return false
		}
	}
	return true
}

func containsAll(live, want []any) bool {
	for _, one := range want {
		if !containsSome(live, one) {
			return false
		}
	}
	return true
}

func containsSome(live []any, one any) bool {
	for _, candidate := range live {
		if contains("", candidate, one) {
			return true
		}
	}
	return false
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
