package ingresslimit

import (
	"context"
	"errors"
	"testing"

	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/render/route"
)

func TestMain(m *testing.M) { testenv.Main(m) }

const key = "large-client-header-buffers"

func keeper(t *testing.T) (*Keeper, client.Client, types.NamespacedName) {
	t.Helper()
	nginx, found := route.ByID("ingress-nginx")
	if !found {
		t.Fatal("there is no row for ingress-nginx")
	}
	c, at := testenv.Client(t), types.NamespacedName{Namespace: testenv.Namespace(t), Name: "controller"}
	return New(Target{Implementation: nginx, ConfigMap: at}, c, c), c, at
}

func look(t *testing.T, k *Keeper, wantChange bool) {
	t.Helper()
	changed, err := k.Look(t.Context())
	if err != nil || changed != wantChange {
		t.Errorf("changed %v (%v), want %v", changed, err, wantChange)
	}
}

func read(t *testing.T, c client.Client, at types.NamespacedName) *corev1.ConfigMap {
	t.Helper()
	var m corev1.ConfigMap
	if err := c.Get(t.Context(), at, &m); err != nil {
		t.Fatal(err)
	}
	return &m
}

func TestTheKeyIsKeptAndNothingElse(t *testing.T) {
	k, c, at := keeper(t)
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name}, Data: map[string]string{"server-tokens": "false"}}
	if err := c.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	look(t, k, true)
	set := read(t, c, at)
	if set.Data[key] != "4 72k" || set.Data["server-tokens"] != "false" || len(set.Data) != 2 {
		t.Errorf("data: %v", set.Data)
	}
	if !k.Keeps("ingress-nginx") || k.Keeps("f5-nginx") {
		t.Error("it does not say what it keeps")
	}
	look(t, k, false)
	if again := read(t, c, at); again.ResourceVersion != set.ResourceVersion {
		t.Error("a ConfigMap that is as it should be was written")
	}
	delete(set.Data, key) // drift
	if err := c.Update(t.Context(), set); err != nil {
		t.Fatal(err)
	}
	look(t, k, true)
	if got := read(t, c, at).Data[key]; got != "4 72k" {
		t.Errorf("after drift: %q", got)
	}
}

func TestALargerValueStays(t *testing.T) {
	k, c, at := keeper(t)
	m := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: at.Namespace, Name: at.Name}, Data: map[string]string{key: "8 256k"}}
	if err := c.Create(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	look(t, k, false)
}

func TestAMissingConfigMapIsNotMade(t *testing.T) {
	k, c, at := keeper(t)
	if _, err := k.Look(t.Context()); !apierrors.IsNotFound(err) || k.Keeps("ingress-nginx") {
		t.Errorf("look: %v", err)
	}
	if err := c.Get(t.Context(), at, &corev1.ConfigMap{}); !apierrors.IsNotFound(err) {
		t.Errorf("it was made (%v)", err)
	}
}

func TestStartEndsWithItsContext(t *testing.T) {
	k, _, _ := keeper(t)
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(errors.New("enough"))
	if err := k.Start(ctx); err != nil {
		t.Error(err)
	}
}
