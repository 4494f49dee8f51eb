package e2e

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/rig"
)

// TestF14BareURL opens the URL as a person does: where a policy module guards the
// endpoint the answer is 403, elsewhere a page. Letting in everybody is a condition.
func TestF14BareURL(t *testing.T) {
	row := failureRow(t, "F14")
	mustAnswerBareURL(t, http.StatusOK)
	row.Used("a password")
	secret := named(&corev1.Secret{}, "bare-policy")
	secret.Labels = map[string]string{v1alpha1.LabelChallengeCredentials: "true"}
	secret.StringData = map[string]string{"bearer-token": "let-me-ask"}
	create(t, secret)
	t.Cleanup(func() { _ = shared.api.Delete(context.WithoutCancel(t.Context()), secret) })
	t.Run("a policy module", func(t *testing.T) {
		addChallenge(t, v1alpha1.Challenge{Name: "policy", Type: v1alpha1.ChallengeWebhook, Webhook: &v1alpha1.WebhookChallenge{
			WebhookTarget: v1alpha1.WebhookTarget{
				URL: "https://policy.example.com/hook", Authentication: []v1alpha1.WebhookAuthentication{v1alpha1.WebhookBearer},
				SecretRef: &v1alpha1.LocalReference{Name: secret.Name},
			},
			Timeout: metav1.Duration{Duration: time.Second},
		}})
		mustAnswerBareURL(t, http.StatusForbidden)
		row.Used("a policy module")
	})
	t.Run("everybody", func(t *testing.T) {
		mustWait(t, "nobody to be let in without a proof", rig.Condition(shared.api, namespace, endpoint, v1alpha1.ConditionOpenToAnyone, metav1.ConditionFalse))
		addChallenge(t, v1alpha1.Challenge{Name: "all", Type: v1alpha1.ChallengeAnyone})
		mustWait(t, "a condition to say that everybody is let in", rig.Condition(shared.api, namespace, endpoint, v1alpha1.ConditionOpenToAnyone, metav1.ConditionTrue))
		mustAnswerBareURL(t, http.StatusOK)
		row.Used("everybody is let in")
	})
	mustWait(t, "a device to enrol", enrols(t))
	mustBeReady(t)
}

// mustAnswerBareURL asks each server.
func mustAnswerBareURL(t *testing.T, want int) {
	t.Helper()
	for _, pod := range servers(t) {
		mustWait(t, fmt.Sprintf("%s to answer %d", pod.Name, want), func(ctx context.Context) (bool, string, error) {
			status, body, err := ask(ctx, &pod, "/", "")
			isPage := strings.Contains(body, "<html")
			return status == want && isPage == (want == http.StatusOK), fmt.Sprintf("HTTP %d %q", status, body), err
		})
	}
}

// ask sends a GET to one server past the ingress.
func ask(ctx context.Context, pod *corev1.Pod, target, userAgent string) (status int, body string, err error) {
	url := "http://" + net.JoinHostPort(pod.Status.PodIP, "8080") + target
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		return 0, "", err
	}
	request.Header.Set("User-Agent", userAgent)
	response, err := newClient(url, shared.rig.Cluster.Dial).HTTP.Do(request)
	if err != nil {
		return 0, "", err
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	return response.StatusCode, string(raw), err
}

// TestF34LoggingIsRaised raises the level of logging for a quarter of a minute: the servers
// log what arrives, without a restart, and stop by themselves.
func TestF34LoggingIsRaised(t *testing.T) {
	row := failureRow(t, "F34")
	before := restarts(t, namespace)
	t.Cleanup(func() { changeEndpoint(t, `{"spec": {"logging": null}}`) })
	mustLogArrivals(t, false)
	const long = 15 * time.Second
	until := time.Now().Add(long).UTC()
	changeEndpoint(t, fmt.Sprintf(`{"spec": {"logging": {"level": "Debug", "until": %q}}}`, until.Format(time.RFC3339)))
	mustLogArrivals(t, true)
	mustWait(t, "the time to be over", func(context.Context) (bool, string, error) { return time.Now().After(until), "", nil })
	mustLogArrivals(t, false)
	for pod, n := range restarts(t, namespace) {
		if strings.HasPrefix(pod, "fleet-ra-") && before[pod] != n {
			t.Errorf("%s was started again", pod)
		}
	}
	row.Used("a tier at work, without a restart")
	mustBeReady(t)
}

// mustLogArrivals waits until every server logs what arrives there, or none does. The log
// is read a moment after the request whose record is looked for.
func mustLogArrivals(t *testing.T, want bool) {
	t.Helper()
	for _, pod := range servers(t) {
		last := ""
		mustWait(t, fmt.Sprintf("%s to log arrivals: %t", pod.Name, want), func(ctx context.Context) (bool, string, error) {
			log, err := clientset(t).CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{TailLines: new(int64(100))}).DoRaw(ctx)
			if err != nil {
				return false, "", err
			}
			logged := strings.Contains(string(log), last)
			asked := last != ""
			last = "device " + newName()
			_, _, err = ask(ctx, &pod, "/scep?operation=GetCACaps", last)
			return asked && logged == want, fmt.Sprintf("logged: %t", logged), err
		})
	}
}

// TestF49EverythingBehindIsAway kills the servers while the operator, the issuer's
// controller and the CA's key are away: they start, answer what needs nobody, and take
// requests, which are served when all are back.
func TestF49EverythingBehindIsAway(t *testing.T) {
	row := failureRow(t, "F49")
	mustWait(t, "both servers", twoServers(t))
	setCASecret(t, "gone")
	t.Cleanup(func() { setCASecret(t, "fleet-ca") })
	row.Injected()
	row.mustDetect(namespace, endpoint)
	issuerBack := issuerAway(t)
	operatorBack := operatorAway(t)
	pods := servers(t)
	for i := range pods {
		kill(t, &pods[i])
	}
	c := through("http")
	for i := range pods {
		mustWait(t, "a server to answer again", answersAfterKill(&pods[i]))
	}
	mustWait(t, "the ingress to know the servers again", func(ctx context.Context) (bool, string, error) {
		_, err := c.GetCACert(ctx)
		return err == nil, "", err
	})
	r := pending(t, c)
	setCASecret(t, "fleet-ca")
	issuerBack()
	operatorBack()
	mustWait(t, "the operator", operatorReady)
	row.Remedied()
	row.mustHeal(namespace, endpoint, enrols(t))
	c.PollLimit = -1
	mustEnrol(t, c, r)
	mustBeReady(t)
	row.Served()
}

// answersAfterKill checks that a server whose processes were killed is up again and
// answers what every client asks first.
func answersAfterKill(pod *corev1.Pod) rig.Check {
	killed := pod.Status.ContainerStatuses[0].ContainerID
	return func(ctx context.Context) (bool, string, error) {
		now := named(&corev1.Pod{}, pod.Name)
		if err := shared.api.Get(ctx, client.ObjectKeyFromObject(now), now); err != nil {
			return false, "", err
		}
		if id := now.Status.ContainerStatuses[0].ContainerID; id == killed || !rig.PodReady(now) {
			return false, "the container is " + id, nil
		}
		if _, err := toPod(now).GetCACaps(ctx); err != nil {
			return false, "", err
		}
		_, err := toPod(now).GetCACert(ctx)
		return err == nil, "", err
	}
}
