package scependpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// plan is what is to be done, and what was decided on the way.
type plan struct {
	// children to bring about.
	children []apply.Object
	// prune lists the kinds of which no other children are wanted.
	prune []schema.GroupVersionKind
	// makeState asks for the state Secret with a new key.
	makeState bool
	// nudges are the pods to be touched, with the value of AnnotationNudge.
	nudges map[string]string
	// expired names the CertificateRequests to be deleted.
	expired []string
	// rollover of the RA credential.
	rollover rollover
	// config that the servers are to have; nil if it cannot be known.
	config *raconfig.Config
	// configHash is what a server reports that has loaded config.
	configHash string
	// err says why the children could not be rendered.
	err error
}

// planEndpoint decides everything, from what was seen and nothing else.
func planEndpoint(ep *v1alpha1.ScepEndpoint, seen *observation, program render.Program, known route.GatewayKinds, now time.Time) *plan {
	p := &plan{rollover: endpointRollover(seen, now)}
	p.config = plannedConfig(ep, seen, p.rollover.active)
	if err := p.hashConfig(); err != nil {
		p.err = err
		return p
	}
	if ep.Spec.Suspend {
		return p
	}
	p.children, p.err = children(ep, seen, program, p.config)
	if p.err != nil {
		return p
	}
	p.prune = prunable(p, seen, known)
	p.makeState = seen.state.absent() || seen.state.value != nil && !seen.state.value.usable
	p.nudges = planNudges(p, seen)
	p.expired = expiredRequests(seen.requests, now)
	return p
}

func endpointRollover(seen *observation, now time.Time) rollover {
	credential := seen.credential.value
	if credential == nil || credential.Spec.Purpose != v1alpha1.PurposeRA || seen.keyring.value == nil {
		return rollover{}
	}
	var replicas []replica
	if seen.replicas.value != nil {
		replicas = *seen.replicas.value
	}
	if seen.replicas.err != nil {
		// Servers that could not be listed may be there: they count as one that lacks everything.
		replicas = []replica{{name: "unknown", ready: true}}
	}
	return planRollover(credential.Status.Generations, credential.Status.Distrusted, activeOf(seen), replicas, now)
}

// activeOf is the generation that the servers' configuration names at present:
// the configuration, not the status, for it may have been written just before a crash.
func activeOf(seen *observation) string {
	if seen.config.value == nil {
		return ""
	}
	return seen.config.value.ActiveGeneration
}

// plannedConfig is made anew when all it depends on is there. Otherwise the last
// one stays, so that a broken template does not take a running endpoint down; the
// RA credential is rolled over all the same.
func plannedConfig(ep *v1alpha1.ScepEndpoint, seen *observation, active string) *raconfig.Config {
	if active == "" || seen.config.err != nil {
		return nil
	}
	challenges := usableChallenges(seen)
	if acceptedTemplates(seen) && !issuersDiffer(ep, seen) && len(challenges) > 0 {
		return render.Config(ep, templatesOf(seen), challenges, active)
	}
	if seen.config.value == nil {
		return nil
	}
	last := *seen.config.value
	last.ActiveGeneration = active
	return &last
}

func acceptedTemplates(seen *observation) bool {
	return !slices.ContainsFunc(seen.templates, func(t read[v1alpha1.CertificateTemplate]) bool {
		return t.value == nil || !conditions.IsTrue(t.value.Status.Conditions, v1alpha1.ConditionReady, t.value.Generation)
	})
}

func templatesOf(seen *observation) []v1alpha1.CertificateTemplate {
	out := make([]v1alpha1.CertificateTemplate, 0, len(seen.templates))
	for _, t := range seen.templates {
		out = append(out, *t.value)
	}
	return out
}

func (p *plan) hashConfig() error {
	if p.config == nil {
		return nil
	}
	file, err := raconfig.Encode(p.config)
	if err != nil {
		return fmt.Errorf("plan configuration: %w", err)
	}
	p.configHash = raconfig.Hash(file)
	return nil
}

