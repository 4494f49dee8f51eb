package e2e

import (
	"crypto/x509"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
)

// asServer is a client with a pod's own token: what a taken-over server has.
func asServer(t *testing.T) client.Client {
	t.Helper()
	return asPod(t, &servers(t)[0])
}

func asPod(t *testing.T, pod *corev1.Pod) client.Client {
	t.Helper()
	request := &authenticationv1.TokenRequest{Spec: authenticationv1.TokenRequestSpec{
		BoundObjectRef: &authenticationv1.BoundObjectReference{APIVersion: "v1", Kind: "Pod", Name: pod.Name, UID: pod.UID},
	}}
	token, err := clientset(t).CoreV1().ServiceAccounts(namespace).CreateToken(t.Context(), pod.Spec.ServiceAccountName, request, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	config := rest.AnonymousClientConfig(restConfig(t))
	config.BearerToken = token.Status.Token
	c, err := client.New(config, client.Options{Scheme: shared.api.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// decent is a CertificateRequest that a server may make.
func decent(t *testing.T) *certmanagerv1.CertificateRequest {
	t.Helper()
	csr, err := scep.NewCSR(&x509.CertificateRequest{DNSNames: []string{"cage.devices.example.com"}}, newKey(t), "")
	if err != nil {
		t.Fatal(err)
	}
	return &certmanagerv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, GenerateName: "cage-", Labels: map[string]string{v1alpha1.LabelEndpoint: endpoint},
		},
		Spec: certmanagerv1.CertificateRequestSpec{
			Request: pemRequest(csr), Duration: &metav1.Duration{Duration: time.Hour},
			IssuerRef: cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: "fleet-ca"},
			Usages:    []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageClientAuth},
		},
	}
}

// TestF44LeastRights tries, with a server's token, what a server must not do.
func TestF44LeastRights(t *testing.T) {
	row := failureRow(t, "F44")
	server := asServer(t)
	cases := map[string]struct {
		change func(*certmanagerv1.CertificateRequest)
		want   string
	}{
		"a decent request":          {func(*certmanagerv1.CertificateRequest) {}, ""},
		"another issuer":            {func(r *certmanagerv1.CertificateRequest) { r.Spec.IssuerRef.Name = "bootstrap" }, "issuer"},
		"an issuer of another kind": {func(r *certmanagerv1.CertificateRequest) { r.Spec.IssuerRef.Kind = "ClusterIssuer" }, "issuer"},
		"another usage": {func(r *certmanagerv1.CertificateRequest) {
			r.Spec.Usages = append(r.Spec.Usages, certmanagerv1.UsageServerAuth)
		}, "usage"},
		"too long a duration": {func(r *certmanagerv1.CertificateRequest) { r.Spec.Duration.Duration = 20000 * time.Hour }, "duration"},
		"no duration":         {func(r *certmanagerv1.CertificateRequest) { r.Spec.Duration = nil }, "duration"},
		"a CA":                {func(r *certmanagerv1.CertificateRequest) { r.Spec.IsCA = true }, "isCA"},
		"another's label":     {func(r *certmanagerv1.CertificateRequest) { r.Labels[v1alpha1.LabelEndpoint] = "other" }, "label"},
		"no label":            {func(r *certmanagerv1.CertificateRequest) { r.Labels = nil }, "label"},
		"another namespace":   {func(r *certmanagerv1.CertificateRequest) { r.Namespace = "default" }, "forbidden"},
	}
	for name, tc := range cases {
		t.Run(name, func(t *testing.T) {
			r := decent(t)
			tc.change(r)
			err := server.Create(t.Context(), r)
			switch {
			case tc.want == "" && err != nil:
				t.Error(err)
			case tc.want != "" && (err == nil || !strings.Contains(err.Error(), tc.want)):
				t.Errorf("got %v, want a refusal that says %q", err, tc.want)
			}
		})
	}
	t.Run("Secrets", func(t *testing.T) {
		if err := server.List(t.Context(), &corev1.SecretList{}, client.InNamespace(namespace)); err == nil {
			t.Error("a server can list Secrets")
		}
		for _, name := range []string{"fleet-ra-keyring", "fleet-challenge", "web"} {
			if err := server.Get(t.Context(), client.ObjectKey{Namespace: namespace, Name: name}, &corev1.Secret{}); !apierrors.IsForbidden(err) {
				t.Errorf("reading Secret %s: %v, want Forbidden", name, err)
			}
		}
	})
	t.Run("deleting records", func(t *testing.T) {
		if err := server.DeleteAllOf(t.Context(), &certmanagerv1.CertificateRequest{}, client.InNamespace(namespace)); err == nil {
			t.Error("a server can delete CertificateRequests")
		}
	})
	t.Run("somebody else is not caged", func(t *testing.T) {
		r := decent(t)
		r.Spec.Duration.Duration = 20000 * time.Hour
		if err := shared.api.Create(t.Context(), r); err != nil {
			t.Error(err)
		}
	})
	row.Used("a server's token")
}
