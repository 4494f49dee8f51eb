package ra_test

import (
	"errors"
	"net/http"
	"path/filepath"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/ra/ratest/hooksim"
	"github.com/scepter-pki/scepter/internal/ra/ratest/intunesim"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const (
	// patient is a timeout in seconds for services that answer; machines may be busy.
	patient = 20
	// impatient is one for services that do not.
	impatient = 3
)

// timeoutOf a service with a fault.
func timeoutOf(c faults.Case) int32 {
	if c.Name == "slow" {
		return impatient
	}
	return patient
}

// intuneFixture is an endpoint whose only challenge is Intune's.
type intuneFixture struct {
	*fixture
	tenant *intunesim.Tenant
}

func newIntuneFixture(t *testing.T, timeout int32) *intuneFixture {
	t.Helper()
	tenant := intunesim.Start(t)
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	files.Config.Challenges = []raconfig.Challenge{{
		Name: "intune", Type: v1alpha1.ChallengeIntune,
		Intune: &raconfig.Intune{
			TenantID: intunesim.TenantID, ClientID: intunesim.ClientID, Authentication: v1alpha1.IntuneClientSecret,
			NotificationRequired: true, TimeoutSeconds: timeout, CABundle: true, URLs: raconfig.IntuneURLs(tenant.URLs()),
		},
	}}
	files.Write(files.Dirs.Challenges, filepath.Join("intune", raconfig.ClientSecretFile), []byte(intunesim.ClientSecret+"\n"))
	files.Write(files.Dirs.Challenges, filepath.Join("intune", raconfig.CABundleFile), tenant.RootsPEM())
	files.WriteConfig()
	return &intuneFixture{&fixture{cluster, files, ratest.NewServer(t, cluster, files)}, tenant}
}

// want503 fails the test unless the device was told to come again.
func want503(t *testing.T, err error) {
	t.Helper()
	var status *scep.HTTPError
	if !errors.As(err, &status) || status.StatusCode != http.StatusServiceUnavailable || status.RetryAfter == "" {
		t.Fatalf("got %v, want HTTP 503 with Retry-After", err)
	}
}

func (f *intuneFixture) wantNothingLeaked(t *testing.T) {
	t.Helper()
	f.server.WantNoSecret(f.tenant.Secrets()...)
}

func TestIntune(t *testing.T) {
	t.Parallel()
	f := newIntuneFixture(t, patient)
	request := with(t, intunesim.Challenge, 1)
	certificate := wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	told := f.tenant.Successes()
	if len(told) != 1 || told[0].CAConfiguration != f.Namespace+"/"+ratest.Endpoint || told[0].Authority != certificate.Issuer.String() {
		t.Fatalf("Intune was told %+v", told)
	}
	f.server.WantLogged(audit.Authenticated, `"admittedBy":"intune"`)
	f.wantNothingLeaked(t)

	// What another server knows of it is on the object: Intune is told again, for it
	// has to know before a certificate is handed out.
	second := ratest.NewServer(t, f.Cluster, f.files)
	f.tenant.Answer("validateRequest", intune.ChallengeExpired)
	request.TransactionID = told[0].TransactionID
	ratest.Eventually(t, "another server to know the request", func() error {
		return succeeded(device(second.URL).Enrol(limited(t), request))
	})
	if got := len(f.tenant.Successes()); got != 2 {
		t.Errorf("Intune was told of success %d times, want 2", got)
	}
	f.wantRequests(t, 1)
}

func TestIntuneRefuses(t *testing.T) {
	t.Parallel()
	f := newIntuneFixture(t, patient)
	wantFailure(t, enrol(t, f.server.URL, with(t, "not Intune's", 1)), refusedText)
	wantFailure(t, enrol(t, f.server.URL, with(t, "", 1)), "challenge password required")
	for _, c := range []struct {
		code intune.Code
		text string
	}{
		{intune.ChallengeExpired, "the challenge has expired: sync the device to get another"},
		{intune.SubjectNameMismatch, "the subject name is not the SCEP profile's"},
		{intune.ChallengeDecryptionError, refusedText},
		{"SomethingNew", "Intune refused the request"},
	} {
		f.tenant.Answer("validateRequest", c.code)
		wantFailure(t, enrol(t, f.server.URL, with(t, intunesim.Challenge, 1)), c.text)
		f.server.WantLogged(audit.AnsweredFailure, "Intune answered "+string(c.code)+": The challenge (omitted) was not accepted (activity ")
	}
	if len(f.tenant.Failures()) != 0 {
		t.Error("Intune was told of its own refusals")
	}
	f.wantRequests(t, 0)
	f.wantNothingLeaked(t)
}

// Whatever Microsoft's services do, a device is told to come again, nothing is
// recorded or handed out, and afterwards it is served.
func TestIntuneIsAway(t *testing.T) {
	t.Parallel()
	services := map[string]func(*intunesim.Tenant) *faults.Switch{
		"Intune": func(s *intunesim.Tenant) *faults.Switch { return &s.Intune },
		"Graph":  func(s *intunesim.Tenant) *faults.Switch { return &s.Graph },
		"Entra":  func(s *intunesim.Tenant) *faults.Switch { return &s.Entra },
	}
	for name, service := range services {
		for _, c := range faults.Cases {
			if name == "Entra" && c.Name == "wrong content type" {
				continue // the identity library reads a token whatever its type
			}
			t.Run(name+" "+c.Name, func(t *testing.T) {
				t.Parallel()
				f := newIntuneFixture(t, timeoutOf(c))
				service(f.tenant).Break(c.Fault)
				_, err := device(f.server.URL).Enrol(limited(t), with(t, intunesim.Challenge, 1))
				want503(t, err)
				f.wantRequests(t, 0)
				f.server.WantLogged(audit.Unavailable, c.Says)
				f.wantNothingLeaked(t)
				if len(f.tenant.Successes()) != 0 {
					t.Error("a success was told")
				}
			})
		}
	}
}

func TestIntunesRetryAfterReachesTheDevice(t *testing.T) {
	t.Parallel()
	f := newIntuneFixture(t, patient)
	f.tenant.Intune.Break(faults.Throttled(http.StatusTooManyRequests, 42))
	_, err := device(f.server.URL).Enrol(limited(t), with(t, intunesim.Challenge, 1))
	want503(t, err)
	var status *scep.HTTPError
	if errors.As(err, &status); status.RetryAfter != "42" {
		t.Errorf("Retry-After %q, want 42", status.RetryAfter)
	}
	f.tenant.Intune.Mend()
	request := with(t, intunesim.Challenge, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
}

// Nothing is handed out before Intune has accepted the notification, by any
// server, whatever happens between.
func TestACertificateWaitsForItsNotification(t *testing.T) {
	t.Parallel()
	for name, refuse := range map[string]func(*intunesim.Tenant){
		"down":    func(s *intunesim.Tenant) { s.Notify.Break(faults.Status(http.StatusInternalServerError)) },
		"slow":    func(s *intunesim.Tenant) { s.Notify.Break(faults.Slow) },
		"refuses": func(s *intunesim.Tenant) { s.Answer("successNotification", intune.Unknown) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newIntuneFixture(t, timeoutOf(faults.Case{Name: name}))
			refuse(f.tenant)
			request := with(t, intunesim.Challenge, 1)
			request.TransactionID, request.Certificate = "waits", sceptest.SelfSigned(t, nil, request.Key)
			result := enrol(t, f.server.URL, request)
			if result.Status != scep.StatusPending {
				t.Fatalf("status %v, want PENDING", result.Status)
			}
			f.server.WantLogged(audit.OutcomeNotTold, "")
			f.wantRequests(t, 1)

			// Another server, started since, holds it back as well, and then serves it.
			second := ratest.NewServer(t, f.Cluster, f.files)
			again := device(second.URL)
			if result, err := again.Enrol(limited(t), request); err != nil || result.Status != scep.StatusPending {
				t.Fatalf("got %+v, %v, want PENDING", result, err)
			}
			again.PollLimit = -1
			done := make(chan *scep.Result, 1)
			go func() {
				result, err := again.Enrol(limited(t), request)
				if err != nil {
					t.Errorf("enrol: %v", err)
				}
				done <- result
			}()
			f.tenant.Notify.Mend()
			f.tenant.Answer("successNotification", intune.Success)
			if result := <-done; result != nil {
				wantCertificate(t, result, request.Key)
			}
			if got := len(f.tenant.Successes()); got != 1 {
				t.Errorf("accepted %d notifications, want 1", got)
			}
			f.wantRequests(t, 1)
			f.wantNothingLeaked(t)
		})
	}
}

func TestIntuneIsToldOfOurRefusals(t *testing.T) {
	t.Parallel()
	f := newIntuneFixture(t, patient)
	request := with(t, intunesim.Challenge, 1)
	request.Template.Subject.CommonName = "elsewhere.example.com"
	wantFailure(t, enrol(t, f.server.URL, request), "CN must be a device name")
	told := f.tenant.Failures()
	if len(told) != 1 || told[0].Description != "RuleNotMet: CN must be a device name" {
		t.Errorf("Intune was told %+v", told)
	}
	f.Issuer.Set(ratest.Denies)
	enrol(t, f.server.URL, with(t, intunesim.Challenge, 1))
	if told = f.tenant.Failures(); len(told) != 2 || !strings.HasPrefix(told[1].Description, "Denied: ") {
		t.Errorf("Intune was told %+v", told)
	}
	f.Issuer.Set(ratest.Fails)
	enrol(t, f.server.URL, with(t, intunesim.Challenge, 2))
	if told = f.tenant.Failures(); len(told) != 2 {
		t.Errorf("Intune was told of what may pass: %+v", told)
	}
}

// An entry whose files are bad lets nobody in, and hands nothing out that waits for it.
func TestIntuneWithoutItsFiles(t *testing.T) {
	t.Parallel()
	f := newIntuneFixture(t, patient)
	f.tenant.Answer("successNotification", intune.Unknown)
	request := with(t, intunesim.Challenge, 1)
	if result := enrol(t, f.server.URL, request); result.Status != scep.StatusPending {
		t.Fatalf("status %v, want PENDING", result.Status)
	}
	f.tenant.Answer("successNotification", intune.Success)
	f.files.Write(f.files.Dirs.Challenges, filepath.Join("intune", raconfig.CABundleFile), []byte("no PEM"))
	second := ratest.NewServer(t, f.Cluster, f.files)
	_, err := device(second.URL).Enrol(limited(t), with(t, intunesim.Challenge, 2))
	want503(t, err)
	second.WantLogged(audit.Unavailable, "challenge intune: ca.crt is missing or holds no certificate")
	if err := wantProblem(second.Status(), "challenges/intune: ca.crt is missing"); err != nil {
		t.Error(err)
	}
	if len(f.tenant.Successes()) != 0 {
		t.Error("a certificate was handed out")
	}
}

// Taking the challenge away does not hand out what had to be told.
func TestAChallengeThatIsGoneHoldsBack(t *testing.T) {
	t.Parallel()
	f := newIntuneFixture(t, patient)
	f.tenant.Answer("successNotification", intune.Unknown)
	request := with(t, intunesim.Challenge, 1)
	request.TransactionID, request.Certificate = "left-behind", sceptest.SelfSigned(t, nil, request.Key)
	if result := enrol(t, f.server.URL, request); result.Status != scep.StatusPending {
		t.Fatalf("status %v, want PENDING", result.Status)
	}
	f.files.Config.Challenges = []raconfig.Challenge{{Name: "mdm", Type: v1alpha1.ChallengeStatic}}
	f.files.WriteConfig()
	second := ratest.NewServer(t, f.Cluster, f.files)
	request.ChallengePassword = ratest.Password
	ratest.Eventually(t, "the server to hold the certificate back", func() error {
		result, err := device(second.URL).Enrol(limited(t), request)
		if err == nil && result.Status == scep.StatusSuccess {
			t.Fatal("handed out")
		}
		return second.Logged(audit.OutcomeNotTold, "is not configured any more")
	})
}

// newHookFixture is an endpoint whose only challenge is a webhook.
func newHookFixture(t *testing.T, change func(*raconfig.Webhook, *ratest.Files)) (*fixture, *hooksim.Service) {
	t.Helper()
	service := hooksim.Start(t, nil)
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	hook := &raconfig.Webhook{
		Hook:           raconfig.Hook{URL: service.URL, Authentication: []v1alpha1.WebhookAuthentication{v1alpha1.WebhookSignature}},
		CABundle:       true,
		TimeoutSeconds: patient,
	}
	files.Config.Challenges = []raconfig.Challenge{{Name: "hook", Type: v1alpha1.ChallengeWebhook, Webhook: hook}}
	files.Write(files.Dirs.Challenges, filepath.Join("hook", raconfig.SigningSecretFile), []byte(hooksim.SigningSecret+"\n"))
	files.Write(files.Dirs.Challenges, filepath.Join("hook", raconfig.CABundleFile), service.RootsPEM())
	if change != nil {
		change(hook, files)
	}
	files.WriteConfig()
	return &fixture{cluster, files, ratest.NewServer(t, cluster, files)}, service
}

const hookPassword = "password-that-the-hook-knows"

func TestWebhook(t *testing.T) {
	t.Parallel()
	f, service := newHookFixture(t, nil)
	service.AllowPassword(hookPassword, nil)
	wantFailure(t, enrol(t, f.server.URL, with(t, "another", 1)), refusedText)
	f.wantRequests(t, 0)
	request := with(t, hookPassword, 1)
	request.TransactionID = "asked-once"
	certificate := wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	got := service.Asked()[1]
	if got.TransactionID != "asked-once" || got.ProvisionerName != ratest.Endpoint || got.Header.Get("X-Smallstep-Webhook-ID") != "hook" {
		t.Errorf("asked %+v", got)
	}
	service.Break(faults.Closed) // a request that is known needs no hook
	ratest.Eventually(t, "the server to know the request", func() error {
		result, err := device(f.server.URL).Enrol(limited(t), request)
		if err == nil && !result.Certificate.Equal(certificate) {
			t.Error("another certificate")
		}
		return succeeded(result, err)
	})
	f.wantRequests(t, 1)
	f.server.WantNoSecret(hookPassword, hooksim.SigningSecret, faults.Leak)
}

func TestWebhooksDataReachesTheRules(t *testing.T) {
	t.Parallel()
	f, service := newHookFixture(t, func(_ *raconfig.Webhook, files *ratest.Files) {
		spec := &files.Config.Templates[0].Spec
		spec.Rules = append(spec.Rules, v1alpha1.Rule{Expression: "challenge.data.name == csr.subject.commonName", Message: "not this device's name"})
	})
	service.AllowPassword(hookPassword, map[string]any{"name": "another.devices.example.com"})
	wantFailure(t, enrol(t, f.server.URL, with(t, hookPassword, 1)), "not this device's name")
	service.AllowPassword(hookPassword, map[string]any{"name": deviceName})
	request := with(t, hookPassword, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
}

func TestWebhookIsAway(t *testing.T) {
	t.Parallel()
	for _, c := range append([]faults.Case{
		{Name: "no answer", Fault: faults.JSON(`{}`), Says: "neither a clear yes nor a clear no"},
		{Name: "a yes and an error", Fault: faults.JSON(`{"allow":true,"error":{"code":"x"}}`), Says: "neither a clear yes nor a clear no"},
		{Name: "not authorised", Fault: faults.Echo(http.StatusUnauthorized), Says: "HTTP 401"},
	}, faults.Cases...) {
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			f, service := newHookFixture(t, func(hook *raconfig.Webhook, _ *ratest.Files) { hook.TimeoutSeconds = timeoutOf(c) })
			service.AllowPassword(hookPassword, nil)
			service.Break(c.Fault)
			request := with(t, hookPassword, 1)
			_, err := device(f.server.URL).Enrol(limited(t), request)
			want503(t, err)
			f.wantRequests(t, 0)
			f.server.WantLogged(audit.Unavailable, c.Says)
			service.Mend()
			wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
			f.server.WantNoSecret(hookPassword, hooksim.SigningSecret, faults.Leak)
		})
	}
}

