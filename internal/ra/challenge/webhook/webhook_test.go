package webhook_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/challenge/webhook"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/ra/ratest/hooksim"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const (
	password = "hunter2-of-the-device"
	token    = "bearer-token-of-the-hook"
)

func now() time.Time { return time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC) }

// patience is the timeout of calls that are answered; machines may be busy.
const patience = 20 * time.Second

func newHook(t *testing.T, s *hooksim.Service) *webhook.Hook {
	t.Helper()
	key, err := webhook.DecodeSigningKey(hooksim.SigningSecret)
	if err != nil {
		t.Fatal(err)
	}
	return &webhook.Hook{
		URL:           s.URL,
		ID:            "hook-1",
		Provisioner:   "corp",
		SigningKey:    key,
		Authorization: webhook.Bearer(token),
		Client:        outbound.New(outbound.Options{Timeout: patience, MaxAnswer: webhook.MaxAnswer, Roots: s.Roots()}),
		Now:           now,
	}
}

func newEnrolment(t *testing.T) webhook.Enrolment {
	t.Helper()
	csr := sceptest.Request(t, sceptest.RSAKey(t, 3), sceptest.CSROptions{ChallengePassword: password, Template: &x509.CertificateRequest{
		Subject: pkix.Name{CommonName: "a.devices.example.com"}, DNSNames: []string{"a.devices.example.com"},
	}})
	return webhook.Enrolment{TransactionID: "transaction-1", Challenge: password, CSR: csr, Template: "device"}
}

func TestAsk(t *testing.T) {
	s := hooksim.Start(t, nil)
	s.AllowPassword(password, map[string]any{"owner": "ada"})
	hook, enrolment := newHook(t, s), newEnrolment(t)
	decision, err := hook.Ask(t.Context(), enrolment)
	if err != nil || !decision.Allow || decision.Data["owner"] != "ada" {
		t.Fatalf("got %+v, %v", decision, err)
	}
	got := s.Asked()[0]
	if got.Challenge != password || got.TransactionID != "transaction-1" || got.Template != "device" || got.ProvisionerName != "corp" || got.Timestamp != "2030-01-02T03:04:05Z" {
		t.Errorf("asked %+v", got)
	}
	if string(got.CertificateRequest.Raw) != string(enrolment.CSR.Raw) {
		t.Error("the CSR is another")
	}
	for header, want := range map[string]string{
		"Authorization": "Bearer " + token, "X-Smallstep-Webhook-ID": "hook-1", "Content-Type": "application/json",
	} {
		if got := got.Header.Get(header); got != want {
			t.Errorf("%s: %q, want %q", header, got, want)
		}
	}
	enrolment.Challenge = "wrong"
	if decision, err = hook.Ask(t.Context(), enrolment); err != nil || decision.Allow {
		t.Errorf("a wrong password: %+v, %v", decision, err)
	}
}

// The fields that hooks written for step-ca read beside the raw DER.
func TestBody(t *testing.T) {
	s := hooksim.Start(t, nil)
	var header http.Header
	var body string
	s.Break(func(w http.ResponseWriter, r *http.Request) {
		header = r.Header
		content, _ := io.ReadAll(r.Body)
		body = string(content)
		faults.JSON(`{"allow":false}`)(w, r)
	})
	if _, err := newHook(t, s).Ask(t.Context(), newEnrolment(t)); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`"timestamp":"2030-01-02T03:04:05Z"`, `"x509CertificateRequest":{"version":0,"subject":{"commonName":"a.devices.example.com"}`,
		`"dnsNames":["a.devices.example.com"]`, `"publicKeyAlgorithm":"RSA"`, `"publicKey":"`, `"raw":"`, `"scepChallenge":"` + password + `"`,
	} {
		if !strings.Contains(body, want) {
			t.Errorf("body lacks %s:\n%s", want, body)
		}
	}
	if len(header.Get("X-Smallstep-Signature")) != 64 || len(header.Get("X-Request-Id")) != 32 {
		t.Errorf("header %v", header)
	}
}

