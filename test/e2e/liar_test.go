package e2e

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/rig"
)

// A liar is a policy service that answers as it is told to. Like a guard it is this test's own
// program, started anew on the node's address.
type liar struct {
	url string
	ca  []byte
	in  io.Writer
	out *bufio.Scanner
}

// liarEnv holds the files with certificate and key of a process that is to be a liar: its
// own, and one that nobody trusts.
const liarEnv = "SCEPTER_E2E_LIAR"

// liarToken is what it knows callers by.
const liarToken = "a-token-that-the-liar-knows"

// What a liar answers: the status, and what it names in WWW-Authenticate.
const (
	wantsNegotiate = "401 Negotiate"
	forbids        = "403"
	knowsToken     = "200"
	// showsAnother has it show the certificate that nobody trusts.
	showsAnother = "tls"
)

func newLiar(t *testing.T) *liar {
	t.Helper()
	node, err := shared.rig.IngressAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	own, other := filepath.Join(dir, "own.pem"), filepath.Join(dir, "other.pem")
	ca := serviceCertificate(t, []net.IP{net.ParseIP(node)}, nil, own)
	serviceCertificate(t, []net.IP{net.ParseIP(node)}, nil, other)
	port, out, in := startSelf(t, liarEnv, own+":"+other)
	return &liar{url: fmt.Sprintf("https://%s/hook", net.JoinHostPort(node, port)), ca: ca, in: in, out: out}
}

// says has it answer so from now on.
func (l *liar) says(t *testing.T, mode string) {
	t.Helper()
	if _, err := fmt.Fprintln(l.in, mode); err != nil {
		t.Fatal(err)
	}
	if !l.out.Scan() || l.out.Text() != mode {
		t.Fatalf("it does not say %s: %q", mode, l.out.Text())
	}
}

// lying is how a liar behaves at present.
type lying struct {
	mu   sync.Mutex
	mode string
	// certificates are its own and the other one.
	certificates [2]tls.Certificate
}

func (l *lying) follow(in io.Reader) {
	for lines := bufio.NewScanner(in); lines.Scan(); {
		l.mu.Lock()
		l.mode = lines.Text()
		l.mu.Unlock()
		fmt.Println(lines.Text())
	}
}

func (l *lying) now() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.mode
}

func (l *lying) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	if l.now() == showsAnother {
		return &l.certificates[1], nil
	}
	return &l.certificates[0], nil
}

