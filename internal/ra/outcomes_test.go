package ra_test

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/resource"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

func wantTrouble(s raconfig.ReplicaStatus, kind raconfig.TroubleKind, want bool) error {
	has := false
	for _, t := range s.Troubles {
		has = has || t.Kind == kind && t.Count > 0 && !t.Last.Before(t.Since)
	}
	if has != want {
		return fmt.Errorf("troubles %+v, %s wanted: %v", s.Troubles, kind, want)
	}
	return nil
}

func wantAway(s raconfig.ReplicaStatus, what raconfig.Dependency, want bool) error {
	has := false
	for _, a := range s.Away {
		has = has || a.Dependency == what && a.Failures > 0
	}
	if has != want {
		return fmt.Errorf("away are %+v, %s wanted: %v", s.Away, what, want)
	}
	return nil
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
}

// unavailable enrols, and wants HTTP 503 with Retry-After.
func unavailable(t *testing.T, url string, request scep.EnrolRequest) error {
	t.Helper()
	_, err := device(url).Enrol(limited(t), request)
	var status *scep.HTTPError
	if !errors.As(err, &status) || status.StatusCode != http.StatusServiceUnavailable || status.RetryAfter == "" {
		return fmt.Errorf("enrol: %w, want HTTP 503 with Retry-After", err)
	}
	return nil
}

