package ra_test

import (
	"context"
	"encoding/pem"
	"errors"
	"fmt"
	"net/http"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/util/wait"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/ra/ratest/hooksim"
	"github.com/scepter-pki/scepter/internal/ra/ratest/intunesim"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// wantService checks the one service that a server says is away; no reason: none is.
func wantService(s raconfig.ReplicaStatus, want raconfig.Away) error {
	i := slices.IndexFunc(s.Away, func(a raconfig.Away) bool { return a.Dependency == want.Dependency })
	switch {
	case want.Reason == "" && i < 0:
		return nil
	case want.Reason == "" || i < 0:
		return fmt.Errorf("away are %+v, want %+v", s.Away, want)
	}
	got := s.Away[i]
	if got.Failures == 0 || got.Since.IsZero() || got.Last.Before(got.Since) {
		return fmt.Errorf("not counted: %+v", got)
	}
	if got.Name != want.Name || got.Reason != want.Reason || got.HTTPStatus != want.HTTPStatus || !slices.Equal(got.Wants, want.Wants) || got.Tolerated != want.Tolerated {
		return fmt.Errorf("got %+v, want %+v", got, want)
	}
	return nil
}

var hookIsWell = raconfig.Away{Dependency: raconfig.DependencyChallenge}

// patiently waits for what takes a server some seconds by itself.
func patiently(t *testing.T, what string, check func() error) {
	t.Helper()
	var last error
	err := wait.PollUntilContextTimeout(t.Context(), 100*time.Millisecond, 2*time.Minute, true, func(context.Context) (bool, error) {
		last = check()
		return last == nil, nil
	})
	if err != nil {
		t.Fatalf("waited in vain for %s: %v", what, last)
	}
}

// A server tells apart why a service gives no judgement, and the next one ends it.
func TestFailuresOfAServiceAreToldApart(t *testing.T) {
	t.Parallel()
	f, service := newHookFixture(t, func(hook *raconfig.Webhook, _ *ratest.Files) { hook.TimeoutSeconds = impatient })
	service.AllowPassword(hookPassword, nil)
	for i, c := range []struct {
		name  string
		fault faults.Fault
		want  raconfig.Away
	}{
		{"401", faults.Echo(http.StatusUnauthorized), raconfig.Away{Reason: raconfig.AwayUnauthenticated, HTTPStatus: 401}},
		{"401 with schemes", faults.Wants("Negotiate", `Basic realm="`+faults.Leak+`"`), raconfig.Away{Reason: raconfig.AwayUnauthenticated, HTTPStatus: 401, Wants: []string{"Basic", "Negotiate"}}},
		{"403", faults.Status(http.StatusForbidden), raconfig.Away{Reason: raconfig.AwayForbidden, HTTPStatus: 403}},
		{"500", faults.Status(http.StatusInternalServerError), raconfig.Away{Reason: raconfig.AwayStatus, HTTPStatus: 500}},
		{"redirect", faults.Redirect(http.StatusFound, "https://elsewhere.invalid/"), raconfig.Away{Reason: raconfig.AwayRedirect, HTTPStatus: 302}},
		{"no JSON", faults.JSON("<html>" + faults.Leak), raconfig.Away{Reason: raconfig.AwayNotUnderstood, HTTPStatus: 200}},
		{"closed", faults.Closed, raconfig.Away{Reason: raconfig.AwayUnreachable}},
		{"slow", faults.Slow, raconfig.Away{Reason: raconfig.AwayTimeout}},
	} {
		c.want.Dependency, c.want.Name = raconfig.DependencyChallenge, "hook"
		service.Break(c.fault)
		want503(t, enrolError(t, f))
		if err := wantService(f.server.Status(), c.want); err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		service.Mend()
		request := with(t, hookPassword, 1+i%3)
		wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
		check(t, wantService(f.server.Status(), hookIsWell))
	}
	f.server.WantNoSecret(hookPassword, hooksim.SigningSecret, faults.Leak)
}

func enrolError(t *testing.T, f *fixture) error {
	t.Helper()
	_, err := device(f.server.URL).Enrol(limited(t), with(t, hookPassword, 1))
	return err
}

// A service of another CA, and one that wants a client certificate, fail the handshake.
func TestHandshakesThatFailAreToldApart(t *testing.T) {
	t.Parallel()
	t.Run("its CA is not trusted", func(t *testing.T) {
		t.Parallel()
		f, _ := newHookFixture(t, func(_ *raconfig.Webhook, files *ratest.Files) {
			files.Write(files.Dirs.Challenges, filepath.Join("hook", raconfig.CABundleFile), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: sceptest.NewCA(t).Certificate.Raw}))
		})
		want503(t, enrolError(t, f))
		check(t, wantService(f.server.Status(), raconfig.Away{Dependency: raconfig.DependencyChallenge, Name: "hook", Reason: raconfig.AwayTLS}))
	})
	t.Run("it wants a client certificate", func(t *testing.T) {
		t.Parallel()
		strict := hooksim.Start(t, sceptest.NewCA(t).Pool())
		f, _ := newHookFixture(t, func(hook *raconfig.Webhook, files *ratest.Files) {
			hook.URL = strict.URL
			files.Write(files.Dirs.Challenges, filepath.Join("hook", raconfig.CABundleFile), strict.RootsPEM())
		})
		want503(t, enrolError(t, f))
		check(t, wantService(f.server.Status(), raconfig.Away{Dependency: raconfig.DependencyChallenge, Name: "hook", Reason: raconfig.AwayClientRefused}))
	})
}

