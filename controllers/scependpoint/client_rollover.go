package scependpoint

import (
	"fmt"
	"maps"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/acceptance"
	"github.com/scepter-pki/scepter/controllers/internal/telling"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/rotation"
)

// Reasons of Events that no condition tells.
const (
	// reasonClientSwitched surfaces when the servers show another client certificate.
	reasonClientSwitched = "ClientSwitched"
	// reasonClientForced surfaces when they show one that not every service has accepted.
	reasonClientForced = "ClientForced"
)

// defaultAcceptWithin is that of the API, for an RACredential without the field.
const defaultAcceptWithin = 7 * 24 * time.Hour

// planClients says which generation of each client credential the servers are to show.
func planClients(ep *v1alpha1.ScepEndpoint, seen *observation, config *raconfig.Config, now time.Time) map[string]*rotation.ClientPlan {
	plans := map[string]*rotation.ClientPlan{}
	if config == nil {
		return plans
	}
	for name, services := range clientServices(config) {
		active := shownClient(ep, seen.config.value, name)
		rc := seen.clientCredential(name)
		if rc == nil { // what could not be read is not known to be gone
			plans[name] = &rotation.ClientPlan{Active: active}
			continue
		}
		plans[name] = rotation.PlanClient(rotation.ClientInput{
			Generations: clientGenerations(ep, rc), Active: active, Services: services, Servers: clientServers(seen, name),
			AcceptWithin: acceptWithin(rc), LoadTimeout: timeToLoad(rc), Now: now,
		})
	}
	return plans
}

// clientServices are the services that client credentials are shown to, by the credentials' names.
func clientServices(config *raconfig.Config) map[string][]rotation.ClientService {
	out := map[string][]rotation.ClientService{}
	add := func(challenge string, hook raconfig.Hook, notification bool) {
		if name := hook.ClientCredential; name != "" {
			out[name] = append(out[name], rotation.ClientService{
				Challenge: challenge, Notification: notification, Unasked: hook.ClientProbe == v1alpha1.ClientProbeNone,
			})
		}
	}
	for _, c := range config.Challenges {
		if c.Webhook == nil {
			continue
		}
		add(c.Name, c.Webhook.Hook, false)
		if n := c.Webhook.Notification; n != nil {
			add(c.Name, n.Hook, true)
		}
	}
	return out
}

// shownClient is what the configuration in use names. Where that is gone, the status knows.
func shownClient(ep *v1alpha1.ScepEndpoint, config *raconfig.Config, name string) string {
	if config != nil {
		return config.Clients[name].ActiveGeneration
	}
	if last := lastClient(ep, name); last != nil {
		return last.ActiveGeneration
	}
	return ""
}

func lastClient(ep *v1alpha1.ScepEndpoint, name string) *v1alpha1.ClientCredentialStatus {
	for i := range ep.Status.ClientCredentials {
		if ep.Status.ClientCredentials[i].Name == name {
			return &ep.Status.ClientCredentials[i]
		}
	}
	return nil
}

// clientCredential is nil if it does not exist or could not be read.
func (o *observation) clientCredential(name string) *v1alpha1.RACredential {
	for _, c := range o.challenges {
		for _, fact := range c.credentials {
			if fact.name == name {
				return fact.credential.value
			}
		}
	}
	return nil
}

func clientGenerations(ep *v1alpha1.ScepEndpoint, rc *v1alpha1.RACredential) []rotation.ClientGeneration {
	var out []rotation.ClientGeneration
	for _, g := range rc.Status.Generations {
		o := offer(g, rc.Status.Distrusted)
		out = append(out, rotation.ClientGeneration{
			ID: g.ID, AddedAt: g.AddedAt.Time, NotBefore: o.NotBefore, NotAfter: o.NotAfter, Distrusted: o.Distrusted,
			ShownElsewhere: slices.ContainsFunc(g.ShownBy, func(by string) bool { return by != ep.Name }),
		})
	}
	return out
}

// clientServers are the servers that answer devices. One that does not say what it holds lacks everything.
func clientServers(seen *observation, name string) []rotation.ClientServer {
	if seen.replicas.err != nil {
		return []rotation.ClientServer{{Name: "unknown"}}
	}
	var out []rotation.ClientServer
	for _, r := range *seen.replicas.value {
		if !r.ready {
			continue
		}
		server := rotation.ClientServer{Name: r.name}
		if r.status != nil {
			server.Holds = heldClient(r.status, name)
			server.Probes = slices.DeleteFunc(slices.Clone(r.status.ClientProbes), func(p raconfig.ClientProbe) bool { return p.Credential != name })
		}
		out = append(out, server)
	}
	return out
}

func heldClient(s *raconfig.ReplicaStatus, name string) []string {
	for _, c := range s.Clients {
		if c.Credential == name {
			return c.HeldGenerations
		}
	}
	return nil
}

func acceptWithin(rc *v1alpha1.RACredential) time.Duration {
	if rc.Spec.AcceptWithin != nil {
		return rc.Spec.AcceptWithin.Duration
	}
	return defaultAcceptWithin
}

func timeToLoad(rc *v1alpha1.RACredential) time.Duration {
	if rc.Spec.LoadTimeout.Duration > 0 {
		return rc.Spec.LoadTimeout.Duration
	}
	return defaultLoadTimeout
}

// showClients writes down what the servers are to show.
func showClients(config *raconfig.Config, plans map[string]*rotation.ClientPlan) {
	if config == nil {
		return
	}
	config.Clients = nil
	for name, p := range plans {
		if p.Active == "" {
			continue
		}
		if config.Clients == nil {
			config.Clients = map[string]raconfig.Client{}
		}
		config.Clients[name] = raconfig.Client{ActiveGeneration: p.Active}
	}
}

