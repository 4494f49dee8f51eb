package e2e

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/test/rig"
)

// TestServersStartWithTheLastGoodConfiguration breaks the configuration of an endpoint that
// the operator is told to leave alone, and takes all its servers away: those that take their
// place cannot use what is there, and serve as before. The operator then puts it right.
func TestServersStartWithTheLastGoodConfiguration(t *testing.T) {
	t.Parallel()
	o := newOwnTier(t, "last-good", life{lasts: time.Hour})
	mustWait(t, "all servers to use the configuration", settled(o.namespace, ownEndpoint))
	patch := func(object client.Object, content string) {
		object.SetNamespace(o.namespace)
		if err := shared.api.Patch(t.Context(), object, client.RawPatch(types.MergePatchType, []byte(content))); err != nil {
			t.Fatal(err)
		}
	}
	patch(&v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{Name: ownEndpoint}}, `{"spec": {"suspend": true}}`)
	mustWait(t, "the operator to leave it alone", rig.Condition(shared.api, o.namespace, ownEndpoint, v1alpha1.ConditionReady, metav1.ConditionUnknown))
	patch(&corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Name: ownEndpoint + "-ra-config"}}, `{"data": {"config.yaml": "{"}}`)
	before := time.Now().Truncate(time.Second)
	if err := shared.api.DeleteAllOf(t.Context(), &corev1.Pod{}, client.InNamespace(o.namespace), client.MatchingLabels{"app.kubernetes.io/name": "scepter-ra"}); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "new servers, which say why they use the old configuration", o.refuse(t, 2, 0, before))
	mustWait(t, "a device to enrol", o.enrols(t))
	if err := shared.rig.Kubectl(t.Context(), "rollout", "restart", "deployment/"+ownEndpoint+"-ra", "-n", o.namespace); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the roll-out to stop at its first server", o.refuse(t, 2, 1, before))
	mustWait(t, "a device to enrol with the others", o.enrols(t))
	patch(&v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{Name: ownEndpoint}}, `{"spec": {"suspend": false}}`)
	mustWait(t, "the endpoint to be Ready", rig.Ready(shared.api, o.namespace, ownEndpoint))
	mustWait(t, "all servers to use the configuration", settled(o.namespace, ownEndpoint))
}

// refuse checks that so many servers made since then are ready, so many are not, and that all
// name the configuration as a problem.
func (o *ownTier) refuse(t *testing.T, ready, unready int, since time.Time) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		var all corev1.PodList
		if err := shared.api.List(ctx, &all, client.InNamespace(o.namespace), client.MatchingLabels{"app.kubernetes.io/name": "scepter-ra"}); err != nil {
			return false, "", err
		}
		refusing := map[bool]int{}
		for i := range all.Items {
			pod := &all.Items[i]
			if pod.DeletionTimestamp != nil || pod.CreationTimestamp.Time.Before(since) {
				continue
			}
			raw, err := clientset(t).CoreV1().RESTClient().Get().Namespace(o.namespace).Resource("pods").
				Name(pod.Name + ":8081").SubResource("proxy").Suffix("status").DoRaw(ctx)
			if err != nil {
				return false, "", err
			}
			if strings.Contains(string(raw), "invalid RA configuration") {
				refusing[rig.PodReady(pod)]++
			}
		}
		return refusing[true] == ready && refusing[false] == unready, fmt.Sprintf("%d ready, %d not", refusing[true], refusing[false]), nil
	}
}

// settled checks that an endpoint's newest configuration is the last good one too, for
// servers of one revision.
func settled(namespace, endpoint string) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		var m corev1.ConfigMap
		err := shared.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: endpoint + "-ra-config"}, &m)
		good := raconfig.ReadLastGood(m.Data)
		return good.Config != "" && good.Config == m.Data[raconfig.ConfigFile] && len(good.Revisions) == 1, fmt.Sprintf("used by %q", good.Revisions), err
	}
}
