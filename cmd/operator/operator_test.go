package main

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	appsv1 "k8s.io/api/apps/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/types"
	utilyaml "k8s.io/apimachinery/pkg/util/yaml"
	"k8s.io/client-go/rest"
	ctrl "sigs.k8s.io/controller-runtime"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/envtest"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
	"github.com/scepter-pki/scepter/test/cluster/lab"
)

const (
	limit = time.Minute
	ns    = "pki"
)

// cluster is a real API server with our CRDs, cert-manager's, and our RBAC, but
// without the Gateway API.
type cluster struct {
	t      *testing.T
	config *rest.Config
	client client.Client
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	assets := os.Getenv("KUBEBUILDER_ASSETS")
	if assets == "" {
		var err error
		if assets, err = lab.EnvtestAssets(t.Context(), os.Stderr); err != nil {
			t.Fatal(err)
		}
	}
	env := &envtest.Environment{
		BinaryAssetsDirectory: assets, ControlPlaneStartTimeout: limit, ControlPlaneStopTimeout: limit, ErrorIfCRDPathMissing: true,
		CRDDirectoryPaths: []string{"../../config/crd", filepath.Join(moduleDir(t, "github.com/cert-manager/cert-manager"), "deploy", "crds")},
	}
	config, err := env.Start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := env.Stop(); err != nil {
			t.Error(err)
		}
	})
	scheme, err := newScheme()
	if err != nil {
		t.Fatal(err)
	}
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		t.Fatal(err)
	}
	k := &cluster{t: t, config: config, client: c}
	k.create(&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: "scepter-system"}}, &corev1.Namespace{ObjectMeta: metav1.ObjectMeta{Name: ns}})
	for _, file := range []string{"role.yaml", "operator.yaml", "leader_election.yaml", "ra.yaml"} {
		k.createFile("../../config/rbac/" + file)
	}
	return k
}

func moduleDir(t *testing.T, module string) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(out))
}

func (k *cluster) create(objs ...client.Object) {
	k.t.Helper()
	for _, o := range objs {
		if err := k.client.Create(k.t.Context(), o); err != nil {
			k.t.Fatal(err)
		}
	}
}

func (k *cluster) createFile(path string) {
	k.t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		k.t.Fatal(err)
	}
	documents := utilyaml.NewYAMLOrJSONDecoder(bytes.NewReader(raw), 4096)
	for {
		o := &unstructured.Unstructured{}
		if err := documents.Decode(&o.Object); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			k.t.Fatal(err)
		}
		if len(o.Object) > 0 {
			k.create(o)
		}
	}
}

func (k *cluster) eventually(what string, cond func(ctx context.Context) error) {
	k.t.Helper()
	ctx, cancel := context.WithTimeout(k.t.Context(), limit)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		err := cond(ctx)
		if err == nil {
			return
		}
		select {
		case <-ctx.Done():
			k.t.Fatalf("waited %s in vain for: %s\nlast state: %v", limit, what, err)
		case <-tick.C:
		}
	}
}

func (k *cluster) waitFor(conditionType, reason string) {
	k.t.Helper()
	k.eventually(conditionType+" "+reason, func(ctx context.Context) error {
		var ep v1alpha1.ScepEndpoint
		if err := k.client.Get(ctx, client.ObjectKey{Namespace: ns, Name: "corp"}, &ep); err != nil {
			return err
		}
		if c := conditions.Find(ep.Status.Conditions, conditionType); c == nil || c.Reason != reason {
			return fmt.Errorf("conditions: %+v", ep.Status.Conditions)
		}
		return nil
	})
}

// runOperator runs the operator with no rights but those of config/rbac. It
// returns the addresses of its health checks and metrics.
func (k *cluster) runOperator(log io.Writer) (health, metrics string) {
	k.t.Helper()
	ctrl.SetLogger(newLogger(log, 0))
	config := rest.CopyConfig(k.config)
	config.Impersonate = rest.ImpersonationConfig{
		UserName: "system:serviceaccount:scepter-system:scepter-operator",
		Groups:   []string{"system:serviceaccounts", "system:serviceaccounts:scepter-system", "system:authenticated"},
	}
	health, metrics = freeAddress(k.t), freeAddress(k.t)
	getenv := func(name string) string { return map[string]string{"POD_NAMESPACE": "scepter-system"}[name] }
	o, err := parse([]string{
		"--ra-image=registry.example.com/ra:test", "--leader-elect", "--health-probe-bind-address=" + health, "--metrics-bind-address=" + metrics,
	}, getenv, log)
	if err != nil {
		k.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, config, o) }()
	k.t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			k.t.Errorf("the operator ended: %v", err)
		}
	})
	return health, metrics
}

