package apply

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/util/json"
	"k8s.io/utils/clock"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/client/apiutil"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// AnnotationApplied holds a hash of the object as it was last applied. It tells
// a change of what is wanted from a change that somebody else made.
const AnnotationApplied = v1alpha1.GroupName + "/applied"

// Object is a desired child: an apply configuration with apiVersion, kind,
// namespace and name. The owner reference and AnnotationApplied are added here.
type Object = runtime.ApplyConfiguration

// Ref names an object.
type Ref struct {
	schema.GroupVersionKind
	Namespace, Name string
}

// String is "Kind name", as a person would say it within a namespace.
func (r Ref) String() string { return r.Kind + " " + r.Name }

// Action is what was done to a child.
type Action string

// The actions.
const (
	// Unchanged children were as wanted: nothing was written.
	Unchanged Action = "Unchanged"
	// Created children did not exist.
	Created Action = "Created"
	// Updated children were wanted differently from before.
	Updated Action = "Updated"
	// Restored children had been changed by somebody else.
	Restored Action = "Restored"
	// Contested children have fields that somebody else changes each time they are put
	// back; those are left alone. Outcome.Err is a ContestedError.
	Contested Action = "Contested"
	// Terminating children are being deleted; they are made again when they are gone.
	Terminating Action = "Terminating"
	// Failed children could not be read or written; Outcome.Err says why.
	Failed Action = "Failed"
)

// Outcome is what became of one desired child.
type Outcome struct {
	Object Ref
	Action Action
	Err    error
}

// NotOwnedError says that a child's name is taken by an object that the owner does not control.
type NotOwnedError struct{ Object Ref }

// Error names the object and the remedy.
func (e *NotOwnedError) Error() string {
	return fmt.Sprintf("%s exists and belongs to somebody else: delete or rename it, or rename the owner", e.Object)
}

// Applier writes children under one field owner.
type Applier struct {
	client     client.Client
	live       client.Reader
	fieldOwner client.FieldOwner
	contests   *contests
}

// New makes an Applier. The client may read from a cache that holds only labelled
// children; the reader asks the API server, which decides before anything is created
// or put back. The clock tells for how long somebody else has been changing a child.
func New(c client.Client, reader client.Reader, fieldOwner string, now clock.PassiveClock) *Applier {
	return &Applier{client: c, live: reader, fieldOwner: client.FieldOwner(fieldOwner), contests: newContests(now)}
}

// Apply brings every desired object about, in order, and goes on after a failure.
// The error joins those of the outcomes; it wraps NotOwnedError where a name is taken,
// and ContestedError where somebody else keeps changing a child.
func (a *Applier) Apply(ctx context.Context, owner client.Object, objs ...Object) ([]Outcome, error) {
	outcomes := make([]Outcome, 0, len(objs))
	var errs []error
	for _, obj := range objs {
		outcome := a.applyOne(ctx, owner, obj)
		outcomes = append(outcomes, outcome)
		errs = append(errs, outcome.Err)
	}
	return outcomes, errors.Join(errs...)
}

func (a *Applier) applyOne(ctx context.Context, owner client.Object, obj Object) Outcome {
	want, err := a.desired(owner, obj)
	if err != nil {
		return Outcome{Action: Failed, Err: err}
	}
	ref := refOf(want)
	action, err := a.bring(ctx, owner, ref, want)
	return Outcome{Object: ref, Action: action, Err: err}
}

// Compare says what Apply would do to a child that is as given, and which fields it lacks
// of all that is wanted, in a fixed order. It reads nothing.
func (a *Applier) Compare(owner, live client.Object, obj Object) (Action, []string, error) {
	want, err := a.desired(owner, obj)
	if err != nil {
		return Failed, nil, err
	}
	have, err := content(live, want.GroupVersionKind())
	if err != nil {
		return Failed, nil, err
	}
	var fields []string
	for _, p := range differences(have.Object, want.Object) {
		fields = append(fields, p.String())
	}
	return decide(have, want), fields, nil
}

func (a *Applier) bring(ctx context.Context, owner client.Object, ref Ref, want *unstructured.Unstructured) (Action, error) {
	live, err := a.read(ctx, ref)
	if err != nil {
		return Failed, fmt.Errorf("read %s: %w", ref, err)
	}
	if live != nil && !metav1.IsControlledBy(live, owner) {
		return Failed, &NotOwnedError{Object: ref}
	}
	action := decide(live, want)
	var given []concession
	if action == Restored {
		if action, given, err = a.contend(ctx, ref, want, requestOf(owner.GetAnnotations())); err != nil {
			return Failed, fmt.Errorf("read %s: %w", ref, err)
		}
	}
	if err := a.write(ctx, ref, action, want); err != nil {
		return Failed, err
	}
	if len(given) > 0 {
		return Contested, contestedError(ref, given)
	}
	return action, nil
}

// contend decides about a child that somebody changed: what is contested is taken out
// of want. The API server is asked, because a cache may show what has been put back
// already, and does not keep who changed what.
func (a *Applier) contend(ctx context.Context, ref Ref, want *unstructured.Unstructured, request string) (Action, []concession, error) {
	live, err := a.get(ctx, a.live, ref)
	if apierrors.IsNotFound(err) {
		return Created, nil, nil
	}
	if err != nil {
		return Failed, nil, err
	}
	if action := decide(live, want); action != Restored {
		return action, nil, nil
	}
	about, differing := over(want, request), differences(live.Object, want.Object)
	given := a.contests.conceded(ref, about, differing)
	fought := slices.DeleteFunc(slices.Clone(differing), func(p path) bool { return isConceded(given, p) })
	a.contests.flipped(ref, about, fought, func(p path) string { return managerOf(live.GetManagedFields(), string(a.fieldOwner), p) })
	given = a.contests.conceded(ref, about, differing)
	for _, g := range given {
		g.field.remove(want.Object)
	}
	return decide(live, want), given, nil
}

