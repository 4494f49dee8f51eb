package e2e

import (
	"context"
	"fmt"
	"slices"
	"syscall"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/rig"
)

func named[T client.Object](object T, name string) T {
	object.SetNamespace(namespace)
	object.SetName(name)
	return object
}

// TestDeletedChildrenComeBack deletes each child in turn; it comes back, the
// endpoint is Ready, and a device enrols.
func TestDeletedChildrenComeBack(t *testing.T) {
	for _, child := range []client.Object{
		named(&appsv1.Deployment{}, "fleet-ra"),
		named(&corev1.Service{}, "fleet-ra"),
		named(&corev1.ConfigMap{}, "fleet-ra-config"),
		named(&corev1.ServiceAccount{}, "fleet-ra"),
		named(&rbacv1.RoleBinding{}, "fleet-ra"),
		named(&policyv1.PodDisruptionBudget{}, "fleet-ra"),
		named(&networkingv1.Ingress{}, "fleet-ra"),
	} {
		t.Run(fmt.Sprintf("%T", child), func(t *testing.T) {
			key := client.ObjectKeyFromObject(child)
			if err := shared.api.Get(t.Context(), key, child); err != nil {
				t.Fatal(err)
			}
			old, before := child.GetUID(), servers(t)
			if err := shared.api.Delete(t.Context(), child); err != nil {
				t.Fatal(err)
			}
			mustWait(t, "the child to come back", replaced(key, child, old))
			if _, is := child.(*corev1.ServiceAccount); is {
				mustWait(t, "servers of the new account", twoNewServers(t, before))
			}
			mustWait(t, "both servers", twoServers(t))
			mustBeReady(t)
			mustWait(t, "a device to enrol", enrols(t))
		})
	}
}

func replaced(key types.NamespacedName, child client.Object, old types.UID) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		err := shared.api.Get(ctx, key, child)
		return err == nil && child.GetUID() != old, string(child.GetUID()), err
	}
}

func twoServers(t *testing.T) rig.Check {
	t.Helper()
	return func(context.Context) (bool, string, error) {
		n := len(servers(t))
		return n == 2, fmt.Sprintf("%d servers", n), nil
	}
}

// twoNewServers checks that two serve, and none of those before.
func twoNewServers(t *testing.T, before []corev1.Pod) rig.Check {
	t.Helper()
	return func(context.Context) (bool, string, error) {
		now := servers(t)
		old := slices.ContainsFunc(now, func(p corev1.Pod) bool {
			return slices.ContainsFunc(before, func(b corev1.Pod) bool { return b.UID == p.UID })
		})
		return len(now) == 2 && !old, fmt.Sprintf("%d servers, old ones among them: %t", len(now), old), nil
	}
}

// enrols checks that a device is served; routes take a moment to follow.
func enrols(t *testing.T) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		result, err := through("http").Enrol(ctx, enrolment(t, newName()))
		if err != nil {
			return false, "", err
		}
		return result.Certificate != nil, result.FailInfoText, nil
	}
}

// TestEditedChildIsRestored changes a child by hand.
func TestEditedChildIsRestored(t *testing.T) {
	service := named(&corev1.Service{}, "fleet-ra")
	patch := client.RawPatch(types.MergePatchType, []byte(`{"spec":{"selector":{"app.kubernetes.io/name":"nothing"}}}`))
	if err := shared.api.Patch(t.Context(), service, patch); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the selector to be restored", func(ctx context.Context) (bool, string, error) {
		err := shared.api.Get(ctx, client.ObjectKeyFromObject(service), service)
		return service.Spec.Selector["app.kubernetes.io/name"] != "nothing", fmt.Sprint(service.Spec.Selector), err
	})
	mustWait(t, "a device to enrol", enrols(t))
	mustBeReady(t)
}

// TestBrokenRuleIsACondition breaks a CEL rule: a condition says so, devices are
// served by the rules as they were, and mending the rule mends the condition.
func TestBrokenRuleIsACondition(t *testing.T) {
	setRule(t, "csr.subject.commonName.nonsense(")
	mustWait(t, "the endpoint not to be accepted", rig.Condition(shared.api, namespace, endpoint, v1alpha1.ConditionAccepted, metav1.ConditionFalse))
	mustEnrol(t, through("http"), enrolment(t, newName()))
	setRule(t, "csr.subject.commonName.endsWith('"+domain+"')")
	mustBeReady(t)
}

