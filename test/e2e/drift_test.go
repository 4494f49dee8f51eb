package e2e

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	eventsv1 "k8s.io/api/events/v1"
	networkingv1 "k8s.io/api/networking/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/api/equality"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// drift is a child, and what somebody does to it by hand.
type drift struct {
	child client.Object
	kind  string
	patch string
}

// drifts are of children that no other test changes, so that each is told of once.
func drifts() []drift {
	return []drift{
		{named(&appsv1.Deployment{}, "fleet-ra"), "Deployment", `{"spec": {"revisionHistoryLimit": 7}}`},
		{named(&corev1.ConfigMap{}, "fleet-ra-config"), "ConfigMap", `{"data": {"config.yaml": "{}"}}`},
		{named(&corev1.ServiceAccount{}, "fleet-ra"), "ServiceAccount", `{"metadata": {"labels": {"app.kubernetes.io/name": "nothing"}}}`},
		{named(&rbacv1.RoleBinding{}, "fleet-ra"), "RoleBinding", `{"subjects": [{"kind": "ServiceAccount", "name": "default", "namespace": "tier"}]}`},
		{named(&networkingv1.Ingress{}, "fleet-ra"), "Ingress", `{"spec": {"rules": [{"host": "elsewhere.example.com"}]}}`},
	}
}

// TestF40DriftIsPutBack changes children by hand, all at a time: each is put back as it
// was, once, and an Event names it.
func TestF40DriftIsPutBack(t *testing.T) {
	row := failureRow(t, "F40")
	mustWait(t, "all servers to use the configuration", settled(namespace, endpoint)) // which is written down beside it
	all := drifts()
	before := make([]map[string]any, len(all))
	for i, d := range all {
		before[i] = mustShowContent(t, d.child)
		if len(before[i]) == 0 {
			t.Fatalf("%s has no content to change", d.kind)
		}
	}
	for _, d := range all {
		if err := shared.api.Patch(t.Context(), d.child, client.RawPatch(types.MergePatchType, []byte(d.patch))); err != nil {
			t.Fatal(err)
		}
	}
	row.Injected()
	for _, d := range all {
		mustWait(t, "an Event to name "+d.kind, restoredEvents(d, 1))
	}
	row.Detected("Restored")
	for i, d := range all {
		mustWait(t, d.kind+" to be put back", func(context.Context) (bool, string, error) {
			now := mustShowContent(t, d.child)
			return equality.Semantic.DeepEqual(now, before[i]), fmt.Sprint(now), nil
		})
	}
	row.mustHeal(namespace, endpoint, enrols(t))
	touch(t)
	mustWait(t, "another look", handled(t))
	for _, d := range all {
		if once, seen, err := restoredEvents(d, 1)(t.Context()); err != nil || !once {
			t.Errorf("%s was not put back once: %s, %v", d.kind, seen, err)
		}
	}
	mustEnrol(t, through("http"), enrolment(t, newName()))
	mustBeReady(t)
	row.Served()
}

// mustShowContent is what a child is, without what the API server and others keep there.
func mustShowContent(t *testing.T, child client.Object) map[string]any {
	t.Helper()
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(child), child); err != nil {
		t.Fatal(err)
	}
	whole, err := runtime.DefaultUnstructuredConverter.ToUnstructured(child)
	if err != nil {
		t.Fatal(err)
	}
	content := map[string]any{"labels": child.GetLabels()}
	for _, part := range []string{"spec", "data", "subjects", "roleRef"} {
		if value, ok := whole[part]; ok {
			content[part] = value
		}
	}
	return content
}

// restoredEvents checks how often Events say that a child was put back.
func restoredEvents(d drift, want int) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		var list eventsv1.EventList
		if err := shared.api.List(ctx, &list, client.InNamespace(namespace)); err != nil {
			return false, "", err
		}
		n := 0
		for i := range list.Items {
			e := &list.Items[i]
			if e.Reason != "Restored" || e.Regarding.Name != endpoint || e.Related == nil || e.Related.Kind != d.kind || e.Related.Name != d.child.GetName() {
				continue
			}
			n++
			if e.Series != nil {
				n += int(e.Series.Count)
			}
		}
		return n == want, fmt.Sprintf("put back %d times", n), nil
	}
}

// TestF13RightIsTaken has somebody make the servers' RoleBinding his own and take their
// right away: it is not taken over, a condition names it, devices are told to come again,
// and when it is out of the way the right is back.
func TestF13RightIsTaken(t *testing.T) {
	row := failureRow(t, "F13")
	binding := named(&rbacv1.RoleBinding{}, "fleet-ra")
	const theirs = `{"metadata": {"ownerReferences": null}, "subjects": null}`
	if err := shared.api.Patch(t.Context(), binding, client.RawPatch(types.MergePatchType, []byte(theirs))); err != nil {
		t.Fatal(err)
	}
	giveBack := func() error {
		return client.IgnoreNotFound(shared.api.Delete(context.WithoutCancel(t.Context()), named(&rbacv1.RoleBinding{}, "fleet-ra"), client.Preconditions{UID: &binding.UID}))
	}
	t.Cleanup(func() { _ = giveBack() })
	row.Injected()
	row.mustDetect(namespace, endpoint)
	r := enrolment(t, newName())
	mustWait(t, "a device to be told to come again", func(ctx context.Context) (bool, string, error) {
		_, err := through("http").Enrol(ctx, r)
		var status *scep.HTTPError
		if errors.As(err, &status) {
			return status.StatusCode == http.StatusServiceUnavailable, status.Error(), nil
		}
		return false, "no HTTP error", err
	})
	if err := giveBack(); err != nil {
		t.Fatal(err)
	}
	row.Remedied()
	row.mustHeal(namespace, endpoint, enrols(t))
	mustEnrol(t, through("http"), r)
	mustBeReady(t)
	row.Served()
}