// lacksClient says whether a server has yet to load what is to be shown next.
func lacksClient(s *raconfig.ReplicaStatus, plans map[string]*rotation.ClientPlan) bool {
	for name, p := range plans {
		if p.Next != "" && !s.HoldsClient(name, p.Next) {
			return true
		}
	}
	return false
}

// clientStatus describes the client credentials, in the order of their names.
func clientStatus(ep *v1alpha1.ScepEndpoint, seen *observation, p *plan, d *done, now time.Time) []v1alpha1.ClientCredentialStatus {
	if p.config == nil {
		return ep.Status.ClientCredentials // what is shown is what was said of it last
	}
	var out []v1alpha1.ClientCredentialStatus
	for _, name := range slices.Sorted(maps.Keys(p.clients)) {
		status := describeClient(name, p.clients[name])
		if !d.succeeded("ConfigMap") {
			status.ActiveGeneration = shownClient(ep, seen.config.value, name)
		}
		if rc := seen.clientCredential(name); rc != nil {
			if g := findGeneration(rc.Status.Generations, status.ActiveGeneration); g != nil {
				end := metav1.NewTime(notAfter(*g))
				status.NotAfter = &end
			}
		}
		status.SwitchedAt = clientSwitchedAt(lastClient(ep, name), &status, now)
		out = append(out, status)
	}
	return out
}

func describeClient(name string, p *rotation.ClientPlan) v1alpha1.ClientCredentialStatus {
	status := v1alpha1.ClientCredentialStatus{Name: name, ActiveGeneration: p.Active, NextGeneration: p.Next, Step: p.Step}
	if p.Next != "" {
		status.Held = fmt.Sprintf("%d/%d", p.Held, p.Of)
	}
	for _, s := range p.Services {
		status.Services = append(status.Services, v1alpha1.ClientServiceStatus{
			Challenge: s.Challenge, Notification: s.Notification, Active: s.Active, Next: s.Next,
		})
	}
	return status
}

func clientSwitchedAt(last, current *v1alpha1.ClientCredentialStatus, now time.Time) *metav1.Time {
	switch {
	case current.ActiveGeneration == "":
		return nil
	case last != nil && last.ActiveGeneration == current.ActiveGeneration && last.SwitchedAt != nil:
		return last.SwitchedAt
	}
	t := metav1.NewTime(now.Truncate(time.Second))
	return &t
}

// orClientTrouble puts what services say of client certificates in the place of a
// credential that is ready otherwise. One that is refused keeps devices out; a next one
// that is not accepted yet does not.
func orClientTrouble(c metav1.Condition, seen *observation, p *plan) metav1.Condition {
	if c.Status != metav1.ConditionTrue {
		return c
	}
	for _, name := range slices.Sorted(maps.Keys(p.clients)) {
		rc := seen.clientCredential(name)
		if rc == nil {
			continue
		}
		status := describeClient(name, p.clients[name])
		if refusing := acceptance.Refusing(&status); len(refusing) > 0 {
			return conditions.False(c.Type, v1alpha1.ReasonClientRefused, fmt.Sprintf(
				"%s: it does not accept the client certificate of RACredential %s that is in use; %s, or correct what is sent along",
				bounded(refusing), name, acceptance.Register(rc, status.ActiveGeneration)))
		}
		if status.Step == v1alpha1.ClientNotAccepted && c.Reason == v1alpha1.ReasonSucceeded {
			c = conditions.True(c.Type, v1alpha1.ReasonNextNotAccepted, fmt.Sprintf(
				"%s: it has not accepted the next client certificate of RACredential %s in time; %s. Until the end of the present one that stays in use",
				bounded(acceptance.Outstanding(&status, true)), name, acceptance.Register(rc, status.NextGeneration)))
		}
	}
	return c
}

// tellClients tells of client certificates that gave way to others.
func (r *Reconciler) tellClients(ep *v1alpha1.ScepEndpoint, next *v1alpha1.ScepEndpointStatus, p *plan) {
	for i := range next.ClientCredentials {
		now := &next.ClientCredentials[i]
		before := lastClient(ep, now.Name)
		if p.clients[now.Name] == nil || before == nil || before.ActiveGeneration == "" || before.ActiveGeneration == now.ActiveGeneration {
			continue
		}
		if p.clients[now.Name].Forced {
			r.events.Eventf(ep, nil, corev1.EventTypeWarning, reasonClientForced, telling.Action,
				"Generation %s of RACredential %s is shown to services, which have not all accepted it: generation %s is of no use any more",
				now.ActiveGeneration, now.Name, before.ActiveGeneration)
			continue
		}
		r.events.Eventf(ep, nil, corev1.EventTypeNormal, reasonClientSwitched, telling.Action,
			"Generation %s of RACredential %s is shown to services in place of %s", now.ActiveGeneration, now.Name, before.ActiveGeneration)
	}
}

// untilClients is the time until the next look at services that are being asked.
func untilClients(seen *observation, plans map[string]*rotation.ClientPlan, now time.Time) time.Duration {
	after := restInterval
	for name, p := range plans {
		if at := p.Wake; at.After(now) {
			after = min(after, at.Sub(now))
		}
		rc := seen.clientCredential(name)
		if rc == nil || p.Next == "" {
			continue
		}
		if g := findGeneration(rc.Status.Generations, p.Next); g != nil {
			after = min(after, settle(g.AddedAt.Time, now))
		}
	}
	return after
}