func TestAuthorizations(t *testing.T) {
	r := &http.Request{Header: http.Header{"Authorization": {webhook.Basic("scepter", "pass:word")}}}
	if user, pass, ok := r.BasicAuth(); !ok || user != "scepter" || pass != "pass:word" {
		t.Errorf("got %q %q", user, pass)
	}
	for secret, ok := range map[string]bool{
		hooksim.SigningSecret: true, "": false, "not base64 at all": false, strings.TrimRight(hooksim.SigningSecret, "=") + "!": false,
	} {
		_, err := webhook.DecodeSigningKey(secret)
		if (err == nil) != ok {
			t.Errorf("%q: %v", secret, err)
		}
		if err != nil && secret != "" && strings.Contains(err.Error(), secret) {
			t.Error("the error quotes the secret")
		}
	}
}

func TestWrongSigningKeyAllowsNothing(t *testing.T) {
	s := hooksim.Start(t, nil)
	s.AllowPassword(password, nil)
	hook := newHook(t, s)
	hook.SigningKey = []byte("another")
	if _, err := hook.Ask(t.Context(), newEnrolment(t)); err == nil || len(s.Rejected()) != 1 {
		t.Errorf("got %v, rejected %d", err, len(s.Rejected()))
	}
}

// outages are the faults of a webhook.
var outages = append([]faults.Case{
	{Name: "unauthorised with an echo", Fault: faults.Echo(http.StatusUnauthorized), Says: "HTTP 401"},
	{Name: "not found", Fault: faults.Status(http.StatusNotFound), Says: "HTTP 404"},
	{Name: "no content type", Fault: faults.Says("", `{"allow":true}`), Says: "cannot be read"},
	{Name: "allow is a string", Fault: faults.JSON(`{"allow":"true"}`), Says: "cannot be read"},
	{Name: "allow is a number", Fault: faults.JSON(`{"allow":1}`), Says: "cannot be read"},
	{Name: "data is no object", Fault: faults.JSON(`{"allow":true,"data":"x"}`), Says: "cannot be read"},
}, faults.Cases...)

// unclear are answers that are no clear yes; notifications need none.
var unclear = map[string]faults.Fault{
	"allow is missing":   faults.JSON(`{}`),
	"allow is null":      faults.JSON(`{"allow":null}`),
	"a yes and an error": faults.JSON(`{"allow":true,"error":{"code":"x","message":"y"}}`),
}

func TestOutages(t *testing.T) {
	for _, o := range outages {
		t.Run(o.Name, func(t *testing.T) {
			t.Parallel()
			s := hooksim.Start(t, nil)
			s.AllowPassword(password, nil)
			hook, enrolment := newHook(t, s), newEnrolment(t)
			hook.Timeout = patience
			if o.Name == "slow" {
				hook.Timeout = 200 * time.Millisecond
			}
			s.Break(o.Fault)
			decision, err := hook.Ask(t.Context(), enrolment)
			if decision != nil || err == nil || !strings.Contains(err.Error(), o.Says) {
				t.Fatalf("got %+v, %v; want an error with %q", decision, err, o.Says)
			}
			checkSecrets(t, err, enrolment)
			if calls, want := s.Calls(), 1+count(o.Passes); calls != want {
				t.Errorf("called %d times, want %d", calls, want)
			}
			accepted := hook.NotifySuccess(t.Context(), enrolment, issue(t, enrolment)) == nil
			if accepted != answersNotifications[o.Name] {
				t.Errorf("the notification passed for accepted: %v", accepted)
			}
			s.BreakOnce(o.Fault)
			if decision, err = hook.Ask(t.Context(), enrolment); (err == nil && decision.Allow) != o.Passes {
				t.Errorf("shown once: %+v, %v", decision, err)
			}
		})
	}
}

// answersNotifications are faults that tell enough for a notification: it needs no decision.
var answersNotifications = map[string]bool{"empty": true, "data is no object": true}