func TestWebhookNotification(t *testing.T) {
	t.Parallel()
	for _, required := range []bool{true, false} {
		notified := hooksim.Start(t, nil)
		notified.Break(faults.Status(http.StatusInternalServerError))
		f, service := newHookFixture(t, func(hook *raconfig.Webhook, files *ratest.Files) {
			hook.Notification = &raconfig.WebhookNotification{
				Hook:     raconfig.Hook{URL: notified.URL, ID: "notify-1", Authentication: []v1alpha1.WebhookAuthentication{v1alpha1.WebhookSignature}},
				Required: required,
			}
			files.Write(files.Dirs.Challenges, filepath.Join("hook", raconfig.NotificationPrefix+raconfig.SigningSecretFile), []byte(hooksim.SigningSecret))
		})
		service.AllowPassword(hookPassword, nil)
		request := with(t, hookPassword, 1)
		request.TransactionID = "told"
		result := enrol(t, f.server.URL, request)
		f.server.WantLogged(audit.OutcomeNotTold, "HTTP 500")
		if want := map[bool]scep.PKIStatus{true: scep.StatusPending, false: scep.StatusSuccess}[required]; result.Status != want {
			t.Fatalf("required %v: status %v, want %v", required, result.Status, want)
		}
		notified.Mend()
		notified.Allow(func(hooksim.Request) any { return map[string]any{} })
		ratest.Eventually(t, "the certificate to be handed out", func() error {
			return succeeded(device(f.server.URL).Enrol(limited(t), request))
		})
		told := notified.Asked()
		if len(told) != 1 || told[0].Certificate == nil || told[0].TransactionID != "told" || told[0].Header.Get("X-Smallstep-Webhook-ID") != "notify-1" {
			t.Errorf("required %v: told %+v", required, told)
		}
	}
}
