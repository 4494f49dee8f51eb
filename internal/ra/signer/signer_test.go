package signer_test

import (
	"bytes"
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/ratest/signertest"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/ra/signer/client"
	"github.com/scepter-pki/scepter/internal/ra/signer/wire"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const deviceName = "d1.devices.example.com"

// fixture is a signer and a server's client of it.
type fixture struct {
	files  *signertest.Files
	server *signertest.Server
	client *client.Client
}

func newFixture(t *testing.T, key crypto.Signer) *fixture {
	t.Helper()
	files := signertest.NewFiles(t, signertest.NewConfig(), signertest.NewAuthority(t, key, nil))
	server := signertest.Start(t, files)
	return &fixture{files, server, files.NewClient(server.Address)}
}

func limited(t *testing.T) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	return ctx
}

// newOrder is a good one, by the static challenge.
func newOrder(t *testing.T, keyNumber int) *wire.Order {
	t.Helper()
	key := sceptest.RSAKey(t, keyNumber)
	self := sceptest.SelfSigned(t, &x509.Certificate{Subject: pkix.Name{CommonName: "self"}}, key)
	return &wire.Order{
		Generation: 3, TransactionID: "t1", CSR: newCSR(t, key, deviceName), Signer: self.Raw,
		Template: "device", Challenge: &wire.Challenge{Name: "mdm"},
	}
}

func newCSR(t *testing.T, key crypto.Signer, name string) []byte {
	t.Helper()
	return sceptest.CSR(t, key, sceptest.CSROptions{Template: &x509.CertificateRequest{Subject: pkix.Name{CommonName: name}}})
}

func (f *fixture) issue(t *testing.T, o *wire.Order) *x509.Certificate {
	t.Helper()
	return issueBy(t, f.client, o)
}

func issueBy(t *testing.T, c *client.Client, o *wire.Order) *x509.Certificate {
	t.Helper()
	issued, err := c.Issue(limited(t), o)
	if err != nil {
		t.Fatal(err)
	}
	certificate, err := x509.ParseCertificate(issued.Certificate)
	if err != nil {
		t.Fatal(err)
	}
	return certificate
}

// wantProblem wants an order not to be done, by a code and, in refusals, a reason.
func (f *fixture) wantProblem(t *testing.T, name string, o *wire.Order, code wire.Code, reason refusal.Reason) {
	t.Helper()
	var problem *wire.Problem
	_, err := f.client.Issue(limited(t), o)
	if !errors.As(err, &problem) || problem.Code != code || problem.Reason != string(reason) {
		t.Errorf("%s: %v, want %s %s", name, err, code, reason)
	}
}

func TestSignersIssueTheSame(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]crypto.Signer{"RSA": sceptest.RSAKey(t, 90), "ECDSA": signertest.NewKey(t)} {
		f := newFixture(t, key)
		order := newOrder(t, 1)
		first := f.issue(t, order)
		if err := first.CheckSignatureFrom(f.files.CA.Certificate); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if got := first.CRLDistributionPoints; len(got) != 1 || got[0] != "http://scep.example.com/crl" {
			t.Errorf("%s: CRL distribution points %v", name, got)
		}
		second := signertest.Start(t, f.files)
		if again := issueBy(t, f.files.NewClient(second.Address), order); !bytes.Equal(first.Raw, again.Raw) {
			t.Errorf("%s: another signer makes other bytes", name)
		}
		if !strings.Contains(f.server.Log.String(), `"code":"SCEP1080"`) {
			t.Errorf("%s: no audit record in\n%s", name, f.server.Log)
		}
	}
}

