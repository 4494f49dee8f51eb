package main

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// lockedBuffer is a log that many goroutines write to.
type lockedBuffer struct {
	mu     sync.Mutex
	buffer bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buffer.String()
}

func TestParse(t *testing.T) {
	getenv := func(string) string { return "scepter-system" }
	o, err := parse([]string{"--ra-image=ra:1", "--ra-image-pull-policy=Never", "--namespaces=pki, lab,", "--log-level=debug", "--leader-elect", "--remedy-budget=3"}, getenv, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if o.program.Image != "ra:1" || o.program.PullPolicy != corev1.PullNever || o.program.ClusterRole != "scepter-ra" || o.program.DirectClusterRole != "scepter-ra-direct" {
		t.Errorf("program: %+v", o.program)
	}
	if strings.Join(o.namespaces, "|") != "pki|lab" || o.logLevel != slog.LevelDebug || !o.leaderElection || o.leaderElectionNamespace != "scepter-system" {
		t.Errorf("options: %+v", o)
	}
	if o.limits.Budget.String() != "3" || o.limits.Wave.String() != "10%" {
		t.Errorf("limits: %+v", o.limits)
	}
	if got := cacheOptions(o.namespaces).DefaultNamespaces; len(got) != 2 {
		t.Errorf("caches are for %v", got)
	}
}

func TestParseIngressLimit(t *testing.T) {
	o, err := parse([]string{"--ra-image=ra:1", "--ingress-limit=ingress-nginx=edge/controller"}, func(string) string { return "" }, io.Discard)
	if err != nil {
		t.Fatal(err)
	}
	if got := o.ingressLimit; got.Implementation.ID != "ingress-nginx" || got.ConfigMap.String() != "edge/controller" {
		t.Errorf("target: %+v", got)
	}
}

func TestParseRefuses(t *testing.T) {
	for name, args := range map[string][]string{
		"no image":          {},
		"a bad pull policy": {"--ra-image=ra:1", "--ra-image-pull-policy=Sometimes"},
		"a bad log level":   {"--ra-image=ra:1", "--log-level=loud"},
		"an argument":       {"--ra-image=ra:1", "serve"},
		"no cluster role":   {"--ra-image=ra:1", "--ra-cluster-role="},
		"no direct role":    {"--ra-image=ra:1", "--ra-direct-cluster-role="},
		"a limit of nobody": {"--ra-image=ra:1", "--ingress-limit=traefik=ns/name"},
		"a limit nowhere":   {"--ra-image=ra:1", "--ingress-limit=ingress-nginx=name"},
		"a wave of none":    {"--ra-image=ra:1", "--image-wave=0"},
		"an unknown flag":   {"--ra-image=ra:1", "--verbose"},
	} {
		if _, err := parse(args, func(string) string { return "" }, io.Discard); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTransformsDropWhatIsLarge(t *testing.T) {
	request := &certmanagerv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{
		ManagedFields: []metav1.ManagedFieldsEntry{{Manager: "x"}},
		Annotations:   map[string]string{corev1.LastAppliedConfigAnnotation: "{}", "kept": "yes"},
	}}
	request.Spec.Request, request.Status.Certificate = []byte("csr"), []byte("certificate")
	out, err := dropRequest(request)
	if err != nil || out != any(request) {
		t.Fatalf("%v, %v", out, err)
	}
	if request.Spec.Request != nil || request.Status.Certificate != nil || request.ManagedFields != nil || len(request.Annotations) != 1 {
		t.Errorf("%+v", request)
	}
}
