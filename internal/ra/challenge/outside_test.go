package challenge

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/challenge/webhook"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/ra/ratest/hooksim"
	"github.com/scepter-pki/scepter/internal/ra/ratest/intunesim"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func newAttempt(t *testing.T, password string) Attempt {
	t.Helper()
	csr := sceptest.Request(t, sceptest.RSAKey(t, 3), sceptest.CSROptions{ChallengePassword: password})
	return Attempt{Password: password, TransactionID: "transaction", CSR: csr}
}

func issue(t *testing.T, a Attempt) *x509.Certificate {
	t.Helper()
	issued, err := sceptest.NewCA(t).Issue(&x509.Certificate{RawSubject: a.CSR.RawSubject}, a.CSR.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	return issued
}

func newIntune(t *testing.T, required bool) (*Intune, *intunesim.Tenant) {
	t.Helper()
	tenant := intunesim.Start(t)
	client := intune.New(intune.Options{
		URLs:       tenant.URLs(),
		Credential: tenant.Application().Secret(intunesim.ClientSecret),
		Caller:     "Scepter test",
		Outbound:   outbound.New(outbound.Options{Timeout: 20 * time.Second, MaxAnswer: intune.MaxAnswer, Roots: tenant.Roots()}),
		Now:        time.Now,
	})
	return NewIntune(IntuneOptions{Name: "intune", Client: client, Endpoint: "pki/corp", NotificationRequired: required}), tenant
}

func newWebhook(t *testing.T, notify, required bool) (*Webhook, *hooksim.Service) {
	t.Helper()
	service := hooksim.Start(t, nil)
	key, err := webhook.DecodeSigningKey(hooksim.SigningSecret)
	if err != nil {
		t.Fatal(err)
	}
	hook := &webhook.Hook{
		URL: service.URL, ID: "hook", SigningKey: key, Timeout: 20 * time.Second, Now: time.Now,
		Client: outbound.New(outbound.Options{Timeout: 20 * time.Second, MaxAnswer: webhook.MaxAnswer, Roots: service.Roots()}),
	}
	o := WebhookOptions{Name: "hook", Ask: hook, NotificationRequired: required}
	if notify {
		o.Notify = hook
	}
	return NewWebhook(o), service
}

func TestIntuneAdmits(t *testing.T) {
	t.Parallel()
	verifier, tenant := newIntune(t, true)
	admission, err := verifier.Verify(t.Context(), newAttempt(t, intunesim.Challenge))
	if err != nil || admission == nil || admission.Challenge != "intune" {
		t.Fatalf("got %+v, %v", admission, err)
	}
	if _, err := verifier.Verify(t.Context(), newAttempt(t, "")); err != nil {
		t.Error(err)
	}
	if got := len(tenant.Validated()); got != 1 {
		t.Errorf("Intune was asked about a request without a password: %d", got)
	}
}

// Every code that Microsoft's library knows has a text of its own or is, to
// everybody, a wrong password.
func TestIntunesCodes(t *testing.T) {
	t.Parallel()
	texts := map[string]intune.Code{}
	for code, v := range verdicts {
		if v == notIntunes {
			continue
		}
		if other, twice := texts[v.text]; twice {
			t.Errorf("%s and %s have the same text", code, other)
		}
		texts[v.text] = code
		refused := refusalOf(&intune.Refused{Code: code, Description: "for the log", ActivityID: "id"})
		if refused.Text != v.text || strings.Contains(refused.Text, "log") || !strings.Contains(refused.Error(), string(code)) {
			t.Errorf("%s: device %q, log %q", code, refused.Text, refused.Error())
		}
	}
	if got := len(verdicts); got != 24 {
		t.Errorf("%d codes have a text, Microsoft's library knows 24", got)
	}
	if got := refusalOf(&intune.Refused{Code: "SomethingNew"}); got.Reason != refusal.IntuneRefused {
		t.Errorf("an unlisted code: %v", got)
	}
}

func TestIntuneRefuses(t *testing.T) {
	t.Parallel()
	verifier, tenant := newIntune(t, true)
	for code, want := range map[intune.Code]refusal.Reason{
		intune.ChallengeExpired: refusal.ChallengeExpired, intune.SubjectNameMismatch: refusal.IntuneRefused,
		intune.ChallengeDecryptionError: refusal.ChallengeWrong,
	} {
		tenant.Answer("validateRequest", code)
		admission, err := verifier.Verify(t.Context(), newAttempt(t, intunesim.Challenge))
		refused, ok := refusal.As(err)
		if admission != nil || !ok || refused.Reason != want {
			t.Errorf("%s: %+v, %v", code, admission, err)
		}
		if err != nil && strings.Contains(err.Error(), intunesim.Challenge) {
			t.Errorf("the log would hold the challenge: %v", err)
		}
	}
	tenant.Intune.Break(faults.Throttled(http.StatusTooManyRequests, 42))
	_, err := verifier.Verify(t.Context(), newAttempt(t, intunesim.Challenge))
	if _, ok := refusal.As(err); ok || err == nil || RetryAfter(err) != 42*time.Second {
		t.Errorf("throttled: %v, %s", err, RetryAfter(err))
	}
}

func TestRequiredNotificationHoldsBack(t *testing.T) {
	t.Parallel()
	verifier, tenant := newIntune(t, true)
	a := newAttempt(t, intunesim.Challenge)
	issued := issue(t, a)
	tenant.Notify.Break(faults.Status(http.StatusInternalServerError))
	err := verifier.Succeeded(t.Context(), a, issued)
	if untold := (*UntoldError)(nil); err == nil || errors.As(err, &untold) {
		t.Fatalf("got %v", err)
	}
	tenant.Notify.Mend()
	tenant.Answer("successNotification", intune.ChallengeExpired)
	err = verifier.Succeeded(t.Context(), a, issued)
	if _, isRefusal := refusal.As(err); err == nil || isRefusal {
		t.Fatalf("a notification that is not accepted holds back until it is: %v", err)
	}
	tenant.Answer("successNotification", intune.Success)
	for range 2 {
		if err := verifier.Succeeded(t.Context(), a, issued); err != nil {
			t.Fatal(err)
		}
	}
	got := tenant.Successes()
	if len(got) != 1 || got[0].CAConfiguration != "pki/corp" || got[0].Authority != issued.Issuer.String() {
		t.Errorf("notified %+v", got)
	}
}

func TestOptionalNotificationHoldsNothingBack(t *testing.T) {
	t.Parallel()
	fromIntune, tenant := newIntune(t, false)
	tenant.Notify.Break(faults.Status(http.StatusInternalServerError))
	fromHook, service := newWebhook(t, true, false)
	service.Break(faults.Closed)
	a := newAttempt(t, intunesim.Challenge)
	for _, outcome := range []Outcome{fromIntune, fromHook} {
		err := outcome.Succeeded(t.Context(), a, issue(t, a))
		if untold := (*UntoldError)(nil); !errors.As(err, &untold) {
			t.Errorf("%s: %v", outcome.Name(), err)
		}
	}
}

func TestOwnFailuresAreTold(t *testing.T) {
	t.Parallel()
	fromIntune, tenant := newIntune(t, true)
	fromHook, service := newWebhook(t, true, true)
	service.AllowPassword("x", nil)
	a := newAttempt(t, intunesim.Challenge)
	ours := refusal.New(refusal.KeyNotAllowed, "key refused").Because(errors.New("for the log"))
	for _, outcome := range []Outcome{fromIntune, fromHook} {
		for _, reason := range []*refusal.Error{ours, ours, refusal.New(refusal.IssuerFailed, "try again")} {
			if err := outcome.Failed(t.Context(), a, reason); err != nil {
				t.Error(err)
			}
		}
	}
	if got := tenant.Failures(); len(got) != 1 || got[0].Description != "KeyNotAllowed: key refused" {
		t.Errorf("Intune was told %+v", got)
	}
	if got := service.Asked(); len(got) != 1 || got[0].ErrorDescription != "KeyNotAllowed: key refused" {
		t.Errorf("the hook was told %+v", got)
	}
}

func TestWebhookAdmits(t *testing.T) {
	t.Parallel()
	verifier, service := newWebhook(t, false, false)
	service.AllowPassword("good", map[string]any{"site": "north"})
	admission, err := verifier.Verify(t.Context(), newAttempt(t, "good"))
	if err != nil || admission == nil || admission.Data["site"] != "north" {
		t.Fatalf("got %+v, %v", admission, err)
	}
	admission, err = verifier.Verify(t.Context(), newAttempt(t, "bad"))
	if refused, ok := refusal.As(err); admission != nil || !ok || refused.Reason != refusal.ChallengeWrong {
		t.Errorf("a wrong password: %+v, %v", admission, err)
	}
	if admission, err = verifier.Verify(t.Context(), newAttempt(t, "")); admission != nil || err != nil {
		t.Errorf("no password: %+v, %v", admission, err)
	}
	if err := verifier.Succeeded(t.Context(), newAttempt(t, "good"), issue(t, newAttempt(t, "good"))); err != nil {
		t.Error(err)
	}
	if got := len(service.Asked()); got != 2 {
		t.Errorf("the hook was asked %d times, want 2", got)
	}
	service.Break(faults.Closed)
	if _, err = verifier.Verify(t.Context(), newAttempt(t, "good")); err == nil {
		t.Error("a hook that is down allowed something")
	}
}

func TestBudgetOfQuestions(t *testing.T) {
	t.Parallel()
	a := newAsking()
	release, entered := make(chan struct{}), make(chan struct{})
	for range maxAsking {
		go func() {
			_ = a.do(func() error {
				entered <- struct{}{}
				<-release
				return nil
			})
		}()
	}
	for range maxAsking {
		<-entered
	}
	if err := a.do(func() error { return nil }); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v", err)
	}
	close(release)
}