// A server that was taken over gets what the template allows, and nothing else.
func TestSignerJudgesItself(t *testing.T) {
	t.Parallel()
	f := newFixture(t, signertest.NewKey(t))
	key := sceptest.RSAKey(t, 1)
	forged := func(o *wire.Order) {
		csr := bytes.Clone(o.CSR)
		csr[len(csr)-1] ^= 1
		o.CSR = csr
	}
	now := time.Now().Truncate(time.Second)
	claim := func(change func(*wire.Claim)) func(*wire.Order) {
		return func(o *wire.Order) {
			c := &wire.Claim{Name: "corp-0123456789abcdef0123", Time: now, Expires: now.Add(30 * time.Minute)}
			change(c)
			o.Challenge = &wire.Challenge{Name: "helpdesk", Claim: c}
		}
	}
	for name, tc := range map[string]struct {
		change func(*wire.Order)
		code   wire.Code
		reason refusal.Reason
	}{
		"unknown template":        {func(o *wire.Order) { o.Template = "router" }, wire.Refused, refusal.InvalidRequest},
		"name of another":         {func(o *wire.Order) { o.CSR = newCSR(t, key, "evil.example.com") }, wire.Refused, refusal.RuleNotMet},
		"forged CSR":              {forged, wire.Refused, refusal.Malformed},
		"no CSR":                  {func(o *wire.Order) { o.CSR = []byte("csr") }, wire.Malformed, ""},
		"no certificate":          {func(o *wire.Order) { o.Signer = []byte("signer") }, wire.Malformed, ""},
		"unknown challenge":       {func(o *wire.Order) { o.Challenge.Name = "other" }, wire.Refused, refusal.ChallengeWrong},
		"rule of the challenge":   {func(o *wire.Order) { o.Challenge.Rule = "kiosk" }, wire.Refused, refusal.RuleNotMet},
		"renewal by nobody":       {func(o *wire.Order) { o.Challenge = nil }, wire.Refused, refusal.SignerUnknown},
		"one-time without claim":  {func(o *wire.Order) { o.Challenge.Name = "helpdesk" }, wire.Refused, refusal.ChallengeWrong},
		"claim for a static one":  {func(o *wire.Order) { claim(func(*wire.Claim) {})(o); o.Challenge.Name = "mdm" }, wire.Refused, refusal.ChallengeWrong},
		"claim of another":        {claim(func(c *wire.Claim) { c.Name = "other-0123456789abcdef0123" }), wire.Refused, refusal.ChallengeWrong},
		"claim in the future":     {claim(func(c *wire.Claim) { c.Time = now.Add(10 * time.Minute) }), wire.Refused, refusal.ChallengeWrong},
		"claim of long ago":       {claim(func(c *wire.Claim) { c.Time = now.Add(-2 * time.Hour) }), wire.Refused, refusal.ChallengeWrong},
		"challenge that is over":  {claim(func(c *wire.Claim) { c.Time, c.Expires = now.Add(-30*time.Minute), now.Add(-10*time.Minute) }), wire.Refused, refusal.ChallengeWrong},
		"challenge of a lifetime": {claim(func(c *wire.Claim) { c.Expires = now.Add(9 * time.Hour) }), wire.Refused, refusal.ChallengeWrong},
	} {
		order := newOrder(t, 1)
		tc.change(order)
		f.wantProblem(t, name, order, tc.code, tc.reason)
	}
}

// Claims name the certificate of a one-time challenge, and its slot.
func TestClaimsBindTheCertificate(t *testing.T) {
	t.Parallel()
	f := newFixture(t, signertest.NewKey(t))
	now := time.Now().Truncate(time.Second)
	ordered := func(transaction string, name string, at time.Time) *x509.Certificate {
		o := newOrder(t, 1)
		o.TransactionID = transaction
		o.Challenge = &wire.Challenge{Name: "helpdesk", Claim: &wire.Claim{Name: "corp-" + name, Time: at, Expires: now.Add(10 * time.Minute)}}
		return f.issue(t, o)
	}
	first := ordered("t1", "00000000000000000001", now)
	if again := ordered("t2", "00000000000000000001", now); !bytes.Equal(first.Raw, again.Raw) {
		t.Error("the same claim in another transaction makes another certificate")
	}
	if other := ordered("t1", "00000000000000000002", now); other.SerialNumber.Cmp(first.SerialNumber) == 0 {
		t.Error("two claims share a serial number")
	}
	earlier := now.Add(-5 * time.Hour)
	config := f.files.Config
	config.Challenges[1].OneTime.ValiditySeconds = 24 * 3600
	config.Endpoint.Generation++
	f.files.WriteConfig()
	f.wantGeneration(t, config.Endpoint.Generation)
	if old := ordered("t1", "00000000000000000003", earlier); !old.NotBefore.Before(first.NotBefore) {
		t.Errorf("notBefore %v for a claim of %v", old.NotBefore, earlier)
	}
}