// write applies what is wanted, where the action asks for it.
func (a *Applier) write(ctx context.Context, ref Ref, action Action, want *unstructured.Unstructured) error {
	if action == Unchanged || action == Terminating {
		return nil
	}
	options := []client.ApplyOption{a.fieldOwner}
	if action != Created {
		options = append(options, client.ForceOwnership)
	}
	if err := a.client.Apply(ctx, client.ApplyConfigurationFromUnstructured(want), options...); err != nil {
		return fmt.Errorf("apply %s: %w", ref, err)
	}
	return nil
}

// decide says what a child needs.
func decide(live, want *unstructured.Unstructured) Action {
	switch {
	case live == nil:
		return Created
	case live.GetDeletionTimestamp() != nil:
		return Terminating
	case appliedHash(live) != appliedHash(want) && appliedHash(live) != "":
		return Updated
	case len(differences(live.Object, want.Object)) > 0:
		return Restored
	}
	return Unchanged
}

// appliedHash is empty where somebody removed the annotation, and with it, perhaps, more.
func appliedHash(o *unstructured.Unstructured) string { return o.GetAnnotations()[AnnotationApplied] }

// read returns nil if the object does not exist. A cache that holds only labelled
// objects cannot say so: the API server is asked before.
func (a *Applier) read(ctx context.Context, ref Ref) (*unstructured.Unstructured, error) {
	live, err := a.get(ctx, a.client, ref)
	if apierrors.IsNotFound(err) {
		live, err = a.get(ctx, a.live, ref)
	}
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return live, err
}

// get reads a typed object, so that it comes from the cache that the watches fill.
func (a *Applier) get(ctx context.Context, from client.Reader, ref Ref) (*unstructured.Unstructured, error) {
	made, err := a.client.Scheme().New(ref.GroupVersionKind)
	if err != nil {
		return nil, err
	}
	typed, ok := made.(client.Object)
	if !ok {
		return nil, fmt.Errorf("%T is no object", made)
	}
	if err := from.Get(ctx, client.ObjectKey{Namespace: ref.Namespace, Name: ref.Name}, typed); err != nil {
		return nil, err
	}
	return content(typed, ref.GroupVersionKind)
}

// content is a typed object, which may come without its kind, as fields.
func content(typed client.Object, kind schema.GroupVersionKind) (*unstructured.Unstructured, error) {
	fields, err := runtime.DefaultUnstructuredConverter.ToUnstructured(typed)
	if err != nil {
		return nil, fmt.Errorf("convert %s %s: %w", kind.Kind, typed.GetName(), err)
	}
	live := &unstructured.Unstructured{Object: fields}
	live.SetGroupVersionKind(kind)
	return live, nil
}

// desired turns an apply configuration into what is sent: with the owner and the hash.
func (a *Applier) desired(owner client.Object, obj Object) (*unstructured.Unstructured, error) {
	want, err := toUnstructured(obj)
	if err != nil {
		return nil, err
	}
	reference, err := ownerReference(owner, a.client.Scheme())
	if err != nil {
		return nil, err
	}
	want.SetOwnerReferences([]metav1.OwnerReference{reference})
	if err := stampHash(want); err != nil {
		return nil, err
	}
	return want, nil
}

func toUnstructured(obj Object) (*unstructured.Unstructured, error) {
	raw, err := json.Marshal(obj)
	if err != nil {
		return nil, fmt.Errorf("encode desired object: %w", err)
	}
	var content map[string]any
	if err := json.Unmarshal(raw, &content); err != nil {
		return nil, fmt.Errorf("decode desired object: %w", err)
	}
	want := &unstructured.Unstructured{Object: content}
	if want.GetKind() == "" || want.GetAPIVersion() == "" || want.GetName() == "" {
		return nil, fmt.Errorf("desired object lacks apiVersion, kind or name (%s %s)", want.GetKind(), want.GetName())
	}
	return want, nil
}

func ownerReference(owner client.Object, scheme *runtime.Scheme) (metav1.OwnerReference, error) {
	gvk, err := apiutil.GVKForObject(owner, scheme)
	if err != nil {
		return metav1.OwnerReference{}, fmt.Errorf("kind of the owner: %w", err)
	}
	return *metav1.NewControllerRef(owner, gvk), nil
}

func stampHash(want *unstructured.Unstructured) error {
	raw, err := json.Marshal(want.Object)
	if err != nil {
		return fmt.Errorf("encode desired object: %w", err)
	}
	sum := sha256.Sum256(raw)
	annotations := want.GetAnnotations()
	if annotations == nil {
		annotations = map[string]string{}
	}
	annotations[AnnotationApplied] = hex.EncodeToString(sum[:8])
	want.SetAnnotations(annotations)
	return nil
}

func refOf(o *unstructured.Unstructured) Ref {
	return Ref{GroupVersionKind: o.GroupVersionKind(), Namespace: o.GetNamespace(), Name: o.GetName()}
}

// RefOf names the object that an apply configuration describes.
func RefOf(obj Object) (Ref, error) {
	u, err := toUnstructured(obj)
	if err != nil {
		return Ref{}, err
	}
	return refOf(u), nil
}
