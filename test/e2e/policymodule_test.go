package e2e

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// Names of the endpoint that a guard judges for, and of its client credential.
const (
	guarded         = "guarded"
	guardCredential = "guard"
)

// newGuarded makes an endpoint whose only challenge is judged by a guard that knows the
// first certificate of its credential.
func newGuarded(t *testing.T) *guard {
	t.Helper()
	g := newGuard(t)
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", "testdata/guarded.yaml"); err != nil {
		t.Fatal(err)
	}
	create(t, &corev1.ConfigMap{ObjectMeta: named(&corev1.ConfigMap{}, "guard-ca").ObjectMeta, Data: map[string]string{"ca.crt": string(g.ca)}})
	ep := named(&v1alpha1.ScepEndpoint{}, guarded)
	ep.Spec = v1alpha1.ScepEndpointSpec{
		Issuance: v1alpha1.Issuance{
			IssuerRef: v1alpha1.IssuerReference{Name: "fleet-ca"},
			Wait:      metav1.Duration{Duration: 5 * time.Second}, PendingDeadline: metav1.Duration{Duration: time.Hour},
		},
		RACredentialRef: &v1alpha1.LocalReference{Name: "fleet-ra"},
		Templates:       []v1alpha1.EndpointTemplate{{Name: "device", TemplateRef: v1alpha1.LocalReference{Name: "device"}}},
		Challenges: []v1alpha1.Challenge{{Name: "guard", Type: v1alpha1.ChallengeWebhook, Webhook: &v1alpha1.WebhookChallenge{
			WebhookTarget: v1alpha1.WebhookTarget{
				URL: g.url, Authentication: []v1alpha1.WebhookAuthentication{v1alpha1.WebhookClientCertificate},
				ClientCertificateRef: &v1alpha1.LocalReference{Name: guardCredential},
			},
			CABundleRef: &v1alpha1.ConfigMapKeyReference{Name: "guard-ca", Key: "ca.crt"},
			Timeout:     metav1.Duration{Duration: 10 * time.Second},
		}}},
	}
	create(t, ep)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = shared.rig.Kubectl(ctx, "delete", "--namespace", namespace, "--wait", "scependpoint/"+guarded, "racredential/"+guardCredential, "configmap/guard-ca")
	})
	mustWait(t, "the first client certificate to be shown", func(ctx context.Context) (bool, string, error) {
		rc, err := clientCertificates(ctx)
		if err != nil || len(rc.Status.Generations) == 0 {
			return false, "none is issued", err
		}
		return len(rc.Status.Generations[0].ShownBy) > 0, fmt.Sprintf("%+v", rc.Status), nil
	})
	g.register(t, thumbprints(t)...)
	mustWait(t, "the guarded endpoint to be Ready", rig.Ready(shared.api, namespace, guarded))
	return g
}

func clientCertificates(ctx context.Context) (*v1alpha1.RACredential, error) {
	rc := named(&v1alpha1.RACredential{}, guardCredential)
	return rc, shared.api.Get(ctx, client.ObjectKeyFromObject(rc), rc)
}

// thumbprints are the SHA-256 of the certificates in the keyring, the newest first.
func thumbprints(t *testing.T) []string {
	t.Helper()
	rc, err := clientCertificates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var prints []string
	for _, g := range rc.Status.Generations {
		prints = append(prints, g.Certificates[0].Fingerprint)
	}
	return prints
}

// stream enrols without a pause, until it is ended.
type stream struct {
	enrolled, failed atomic.Int64
	last             atomic.Value
	end              func()
}

func enrolConstantly(t *testing.T) *stream {
	t.Helper()
	l := &stream{}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	l.end = func() { cancel(); <-ended }
	t.Cleanup(l.end)
	pods := readyPods(t, "scepter-ra", guarded)
	go func() {
		defer close(ended)
		for i := 0; ctx.Err() == nil; i++ {
			err := enrolGuarded(ctx, &pods[i%len(pods)], enrolment(t, newName()))
			switch {
			case ctx.Err() != nil:
			case err != nil:
				l.failed.Add(1)
				l.last.Store(err.Error())
			default:
				l.enrolled.Add(1)
			}
		}
	}()
	return l
}

var errNotGranted = errors.New("not granted")

func enrolGuarded(ctx context.Context, pod *corev1.Pod, r scep.EnrolRequest) error {
	result, err := toPod(pod).Enrol(ctx, r)
	if err == nil && result.Status != scep.StatusSuccess {
		err = fmt.Errorf("%w: %s %s", errNotGranted, result.Status, result.FailInfoText)
	}
	return err
}

