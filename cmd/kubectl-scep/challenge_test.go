package main

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

func TestMain(m *testing.M) { ratest.Main(m) }

// fixture is an endpoint with one server, whose pod has no kubelet: instead of a
// forwarded port there is the server's own.
type fixture struct {
	*ratest.Cluster
	server *ratest.Server
	access access
}

const podName = "corp-ra-0"

func newFixture(t *testing.T) *fixture {
	t.Helper()
	c := ratest.NewCluster(t)
	files := ratest.NewFiles(t, c)
	files.Config.Challenges = []raconfig.Challenge{{
		Name: "helpdesk", Type: v1alpha1.ChallengeOneTime, OneTime: &raconfig.OneTime{ValiditySeconds: 3600},
	}}
	files.WriteConfig()
	f := &fixture{Cluster: c, server: ratest.NewServer(t, c, files)}
	f.makeObjects(t)
	f.access.loading.ExplicitPath = f.writeKubeconfig(t)
	return f
}

func (f *fixture) makeObjects(t *testing.T) {
	t.Helper()
	core := f.Admin(t).CoreV1()
	account := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: render.ChildName(ratest.Endpoint)}}
	if _, err := core.ServiceAccounts(f.Namespace).Create(t.Context(), account, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	pod := &corev1.Pod{
		ObjectMeta: metav1.ObjectMeta{Name: podName, Labels: render.PodSelector(ratest.Endpoint)},
		Spec:       corev1.PodSpec{ServiceAccountName: account.Name, Containers: []corev1.Container{{Name: "ra", Image: "ra"}}},
	}
	made, err := core.Pods(f.Namespace).Create(t.Context(), pod, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	made.Status.Conditions = []corev1.PodCondition{{Type: corev1.PodReady, Status: corev1.ConditionTrue}}
	if _, err := core.Pods(f.Namespace).UpdateStatus(t.Context(), made, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) writeKubeconfig(t *testing.T) string {
	t.Helper()
	admin := f.AdminConfig()
	config := clientcmdapi.NewConfig()
	config.Clusters["c"] = &clientcmdapi.Cluster{Server: admin.Host, CertificateAuthorityData: admin.CAData, CertificateAuthority: admin.CAFile}
	config.AuthInfos["u"] = &clientcmdapi.AuthInfo{
		Token:                 admin.BearerToken,
		ClientCertificate:     admin.CertFile,
		ClientCertificateData: admin.CertData,
		ClientKey:             admin.KeyFile,
		ClientKeyData:         admin.KeyData,
	}
	config.Contexts["x"] = &clientcmdapi.Context{Cluster: "c", AuthInfo: "u", Namespace: f.Namespace}
	config.CurrentContext = "x"
	path := filepath.Join(t.TempDir(), "kubeconfig")
	if err := clientcmd.WriteToFile(*config, path); err != nil {
		t.Fatal(err)
	}
	return path
}

// run is "kubectl scep challenge" with a way to the server.
func (f *fixture) run(t *testing.T, endpoint string, o challengeOptions) (string, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	o.access = &f.access
	o.forward = func(_ context.Context, c *cluster, pod string, port int) (string, func(), error) {
		if c.namespace != f.Namespace || pod != podName || port != raconfig.LocalMintPort {
			t.Errorf("forwarded to port %d of %s in %s", port, pod, c.namespace)
		}
		return strings.TrimPrefix(f.server.LocalMintURL, "http://"), func() {}, nil
	}
	var out bytes.Buffer
	err := o.run(ctx, endpoint, &out)
	return out.String(), err
}

func TestChallenge(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	out, err := f.run(t, ratest.Endpoint, challengeOptions{})
	if err != nil || !regexp.MustCompile(`^[0-9A-Z]{32}\n$`).MatchString(out) {
		t.Errorf("printed %q (%v)", out, err)
	}
	out, err = f.run(t, ratest.Endpoint, challengeOptions{
		output: "json", data: map[string]string{"site": "north"},
		request: raconfig.ChallengeRequest{Form: "Long", Validity: "5m", Subject: []string{"commonName=d1"}},
	})
	var reply raconfig.ChallengeReply
	if err != nil || json.Unmarshal([]byte(out), &reply) != nil || reply.Form != "Long" || time.Until(reply.Expires) > 5*time.Minute {
		t.Errorf("printed %q (%v)", out, err)
	}
	f.server.WantLogged("SCEP1070", `"caller":"system:serviceaccount:`+f.Namespace+`:corp-ra"`)
}

func TestChallengeRefused(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	bystander := &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: "bystander"}}
	if _, err := f.Admin(t).CoreV1().ServiceAccounts(f.Namespace).Create(t.Context(), bystander, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	for want, tc := range map[string]struct {
		endpoint string
		options  challengeOptions
	}{
		`flag --output: "yaml" is not json`:                         {ratest.Endpoint, challengeOptions{output: "yaml"}},
		`get a token of service account absent`:                     {ratest.Endpoint, challengeOptions{account: "absent"}},
		`get a token of service account other-ra`:                   {"other", challengeOptions{}},
		`no server of it is ready: look at the ScepEndpoint's cond`: {"other", challengeOptions{account: "bystander"}},
		`no challenge (HTTP status 403): you may not create`:        {ratest.Endpoint, challengeOptions{account: "bystander"}},
		`no challenge (HTTP status 400): validity must be`:          {ratest.Endpoint, challengeOptions{request: raconfig.ChallengeRequest{Validity: "9h"}}},
	} {
		if out, err := f.run(t, tc.endpoint, tc.options); err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("printed %q, error %v, want %q", out, err, want)
		}
	}
}

func TestAnswersThatAreNoChallenge(t *testing.T) {
	t.Parallel()
	for want, handler := range map[string]http.HandlerFunc{
		"no challenge (HTTP status 502): bad gateway": func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusBadGateway) },
		"read the challenge: ":                        func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte("<HTML>")) },
	} {
		server := httptest.NewServer(handler)
		t.Cleanup(server.Close)
		if _, err := askForChallenge(t.Context(), server.URL, "token", raconfig.ChallengeRequest{}); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}

func TestFlags(t *testing.T) {
	t.Parallel()
	cmd := newCommand()
	var out bytes.Buffer
	cmd.SetOut(&out)
	cmd.SetErr(&out)
	cmd.SetArgs([]string{"challenge", "corp", "--kubeconfig", filepath.Join(t.TempDir(), "absent"), "--subject", "commonName=a,b"})
	if err := cmd.ExecuteContext(t.Context()); err == nil || !strings.HasPrefix(err.Error(), "find the cluster: ") {
		t.Errorf("error %v", err)
	}
}