// ServeHTTP answers GET, HEAD and POST alike, as a proxy does that authenticates callers.
func (l *lying) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Connection", "close") // each request is to meet the present certificate
	code, scheme, _ := strings.Cut(l.now(), " ")
	status, err := strconv.Atoi(code)
	switch {
	case err != nil, status == http.StatusOK && r.Header.Get("Authorization") != "Bearer "+liarToken:
		w.WriteHeader(http.StatusUnauthorized)
	case status != http.StatusOK:
		w.Header().Set("WWW-Authenticate", scheme)
		w.WriteHeader(status)
	default:
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"allow":true}`)
	}
}

// beLiar serves until it is killed. It prints its port, and reads what to say.
func beLiar(files string) int {
	l := &lying{mode: knowsToken}
	own, other, _ := strings.Cut(files, ":")
	for i, file := range []string{own, other} {
		pair, err := tls.LoadX509KeyPair(file, file)
		if err != nil {
			return fail(err)
		}
		l.certificates[i] = pair
	}
	listener, err := net.Listen("tcp", ":0")
	if err != nil {
		return fail(err)
	}
	go l.follow(os.Stdin)
	server := &http.Server{
		Handler: l, ReadHeaderTimeout: time.Minute,
		TLSConfig: &tls.Config{GetCertificate: l.certificate, MinVersion: tls.VersionTLS12, NextProtos: []string{"http/1.1"}},
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return fail(err)
	}
	fmt.Println(port)
	return fail(server.ServeTLS(listener, "", ""))
}

// lied is the endpoint whose only challenge a liar judges.
const lied = "lied"

func newLied(t *testing.T) *liar {
	t.Helper()
	l := newLiar(t)
	create(t, &corev1.ConfigMap{ObjectMeta: named(&corev1.ConfigMap{}, "liar-ca").ObjectMeta, Data: map[string]string{"ca.crt": string(l.ca)}})
	secret := named(&corev1.Secret{StringData: map[string]string{"bearer-token": liarToken}}, "liar-token")
	secret.Labels = map[string]string{v1alpha1.LabelChallengeCredentials: "true"}
	create(t, secret)
	ep := named(&v1alpha1.ScepEndpoint{}, lied)
	ep.Spec = v1alpha1.ScepEndpointSpec{
		Issuance: v1alpha1.Issuance{
			IssuerRef: v1alpha1.IssuerReference{Name: "fleet-ca"},
			Wait:      metav1.Duration{Duration: 5 * time.Second}, PendingDeadline: metav1.Duration{Duration: time.Hour},
		},
		RACredentialRef: &v1alpha1.LocalReference{Name: "fleet-ra"},
		Templates:       []v1alpha1.EndpointTemplate{{Name: "device", TemplateRef: v1alpha1.LocalReference{Name: "device"}}},
		Challenges: []v1alpha1.Challenge{{Name: "policy", Type: v1alpha1.ChallengeWebhook, Webhook: &v1alpha1.WebhookChallenge{
			WebhookTarget: v1alpha1.WebhookTarget{
				URL: l.url, Authentication: []v1alpha1.WebhookAuthentication{v1alpha1.WebhookBearer},
				SecretRef: &v1alpha1.LocalReference{Name: "liar-token"},
			},
			CABundleRef: &v1alpha1.ConfigMapKeyReference{Name: "liar-ca", Key: "ca.crt"},
			Timeout:     metav1.Duration{Duration: 10 * time.Second},
		}}},
	}
	create(t, ep)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		_ = shared.rig.Kubectl(ctx, "delete", "--namespace", namespace, "--wait", "scependpoint/"+lied, "configmap/liar-ca", "secret/liar-token")
	})
	mustWait(t, "the endpoint that is lied to to be Ready", rig.Ready(shared.api, namespace, lied))
	return l
}

var errNobodyReady = errors.New("no server is ready")

// enrolLied has a device try once, at any server.
func enrolLied(ctx context.Context, t *testing.T) error {
	t.Helper()
	pods := readyPods(t, "scepter-ra", lied)
	if len(pods) == 0 {
		return errNobodyReady
	}
	return enrolGuarded(ctx, &pods[0], enrolment(t, newName()))
}

// enrolling checks that the condition has a reason, and that it says things.
func enrolling(name, reason string, says ...string) rig.Check {
	return condition("ScepEndpoint", namespace, name, v1alpha1.ConditionEnrolling, func(c *metav1.Condition) bool {
		for _, text := range says {
			if !strings.Contains(c.Message, text) {
				return false
			}
		}
		return c.Reason == reason && c.Status == metav1.ConditionFalse
	})
}

// TestF09 has the policy service demand another kind of authentication, then forbid, then show a
// certificate that is not trusted: the condition tells these apart, each with what to do, and
// shows neither the service's URL nor the token. That the last is over is known without a device.
func TestF09ServiceWantsOther(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F09")
	l := newLied(t)
	if err := enrolLied(within(t, enrolLimit), t); err != nil {
		t.Fatal(err)
	}
	l.says(t, wantsNegotiate)
	row.Injected()
	if err := enrolLied(within(t, enrolLimit), t); err == nil {
		t.Fatal("a device enrolled, although nobody judged it")
	}
	row.mustDetect(namespace, lied)
	mustWait(t, "what it wants to be named", enrolling(lied, v1alpha1.ReasonAuthenticationDiffers, "challenge policy", "Negotiate", "the servers send Bearer", "HTTP 401"))
	for _, step := range []struct{ mode, reason, says string }{
		{forbids, v1alpha1.ReasonServiceForbidden, "bearer-token in Secret liar-token"},
		{showsAnother, v1alpha1.ReasonTLSInvalid, "ConfigMap liar-ca"},
	} {
		l.says(t, step.mode)
		mustWait(t, step.reason, func(ctx context.Context) (bool, string, error) {
			if err := enrolLied(ctx, t); err == nil {
				return false, "", errors.New("a device enrolled")
			}
			return enrolling(lied, step.reason, step.says)(ctx)
		})
	}
	l.says(t, knowsToken)
	row.Remedied()
	mustWait(t, "the failure to be over without a device", condition("ScepEndpoint", namespace, lied, v1alpha1.ConditionEnrolling,
		func(c *metav1.Condition) bool {
			return c.Status != metav1.ConditionFalse && !strings.Contains(c.Message, l.url)
		}))
	row.mustHeal(namespace, lied, func(ctx context.Context) (bool, string, error) {
		err := enrolLied(ctx, t)
		return err == nil, fmt.Sprint(err), nil
	})
	row.Served()
}