func TestUnclearAnswersAllowNothing(t *testing.T) {
	for name, fault := range unclear {
		s := hooksim.Start(t, nil)
		s.Break(fault)
		hook, enrolment := newHook(t, s), newEnrolment(t)
		if decision, err := hook.Ask(t.Context(), enrolment); decision != nil || err == nil {
			t.Errorf("%s: %+v, %v", name, decision, err)
		}
		if err := hook.NotifySuccess(t.Context(), enrolment, issue(t, enrolment)); err != nil {
			t.Errorf("%s: a notification needs no answer: %v", name, err)
		}
	}
}

func count(b bool) int {
	if b {
		return 1
	}
	return 0
}

func checkSecrets(t *testing.T, err error, e webhook.Enrolment) {
	t.Helper()
	for _, secret := range []string{password, token, hooksim.SigningSecret, faults.Leak, base64.StdEncoding.EncodeToString(e.CSR.Raw)} {
		if strings.Contains(err.Error(), secret) {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
}

func TestBothTriesAreTheSame(t *testing.T) {
	s := hooksim.Start(t, nil)
	s.AllowPassword(password, nil)
	hook, enrolment := newHook(t, s), newEnrolment(t)
	for range 2 {
		if _, err := hook.Ask(t.Context(), enrolment); err != nil {
			t.Fatal(err)
		}
	}
	asked := s.Asked()
	if !reflect.DeepEqual(asked[0].Header["X-Request-Id"], asked[1].Header["X-Request-Id"]) {
		t.Error("the same enrolment has two request IDs")
	}
	enrolment.TransactionID = "transaction-2"
	if _, err := hook.Ask(t.Context(), enrolment); err != nil {
		t.Fatal(err)
	}
	if asked = s.Asked(); asked[2].Header.Get("X-Request-Id") == asked[0].Header.Get("X-Request-Id") {
		t.Error("another enrolment has the same request ID")
	}
}

func TestReasonIsFitForTheLog(t *testing.T) {
	s := hooksim.Start(t, nil)
	s.Break(faults.JSON(`{"allow":false,"error":{"code":"wrong","message":"no device has ` + password + `\n` + strings.Repeat("!", 500) + `"}}`))
	decision, err := newHook(t, s).Ask(t.Context(), newEnrolment(t))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(decision.Reason, "wrong: no device has (omitted) !!!") || len(decision.Reason) > 256 {
		t.Errorf("reason %q", decision.Reason)
	}
}

func issue(t *testing.T, e webhook.Enrolment) *x509.Certificate {
	t.Helper()
	issued, err := sceptest.NewCA(t).Issue(&x509.Certificate{RawSubject: e.CSR.RawSubject}, e.CSR.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func TestNotifications(t *testing.T) {
	s := hooksim.Start(t, nil)
	s.AllowPassword(password, nil)
	hook, enrolment := newHook(t, s), newEnrolment(t)
	enrolment.Challenge = ""
	issued := issue(t, enrolment)
	if err := hook.NotifySuccess(t.Context(), enrolment, issued); err != nil {
		t.Fatal(err)
	}
	if err := hook.NotifyFailure(t.Context(), enrolment, 2, "template says no"); err != nil {
		t.Fatal(err)
	}
	asked := s.Asked()
	if string(asked[0].Certificate.Raw) != string(issued.Raw) || string(asked[0].CertificateRequest.Raw) != string(enrolment.CSR.Raw) {
		t.Error("the success lacks the certificate or the request")
	}
	if asked[1].Certificate != nil || asked[1].ErrorCode != 2 || asked[1].ErrorDescription != "template says no" || asked[1].TransactionID != "transaction-1" {
		t.Errorf("failure: %+v", asked[1])
	}
	s.Allow(func(hooksim.Request) any { return map[string]any{"allow": false} })
	if err := hook.NotifySuccess(t.Context(), enrolment, issued); !errors.Is(err, webhook.ErrNotAccepted) {
		t.Errorf("got %v", err)
	}
}
