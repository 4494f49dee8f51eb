package scependpoint

import (
	"sync"

	"k8s.io/apimachinery/pkg/api/meta"
	"k8s.io/apimachinery/pkg/runtime/schema"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/internal/render/route"
)

func gatewayKind(kind string) schema.GroupVersionKind {
	return schema.GroupVersionKind{Group: gatewayv1.GroupName, Version: gatewayv1.GroupVersion.Version, Kind: kind}
}

// gatewayWatch begins to watch the kinds of the Gateway API when the cluster has
// them: that may be when the operator starts, or any time later, or never.
type gatewayWatch struct {
	mapper meta.RESTMapper
	// watch starts the watch of a kind; called once for each.
	watch func(schema.GroupVersionKind) error

	mu      sync.Mutex
	watched map[string]bool
}

// ensure says whether a kind is served, and is being watched.
func (g *gatewayWatch) ensure(kind schema.GroupVersionKind) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.watched[kind.Kind] {
		return true
	}
	if _, err := g.mapper.RESTMapping(kind.GroupKind(), kind.Version); err != nil {
		return false
	}
	if err := g.watch(kind); err != nil {
		return false
	}
	g.watched[kind.Kind] = true
	return true
}

// known lists the kinds that are being watched, without asking the cluster.
func (g *gatewayWatch) known() route.GatewayKinds {
	g.mu.Lock()
	defer g.mu.Unlock()
	return route.GatewayKinds{HTTPRoute: g.watched["HTTPRoute"], TLSRoute: g.watched["TLSRoute"], ListenerSet: g.watched["ListenerSet"]}
}