func children(ep *v1alpha1.ScepEndpoint, seen *observation, program render.Program, config *raconfig.Config) ([]apply.Object, error) {
	out, err := render.Children(render.Input{
		Endpoint: ep, Program: program, Config: config, ServiceAccountUID: serviceAccountUID(seen),
	})
	if err != nil {
		return nil, fmt.Errorf("render children: %w", err)
	}
	routes := route.Children(ep, implementation(seen), seen.exposure.gatewayKinds)
	if classUnread(seen) {
		routes = slices.DeleteFunc(routes, isIngress)
	}
	return append(out, routes...), nil
}

// serviceAccountUID is empty until the service account was seen: it is made first.
func serviceAccountUID(seen *observation) types.UID {
	if seen.account.value == nil {
		return ""
	}
	return seen.account.value.UID
}

// classUnread is true where the annotations that an Ingress needs are not known: one that is there stays as it is.
func classUnread(seen *observation) bool { return seen.exposure.ingressClass.err != nil }

func isIngress(o apply.Object) bool {
	_, is := o.(*networkingv1ac.IngressApplyConfiguration)
	return is
}

func implementation(seen *observation) route.Implementation {
	if class := seen.exposure.ingressClass.value; class != nil {
		return route.ByController(class.Spec.Controller)
	}
	return route.ByController("")
}

var (
	serviceKind      = corev1.SchemeGroupVersion.WithKind("Service")
	ingressKind      = networkingv1.SchemeGroupVersion.WithKind("Ingress")
	certificateKind  = certmanagerv1.SchemeGroupVersion.WithKind(certmanagerv1.CertificateKind)
	raCredentialKind = v1alpha1.GroupVersion.WithKind("RACredential")
)

// prunable lists the kinds that may have become unwanted. An endpoint's own
// RACredential stays until the one that replaces it is in use, and an Ingress
// until its class could be read.
func prunable(p *plan, seen *observation, known route.GatewayKinds) []schema.GroupVersionKind {
	kinds := append(kindsOf(known), certificateKind, serviceKind)
	if !classUnread(seen) {
		kinds = append(kinds, ingressKind)
	}
	if p.config != nil {
		kinds = append(kinds, raCredentialKind)
	}
	return kinds
}

// planNudges says which pods to touch so that the kubelet refreshes their mounts
// at once. A pod that has been touched and still reports old content gets another
// touch with the next look, ten at most: the first may have come before the
// kubelet heard of the change.
func planNudges(p *plan, seen *observation) map[string]string {
	if p.config == nil || seen.replicas.value == nil {
		return nil
	}
	hash := mountsHash(p.configHash, seen)
	nudges := map[string]string{}
	for _, r := range *seen.replicas.value {
		stale := r.status != nil && (r.status.ConfigHash != p.configHash || p.rollover.next != "" && !r.status.Holds(p.rollover.next))
		if next := nextNudge(r.nudge, hash, stale); next != r.nudge {
			nudges[r.name] = next
		}
	}
	return nudges
}

const maxNudges = 10

// nudgedEnough says whether a pod gets no further touch for the same content.
func nudgedEnough(nudge string) bool { return strings.HasSuffix(nudge, fmt.Sprintf(".%d", maxNudges)) }

// nextNudge is the value of AnnotationNudge after have: "<hash>.<times>".
func nextNudge(have, hash string, stale bool) string {
	for times := 1; times <= maxNudges; times++ {
		if have != fmt.Sprintf("%s.%d", hash, times) {
			continue
		}
		if !stale || times == maxNudges {
			return have
		}
		return fmt.Sprintf("%s.%d", hash, times+1)
	}
	return hash + ".1"
}

// mountsHash changes when anything changes that is mounted into the servers.
func mountsHash(configHash string, seen *observation) string {
	h := sha256.New()
	write := func(s string) { h.Write([]byte(s + "\n")) }
	write(configHash)
	if seen.keyring.value != nil {
		write(version(seen.keyring.value))
	}
	for _, c := range seen.challenges {
		for _, s := range c.sources {
			write(s.seen.version)
		}
	}
	write(seen.exposure.serverTLS.version)
	write(seen.exposure.adminTLS.version)
	write(seen.exposure.adminBasic.version)
	return hex.EncodeToString(h.Sum(nil)[:8])
}