// aDeviceEnrols checks that one does, at any server of the guarded endpoint.
func aDeviceEnrols(t *testing.T) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		pods := readyPods(t, "scepter-ra", guarded)
		if len(pods) == 0 {
			return false, "no server is ready", nil
		}
		err := enrolGuarded(ctx, &pods[0], enrolment(t, newName()))
		return err == nil, fmt.Sprint(err), nil
	}
}

// TestF02 has the certificate of the policy module renewed, and nobody tells the service
// of it, which knows thumbprints: a condition says what to register where. Once that is
// done the next certificate is shown. All the while devices enrol.
func TestF02(t *testing.T) {
	row := failureRow(t, "F02")
	g := newGuarded(t)
	first := thumbprints(t)
	devices := enrolConstantly(t)
	plugin, err := shared.rig.Program(t.Context(), "kubectl-scep")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := (kubectlScep{plugin}).run(t.Context(), "rotate", guardCredential); err != nil {
		t.Fatal(err)
	}
	row.Injected()
	row.mustDetect(namespace, guardCredential)
	rc, err := clientCertificates(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	next := rc.Status.Generations[0]
	says := meta.FindStatusCondition(rc.Status.Conditions, v1alpha1.ConditionReady).Message
	for _, want := range []string{"challenge guard", "HTTP 403", next.Certificates[0].Fingerprint, next.Certificates[0].SHA1, "ConfigMap guard-certificates"} {
		if !strings.Contains(says, want) {
			t.Errorf("the condition does not name %q: %s", want, says)
		}
	}
	if strings.Contains(says, g.url) {
		t.Error("the condition shows the service's URL")
	}
	if rc.Status.Step != v1alpha1.StepProbing || next.State != v1alpha1.GenerationNext {
		t.Errorf("step %s, the newest generation is %s", rc.Status.Step, next.State)
	}
	g.register(t, thumbprints(t)...) // a person does what the condition says
	row.Remedied()
	mustWait(t, "the next certificate to be shown", newestIsShown)
	row.mustHeal(namespace, guardCredential, aDeviceEnrols(t))
	devices.mustAllBeServed(t)
	g.register(t, slices.DeleteFunc(thumbprints(t), func(print string) bool { return slices.Contains(first, print) })...)
	mustWait(t, "a device to enrol when the first certificate is no longer known", aDeviceEnrols(t))
	row.Served()
}

func newestIsShown(ctx context.Context) (bool, string, error) {
	rc, err := clientCertificates(ctx)
	if err != nil || len(rc.Status.Generations) == 0 {
		return false, "no generations", err
	}
	return slices.Contains(rc.Status.Generations[0].ShownBy, guarded), fmt.Sprintf("%+v", rc.Status.Generations), nil
}

// mustAllBeServed ends the stream.
func (l *stream) mustAllBeServed(t *testing.T) {
	t.Helper()
	l.end()
	if l.failed.Load() > 0 || l.enrolled.Load() == 0 {
		t.Errorf("%d devices enrolled and %d did not: %v", l.enrolled.Load(), l.failed.Load(), l.last.Load())
	}
	t.Logf("%d devices enrolled meanwhile", l.enrolled.Load())
}

// TestF03 has the policy module's certificate issued without the extended key usage for
// client authentication: it is never used, a condition names what it lacks, and as soon as
// the issuer is careful again another one is issued, without anybody asking for it.
func TestF03(t *testing.T) {
	row := failureRow(t, "F03")
	g := newGuarded(t)
	first := thumbprints(t)
	devices := enrolConstantly(t)
	issuer := newOwnIssuer(t, namespace, life{began: time.Minute, lasts: 2160 * time.Hour})
	issuer.neglect(true)
	patch := fmt.Appendf(nil, `{"spec": {"issuerRef": {"group": %q, "kind": "Issuer", "name": "own"}}}`, ownGroup)
	if err := shared.api.Patch(t.Context(), named(&v1alpha1.RACredential{}, guardCredential), client.RawPatch(types.MergePatchType, patch)); err != nil {
		t.Fatal(err)
	}
	row.Injected()
	row.mustDetect(namespace, guardCredential)
	if now := thumbprints(t); !slices.Equal(now, first) {
		t.Errorf("the keyring holds %v, not only what was there before: %v", now, first)
	}
	issuer.neglect(false)
	row.Remedied()
	mustWait(t, "another certificate", func(context.Context) (bool, string, error) {
		prints := thumbprints(t)
		return !slices.Equal(prints, first), fmt.Sprint(prints), nil
	})
	g.register(t, thumbprints(t)...)
	mustWait(t, "it to be shown", newestIsShown)
	row.mustHeal(namespace, guardCredential, aDeviceEnrols(t))
	devices.mustAllBeServed(t)
	row.Served()
}