func (f *fixture) wantGeneration(t *testing.T, want int64) {
	t.Helper()
	signertest.Eventually(t, "configuration to be loaded", func() error {
		if got := f.server.Status().ConfigGeneration; got != want {
			return fmt.Errorf("generation %d, want %d", got, want)
		}
		return nil
	})
}

// What only this mode can do: purposes by OID, and an earlier begin.
func TestGrantsOfDirectOnly(t *testing.T) {
	t.Parallel()
	config := signertest.NewConfig()
	spec := &config.Templates[0].Spec
	spec.ExtendedKeyUsages, spec.Backdate = []string{"1.3.6.1.4.1.311.20.2.2"}, &metav1.Duration{Duration: 48 * time.Hour}
	files := signertest.NewFiles(t, config, signertest.NewAuthority(t, signertest.NewKey(t), func(c *x509.Certificate) {
		c.NotBefore = time.Now().Add(-30 * 24 * time.Hour)
	}))
	certificate := issueBy(t, files.NewClient(signertest.Start(t, files).Address), newOrder(t, 1))
	if got := certificate.UnknownExtKeyUsage; len(got) != 1 || got[0].String() != spec.ExtendedKeyUsages[0] {
		t.Errorf("extended key usages %v", got)
	}
	if age := time.Since(certificate.NotBefore); age < 48*time.Hour || age > 52*time.Hour {
		t.Errorf("notBefore is %v ago", age)
	}
}

func renewal(t *testing.T, device *x509.Certificate) *wire.Order {
	t.Helper()
	o := newOrder(t, 1)
	o.CSR, o.Signer, o.Challenge = newCSR(t, sceptest.RSAKey(t, 2), deviceName), device.Raw, nil
	return o
}

func TestSignerJudgesRenewals(t *testing.T) {
	t.Parallel()
	f := newFixture(t, signertest.NewKey(t))
	device := f.issue(t, newOrder(t, 1))
	renewed := f.issue(t, renewal(t, device))
	if renewed.SerialNumber.Cmp(device.SerialNumber) == 0 {
		t.Error("the renewal has the serial number of what it renews")
	}
	differs := renewal(t, device)
	differs.CSR = newCSR(t, sceptest.RSAKey(t, 2), "d2.devices.example.com")
	f.wantProblem(t, "another name", differs, wire.Refused, refusal.NamesDiffer)
	foreign := newFixture(t, signertest.NewKey(t))
	f.wantProblem(t, "another CA's certificate", renewal(t, foreign.issue(t, newOrder(t, 1))), wire.Refused, refusal.SignerUnknown)

	f.files.Revoke(device)
	signertest.Eventually(t, "revocation to be loaded", func() error {
		if got := f.server.Status().Revoked; got != 1 {
			return fmt.Errorf("%d revoked", got)
		}
		return nil
	})
	f.wantProblem(t, "revoked", renewal(t, device), wire.Refused, refusal.SignerRevoked)
	f.wantProblem(t, "the revoked one again", newOrder(t, 1), wire.Refused, refusal.CertificateRevoked)
	f.issue(t, newOrder(t, 3)) // another key
}

// A refusal by an older configuration than the server's is not final.
func TestOutdatedSigner(t *testing.T) {
	t.Parallel()
	f := newFixture(t, signertest.NewKey(t))
	order := newOrder(t, 1)
	order.Template, order.Generation = "router", 4
	f.wantProblem(t, "newer server", order, wire.Outdated, "")
	f.files.Config.Endpoint.Generation = 4
	f.files.Config.Templates = append(f.files.Config.Templates, raconfig.Template{Name: "router", Spec: signertest.DeviceTemplate()})
	f.files.WriteConfig()
	signertest.Eventually(t, "the new template", func() error {
		_, err := f.client.Issue(limited(t), order)
		return err
	})
}

