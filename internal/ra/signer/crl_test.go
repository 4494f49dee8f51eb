package signer_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/ratest/signertest"
	"github.com/scepter-pki/scepter/internal/ra/signer/client"
	"github.com/scepter-pki/scepter/internal/ra/signer/wire"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func pemOf(c *x509.Certificate) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw}))
}

func crlOf(t *testing.T, c *client.Client) *x509.RevocationList {
	t.Helper()
	der, err := c.CRL(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	list, err := x509.ParseRevocationList(der)
	if err != nil {
		t.Fatal(err)
	}
	return list
}

// Two signers make the same list to the byte, and a newer one has a higher number.
func TestCRL(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]crypto.Signer{"RSA": sceptest.RSAKey(t, 90), "ECDSA": signertest.NewKey(t)} {
		f := newFixture(t, key)
		second := f.files.NewClient(signertest.Start(t, f.files).Address)
		empty := crlOf(t, f.client)
		if err := empty.CheckSignatureFrom(f.files.CA.Certificate); err != nil || len(empty.RevokedCertificateEntries) != 0 {
			t.Errorf("%s: %v, %d entries", name, err, len(empty.RevokedCertificateEntries))
		}
		if now := time.Now(); now.Before(empty.ThisUpdate) || empty.NextUpdate.Sub(now) < 22*time.Hour {
			t.Errorf("%s: from %v to %v", name, empty.ThisUpdate, empty.NextUpdate)
		}
		device := f.issue(t, newOrder(t, 1))
		f.files.Revoke(device)
		var newer *x509.RevocationList
		for _, c := range []*client.Client{f.client, second} {
			signertest.Eventually(t, "the revocation", func() error {
				if newer = crlOf(t, c); len(newer.RevokedCertificateEntries) != 1 {
					return errors.New("not listed")
				}
				return nil
			})
		}
		entry := newer.RevokedCertificateEntries[0]
		if entry.SerialNumber.Cmp(device.SerialNumber) != 0 || entry.ReasonCode != raconfig.KeyCompromise.Code() {
			t.Errorf("%s: entry %v %d", name, entry.SerialNumber, entry.ReasonCode)
		}
		if newer.Number.Cmp(empty.Number) <= 0 {
			t.Errorf("%s: number %v after %v", name, newer.Number, empty.Number)
		}
		if other := crlOf(t, f.client); !bytes.Equal(other.Raw, newer.Raw) {
			t.Errorf("%s: the signers' lists differ", name)
		}
	}
}

// cert-manager makes CA certificates that must not sign lists, unless it is told to.
func TestCAThatMustNotSignCRLs(t *testing.T) {
	t.Parallel()
	ca := signertest.NewAuthority(t, signertest.NewKey(t), func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageCertSign })
	files := signertest.NewFiles(t, signertest.NewConfig(), ca)
	f := &fixture{files: files, server: signertest.Start(t, files)}
	f.client = files.NewClient(f.server.Address)
	f.issue(t, newOrder(t, 1))
	var problem *wire.Problem
	if _, err := f.client.CRL(limited(t)); !errors.As(err, &problem) || !strings.Contains(problem.Text, "crl sign") {
		t.Errorf("CRL: %v", err)
	}
	if got := f.server.Status().CRLProblem; !strings.Contains(got, "crl sign") {
		t.Errorf("crlProblem %q", got)
	}
}

// A client goes on with another signer when one ends, and says so when none is left.
func TestClientFindsAnotherSigner(t *testing.T) {
	t.Parallel()
	f := newFixture(t, signertest.NewKey(t))
	second := signertest.Start(t, f.files)
	service := signertest.NewService(t, f.server.Address, second.Address)
	c := f.files.NewClient(service.Address)
	order := newOrder(t, 1)
	first := issueBy(t, c, order)
	f.server.Stop()
	for range 10 {
		if again := issueBy(t, c, order); !bytes.Equal(first.Raw, again.Raw) {
			t.Fatal("other bytes")
		}
		c.Close() // the next order takes another connection
	}
	second.Stop()
	var problem *wire.Problem
	if _, err := c.Issue(limited(t), order); err == nil || errors.As(err, &problem) {
		t.Errorf("without any signer: %v", err)
	}
	third := signertest.Start(t, f.files)
	service.Set(third.Address)
	signertest.Eventually(t, "the third signer", func() error {
		issued, err := c.Issue(limited(t), order)
		if err == nil && !bytes.Equal(issued.Certificate, first.Raw) {
			return fmt.Errorf("other bytes")
		}
		return err
	})
}
