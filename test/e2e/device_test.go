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
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	appsv1 "k8s.io/api/apps/v1"
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

// newClient is patient with the ingress, as devices are.
func newClient(address string, dial dialer) *scep.Client {
	c := newStrictClient(address, dial)
	c.HTTP.Transport = patient{c.HTTP.Transport}
	return c
}

// newStrictClient takes every answer as it is.
func newStrictClient(address string, dial dialer) *scep.Client {
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

// mustWait waits for a condition. What takes long is logged.
func mustWait(t *testing.T, what string, check rig.Check) {
	t.Helper()
	began := time.Now()
	if err := rig.Wait(t.Context(), what, readyLimit, check); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > longWait {
		t.Logf("waited %s for %s", took.Round(time.Second), what)
	}
}

const longWait = 10 * time.Second

// mustBeReady waits until the tier is Ready and its servers are those that stay.
func mustBeReady(t *testing.T) {
	t.Helper()
	mustWait(t, "the endpoint to be Ready", rig.Ready(shared.api, namespace, endpoint))
	mustWait(t, "no server to be replaced any more", rolledOut)
}

// rolledOut checks that all servers are of the Deployment as it is.
func rolledOut(ctx context.Context) (bool, string, error) {
	deployment := named(&appsv1.Deployment{}, "fleet-ra")
	if err := shared.api.Get(ctx, client.ObjectKeyFromObject(deployment), deployment); err != nil {
		return false, "", err
	}
	want, s := *deployment.Spec.Replicas, deployment.Status
	seen := fmt.Sprintf("%d servers, %d of them new, %d available", s.Replicas, s.UpdatedReplicas, s.AvailableReplicas)
	return s.ObservedGeneration == deployment.Generation && s.Replicas == want && s.UpdatedReplicas == want && s.AvailableReplicas == want, seen, nil
}

// servers are the tier's RA pods that are ready and not on their way out.
func servers(t *testing.T) []corev1.Pod {
	t.Helper()
	return readyPods(t, "scepter-ra", endpoint)
}

// readyPods are those of livingPods that are ready.
func readyPods(t *testing.T, name, endpoint string) []corev1.Pod {
	t.Helper()
	return slices.DeleteFunc(livingPods(t, name, endpoint), func(p corev1.Pod) bool { return !rig.PodReady(&p) })
}

// livingPods are an endpoint's, of servers or signers, but those on their way out.
func livingPods(t *testing.T, name, endpoint string) []corev1.Pod {
	t.Helper()
	var all corev1.PodList
	labels := client.MatchingLabels{"app.kubernetes.io/name": name, "scepter.dev/endpoint": endpoint}
	if err := shared.api.List(t.Context(), &all, client.InNamespace(namespace), labels); err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(all.Items, func(p corev1.Pod) bool { return p.DeletionTimestamp != nil })
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