func TestExpiredCA(t *testing.T) {
	t.Parallel()
	ca := signertest.NewAuthority(t, signertest.NewKey(t), func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Hour) })
	files := signertest.NewFiles(t, signertest.NewConfig(), ca)
	server := signertest.StartUnready(t, files)
	f := &fixture{files, server, files.NewClient(server.Address)}
	signertest.Eventually(t, "files to be loaded", func() error {
		if server.Status().CA == "" {
			return errors.New("no CA yet")
		}
		return nil
	})
	f.wantProblem(t, "expired", newOrder(t, 1), wire.CAExpired, "")
	if body, err := server.Get("/readyz"); err == nil || !strings.Contains(err.Error(), "expired") {
		t.Errorf("/readyz: %s %v", body, err)
	}
	if _, err := server.Get("/livez"); err != nil {
		t.Errorf("/livez: %v", err)
	}
	files.CA = signertest.NewAuthority(t, signertest.NewKey(t), nil)
	files.WriteCA()
	signertest.Eventually(t, "signer to be ready with the new CA", func() error { _, err := server.Get("/readyz"); return err })
	f.issue(t, newOrder(t, 1))
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	f := newFixture(t, signertest.NewKey(t))
	f.issue(t, newOrder(t, 1))
	body, err := f.server.Get("/metrics")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`scepter_signer_orders_total{result="Issued"} 1`, "scepter_signer_revoked 0", "scepter_signer_file_problems 0",
		"scepter_signer_ca_not_after_timestamp_seconds",
	} {
		if !strings.Contains(body, want) {
			t.Errorf("no %s", want)
		}
	}
}

// TestCanary: a signer issues to canaries where the endpoint wants that, for their name
// and on their terms only.
func TestCanary(t *testing.T) {
	key := sceptest.RSAKey(t, 3)
	canary := func() *wire.Order {
		o := newOrder(t, 3)
		o.Canary, o.Challenge, o.CSR = true, nil, newCSR(t, key, probemark.CanaryName)
		return o
	}
	f := newFixture(t, sceptest.RSAKey(t, -1))
	if _, err := f.client.Issue(limited(t), canary()); !isRefused(err) {
		t.Errorf("where nobody wants it: %v", err)
	}
	config := signertest.NewConfig()
	config.Probes = &raconfig.Probes{URLs: []string{"http://scep.example.com/scep"}, IntervalSeconds: 30, URLIntervalSeconds: 3600}
	config.Probes.Canary = &raconfig.Canary{Level: v1alpha1.CanaryFull, IntervalSeconds: 300, IssueIntervalSeconds: 3600}
	files := signertest.NewFiles(t, config, signertest.NewAuthority(t, sceptest.RSAKey(t, -1), nil))
	server := signertest.Start(t, files)
	f = &fixture{files, server, files.NewClient(server.Address)}
	got := f.issue(t, canary())
	if !probemark.IsCanary(got) || len(got.ExtKeyUsage) > 0 || got.KeyUsage != x509.KeyUsageDigitalSignature || got.NotAfter.After(time.Now().Add(time.Hour)) {
		t.Errorf("%s has usages %v and %v, until %s", got.Subject, got.KeyUsage, got.ExtKeyUsage, got.NotAfter)
	}
	device := canary()
	device.CSR = newCSR(t, key, deviceName)
	if _, err := f.client.Issue(limited(t), device); !isRefused(err) {
		t.Errorf("another name: %v", err)
	}
	renewal := newOrder(t, 4)
	renewal.Challenge, renewal.Signer, renewal.CSR = nil, got.Raw, newCSR(t, sceptest.RSAKey(t, 4), probemark.CanaryName)
	if _, err := f.client.Issue(limited(t), renewal); !isRefused(err) {
		t.Errorf("a canary's certificate renews itself: %v", err)
	}
}

func isRefused(err error) bool {
	var problem *wire.Problem
	return errors.As(err, &problem) && problem.Code == wire.Refused
}
