package e2e

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

func pemRequest(der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: der})
}

func requests(ctx context.Context) ([]certmanagerv1.CertificateRequest, error) {
	var all certmanagerv1.CertificateRequestList
	err := shared.api.List(ctx, &all, client.InNamespace(namespace), client.MatchingLabels{v1alpha1.LabelEndpoint: endpoint})
	return all.Items, err
}

// openRequests counts the endpoint's requests that nobody has answered.
func openRequests(ctx context.Context) (int, error) {
	all, err := requests(ctx)
	open := 0
	for i := range all {
		if len(all[i].Status.Certificate) == 0 {
			open++
		}
	}
	return open, err
}

// requestsFor counts the endpoint's requests for a common name.
func requestsFor(t *testing.T, commonName string) int {
	t.Helper()
	all, err := requests(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n := 0
	for i := range all {
		block, _ := pem.Decode(all[i].Spec.Request)
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if csr.Subject.CommonName == commonName {
			n++
		}
	}
	return n
}

func restConfig(t *testing.T) *rest.Config {
	t.Helper()
	config, err := shared.rig.Cluster.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.QPS = -1
	return config
}

func clientset(t *testing.T) *kubernetes.Clientset {
	t.Helper()
	c, err := kubernetes.NewForConfig(restConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// mustBeAudited looks for a line of a server's log that names the transaction and the reason.
func mustBeAudited(t *testing.T, transactionID, reason string) {
	t.Helper()
	for _, pod := range servers(t) {
		log, err := clientset(t).CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, transactionID) && strings.Contains(line, reason) {
				return
			}
		}
	}
	t.Errorf("no audit record of transaction %s says %q", transactionID, reason)
}

// refusals sums the servers' count of refused requests.
func refusals(t *testing.T) float64 {
	t.Helper()
	return sumOfServers(t, refusalsMetric+"{")
}

// refusalsFor sums those with a reason.
func refusalsFor(t *testing.T, reason string) float64 {
	t.Helper()
	return sumOfServers(t, fmt.Sprintf("%s{reason=%q", refusalsMetric, reason))
}

// sumOfServers adds up the servers' series that begin so.
func sumOfServers(t *testing.T, series string) float64 {
	t.Helper()
	sum := 0.0
	for _, pod := range servers(t) {
		raw, err := clientset(t).CoreV1().RESTClient().Get().Namespace(namespace).Resource("pods").
			Name(fmt.Sprintf("%s:8081", pod.Name)).SubResource("proxy").Suffix("metrics").DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum += sumMetric(t, raw, series)
	}
	return sum
}

const refusalsMetric = "scepter_ra_refusals_total"

func sumMetric(t *testing.T, raw []byte, begin string) float64 {
	t.Helper()
	sum := 0.0
	for lines := bufio.NewScanner(bytes.NewReader(raw)); lines.Scan(); {
		series, value, ok := strings.Cut(lines.Text(), "} ")
		if !ok || !strings.HasPrefix(series, begin) {
			continue
		}
		n, err := strconv.ParseFloat(value, 64)
		if err != nil {
			t.Fatal(err)
		}
		sum += n
	}
	return sum
}
