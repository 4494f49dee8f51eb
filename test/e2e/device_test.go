package e2e

import (
	"context"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
	"github.com/scepter-pki/scepter/test/stock"
)

var serial atomic.Int32

// newName names a device that no other test uses.
func newName() string { return fmt.Sprintf("d%04d%s", serial.Add(1), domain) }

func newKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func scepURL(scheme string) string { return scheme + "://" + host + "/scep" }

// request is what stock clients are asked for.
func request(scheme string) stock.Request {
	return stock.Request{
		URL: scepURL(scheme), CommonName: newName(), Organization: organization,
		Challenge: challenge, PollInterval: time.Second,
	}
}

func within(t *testing.T, limit time.Duration) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	t.Cleanup(cancel)
	return ctx
}

// through is a SCEP client of our own behind the ingress, for what stock clients cannot be made to do.
func through(scheme string) *scep.Client {
	return newClient(scepURL(scheme), shared.rig.Dial)
}

// toPod is a SCEP client that speaks to one server past the ingress.
func toPod(pod *corev1.Pod) *scep.Client {
	return newClient("http://"+net.JoinHostPort(pod.Status.PodIP, "8080")+"/scep", shared.rig.Cluster.Dial)
}

type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func newClient(address string, dial dialer) *scep.Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(shared.ca)
	transport := &http.Transport{DialContext: dial, TLSClientConfig: &tls.Config{RootCAs: roots}, DisableKeepAlives: true}
	return &scep.Client{
		URL: address, HTTP: &http.Client{Transport: transport, Timeout: time.Minute}, VerifyCA: scep.TrustAnyCA,
		PollInterval: time.Second, PollLimit: -1,
	}
}

// enrolment asks for a certificate with a new key.
func enrolment(t *testing.T, name string, extensions ...pkix.Extension) scep.EnrolRequest {
	t.Helper()
	return scep.EnrolRequest{
		Key: newKey(t), ChallengePassword: challenge,
		Template: &x509.CertificateRequest{
			Subject:         pkix.Name{CommonName: name, Organization: []string{organization}},
			ExtraExtensions: extensions,
		},
	}
}

// mustEnrol enrols and checks that the certificate is of the tier's CA and for the key.
func mustEnrol(t *testing.T, c *scep.Client, r scep.EnrolRequest) *x509.Certificate {
	t.Helper()
	result, err := c.Enrol(within(t, enrolLimit), r)
	return granted(t, r.Key, result, err)
}

func granted(t *testing.T, key crypto.Signer, result *scep.Result, err error) *x509.Certificate {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if result.Status != scep.StatusSuccess {
		t.Fatalf("%s %s: %s", result.Status, result.FailInfo, result.FailInfoText)
	}
	mustBeOurs(t, result.Certificate)
	if !result.Certificate.PublicKey.(interface{ Equal(crypto.PublicKey) bool }).Equal(key.Public()) {
		t.Fatal("the certificate is for another key")
	}
	return result.Certificate
}

// mustRefuse checks that a request ended in FAILURE with a text that says want.
func mustRefuse(t *testing.T, result *scep.Result, err error, want ...string) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if result.Status != scep.StatusFailure {
		t.Fatalf("got %s, want FAILURE", result.Status)
	}
	for _, part := range want {
		if !strings.Contains(result.FailInfoText, part) {
			t.Errorf("failInfoText %q does not say %q", result.FailInfoText, part)
		}
	}
}

func mustBeOurs(t *testing.T, c *x509.Certificate) {
	t.Helper()
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(shared.ca)
	if _, err := c.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageAny}}); err != nil {
		t.Fatalf("the certificate does not chain to the tier's CA: %v", err)
	}
}

func mustWait(t *testing.T, what string, check rig.Check) {
	t.Helper()
	if err := rig.Wait(t.Context(), what, readyLimit, check); err != nil {
		t.Fatal(err)
	}
}

func mustBeReady(t *testing.T) {
	t.Helper()
	mustWait(t, "the endpoint to be Ready", rig.Ready(shared.api, namespace, endpoint))
}

// servers are the tier's RA pods that are ready and not on their way out.
func servers(t *testing.T) []corev1.Pod {
	t.Helper()
	var all corev1.PodList
	labels := client.MatchingLabels{"app.kubernetes.io/name": "scepter-ra", "scepter.dev/endpoint": endpoint}
	if err := shared.api.List(t.Context(), &all, client.InNamespace(namespace), labels); err != nil {
		t.Fatal(err)
	}
	var ready []corev1.Pod
	for i := range all.Items {
		if all.Items[i].DeletionTimestamp == nil && podReady(&all.Items[i]) {
			ready = append(ready, all.Items[i])
		}
	}
	return ready
}

func podReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

func pemCertificate(t *testing.T, raw []byte) *x509.Certificate {
	t.Helper()
	block, _ := pem.Decode(raw)
	if block == nil {
		t.Fatal("no PEM block")
	}
	c, err := x509.ParseCertificate(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
