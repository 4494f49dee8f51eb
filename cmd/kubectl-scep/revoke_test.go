package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// bureau is a namespace with an endpoint, and a kubeconfig for it.
type bureau struct{ fixture }

func newBureau(t *testing.T, mode v1alpha1.IssuanceMode) *bureau {
	t.Helper()
	c := ratest.NewCluster(t)
	b := &bureau{fixture{Cluster: c}}
	b.access.loading.ExplicitPath = b.writeKubeconfig(t)
	admin, err := dynamic.NewForConfig(c.AdminConfig())
	if err != nil {
		t.Fatal(err)
	}
	ep := &unstructured.Unstructured{Object: map[string]any{
		"apiVersion": v1alpha1.GroupVersion.String(), "kind": "ScepEndpoint",
		"metadata": map[string]any{"name": "corp"},
		"spec": map[string]any{
			"issuance":   map[string]any{"mode": string(mode), "issuerRef": map[string]any{"name": "corp-ca"}},
			"templates":  []any{map[string]any{"name": "device", "templateRef": map[string]any{"name": "device"}}},
			"challenges": []any{map[string]any{"name": "open", "type": "Anyone"}},
		},
	}}
	endpoints := admin.Resource(v1alpha1.GroupVersion.WithResource("scependpoints")).Namespace(c.Namespace)
	if _, err := endpoints.Create(t.Context(), ep, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	return b
}

// revoke is "kubectl scep revoke corp".
func (b *bureau) revoke(t *testing.T, reason string, certificates ...string) (string, error) {
	t.Helper()
	o := revokeOptions{access: &access{loading: b.access.loading}, reason: reason, now: time.Now}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var out bytes.Buffer
	err := o.run(ctx, "corp", certificates, &out)
	return out.String(), err
}

func (b *bureau) list(t *testing.T) *raconfig.Revocations {
	t.Helper()
	list, err := raconfig.DecodeRevocations([]byte(b.object(t).Data[raconfig.RevocationsFile]))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func (b *bureau) object(t *testing.T) *corev1.ConfigMap {
	t.Helper()
	object, err := b.Admin(t).CoreV1().ConfigMaps(b.Namespace).Get(t.Context(), render.RevokedName("corp"), metav1.GetOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return object
}

func TestRevoke(t *testing.T) {
	t.Parallel()
	b := newBureau(t, v1alpha1.IssuanceDirect)
	file, c := writeCertificate(t, false)
	out, err := b.revoke(t, "KEYCOMPROMISE", "00:4F:2A", file)
	if want := fmt.Sprintf("4f2a is revoked (keyCompromise)\n%x is revoked (keyCompromise)\n", c.SerialNumber); err != nil || out != want {
		t.Fatalf("printed %q, want %q (%v)", out, want, err)
	}
	list := b.list(t)
	byFile, bySerial := list.Find(c.SerialNumber), list.Find(big.NewInt(0x4f2a))
	if byFile == nil || bySerial == nil || len(list.Revoked) != 2 || byFile.Reason != raconfig.KeyCompromise {
		t.Fatalf("the list is %+v", list)
	}
	if !byFile.Expires.Equal(c.NotAfter) || !bySerial.Expires.IsZero() {
		t.Errorf("they end at %s and %s", byFile.Expires, bySerial.Expires)
	}
	// The labels by which the operator hears of it.
	if b.object(t).Labels[v1alpha1.LabelEndpoint] != "corp" {
		t.Errorf("labels: %v", b.object(t).Labels)
	}
	// Once more changes nothing, not even the reason.
	version := b.object(t).ResourceVersion
	out, err = b.revoke(t, "superseded", "4f2a")
	if err != nil || !strings.HasPrefix(out, "4f2a was revoked on ") || !strings.HasSuffix(out, "(keyCompromise)\n") {
		t.Errorf("printed %q (%v)", out, err)
	}
	if b.object(t).ResourceVersion != version {
		t.Error("the list was written again")
	}
}

// TestRevokersLoseNothing has many people revoke at the same time.
func TestRevokersLoseNothing(t *testing.T) {
	t.Parallel()
	b := newBureau(t, v1alpha1.IssuanceDirect)
	const people = 4
	var all sync.WaitGroup
	for i := range people {
		all.Go(func() {
			if out, err := b.revoke(t, "unspecified", fmt.Sprintf("1%d", i), fmt.Sprintf("2%d", i)); err != nil {
				t.Errorf("person %d: %q, %v", i, out, err)
			}
		})
	}
	all.Wait()
	if list := b.list(t); len(list.Revoked) != 2*people {
		t.Errorf("%d of %d are on the list", len(list.Revoked), 2*people)
	}
}

// TestRevokedCertificatesAreForgotten long after their end.
func TestRevokedCertificatesAreForgotten(t *testing.T) {
	t.Parallel()
	b := newBureau(t, v1alpha1.IssuanceDirect)
	long, lately := time.Now().Add(-forgetAfter-time.Hour), time.Now().Add(-time.Hour)
	list, _, err := raconfig.NewRevocations(long).With(long,
		raconfig.Revocation{Serial: "a", Time: long, Reason: raconfig.Unspecified, Expires: long},
		raconfig.Revocation{Serial: "b", Time: long, Reason: raconfig.Unspecified, Expires: lately},
		raconfig.Revocation{Serial: "c", Time: long, Reason: raconfig.Unspecified})
	if err != nil {
		t.Fatal(err)
	}
	file, err := raconfig.EncodeRevocations(list)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Admin(t).CoreV1().ConfigMaps(b.Namespace).Create(t.Context(), render.RevokedConfigMap(b.Namespace, "corp", file), metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.revoke(t, "unspecified", "d"); err != nil {
		t.Fatal(err)
	}
	var left []string
	for _, one := range b.list(t).Revoked {
		left = append(left, one.Serial)
	}
	if strings.Join(left, " ") != "b c d" {
		t.Errorf("the list names %v, want b c d", left)
	}
}

func TestRevokeRefused(t *testing.T) {
	t.Parallel()
	b := newBureau(t, v1alpha1.IssuanceDirect)
	ca, _ := writeCertificate(t, true)
	noise := filepath.Join(t.TempDir(), "noise.pem")
	if err := os.WriteFile(noise, []byte("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for want, tc := range map[string]struct{ reason, certificate string }{
		`flag --reason: "boredom" is none of unspecified, keyCompromise`:    {"boredom", "4f2a"},
		`the first certificate is a CA's, which its own list cannot revoke`: {"unspecified", ca},
		`noise.pem: there is no certificate in it`:                          {"unspecified", noise},
		`there is no file "device.pem", and serial number`:                  {"unspecified", "device.pem"},
		`read the certificate: `:                                            {"unspecified", t.TempDir()},
	} {
		if out, err := b.revoke(t, tc.reason, tc.certificate); err == nil || !strings.Contains(err.Error(), want) || out != "" {
			t.Errorf("printed %q, error %v, want %q", out, err, want)
		}
	}
	if _, err := b.revoke(t, "unspecified", "1", "x"); err == nil {
		t.Error("half an order was carried out")
	}
	if _, err := b.Admin(t).CoreV1().ConfigMaps(b.Namespace).Get(t.Context(), render.RevokedName("corp"), metav1.GetOptions{}); err == nil {
		t.Error("a refusal left a list behind")
	}
}

func TestAFileThatLooksLikeASerialNumber(t *testing.T) {
	t.Chdir(t.TempDir())
	if err := os.WriteFile("4f2a", []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := readCertificate("4f2a"); err == nil || !strings.Contains(err.Error(), "write ./4f2a for the file") {
		t.Errorf("error %v", err)
	}
}

// TestOnlySignersRevoke: of CertificateRequests it says who can.
func TestOnlySignersRevoke(t *testing.T) {
	t.Parallel()
	b := newBureau(t, v1alpha1.IssuanceCertificateRequest)
	_, err := b.revoke(t, "unspecified", "4f2a")
	if err == nil || !strings.Contains(err.Error(), "cert-manager, which cannot revoke; revoke at the CA behind Issuer corp-ca") {
		t.Errorf("error %v", err)
	}
}

// TestAListThatCannotBeReadStays: it may say what is revoked.
func TestAListThatCannotBeReadStays(t *testing.T) {
	t.Parallel()
	b := newBureau(t, v1alpha1.IssuanceDirect)
	broken := render.RevokedConfigMap(b.Namespace, "corp", []byte("{"))
	if _, err := b.Admin(t).CoreV1().ConfigMaps(b.Namespace).Create(t.Context(), broken, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, err := b.revoke(t, "unspecified", "4f2a"); err == nil || !strings.Contains(err.Error(), "repair it before anything is added") {
		t.Errorf("error %v", err)
	}
	if b.object(t).Data[raconfig.RevocationsFile] != "{" {
		t.Error("it was written over")
	}
}

// revoker is the role that the documentation gives to whom may revoke and no more.
var revoker = []rbacv1.PolicyRule{
	{APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"scependpoints"}, ResourceNames: []string{"corp"}, Verbs: []string{"get"}},
	{APIGroups: []string{""}, Resources: []string{"configmaps"}, ResourceNames: []string{"corp-revoked"}, Verbs: []string{"get", "update"}},
}

// TestRevokeByOnesOwnRights asks for the rights that the documentation names, and
// for no others.
func TestRevokeByOnesOwnRights(t *testing.T) {
	t.Parallel()
	b := newBureau(t, v1alpha1.IssuanceDirect)
	if _, err := b.revoke(t, "unspecified", "1"); err != nil {
		t.Fatal(err)
	}
	b.impersonate(t, "olga")
	if _, err := b.revoke(t, "unspecified", "2"); err == nil || !strings.Contains(err.Error(), "forbidden") {
		t.Fatalf("without a role: %v", err)
	}
	rbac := b.Admin(t).RbacV1()
	role := &rbacv1.Role{ObjectMeta: metav1.ObjectMeta{Name: "revoker"}, Rules: revoker}
	if _, err := rbac.Roles(b.Namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: "olga-revokes"},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: "revoker"},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.UserKind, APIGroup: rbacv1.GroupName, Name: "olga"}},
	}
	if _, err := rbac.RoleBindings(b.Namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 50*time.Millisecond, time.Minute, true, func(context.Context) (bool, error) {
		_, last = b.revoke(t, "unspecified", "2")
		return last == nil, nil
	})
	if err != nil {
		t.Errorf("with the role: %v", last)
	}
}

// impersonate has the plugin run as somebody else.
func (b *bureau) impersonate(t *testing.T, user string) {
	t.Helper()
	config, err := clientcmd.LoadFromFile(b.access.loading.ExplicitPath)
	if err != nil {
		t.Fatal(err)
	}
	config.AuthInfos["u"].Impersonate = user
	if err := clientcmd.WriteToFile(*config, b.access.loading.ExplicitPath); err != nil {
		t.Fatal(err)
	}
}

// writeCertificate writes a self-signed certificate as PEM, after a key.
func writeCertificate(t *testing.T, isCA bool) (file string, c *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(0x7cafe), NotBefore: time.Now(), NotAfter: time.Now().Add(time.Hour), IsCA: isCA, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	if c, err = x509.ParseCertificate(der); err != nil {
		t.Fatal(err)
	}
	var content bytes.Buffer
	for _, block := range []*pem.Block{{Type: "EC PARAMETERS", Bytes: []byte{5, 0}}, {Type: "CERTIFICATE", Bytes: der}} {
		if err := pem.Encode(&content, block); err != nil {
			t.Fatal(err)
		}
	}
	file = filepath.Join(t.TempDir(), "device.pem")
	if err := os.WriteFile(file, content.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file, c
}
