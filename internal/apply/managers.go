package apply

import (
	"encoding/json"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// nobody is what the manager is called of a field that no entry names: one that was removed.
const nobody = "another manager"

// managerOf names who owns a field, of those that are not us: the one who wrote last, if
// there are several. Where nobody owns it, as when it was removed, it is the one of the
// others who wrote the object last.
func managerOf(entries []metav1.ManagedFieldsEntry, us string, field path) string {
	var owner, latest *metav1.ManagedFieldsEntry
	for i := range entries {
		e := &entries[i]
		if e.Manager == us || e.Subresource != "" {
			continue
		}
		if owns(e, field) && isLater(e, owner) {
			owner = e
		}
		if isLater(e, latest) {
			latest = e
		}
	}
	switch {
	case owner != nil:
		return owner.Manager
	case latest != nil:
		return latest.Manager
	}
	return nobody
}

func isLater(e, than *metav1.ManagedFieldsEntry) bool {
	return than == nil || than.Time.Before(e.Time)
}

// owns looks a field up in the tree of an entry (FieldsV1): "f:<name>" for a field,
// "k:<JSON of the keys>" for an element of a list.
func owns(e *metav1.ManagedFieldsEntry, field path) bool {
	if e.FieldsV1 == nil {
		return false
	}
	var tree map[string]any
	if err := json.Unmarshal(e.FieldsV1.GetRawBytes(), &tree); err != nil {
		return false
	}
	for _, step := range field {
		next, found := child(tree, step)
		if !found {
			return false
		}
		tree = next
	}
	return true
}

func child(tree map[string]any, step string) (map[string]any, bool) {
	for key, value := range tree {
		if !leadsTo(key, step) {
			continue
		}
		next, ok := value.(map[string]any)
		return next, ok
	}
	return nil, false
}

func leadsTo(key, step string) bool {
	name, isElement := elementName(step)
	if !isElement {
		return key == "f:"+step
	}
	keys, isKey := strings.CutPrefix(key, "k:")
	if !isKey {
		return false
	}
	var named struct{ Name string }
	return json.Unmarshal([]byte(keys), &named) == nil && named.Name == name
}