func TestMemoryIsBounded(t *testing.T) {
	t.Parallel()
	m := &memory{}
	tells := 0
	tell := func() error {
		tells++
		return nil
	}
	for i := range maxTold + 1 {
		_ = m.once(fmt.Sprint(i), tell)
	}
	if len(m.known) != maxTold || len(m.order) != maxTold || m.has("0") {
		t.Errorf("%d known, %d in order", len(m.known), len(m.order))
	}
	before := tells
	if _ = m.once(fmt.Sprint(maxTold), tell); tells != before {
		t.Error("told twice")
	}
	failing := errors.New("no")
	for range 2 {
		if err := m.once("failing", func() error { return failing }); !errors.Is(err, failing) {
			t.Errorf("what failed was taken for told: %v", err)
		}
	}
	m.remember("0")
	m.remember("0")
	if !slices.Contains(m.order, "0") || len(m.order) != maxTold {
		t.Errorf("%d in order", len(m.order))
	}
}

func TestUnusable(t *testing.T) {
	t.Parallel()
	why := errors.New("no file")
	u := NewUnusable("intune", why)
	if admission, err := u.Verify(t.Context(), Attempt{Password: "x"}); admission != nil || !errors.Is(err, why) {
		t.Errorf("got %v, %v", admission, err)
	}
	if admission, err := u.Verify(t.Context(), Attempt{}); admission != nil || err != nil {
		t.Errorf("without a password: %v, %v", admission, err)
	}
	if err := (List{u}).Outcome("intune").Succeeded(context.Background(), Attempt{}, nil); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
	if err := u.Failed(context.Background(), Attempt{}, nil); !errors.Is(err, why) {
		t.Errorf("got %v", err)
	}
}
