package scependpoint

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	networkingv1 "k8s.io/api/networking/v1"
	policyv1 "k8s.io/api/policy/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	"k8s.io/apimachinery/pkg/runtime/schema"
	"k8s.io/apimachinery/pkg/types"
	networkingv1ac "k8s.io/client-go/applyconfigurations/networking/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/remedy"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/render/route"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// plan is what is to be done, and what was decided on the way.
type plan struct {
	// children to bring about.
	children []apply.Object
	// prune lists the kinds of which no other children are wanted.
	prune []schema.GroupVersionKind
	// makeState asks for the state Secret, with new keys for those that are missing.
	makeState bool
	// keys is the next step of the keys of one-time challenges.
	keys rotation.KeyPlan
	// nudges are the pods to be touched, with the value of AnnotationNudge.
	nudges map[string]string
	// expired names the CertificateRequests to be deleted.
	expired []string
	// claims names the claims of one-time challenges to be deleted.
	claims []string
	// signers is what they need beside their children.
	signers signerPlan
	// rollover of the RA credential.
	rollover *rotation.SwitchPlan
	// clients are the rollovers of client credentials, by their names.
	clients map[string]*rotation.ClientPlan
	// trials of the issuer, and what became of them.
	trials []v1alpha1.TemplateTrial
	// config that the servers are to have; nil if it cannot be known.
	config *raconfig.Config
	// configHash is what a server reports that has loaded config.
	configHash string
	// lastGood is the newest configuration that every server used.
	lastGood raconfig.LastGood
	// need is why servers are to be replaced though the spec does not ask for it; remedy is
	// what is done about that.
	need   remedy.Cause
	remedy remedy.Decision
	// err says why the children could not be rendered.
	err error
}

// planEndpoint decides everything, from what was seen and nothing else.
func planEndpoint(ep *v1alpha1.ScepEndpoint, seen *observation, program render.Program, known route.GatewayKinds, now time.Time) *plan {
	ep = effective(ep, seen)
	ep = loggingAt(ep, now)
	p := &plan{rollover: planRollover(ep, seen, now), trials: planTrials(ep, seen, now)}
	p.config = plannedConfig(ep, seen, p.rollover)
	if p.config != nil {
		p.config.CA = plannedCA(ep, seen, now)
		p.config.Trial = orderedTrial(seen, p.trials)
	}
	p.clients = planClients(ep, seen, p.config, now)
	showClients(p.config, p.clients)
	if err := p.hashConfig(seen); err != nil {
		p.err = err
		return p
	}
	if ep.Spec.Suspend {
		return p
	}
	p.children, p.err = children(ep, seen, program, p)
	if p.err != nil {
		return p
	}
	p.prune = prunable(ep, p, seen, known)
	p.makeState = seen.state.absent() || seen.state.value != nil && !seen.state.value.usable && !seen.state.value.fixed
	p.keys = planKeys(ep, seen, p.config, now)
	p.nudges = planNudges(p, seen)
	maps.Copy(p.nudges, planSignerNudges(p, seen))
	p.signers = planSigners(ep, seen)
	if seen.claims.value != nil {
		p.claims = *seen.claims.value
	}
	p.expired = slices.Concat(expiredRequests(ep, seen.requests, now), expiredTrials(seen, p.trials, now), expiredCanaries(ep, seen, now))
	return p
}