// Where a quota leaves no room devices come again later, and the status says why.
func TestQuota(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	quotas := f.Admin(t).CoreV1().ResourceQuotas(f.Namespace)
	const counted = corev1.ResourceName("count/certificaterequests.cert-manager.io")
	hard := corev1.ResourceList{counted: resource.MustParse("0")}
	quota, err := quotas.Create(t.Context(), &corev1.ResourceQuota{
		ObjectMeta: metav1.ObjectMeta{Name: "few"}, Spec: corev1.ResourceQuotaSpec{Hard: hard},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	quota.Status.Hard, quota.Status.Used = hard, corev1.ResourceList{counted: resource.MustParse("0")}
	if _, err := quotas.UpdateStatus(t.Context(), quota, metav1.UpdateOptions{}); err != nil {
		t.Fatal(err)
	}
	request := enrolment(t, 1)
	check(t, unavailable(t, f.server.URL, request))
	f.wantRequests(t, 0)
	check(t, wantTrouble(f.server.Status(), raconfig.TroubleRecordsFull, true))
	f.server.WantLogged(audit.Unavailable, "exceeded quota")

	if err := quotas.Delete(t.Context(), "few", metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) {
		t.Fatal(err)
	}
	ratest.Eventually(t, "the quota to be gone", func() error { return succeeded(device(f.server.URL).Enrol(limited(t), request)) })
	check(t, wantTrouble(f.server.Status(), raconfig.TroubleRecordsFull, false))
}

// What admission refuses is refused to the device; what admission cannot judge is not.
func TestWebhooks(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	hooks := f.Admin(t).AdmissionregistrationV1().ValidatingWebhookConfigurations()
	fail, none, nowhere := admissionv1.Fail, admissionv1.SideEffectClassNone, "https://127.0.0.1:1/"
	hook := &admissionv1.ValidatingWebhookConfiguration{
		ObjectMeta: metav1.ObjectMeta{Name: f.Namespace},
		Webhooks: []admissionv1.ValidatingWebhook{{
			Name: "away.example.com", FailurePolicy: &fail, SideEffects: &none, AdmissionReviewVersions: []string{"v1"},
			ClientConfig:      admissionv1.WebhookClientConfig{URL: &nowhere},
			NamespaceSelector: &metav1.LabelSelector{MatchLabels: map[string]string{corev1.LabelMetadataName: f.Namespace}},
			Rules: []admissionv1.RuleWithOperations{{
				Operations: []admissionv1.OperationType{admissionv1.Create},
				Rule:       admissionv1.Rule{APIGroups: []string{"cert-manager.io"}, APIVersions: []string{"v1"}, Resources: []string{"certificaterequests"}},
			}},
		}},
	}
	if _, err := hooks.Create(t.Context(), hook, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := hooks.Delete(t.Context(), hook.Name, metav1.DeleteOptions{}); err != nil && !apierrors.IsNotFound(err) && t.Context().Err() == nil {
			t.Error(err)
		}
	})
	request := enrolment(t, 1)
	ratest.Eventually(t, "the webhook to be asked", func() error { return unavailable(t, f.server.URL, request) })
	check(t, wantAway(f.server.Status(), raconfig.DependencyWebhook, true))
	check(t, wantTrouble(f.server.Status(), raconfig.TroubleAdmission, true))
	f.server.WantLogged(audit.Unavailable, "away.example.com")
	if err := hooks.Delete(t.Context(), hook.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	request = enrolment(t, 2)
	ratest.Eventually(t, "the webhook to be gone", func() error { return succeeded(device(f.server.URL).Enrol(limited(t), request)) })
	check(t, wantAway(f.server.Status(), raconfig.DependencyWebhook, false))
	check(t, wantTrouble(f.server.Status(), raconfig.TroubleAdmission, false))
}

func TestMismatchIsATrouble(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Issuer.Set(ratest.SignsCA)
	result := enrol(t, f.server.URL, enrolment(t, 1))
	if result.Status != scep.StatusFailure {
		t.Errorf("status %v", result.Status)
	}
	check(t, wantTrouble(f.server.Status(), raconfig.TroubleMismatch, true))
	f.Issuer.Set(ratest.Signs)
	request := enrolment(t, 2)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	check(t, wantTrouble(f.server.Status(), raconfig.TroubleMismatch, false))
}

func TestWhatIsAway(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.impatient(t)
	request := enrolment(t, 1)
	f.server.SetClusterAway(true)
	check(t, unavailable(t, f.server.URL, request))
	check(t, wantAway(f.server.Status(), raconfig.DependencyAPIServer, true))
	f.server.SetClusterAway(false)
	f.Issuer.Set(ratest.Holds)
	wantPending(t, enrol(t, f.server.URL, request))
	check(t, wantAway(f.server.Status(), raconfig.DependencyAPIServer, false))
	check(t, wantAway(f.server.Status(), raconfig.DependencyIssuer, true))
	f.Issuer.Set(ratest.Signs)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	check(t, wantAway(f.server.Status(), raconfig.DependencyIssuer, false))
}

// A configuration of a newer operator is used, with a warning, unless it says that
// this version would grant too much.
func TestAConfigurationOfANewerOperator(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	newer := *f.files.Config
	newer.Endpoint.Generation = 2
	file, err := raconfig.Encode(&newer)
	if err != nil {
		t.Fatal(err)
	}
	f.files.Write(f.files.Dirs.Config, raconfig.ConfigFile, append(file, "tomorrow: {a: 1}\n"...))
	f.wantStatus(t, "the newer file to be used", func(s raconfig.ReplicaStatus) bool {
		return s.ConfigGeneration == 2 && len(s.Problems) == 0 && len(s.Warnings) == 1
	})
	f.server.WantLogged(audit.ConfigurationWarning, "tomorrow")
	f.files.Write(f.files.Dirs.Config, raconfig.ConfigFile, append(file, "tomorrow: {a: 2}\nrequires: [tomorrow]\n"...))
	ratest.Eventually(t, "the problem to be shown", func() error { return wantProblem(f.server.Status(), "requires tomorrow") })
	if s := f.server.Status(); s.ConfigGeneration != 2 {
		t.Errorf("generation %d is in use", s.ConfigGeneration)
	}
	request := enrolment(t, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
}

func TestLogLevelFollowsTheConfiguration(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	level := &slog.LevelVar{}
	server, err := ra.New(ra.Options{Dirs: files.Dirs, Cluster: cluster.Config(), Logger: slog.New(slog.DiscardHandler), LogLevel: level})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	ctx := limited(t)
	go func() { done <- server.Work(ctx) }()
	for name, want := range map[v1alpha1.LogLevel]slog.Level{
		v1alpha1.LogDebug: slog.LevelDebug, v1alpha1.LogError: slog.LevelError, v1alpha1.LogWarn: slog.LevelWarn,
	} {
		files.Config.LogLevel = name
		files.WriteConfig()
		ratest.Eventually(t, "level "+string(name), func() error {
			if got := level.Level(); got != want {
				return fmt.Errorf("level %s", got)
			}
			return nil
		})
	}
}
