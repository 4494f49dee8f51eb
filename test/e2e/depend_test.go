package e2e

import (
	"context"
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// A depending endpoint asks a judging service of its own, whose name is below example.net,
// about every device.
type depending struct {
	*judgingService
	endpoint, host string
}

// depend makes one, whose servers call the service by its proxy or directly.
func depend(t *testing.T, name string, byProxy bool) *depending {
	t.Helper()
	d := &depending{endpoint: name, host: "judge." + name + ".example.net"}
	d.judgingService = newJudgingService(t, d.host)
	setRecord(t, d.host, d.node)
	create(t, &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-ca"}, Data: map[string]string{"ca.crt": string(d.ca)}})
	create(t, &corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: name + "-token", Labels: map[string]string{v1alpha1.LabelChallengeCredentials: "true"}},
		StringData: map[string]string{"bearer-token": "of-no-meaning"},
	})
	create(t, d.object(byProxy))
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = shared.rig.Kubectl(ctx, "delete", "--namespace", namespace, "--wait=false", "scependpoint/"+name, "configmap/"+name+"-ca", "secret/"+name+"-token")
	})
	mustWait(t, name+" to be Ready", rig.Ready(shared.api, namespace, name))
	mustWait(t, "a device to enrol with "+name, d.enrols(t))
	mustWait(t, "the service to be reached", d.shows(func(p v1alpha1.ProbedService) bool { return p.Result == v1alpha1.ProbePassed }))
	return d
}

func (d *depending) object(byProxy bool) *v1alpha1.ScepEndpoint {
	ep := named(&v1alpha1.ScepEndpoint{}, d.endpoint)
	ep.Spec = v1alpha1.ScepEndpointSpec{
		Issuance: v1alpha1.Issuance{
			IssuerRef: v1alpha1.IssuerReference{Name: "fleet-ca"},
			Wait:      metav1.Duration{Duration: 5 * time.Second}, PendingDeadline: metav1.Duration{Duration: time.Hour},
		},
		RACredentialRef: &v1alpha1.LocalReference{Name: "fleet-ra"},
		Templates:       []v1alpha1.EndpointTemplate{{Name: "device", TemplateRef: v1alpha1.LocalReference{Name: "device"}}},
		Challenges: []v1alpha1.Challenge{{Name: "judge", Type: v1alpha1.ChallengeWebhook, Webhook: &v1alpha1.WebhookChallenge{
			WebhookTarget: v1alpha1.WebhookTarget{
				URL:            "https://" + net.JoinHostPort(d.host, d.port) + "/hook",
				Authentication: []v1alpha1.WebhookAuthentication{v1alpha1.WebhookBearer},
				SecretRef:      &v1alpha1.LocalReference{Name: d.endpoint + "-token"},
			},
			CABundleRef: &v1alpha1.ConfigMapKeyReference{Name: d.endpoint + "-ca", Key: "ca.crt"},
			Timeout:     metav1.Duration{Duration: 10 * time.Second},
		}}},
		Probes: v1alpha1.Probes{Interval: &metav1.Duration{Duration: 10 * time.Second}},
	}
	if byProxy {
		ep.Spec.Server.Proxy = &v1alpha1.OutboundProxy{HTTPSProxy: v1alpha1.ProxyURL("http://" + net.JoinHostPort(d.node, d.proxyPort))}
	}
	return ep
}

func (d *depending) enrols(t *testing.T) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		pods := readyPods(t, "scepter-ra", d.endpoint)
		if len(pods) == 0 {
			return false, "no server is ready", nil
		}
		result, err := toPod(&pods[0]).Enrol(ctx, enrolment(t, newName()))
		return err == nil && result.Status == scep.StatusSuccess, outcome(result), err
	}
}

// shows checks what status.probes says of the service.
func (d *depending) shows(fits func(v1alpha1.ProbedService) bool) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		ep := named(&v1alpha1.ScepEndpoint{}, d.endpoint)
		if err := shared.api.Get(ctx, client.ObjectKeyFromObject(ep), ep); err != nil || ep.Status.Probes == nil {
			return false, "nothing is probed", err
		}
		for _, p := range ep.Status.Probes.Dependencies {
			if p.Kind == "Challenge" {
				return fits(p), fmt.Sprintf("%+v", p), nil
			}
		}
		return false, fmt.Sprintf("%+v", ep.Status.Probes.Dependencies), nil
	}
}

// says waits until Enrolling has a reason, and text in its message.
func (d *depending) says(t *testing.T, reason string, parts ...string) {
	t.Helper()
	mustWait(t, "Enrolling to say "+reason+" "+strings.Join(parts, ", "), condition("ScepEndpoint", namespace, d.endpoint, v1alpha1.ConditionEnrolling,
		func(c *metav1.Condition) bool {
			for _, part := range parts {
				if !strings.Contains(c.Message, part) {
					return false
				}
			}
			return c.Reason == reason
		}))
}

