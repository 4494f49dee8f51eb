// Package ingresslimit keeps the one setting in an ingress controller's ConfigMap that
// lets the long URLs of SCEP through, where the operator's administrator names that
// ConfigMap and grants it. The setting is for all Ingresses of that controller, so it
// is never made unasked; nothing else in the ConfigMap is touched, a larger value that
// somebody else set stays, and nothing is put back when Scepter goes.
package ingresslimit

import (
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/internal/render/route"
)

// interval is the time between two looks. Looks are reads of one object; only a
// setting that is not as it should be costs a write.
const interval = 30 * time.Second

// Target is the ConfigMap of an ingress controller.
type Target struct {
	// Implementation is the row of the table: whose ConfigMap it is.
	Implementation route.Implementation
	// ConfigMap that the controller reads. It has to exist.
	ConfigMap types.NamespacedName
}

// Keeper keeps the setting of one target. It runs in the operator that leads.
type Keeper struct {
	target Target
	reader client.Reader
	writer client.Writer
	kept   atomic.Bool
}

// New makes a Keeper; the reader asks the API server itself.
func New(t Target, reader client.Reader, writer client.Writer) *Keeper {
	k := &Keeper{target: t, reader: reader, writer: writer}
	// Until the first look it is taken to be kept, as it was before the operator's restart.
	k.kept.Store(true)
	return k
}

// Keeps says whether the setting of an implementation was as it should be at the last look.
func (k *Keeper) Keeps(implementation string) bool {
	return k != nil && k.target.Implementation.ID == implementation && k.kept.Load()
}

// Start looks until the context ends.
func (k *Keeper) Start(ctx context.Context) error {
	log := ctrl.LoggerFrom(ctx).WithName("ingress-limit").WithValues("configMap", k.target.ConfigMap)
	said := ""
	wait.JitterUntilWithContext(ctx, func(ctx context.Context) {
		changed, err := k.Look(ctx)
		switch {
		case err != nil && err.Error() != said:
			log.Error(err, "keep the setting for long URLs")
			said = err.Error()
		case err == nil:
			said = ""
		}
		if changed {
			log.Info("set what lets long URLs through", "key", k.target.Implementation.Global.Key)
		}
	}, interval, 0.1, true)
	return nil
}

// Look reads the ConfigMap once, and sets the key if it has to; it says whether it did.
func (k *Keeper) Look(ctx context.Context) (changed bool, err error) {
	defer func() { k.kept.Store(err == nil) }()
	var m corev1.ConfigMap
	if err := k.reader.Get(ctx, k.target.ConfigMap, &m); err != nil {
		return false, fmt.Errorf("read the ingress controller's ConfigMap: %w", err)
	}
	global := k.target.Implementation.Global
	have := m.Data[global.Key]
	want := global.Raised(have)
	if want == have {
		return false, nil
	}
	// With the resourceVersion: what somebody else writes meanwhile is looked at first.
	patch, err := json.Marshal(map[string]any{
		"metadata": map[string]any{"resourceVersion": m.ResourceVersion},
		"data":     map[string]string{global.Key: want},
	})
	if err != nil {
		return false, fmt.Errorf("encode the setting: %w", err)
	}
	target := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: m.Namespace, Name: m.Name}}
	if err := k.writer.Patch(ctx, target, client.RawPatch(types.MergePatchType, patch), client.FieldOwner("scepter-ingress-limit")); err != nil {
		return false, fmt.Errorf("set %s in the ingress controller's ConfigMap: %w", global.Key, err)
	}
	return true, nil
}