func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = listener.Close() }()
	return listener.Addr().String()
}

// issue plays cert-manager for one Certificate.
func (k *cluster) issue(ca *sceptest.CA, name string, n int, usage x509.KeyUsage) {
	k.t.Helper()
	var c certmanagerv1.Certificate
	k.eventually("Certificate "+name, func(ctx context.Context) error {
		return k.client.Get(ctx, client.ObjectKey{Namespace: ns, Name: name}, &c)
	})
	key := sceptest.RSAKey(k.t, n)
	made, err := ca.Issue(&x509.Certificate{NotBefore: time.Now().Add(-time.Minute), NotAfter: time.Now().Add(90 * 24 * time.Hour), KeyUsage: usage}, key.Public())
	if err != nil {
		k.t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		k.t.Fatal(err)
	}
	block := func(kind string, der []byte) []byte { return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}) }
	k.create(&corev1.Secret{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: c.Spec.SecretName, Labels: c.Spec.SecretTemplate.Labels},
		Type:       corev1.SecretTypeTLS,
		Data: map[string][]byte{
			corev1.TLSCertKey:       append(block("CERTIFICATE", made.Raw), block("CERTIFICATE", ca.Certificate.Raw)...),
			corev1.TLSPrivateKeyKey: block("PRIVATE KEY", pkcs8),
		},
	})
	before := c.DeepCopy()
	c.Status.Conditions = []certmanagerv1.CertificateCondition{{Type: certmanagerv1.CertificateConditionReady, Status: cmmeta.ConditionTrue, ObservedGeneration: c.Generation}}
	if err := k.client.Status().Patch(k.t.Context(), &c, client.MergeFrom(before)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *cluster) makeReferences() {
	k.t.Helper()
	meta := func(name string) metav1.ObjectMeta { return metav1.ObjectMeta{Namespace: ns, Name: name} }
	issuer := &certmanagerv1.Issuer{ObjectMeta: meta("corp-ca"), Spec: certmanagerv1.IssuerSpec{IssuerConfig: certmanagerv1.IssuerConfig{CA: &certmanagerv1.CAIssuer{SecretName: "corp-ca"}}}}
	k.create(
		issuer,
		&corev1.Secret{ObjectMeta: meta("challenge"), StringData: map[string]string{"password": "correct horse"}},
		&v1alpha1.CertificateTemplate{ObjectMeta: meta("device"), Spec: v1alpha1.CertificateTemplateSpec{
			Usages: []certmanagerv1.KeyUsage{certmanagerv1.UsageClientAuth, certmanagerv1.UsageDigitalSignature}, Validity: metav1.Duration{Duration: 24 * time.Hour},
		}},
	)
	before := issuer.DeepCopy()
	issuer.Status.Conditions = []certmanagerv1.IssuerCondition{{Type: certmanagerv1.IssuerConditionReady, Status: cmmeta.ConditionTrue}}
	if err := k.client.Status().Patch(k.t.Context(), issuer, client.MergeFrom(before)); err != nil {
		k.t.Fatal(err)
	}
}

