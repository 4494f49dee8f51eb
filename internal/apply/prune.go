package apply

import (
	"context"
	"errors"
	"fmt"

	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/sets"
	"sigs.k8s.io/controller-runtime/pkg/client"
)

// Prune deletes the objects of the given kinds, in the owner's namespace and with
// the given labels, that the owner controls and that are not in keep. A kind whose
// list fails is left alone and reported; a kind that the cluster lacks has nothing
// to prune. It returns what it deleted.
func (a *Applier) Prune(
	ctx context.Context, owner client.Object, labels map[string]string, kinds []schema.GroupVersionKind, keep sets.Set[Ref],
) ([]Ref, error) {
	var pruned []Ref
	var errs []error
	for _, kind := range kinds {
		gone, err := a.pruneKind(ctx, owner, labels, kind, keep)
		pruned = append(pruned, gone...)
		errs = append(errs, err)
	}
	return pruned, errors.Join(errs...)
}

func (a *Applier) pruneKind(
	ctx context.Context, owner client.Object, labels map[string]string, kind schema.GroupVersionKind, keep sets.Set[Ref],
) ([]Ref, error) {
	items, err := a.list(ctx, owner.GetNamespace(), labels, kind)
	if meta.IsNoMatchError(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("list %s for pruning: %w", kind.Kind, err)
	}
	var pruned []Ref
	var errs []error
	for _, item := range items {
		ref := Ref{GroupVersionKind: kind, Namespace: item.GetNamespace(), Name: item.GetName()}
		if keep.Has(ref) || !metav1.IsControlledBy(item, owner) || item.GetDeletionTimestamp() != nil {
			continue
		}
		if err := a.remove(ctx, item); err != nil {
			errs = append(errs, fmt.Errorf("delete %s: %w", ref, err))
			continue
		}
		pruned = append(pruned, ref)
	}
	return pruned, errors.Join(errs...)
}

func (a *Applier) list(ctx context.Context, namespace string, labels map[string]string, kind schema.GroupVersionKind) ([]client.Object, error) {
	made, err := a.client.Scheme().New(kind.GroupVersion().WithKind(kind.Kind + "List"))
	if err != nil {
		return nil, err
	}
	list, ok := made.(client.ObjectList)
	if !ok {
		return nil, fmt.Errorf("%T is no list", made)
	}
	if err := a.client.List(ctx, list, client.InNamespace(namespace), client.MatchingLabels(labels)); err != nil {
		return nil, err
	}
	entries, err := meta.ExtractList(list)
	if err != nil {
		return nil, err
	}
	items := make([]client.Object, 0, len(entries))
	for _, entry := range entries {
		item, ok := entry.(client.Object)
		if !ok {
			return nil, fmt.Errorf("%T is no object", entry)
		}
		items = append(items, item)
	}
	return items, nil
}

// remove deletes the very object that was seen, not one that took its name meanwhile.
func (a *Applier) remove(ctx context.Context, item client.Object) error {
	uid := item.GetUID()
	err := a.client.Delete(ctx, item, client.Preconditions{UID: &uid}, client.PropagationPolicy(metav1.DeletePropagationBackground))
	return client.IgnoreNotFound(err)
}
