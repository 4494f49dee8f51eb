package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/client-go/dynamic"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/triage"
)

// makeEndpoint has the API server know the ScepEndpoint of the fixture.
func (f *fixture) makeEndpoint(t *testing.T) {
	t.Helper()
	admin, err := dynamic.NewForConfig(f.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	ep := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ScepEndpoint", "metadata": map[string]any{"name": ratest.Endpoint},
		"spec": map[string]any{
			"issuance": map[string]any{"issuerRef": map[string]any{"name": ratest.IssuerName}}, "raCredentialRef": map[string]any{"name": "corp-ra"},
			"templates":  []any{map[string]any{"name": "device", "templateRef": map[string]any{"name": "device"}}},
			"challenges": []any{map[string]any{"name": "helpdesk", "type": "OneTime", "oneTime": map[string]any{}}},
			"exposure":   map[string]any{"hosts": []any{map[string]any{"name": "corp.example.com"}}, "ingress": map[string]any{"className": "traefik"}},
		},
	}}
	if _, err := admin.Resource(v1alpha1.GroupVersion.WithResource("scependpoints")).Namespace(f.Namespace).Create(t.Context(), ep, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// makeSecondPod has a second server, which nobody can ask.
func (f *fixture) makeSecondPod(t *testing.T) {
	t.Helper()
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: "corp-ra-1", Labels: render.PodSelector(ratest.Endpoint)},
		Spec:       corev1.PodSpec{ServiceAccountName: render.ChildName(ratest.Endpoint), Containers: []corev1.Container{{Name: "ra", Image: "ra"}}},
	}
	if _, err := f.Admin(t).CoreV1().Pods(f.Namespace).Create(t.Context(), pod, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

// triage is the command with a way to the admin port of the first server.
func (f *fixture) triage(t *testing.T, o triageOptions) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	o.access, o.now = &f.access, time.Now
	if o.since == 0 {
		o.since = time.Hour
	}
	o.forward = func(_ context.Context, c *cluster, pod string, port int) (string, func(), error) {
		if c.namespace != f.Namespace || port != raconfig.AdminPort {
			t.Errorf("forwarded to port %d in %s", port, c.namespace)
		}
		if pod != podName {
			return "", nil, errors.New("no way to it")
		}
		return strings.TrimPrefix(f.server.AdminURL, "http://"), func() {}, nil
	}
	var out bytes.Buffer
	err := o.run(ctx, ratest.Endpoint, &out)
	return out.String(), err
}

func TestTriage(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.makeEndpoint(t)
	if _, err := f.run(t, ratest.Endpoint, challengeOptions{request: raconfig.ChallengeRequest{Subject: []string{"commonName=d1"}}}); err != nil {
		t.Fatal(err)
	}
	out, err := f.triage(t, triageOptions{subject: "d1", output: "text"})
	for _, want := range []string{"NothingArrived: the records have no request of d1", "a one-time challenge for d1 was minted", "SCEP1070", "What to do or to check", " 3. the key store"} {
		if err != nil || !strings.Contains(out, want) {
			t.Errorf("printed %q (%v), want %q", out, err, want)
		}
	}
	f.makeSecondPod(t)
	out, err = f.triage(t, triageOptions{subject: "d1", output: "json"})
	var v triage.Verdict
	if err != nil || json.Unmarshal([]byte(out), &v) != nil || v.Class != triage.NothingArrived || len(v.Coverage.Asked) != 1 {
		t.Fatalf("printed %q (%v)", out, err)
	}
	if gaps := strings.Join(v.Coverage.Gaps, "\n"); !strings.Contains(gaps, "server corp-ra-1 could not be asked: no way to it") {
		t.Errorf("gaps %q", gaps)
	}
}

func TestTriageRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	for want, o := range map[string]triageOptions{
		`"yaml" is neither text nor json`:  {subject: "d1", output: "yaml"},
		`which device?`:                    {output: "text"},
		`flag --since: how long ago`:       {subject: "d1", since: -time.Hour, output: "text"},
		`flag --serial: `:                  {serial: "none", output: "text"},
		`read ScepEndpoint corp in namesp`: {subject: "d1", output: "text"},
	} {
		if out, err := f.triage(t, o); err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("printed %q, error %v, want %q", out, err, want)
		}
	}
	f.makeEndpoint(t)
	f.server.AdminURL = "http://127.0.0.1:1"
	if out, err := f.triage(t, triageOptions{subject: "d1", output: "text"}); !errors.Is(err, errNoAnswer) || !strings.Contains(err.Error(), podName) {
		t.Errorf("no server answers: printed %q, error %v", out, err)
	}
}

func TestTriageFlags(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{{}, {"--subject", "d1", "--serial", "1"}, {"--transaction", "A", "--subject", "d1"}} {
		cmd := newCommand()
		cmd.SetOut(&bytes.Buffer{})
		cmd.SetArgs(append([]string{"triage", "corp"}, args...))
		if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.Contains(err.Error(), "[subject transaction serial]") && !strings.Contains(err.Error(), "[subject serial transaction]") {
			t.Errorf("%v: %v", args, err)
		}
	}
}

func TestAnswersWithoutRecords(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	o := triageOptions{forward: func(context.Context, *cluster, string, int) (string, func(), error) {
		return strings.TrimPrefix(server.URL, "http://"), func() {}, nil
	}}
	if trail, funnel := o.ask(t.Context(), nil, podName, triage.Question{}); trail.Err == nil || !strings.Contains(trail.Err.Error(), "HTTP status 404") || trail.Pod != podName || funnel != nil {
		t.Errorf("%+v, %v", trail, funnel)
	}
}