// Where no device comes, the service is asked again without a question.
func TestAServiceComesBackWithoutADevice(t *testing.T) {
	t.Parallel()
	f, service := newHookFixture(t, nil)
	service.Break(faults.Wants("Bearer"))
	want503(t, enrolError(t, f))
	calls := service.Calls()
	patiently(t, "the service to be asked again", func() error {
		if service.Calls() == calls {
			return errors.New("not yet")
		}
		return nil
	})
	service.Allow(func(r hooksim.Request) any { t.Errorf("asked %+v", r); return nil })
	service.Break(faults.Status(http.StatusMethodNotAllowed))
	patiently(t, "the failure to end", func() error { return wantService(f.server.Status(), hookIsWell) })
	f.server.WantNoSecret(hookPassword, hooksim.SigningSecret)
}

// Another credential ends what was said of the one before.
func TestAnotherCredentialEndsTheFailure(t *testing.T) {
	t.Parallel()
	f, service := newHookFixture(t, func(_ *raconfig.Webhook, files *ratest.Files) {
		files.Write(files.Dirs.Challenges, filepath.Join("hook", raconfig.SigningSecretFile), []byte("d3Jvbmc="))
	})
	service.AllowPassword(hookPassword, nil)
	want503(t, enrolError(t, f))
	check(t, wantService(f.server.Status(), raconfig.Away{Dependency: raconfig.DependencyChallenge, Name: "hook", Reason: raconfig.AwayUnauthenticated, HTTPStatus: 401}))
	f.files.Write(f.files.Dirs.Challenges, filepath.Join("hook", raconfig.SigningSecretFile), []byte(hooksim.SigningSecret))
	ratest.Eventually(t, "the failure to end", func() error { return wantService(f.server.Status(), hookIsWell) })
	request := with(t, hookPassword, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
}

func TestANotificationThatIsNotTaken(t *testing.T) {
	t.Parallel()
	f := newIntuneFixture(t, patient)
	f.tenant.Answer("successNotification", intune.Unknown)
	request := with(t, intunesim.Challenge, 1)
	wantPending(t, enrol(t, f.server.URL, request))
	check(t, wantService(f.server.Status(), raconfig.Away{Dependency: raconfig.DependencyNotification, Name: "intune", Reason: raconfig.AwayNotAccepted}))
	check(t, wantService(f.server.Status(), hookIsWell))
	f.wantNothingLeaked(t)
}

func TestEntraRefuses(t *testing.T) {
	t.Parallel()
	f := newIntuneFixture(t, patient)
	f.files.Write(f.files.Dirs.Challenges, filepath.Join("intune", raconfig.ClientSecretFile), []byte("an old secret"))
	wrong := ratest.NewServer(t, f.Cluster, f.files)
	_, err := device(wrong.URL).Enrol(limited(t), with(t, intunesim.Challenge, 1))
	want503(t, err)
	status := wrong.Status()
	if len(status.Away) != 1 || status.Away[0].Reason != raconfig.AwayUnauthenticated || status.Away[0].Name != "intune" {
		t.Errorf("away %+v", status.Away)
	}
}

// A challenge without its files is unusable.
func TestAChallengeWithoutItsFilesIsAway(t *testing.T) {
	t.Parallel()
	f, _ := newHookFixture(t, func(hook *raconfig.Webhook, _ *ratest.Files) {
		hook.Authentication = []v1alpha1.WebhookAuthentication{v1alpha1.WebhookBearer}
	})
	want503(t, enrolError(t, f))
	check(t, wantService(f.server.Status(), raconfig.Away{Dependency: raconfig.DependencyChallenge, Name: "hook", Reason: raconfig.AwayUnusable}))
}
