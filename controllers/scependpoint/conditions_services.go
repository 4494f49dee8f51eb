package scependpoint

import (
	"fmt"
	"slices"
	"strings"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// ailing is what servers say of a service that a challenge needs.
type ailing struct {
	raconfig.Away
	servers, of int // how many servers say so
}

// serviceVerdict is what a reason of a server's means for the endpoint. Cause and remedy are of
// the service; the remedy knows the challenge.
type serviceVerdict struct {
	reason string
	cause  string
	remedy func(target) string
}

func always(remedy string) func(target) string { return func(target) string { return remedy } }

// serviceVerdicts has one for each reason.
var serviceVerdicts = map[raconfig.AwayReason]serviceVerdict{
	raconfig.AwayNameUnknown: {
		v1alpha1.ReasonNameNotResolved, "the name of its host does not resolve",
		always("correct the URL, or the DNS record that the servers' pods see"),
	},
	raconfig.AwayUnreachable: {
		v1alpha1.ReasonDependencyUnreachable, "no connection to it holds",
		always("see that it runs, and that firewalls, NetworkPolicies and the proxy let the servers' pods through"),
	},
	raconfig.AwayTimeout: {
		v1alpha1.ReasonDependencyUnreachable, "it does not answer in time",
		always("see how busy it is, and what lies on the way, or set a longer timeout"),
	},
	raconfig.AwayBusy: {
		v1alpha1.ReasonDependencyUnreachable, "too many requests wait for its answers",
		always("see why it is slow"),
	},
	raconfig.AwayTLS:             {v1alpha1.ReasonTLSInvalid, "the TLS handshake with it fails", target.trust},
	raconfig.AwayClientRefused:   {v1alpha1.ReasonClientRefused, "it ends the TLS handshake as one does that misses or refuses a client certificate", target.register},
	raconfig.AwayUnauthenticated: {v1alpha1.ReasonServiceUnauthenticated, "it does not accept who the servers say they are", target.authenticate},
	raconfig.AwayForbidden:       {v1alpha1.ReasonServiceForbidden, "it knows the servers and does not let them ask", target.authorize},
	raconfig.AwayRedirect:        {v1alpha1.ReasonServiceFails, "it answers with a redirect, which the servers do not follow", always("set the URL that it leads to")},
	raconfig.AwayStatus:          {v1alpha1.ReasonServiceFails, "it answers with an error", always("see its log")},
	raconfig.AwayNotUnderstood: {
		v1alpha1.ReasonServiceFails, "its answer is not what was agreed",
		always("see that the URL is that of the service and not of a page in front of it, and its log"),
	},
	raconfig.AwayNotAccepted: {v1alpha1.ReasonServiceFails, "it does not accept the notification", always("see its log")},
	raconfig.AwayNotProvided: {
		v1alpha1.ReasonServiceForbidden, "the directory of the tenant does not list Intune's SCEP service",
		always("license Intune, or correct tenantID"),
	},
	raconfig.AwayUnusable: {v1alpha1.ReasonServiceFails, "the servers cannot use its settings or credentials", always("see the servers' log for the problem that they name")},
}

// servicesTrouble says of the first challenge, in the order of the spec, whose service fails
// what is wrong.
func servicesTrouble(ep *v1alpha1.ScepEndpoint, seen *observation, requests []*certmanagerv1.CertificateRequest) (metav1.Condition, bool) {
	for i := range ep.Spec.Challenges {
		for _, notification := range []bool{false, true} {
			of := target{challenge: &ep.Spec.Challenges[i], notification: notification}
			a := ailingService(seen, of, requests)
			v, known := serviceVerdicts[a.Reason]
			if a.servers == 0 || !known {
				continue
			}
			return conditions.False(v1alpha1.ConditionEnrolling, of.reason(v, a.Away), of.describe(v, a)), true
		}
	}
	return metav1.Condition{}, false
}

// ailingService counts the servers that say that a service fails, unless a device was let
// in by it since. They may differ in why: the first one's reason is told.
func ailingService(seen *observation, of target, requests []*certmanagerv1.CertificateRequest) ailing {
	out := ailing{}
	if seen.replicas.value == nil {
		return out
	}
	for _, r := range *seen.replicas.value {
		if r.status == nil {
			continue
		}
		out.of++
		for _, a := range r.status.Away {
			if a.Dependency != of.dependency() || a.Name != of.challenge.Name || admittedSince(requests, of.challenge.Name, a) {
				continue
			}
			if out.servers == 0 {
				out.Away = a
			}
			out.servers++
		}
	}
	return out
}

// admittedSince says whether a challenge let a device in after a failure of its service.
func admittedSince(requests []*certmanagerv1.CertificateRequest, challenge string, a raconfig.Away) bool {
	return a.Dependency == raconfig.DependencyChallenge && slices.ContainsFunc(requests, func(r *certmanagerv1.CertificateRequest) bool {
		return r.Annotations[v1alpha1.AnnotationChallenge] == challenge && r.CreationTimestamp.After(a.Last)
	})
}

// target is a service that a challenge asks, or with notification tells.
type target struct {
	challenge    *v1alpha1.Challenge
	notification bool
}

func (t target) dependency() raconfig.Dependency {
	if t.notification {
		return raconfig.DependencyNotification
	}
	return raconfig.DependencyChallenge
}

// hook is nil for Intune.
func (t target) hook() *v1alpha1.WebhookTarget {
	switch w := t.challenge.Webhook; {
	case w == nil:
		return nil
	case !t.notification:
		return &w.WebhookTarget
	case w.Notification != nil:
		return &w.Notification.WebhookTarget
	}
	return nil
}

// reason tells a service that wants another kind of authentication from one that does not
// accept the kind that it gets.
func (t target) reason(v serviceVerdict, a raconfig.Away) string {
	if v.reason == v1alpha1.ReasonServiceUnauthenticated && t.wantsOther(a) {
		return v1alpha1.ReasonAuthenticationDiffers
	}
	return v.reason
}

// wantsOther says whether a service names schemes, and none that it is sent.
func (t target) wantsOther(a raconfig.Away) bool {
	return len(a.Wants) > 0 && !slices.Contains(a.Wants, t.scheme())
}

// scheme is what the servers send in the header field Authorization; "": nothing.
func (t target) scheme() string {
	hook := t.hook()
	switch {
	case hook == nil, slices.Contains(hook.Authentication, v1alpha1.WebhookBearer):
		return "Bearer"
	case slices.Contains(hook.Authentication, v1alpha1.WebhookBasic):
		return "Basic"
	}
	return ""
}

func (t target) describe(v serviceVerdict, a ailing) string {
	what := "devices cannot be judged by challenge " + t.challenge.Name
	if t.notification {
		what = "certificates are held back for the notification of challenge " + t.challenge.Name
	}
	cause, remedy := v.cause, v.remedy(t)
	if v.reason != t.reason(v, a.Away) {
		cause, remedy = "it wants another kind of authentication: "+strings.Join(a.Wants, " or "), t.change(a.Away)
	}
	if a.HTTPStatus != 0 {
		cause += fmt.Sprintf(" (HTTP %d)", a.HTTPStatus)
	}
	return fmt.Sprintf("%s: %d of %d servers say of %s that %s; %s", what, a.servers, a.of, t.service(), cause, remedy)
}

func (t target) service() string {
	if t.hook() == nil {
		return "Microsoft's service"
	}
	return "its service"
}

// ways are how the servers authenticate, as the spec says it.
func (t target) ways() string {
	hook := t.hook()
	if hook == nil {
		return "Bearer"
	}
	var out []string
	for _, way := range hook.Authentication {
		out = append(out, string(way))
	}
	return strings.Join(out, " and ")
}

// change is the remedy for another kind of authentication.
func (t target) change(a raconfig.Away) string {
	for _, way := range []v1alpha1.WebhookAuthentication{v1alpha1.WebhookBearer, v1alpha1.WebhookBasic} {
		if t.hook() != nil && slices.Contains(a.Wants, string(way)) {
			return fmt.Sprintf("the servers send %s: set authentication to %s, with its keys in the Secret, or let the service accept what they send", t.ways(), way)
		}
	}
	return fmt.Sprintf("the servers send %s and cannot send that: let the service, or what is in front of it, accept one of their kinds", t.ways())
}

// keysOf are the keys of the Secret that a way to authenticate needs.
var keysOf = map[v1alpha1.WebhookAuthentication]string{
	v1alpha1.WebhookSignature:         "signing-secret",
	v1alpha1.WebhookBearer:            "bearer-token",
	v1alpha1.WebhookBasic:             "username and password",
	v1alpha1.WebhookClientCertificate: "tls.crt and tls.key",
}

// credentials names what the servers authenticate with: where it is, never what it is.
func (t target) credentials() string {
	hook := t.hook()
	if hook == nil {
		return t.application()
	}
	var out []string
	for _, way := range hook.Authentication {
		switch {
		case way == v1alpha1.WebhookClientCertificate && hook.ClientCertificateRef != nil:
			out = append(out, "the client certificate of RACredential "+hook.ClientCertificateRef.Name)
		case hook.SecretRef != nil:
			out = append(out, fmt.Sprintf("%s in Secret %s", keysOf[way], hook.SecretRef.Name))
		}
	}
	return strings.Join(out, ", ")
}

// application names what the servers prove with that they are Intune's application.
func (t target) application() string {
	intune := t.challenge.Intune
	switch {
	case intune == nil || intune.SecretRef == nil:
		return "the federated credential of the application"
	case intune.Authentication == v1alpha1.IntuneClientSecret:
		return "client-secret in Secret " + intune.SecretRef.Name
	}
	return "tls.crt and tls.key in Secret " + intune.SecretRef.Name
}

func (t target) trust() string {
	trusted := "name its CA in caBundleRef if that is not a public one"
	bundle := t.bundle()
	if bundle != nil {
		trusted = fmt.Sprintf("see that its CA is in ConfigMap %s", bundle.Name)
	}
	return "its certificate may have expired, be for another name, or of a CA that the servers do not trust: " + trusted + ", or have the certificate renewed"
}

func (t target) bundle() *v1alpha1.ConfigMapKeyReference {
	switch {
	case t.challenge.Webhook != nil:
		return t.challenge.Webhook.CABundleRef
	case t.challenge.Intune != nil:
		return t.challenge.Intune.CABundleRef
	}
	return nil
}

func (t target) register() string {
	hook := t.hook()
	switch {
	case hook == nil || !slices.Contains(hook.Authentication, v1alpha1.WebhookClientCertificate):
		return "the servers show none: add ClientCertificate to authentication, or let it do without"
	case hook.ClientCertificateRef != nil:
		return fmt.Sprintf("let it trust the certificate of RACredential %s, or its CA: its status has the thumbprints", hook.ClientCertificateRef.Name)
	}
	return fmt.Sprintf("replace tls.crt and tls.key in Secret %s, or let it trust that certificate", hook.SecretRef.Name)
}

func (t target) authenticate() string {
	return fmt.Sprintf("the servers send %s: correct %s, or register it with the service", t.ways(), t.credentials())
}

func (t target) authorize() string {
	if t.challenge.Intune != nil {
		return "grant the application scep_challenge_provider of Intune and Application.Read.All of Microsoft Graph"
	}
	return fmt.Sprintf("let it allow the caller with %s to POST to its URL", t.credentials())
}