// mustHeal waits until nothing is said of the service any more, and a device enrols.
func (d *depending) mustHeal(t *testing.T, row *failureProof) {
	t.Helper()
	row.Remedied()
	mustWait(t, "Enrolling to be True", condition("ScepEndpoint", namespace, d.endpoint, v1alpha1.ConditionEnrolling, isTrue))
	row.mustHeal(namespace, d.endpoint, d.enrols(t))
	row.Served()
}

// TestF21ClockIsOff has the clock of the service that judges devices be an hour behind, and
// then that of the servers be ahead: the condition says whose clock it is, and by how much.
func TestF21ClockIsOff(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F21")
	d := depend(t, "timed", false)
	d.tell(t, -time.Hour, 0)
	row.Injected()
	row.mustDetect(namespace, d.endpoint)
	d.says(t, v1alpha1.ReasonClocksDiffer, "the clock of the service of challenge judge", d.host, "about 60 minutes behind the servers'", "NTP")
	d.tell(t, 0, 0)
	d.mustHeal(t, row)
	d.runAhead(t)
}

// runAhead has the servers' own clock be ten minutes ahead of all others: it is theirs that
// is named then.
func (d *depending) runAhead(t *testing.T) {
	t.Helper()
	image, err := shared.rig.LoadServer(t.Context(), "clockahead")
	if err != nil {
		t.Fatal(err)
	}
	d.eachServer(t, func(pod string) []string { return []string{"set", "image", pod, "ra=" + image} })
	d.says(t, v1alpha1.ReasonClocksDiffer, "the clock of the node that the server runs on is about 10 minutes ahead of that of the API server and of other services, which agree")
	d.eachServer(t, func(pod string) []string { return []string{"delete", pod, "--wait=false"} })
	mustWait(t, "Enrolling to be True", condition("ScepEndpoint", namespace, d.endpoint, v1alpha1.ConditionEnrolling, isTrue))
	mustWait(t, "a device to enrol", d.enrols(t))
}

// eachServer runs a command of kubectl about each of the endpoint's servers, ready or not.
func (d *depending) eachServer(t *testing.T, command func(pod string) []string) {
	t.Helper()
	for _, pod := range livingPods(t, "scepter-ra", d.endpoint) {
		if err := shared.rig.Kubectl(t.Context(), append(command("pod/"+pod.Name), "-n", namespace)...); err != nil {
			t.Fatal(err)
		}
	}
}

// TestF22NameInside takes the DNS record of the service away: the condition says that its
// name does not resolve, and what to look at. CoreDNS answers with SERVFAIL for it.
func TestF22NameInside(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F22")
	d := depend(t, "named", false)
	setRecord(t, d.host, "")
	row.Injected()
	row.mustDetect(namespace, d.endpoint)
	d.says(t, v1alpha1.ReasonNameNotResolved, "the service of challenge judge", d.host, "the cluster's DNS")
	setRecord(t, d.host, d.node)
	d.mustHeal(t, row)
}

// TestF23Firewall has a packet filter drop what goes to the service, and then reject it: the
// condition tells the one from the other.
func TestF23Firewall(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F23")
	d := depend(t, "walled", false)
	filter := func(verdict string) {
		t.Helper()
		nft(t, "add table inet walled; flush table inet walled; add chain inet walled input { type filter hook input priority -10 ; }; "+
			"add rule inet walled input tcp dport "+d.port+" "+verdict)
	}
	filter("drop")
	t.Cleanup(func() {
		_ = shared.rig.Cluster.Exec(context.WithoutCancel(t.Context()), "nft", "delete table inet walled").Run() // gone if the test came to its end
	})
	row.Injected()
	row.mustDetect(namespace, d.endpoint)
	d.says(t, v1alpha1.ReasonDependencyUnreachable, "the service of challenge judge", d.host, "no answer in time", "NetworkPolicies")
	filter("reject with tcp reset")
	d.says(t, v1alpha1.ReasonDependencyUnreachable, "the connection is refused", "firewall")
	nft(t, "delete table inet walled")
	d.mustHeal(t, row)
}

// TestF25Proxy has devices judged by a service behind a proxy, and then the proxy refuse: the
// advice names the proxy, not the service, and comes only while it refuses.
func TestF25Proxy(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F25")
	d := depend(t, "proxied", true)
	proxy := net.JoinHostPort(d.node, d.proxyPort)
	healthy := func() {
		t.Helper()
		mustWait(t, "the service to be reached by the proxy", d.shows(func(p v1alpha1.ProbedService) bool {
			return p.Result == v1alpha1.ProbePassed && p.Proxy == proxy
		}))
		mustWait(t, "Enrolling to be True", condition("ScepEndpoint", namespace, d.endpoint, v1alpha1.ConditionEnrolling, isTrue))
		mustWait(t, "a device to enrol", d.enrols(t))
	}
	healthy()
	d.tell(t, 0, 403)
	d.says(t, v1alpha1.ReasonProxyFailed, "the proxy "+proxy+" refuses to connect", "HTTP 403", "noProxy")
	row.Used("a proxy that refuses")
	d.tell(t, 0, 0)
	healthy()
	row.Used("a proxy that lets the servers through")
}
