package load

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/internal/enrolrecord"
)

// holdings are the certificates that devices hold, by common name.
type holdings struct {
	mu  sync.Mutex
	all map[string]*x509.Certificate
}

func newHoldings() *holdings { return &holdings{all: map[string]*x509.Certificate{}} }

func (h *holdings) add(name string, c *x509.Certificate) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.all[name] = c
}

func (h *holdings) len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.all)
}

// of are the holdings of one wave's devices.
func (h *holdings) of(wave string) *holdings {
	h.mu.Lock()
	defer h.mu.Unlock()
	some := maps.Clone(h.all)
	maps.DeleteFunc(some, func(name string, _ *x509.Certificate) bool { return !strings.HasPrefix(name, wave) })
	return &holdings{all: some}
}

// mustHoldOne checks that each of a wave's devices holds a certificate of the CA for
// its name, that the cluster has one CertificateRequest for each, with just that
// certificate, and that no two have the same serial number.
func mustHoldOne(t *testing.T, wave string, held *holdings, want int) {
	t.Helper()
	mustDiffer(t, held, want)
	asked := requestsOf(t, wave)
	for name, certificate := range held.all {
		if err := checkIssued(certificate, asked[name]); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name := range asked {
		if held.all[name] == nil {
			t.Errorf("there is a CertificateRequest for %s, which holds nothing", name)
		}
	}
}

// mustDiffer checks that so many devices hold a certificate of the CA for their name,
// and that no two have the same serial number.
func mustDiffer(t *testing.T, held *holdings, want int) {
	t.Helper()
	if held.len() != want {
		t.Errorf("%d devices hold a certificate, want %d", held.len(), want)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(shared.roots)
	serials := map[string]string{}
	for name, certificate := range held.all {
		if certificate.Subject.CommonName != name {
			t.Errorf("%s holds a certificate for %s", name, certificate.Subject)
		}
		if _, err := certificate.Verify(x509.VerifyOptions{Roots: roots, KeyUsages: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		serial := certificate.SerialNumber.String()
		if other := serials[serial]; other != "" {
			t.Errorf("%s and %s hold certificates of the same serial number", name, other)
		}
		serials[serial] = name
	}
}

// checkIssued: there is one CertificateRequest, and it has just that certificate.
func checkIssued(held *x509.Certificate, requests []certmanagerv1.CertificateRequest) error {
	if len(requests) != 1 {
		return fmt.Errorf("it has %d CertificateRequests, want 1:%s", len(requests), describe(requests))
	}
	block, _ := pem.Decode(requests[0].Status.Certificate)
	if block == nil || !bytes.Equal(block.Bytes, held.Raw) {
		return fmt.Errorf("it holds another certificate than %s was issued", requests[0].Name)
	}
	return nil
}

// describe tells what is the same in requests, and what is not.
func describe(requests []certmanagerv1.CertificateRequest) string {
	var out strings.Builder
	for i := range requests {
		state, message := enrolrecord.StateOf(&requests[i])
		fmt.Fprintf(&out, "\n%s %s %s %s %v", requests[i].CreationTimestamp.UTC().Format(time.TimeOnly), requests[i].Name, state, message, requests[i].Labels)
	}
	return out.String()
}

// requestsOf lists the CertificateRequests for a wave's devices, by common name.
func requestsOf(t *testing.T, wave string) map[string][]certmanagerv1.CertificateRequest {
	t.Helper()
	// A test's own context may be near its end.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), readyLimit)
	defer cancel()
	var all certmanagerv1.CertificateRequestList
	if err := shared.api.List(ctx, &all, client.InNamespace(namespace)); err != nil {
		t.Fatal(err)
	}
	out := map[string][]certmanagerv1.CertificateRequest{}
	for i := range all.Items {
		block, _ := pem.Decode(all.Items[i].Spec.Request)
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			t.Fatal(err)
		}
		if name := csr.Subject.CommonName; strings.HasPrefix(name, wave) {
			out[name] = append(out[name], all.Items[i])
		}
	}
	return out
}