// TestOperator runs all controllers together, with the operator's own rights, from
// nothing to a Deployment; and installs the Gateway API only afterwards.
func TestOperator(t *testing.T) {
	k := startCluster(t)
	var log lockedBuffer
	health, metrics := k.runOperator(&log)
	k.makeReferences()
	k.create(&v1alpha1.ScepEndpoint{
		ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "corp"},
		Spec: v1alpha1.ScepEndpointSpec{
			Issuance:  v1alpha1.Issuance{IssuerRef: v1alpha1.IssuerReference{Name: "corp-ca"}, Wait: metav1.Duration{Duration: 10 * time.Second}, PendingDeadline: metav1.Duration{Duration: time.Hour}},
			Templates: []v1alpha1.EndpointTemplate{{Name: "device", TemplateRef: v1alpha1.LocalReference{Name: "device"}}},
			Challenges: []v1alpha1.Challenge{{Name: "mdm", Type: v1alpha1.ChallengeStatic, Static: &v1alpha1.StaticChallenge{
				SecretRef: v1alpha1.SecretKeyReference{Name: "challenge", Key: "password"}, AcknowledgeStoredChallenge: true,
			}}},
			Exposure: v1alpha1.Exposure{
				Hosts:   []v1alpha1.Host{{Name: "scep.example.com", HTTP: v1alpha1.PlainHTTPEnabled}},
				Gateway: &v1alpha1.GatewayExposure{ParentRefs: []v1alpha1.GatewayParentReference{{Name: "edge"}}, Mode: v1alpha1.GatewayHTTP},
			},
		},
	})
	ca := sceptest.NewCA(t)
	k.issue(ca, "corp-ra-signing", 0, x509.KeyUsageDigitalSignature)
	k.issue(ca, "corp-ra-encryption", 1, x509.KeyUsageKeyEncipherment)
	k.waitFor(v1alpha1.ConditionAccepted, v1alpha1.ReasonSucceeded)
	k.waitFor(v1alpha1.ConditionCredentialReady, v1alpha1.ReasonSucceeded)
	k.eventually("Deployment", func(ctx context.Context) error {
		return k.client.Get(ctx, client.ObjectKey{Namespace: ns, Name: "corp-ra"}, &appsv1.Deployment{})
	})
	k.waitFor(v1alpha1.ConditionExposed, v1alpha1.ReasonGatewayAPIMissing)
	gateway := filepath.Join(moduleDir(t, "sigs.k8s.io/gateway-api"), "config", "crd", "standard")
	if _, err := envtest.InstallCRDs(k.config, envtest.CRDInstallOptions{Paths: []string{gateway}}); err != nil {
		t.Fatal(err)
	}
	k.waitFor(v1alpha1.ConditionExposed, v1alpha1.ReasonRouteNotAccepted)
	k.issueDirectly()
	k.httpHas("http://"+health+"/readyz", "ok")
	k.httpHas("http://"+health+"/healthz", "ok")
	k.httpHas("http://"+metrics+"/metrics", `scepter_endpoint_condition{condition="Accepted",name="corp",namespace="pki",status="True"} 1`)
	for line := range strings.SplitSeq(log.String(), "\n") {
		if strings.Contains(line, "forbidden") || strings.Contains(line, "is not cached") || strings.Contains(line, "correct horse") {
			t.Error(line)
		}
	}
}

// issueDirectly has signers made, and taken away again.
func (k *cluster) issueDirectly() {
	k.t.Helper()
	signers := &appsv1.Deployment{}
	key := client.ObjectKey{Namespace: ns, Name: "corp-signer"}
	k.setMode(v1alpha1.IssuanceDirect)
	k.eventually("signers", func(ctx context.Context) error {
		peers := &corev1.Secret{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "corp-signer-client"}}
		return errors.Join(k.client.Get(ctx, key, signers), k.client.Get(ctx, client.ObjectKeyFromObject(peers), peers))
	})
	k.setMode(v1alpha1.IssuanceCertificateRequest)
	k.eventually("no signers", func(ctx context.Context) error {
		if err := k.client.Get(ctx, key, signers); !apierrors.IsNotFound(err) {
			return fmt.Errorf("the Deployment: %w", err)
		}
		return nil
	})
}

func (k *cluster) setMode(mode v1alpha1.IssuanceMode) {
	k.t.Helper()
	ep := &v1alpha1.ScepEndpoint{ObjectMeta: metav1.ObjectMeta{Namespace: ns, Name: "corp"}}
	patch := fmt.Appendf(nil, `{"spec":{"issuance":{"mode":%q}}}`, mode)
	if err := k.client.Patch(k.t.Context(), ep, client.RawPatch(types.MergePatchType, patch)); err != nil {
		k.t.Fatal(err)
	}
}

func (k *cluster) httpHas(url, text string) {
	k.t.Helper()
	k.eventually(url, func(ctx context.Context) error {
		request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
		if err != nil {
			return err
		}
		response, err := http.DefaultClient.Do(request)
		if err != nil {
			return err
		}
		defer func() { _ = response.Body.Close() }()
		body, err := io.ReadAll(response.Body)
		if err != nil {
			return err
		}
		if response.StatusCode != http.StatusOK || !strings.Contains(string(body), text) {
			return fmt.Errorf("HTTP %d:\n%.2000s", response.StatusCode, body)
		}
		return nil
	})
}