// plannedConfig is made anew when all it depends on is there. Otherwise the last
// one stays, so that a broken template does not take a running endpoint down; the
// RA credential is rolled over all the same.
func plannedConfig(ep *v1alpha1.ScepEndpoint, seen *observation, to *rotation.SwitchPlan) *raconfig.Config {
	if to.Active == "" || seen.config.err != nil {
		return nil
	}
	challenges := usableChallenges(seen)
	var config *raconfig.Config
	switch {
	case usableTemplates(ep, seen) && !issuersDiffer(ep, seen) && len(challenges) > 0:
		config = withholdRecording(probing(render.Config(ep, templatesOf(seen), challenges, to.Active), ep, seen), seen)
	case seen.config.value == nil:
		return nil
	default:
		last := *seen.config.value
		config = &last
	}
	config.ActiveGeneration, config.Credential, config.Accepted = to.Active, to.Credential, to.Accepted
	return config
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

func (p *plan) hashConfig(seen *observation) error {
	if p.config == nil {
		return nil
	}
	file, err := raconfig.Encode(p.config)
	if err != nil {
		return fmt.Errorf("plan configuration: %w", err)
	}
	p.configHash = raconfig.Hash(file)
	p.lastGood = planLastGood(seen, string(file))
	return nil
}

func children(ep *v1alpha1.ScepEndpoint, seen *observation, program render.Program, p *plan) ([]apply.Object, error) {
	out, err := render.Children(render.Input{
		Endpoint: ep, Program: program, Config: p.config, LastGood: p.lastGood, Keyrings: p.rollover.Keyrings(),
		ServiceAccountUID: serviceAccountUID(seen), CASecret: caSecret(ep, seen.issuer),
		ServiceAnnotations: serviceAnnotations(ep, seen),
	})
	if err != nil {
		return nil, fmt.Errorf("render children: %w", err)
	}
	routes := route.Children(routed(ep, seen), implementation(ep, seen), seen.exposure.gatewayKinds, listenerSets(routed(ep, seen), &seen.exposure))
	if classUnread(seen) {
		routes = slices.DeleteFunc(routes, isIngress)
	}
	if gatewaysUnread(seen) {
		routes = slices.DeleteFunc(routes, isGatewayChild)
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

// implementation is recognised by the IngressClass, or where there is none by its name.
func implementation(ep *v1alpha1.ScepEndpoint, seen *observation) route.Implementation {
	class := route.Class{}
	if ingress := ep.Spec.Exposure.Ingress; ingress != nil && ingress.ClassName != nil {
		class.Name = *ingress.ClassName
	}
	if value := seen.exposure.ingressClass.value; value != nil {
		class = route.Class{Name: value.Name, Controller: value.Spec.Controller}
	}
	return route.ByIngressClass(class)
}

// serviceAnnotations are what the implementations in front look for on the Service.
func serviceAnnotations(ep *v1alpha1.ScepEndpoint, seen *observation) map[string]string {
	out := map[string]string{}
	if ep.Spec.Exposure.Ingress != nil {
		maps.Copy(out, implementation(ep, seen).Service)
	}
	for _, g := range seen.exposure.gateways {
		maps.Copy(out, g.implementation().Service)
	}
	return out
}

var (
	serviceKind     = corev1.SchemeGroupVersion.WithKind("Service")
	ingressKind     = networkingv1.SchemeGroupVersion.WithKind("Ingress")
	certificateKind = certmanagerv1.SchemeGroupVersion.WithKind(certmanagerv1.CertificateKind)

	deploymentKind     = appsv1.SchemeGroupVersion.WithKind("Deployment")
	networkPolicyKind  = networkingv1.SchemeGroupVersion.WithKind("NetworkPolicy")
	budgetKind         = policyv1.SchemeGroupVersion.WithKind("PodDisruptionBudget")
	roleBindingKind    = rbacv1.SchemeGroupVersion.WithKind("RoleBinding")
	serviceAccountKind = corev1.SchemeGroupVersion.WithKind("ServiceAccount")

	raCredentialKind = v1alpha1.GroupVersion.WithKind("RACredential")
)

// rendersAllDeployments says whether a Deployment that is not among the children is
// unwanted, rather than one that cannot be made at present.
func rendersAllDeployments(ep *v1alpha1.ScepEndpoint, p *plan, seen *observation) bool {
	return p.config != nil && serviceAccountUID(seen) != "" && (!render.IsDirect(ep) || caSecret(ep, seen.issuer) != "")
}

// prunable lists the kinds that may have become unwanted. An endpoint's own
// RACredential stays until nobody needs its generations any more, an Ingress until its
// class could be read, and routes until their Gateways could.
func prunable(ep *v1alpha1.ScepEndpoint, p *plan, seen *observation, known route.GatewayKinds) []schema.GroupVersionKind {
	kinds := []schema.GroupVersionKind{certificateKind, serviceKind, networkPolicyKind, budgetKind, roleBindingKind, serviceAccountKind}
	if !gatewaysUnread(seen) {
		kinds = append(kinds, kindsOf(known)...)
	}
	if rendersAllDeployments(ep, p, seen) {
		kinds = append(kinds, deploymentKind)
	}
	if !classUnread(seen) {
		kinds = append(kinds, ingressKind)
	}
	if p.config != nil && !slices.Contains(p.rollover.Keyrings(), render.OwnCredentialName(ep.Name)) {
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
		return map[string]string{}
	}
	hash := mountsHash(p.configHash, seen)
	nudges := map[string]string{}
	for _, r := range *seen.replicas.value {
		stale := r.status != nil && (r.status.ConfigHash != p.configHash || p.rollover.Next != "" && !r.status.Holds(p.rollover.Next) ||
			lacksClient(r.status, p.clients) || lacksChallengeKeys(r.status, seen))
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
	versions := []string{configHash, seen.signers.client.version}
	write := func(s string) { versions = append(versions, s) }
	if seen.state.value != nil {
		write(seen.state.value.version)
	}
	if seen.keyring.value != nil {
		write(version(seen.keyring.value))
	}
	for _, c := range seen.earlier {
		if c.keyring.value != nil {
			write(version(c.keyring.value))
		}
	}
	for _, c := range seen.challenges {
		for _, s := range c.sources {
			write(s.seen.version)
		}
		for _, credential := range c.credentials {
			write(credential.version())
		}
	}
	write(seen.exposure.serverTLS.version)
	write(seen.exposure.adminTLS.version)
	write(seen.exposure.adminBasic.version)
	write(seen.exposure.adminClients.version)
	return hashOf(versions...)
}

func hashOf(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\n")))
	return hex.EncodeToString(sum[:8])
}
