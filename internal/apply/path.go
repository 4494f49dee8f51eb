package apply

import (
	"slices"
	"strings"
)

// path leads to a field of an object: the names of the fields on the way, and
// "[name]" for the element of a list that has this name.
type path []string

// String is as people write it: spec.containers[ra].image.
func (p path) String() string {
	return strings.ReplaceAll(strings.Join(p, "."), ".[", "[")
}

func (p path) to(step string) path { return append(slices.Clone(p), step) }

func (p path) last() string {
	if len(p) == 0 {
		return ""
	}
	return p[len(p)-1]
}

// elementName is the name in a step that leads to an element of a list.
func elementName(step string) (name string, isElement bool) {
	if !strings.HasPrefix(step, "[") {
		return "", false
	}
	return strings.Trim(step, "[]"), true
}

// remove takes the field out of an object's content, which is changed. What becomes
// empty by that goes too: an empty map would say that it is wanted empty.
func (p path) remove(content any) {
	switch in := content.(type) {
	case map[string]any:
		p.removeFrom(in)
	case []any:
		if name, isElement := elementName(p[0]); isElement && len(p) > 1 {
			p[1:].remove(named(in, name))
		}
	}
}

func (p path) removeFrom(in map[string]any) {
	if len(p) == 1 {
		delete(in, p[0])
		return
	}
	if name, isElement := elementName(p[1]); isElement && len(p) == 2 {
		in[p[0]] = withoutElement(in[p[0]], name)
	} else {
		p[1:].remove(in[p[0]])
	}
	if isBare(in[p[0]]) {
		delete(in, p[0])
	}
}

func isBare(v any) bool {
	switch v := v.(type) {
	case map[string]any:
		return len(v) == 0
	case []any:
		return len(v) == 0
	}
	return false
}

func withoutElement(list any, name string) any {
	elements, isList := list.([]any)
	if !isList {
		return list
	}
	return slices.DeleteFunc(elements, func(e any) bool { return nameOf(e) == name })
}