func setRule(t *testing.T, expression string) {
	t.Helper()
	template := named(&v1alpha1.CertificateTemplate{}, "device")
	patch := fmt.Sprintf(`{"spec":{"rules":[{"expression":%q,"message":"CN must be a device name"}]}}`, expression)
	if err := shared.api.Patch(t.Context(), template, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

// TestChallengeChanges changes the password: servers take the new one, and then
// only that, without a restart.
func TestChallengeChanges(t *testing.T) {
	mustBeReady(t)
	before := servers(t)
	setChallenge(t, "another-password\n"+challenge)
	mustWait(t, "the new password to be accepted", acceptsChallenge(t, "another-password", true))
	mustEnrol(t, through("http"), enrolment(t, newName()))
	setChallenge(t, challenge)
	mustWait(t, "the new password to be refused again", acceptsChallenge(t, "another-password", false))
	after := servers(t)
	if len(after) != len(before) || after[0].UID != before[0].UID && after[0].UID != before[1].UID {
		t.Error("the servers were restarted for a new password")
	}
}

func setChallenge(t *testing.T, password string) {
	t.Helper()
	secret := named(&corev1.Secret{}, "fleet-challenge")
	patch := fmt.Sprintf(`{"stringData":{"password":%q}}`, password)
	if err := shared.api.Patch(t.Context(), secret, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

func acceptsChallenge(t *testing.T, password string, want bool) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		for _, pod := range servers(t) {
			result, err := toPod(&pod).Enrol(ctx, withChallenge(enrolment(t, newName()), password))
			if err != nil {
				return false, "", err
			}
			if (result.Certificate != nil) != want {
				return false, pod.Name + " answered " + result.Status.String(), nil
			}
		}
		return true, "", nil
	}
}

// touch asks for a reconcile, and handled checks that it was done.
func touch(t *testing.T) {
	t.Helper()
	ep := named(&v1alpha1.ScepEndpoint{}, endpoint)
	patch := fmt.Sprintf(`{"metadata":{"annotations":{%q:%q}}}`, v1alpha1.AnnotationReconcile, time.Now().Format(time.RFC3339Nano))
	if err := shared.api.Patch(t.Context(), ep, client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

func handled(t *testing.T) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		ep := named(&v1alpha1.ScepEndpoint{}, endpoint)
		if err := shared.api.Get(ctx, client.ObjectKeyFromObject(ep), ep); err != nil {
			return false, "", err
		}
		asked := ep.Annotations[v1alpha1.AnnotationReconcile]
		if asked == "" {
			return false, "", errNoAnnotation
		}
		return ep.Status.LastHandledReconcileAt == asked, ep.Status.LastHandledReconcileAt, nil
	}
}

// TestF12AccountComesBack takes the servers' identity away: service account and right.
func TestF12AccountComesBack(t *testing.T) {
	row := failureRow(t, "F12")
	before := servers(t)
	for _, o := range []client.Object{named(&corev1.ServiceAccount{}, "fleet-ra"), named(&rbacv1.RoleBinding{}, "fleet-ra")} {
		if err := shared.api.Delete(t.Context(), o); err != nil {
			t.Fatal(err)
		}
	}
	row.Injected()
	row.mustDetect(namespace, endpoint)
	row.mustHeal(namespace, endpoint, enrols(t))
	// The servers of the old account are on their way out: later tests want the new ones.
	mustWait(t, "two servers of the new account", twoNewServers(t, before))
	mustEnrol(t, through("http"), enrolment(t, newName()))
	mustBeReady(t)
	row.Served()
}

// TestF15ServersHang stops the processes of all servers, which go on to exist: liveness
// finds out, and they are started again.
func TestF15ServersHang(t *testing.T) {
	row := failureRow(t, "F15")
	mustWait(t, "both servers", twoServers(t))
	for _, pod := range servers(t) {
		if err := shared.rig.Cluster.SignalContainer(t.Context(), pod.Status.ContainerStatuses[0].ContainerID, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	row.Injected()
	row.mustDetect(namespace, endpoint)
	row.mustHeal(namespace, endpoint, enrols(t))
	mustEnrol(t, through("http"), enrolment(t, newName()))
	mustBeReady(t)
	row.Served()
}

// TestF16TemplateIsMissing deletes the endpoint's template: a condition names it, and
// devices are served by what the servers have, until it is there again.
func TestF16TemplateIsMissing(t *testing.T) {
	row := failureRow(t, "F16")
	template := named(&v1alpha1.CertificateTemplate{}, "device")
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(template), template); err != nil {
		t.Fatal(err)
	}
	again := &v1alpha1.CertificateTemplate{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: template.Name}, Spec: template.Spec}
	if err := shared.api.Delete(t.Context(), template); err != nil {
		t.Fatal(err)
	}
	row.Injected()
	row.mustDetect(namespace, endpoint)
	mustEnrol(t, through("http"), enrolment(t, newName()))
	if err := shared.api.Create(t.Context(), again); err != nil {
		t.Fatal(err)
	}
	row.Remedied()
	row.mustHeal(namespace, endpoint, enrols(t))
	row.Served()
}

// TestF48FieldIsFoughtOver plays another manager that changes a field each time it was put
// back, until the operator stops and names him; when he gives in, all is as it was.
func TestF48FieldIsFoughtOver(t *testing.T) {
	row := failureRow(t, "F48")
	const theirs, ours = 2, 1
	for range 2 {
		setMaxUnavailable(t, theirs)
		mustWait(t, "the field to be put back", maxUnavailable(ours))
	}
	setMaxUnavailable(t, theirs)
	row.Injected()
	row.mustDetect(namespace, endpoint)
	if left, seen, err := maxUnavailable(theirs)(t.Context()); err != nil || !left {
		t.Errorf("the field is fought for: %s, %v", seen, err)
	}
	mustEnrol(t, through("http"), enrolment(t, newName()))
	setMaxUnavailable(t, ours)
	row.Remedied()
	row.mustHeal(namespace, endpoint, enrols(t))
	row.Served()
}

func setMaxUnavailable(t *testing.T, n int) {
	t.Helper()
	patch := client.RawPatch(types.MergePatchType, fmt.Appendf(nil, `{"spec": {"maxUnavailable": %d}}`, n))
	if err := shared.api.Patch(t.Context(), named(&policyv1.PodDisruptionBudget{}, "fleet-ra"), patch, client.FieldOwner("group-policy")); err != nil {
		t.Fatal(err)
	}
}

func maxUnavailable(want int) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		budget := named(&policyv1.PodDisruptionBudget{}, "fleet-ra")
		if err := shared.api.Get(ctx, client.ObjectKeyFromObject(budget), budget); err != nil {
			return false, "", err
		}
		have := budget.Spec.MaxUnavailable
		return have != nil && have.IntValue() == want, "maxUnavailable is " + have.String(), nil
	}
}
