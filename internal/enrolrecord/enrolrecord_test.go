package enrolrecord

import (
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

func TestStateOf(t *testing.T) {
	condition := func(kind certmanagerv1.CertificateRequestConditionType, status cmmeta.ConditionStatus, reason string) certmanagerv1.CertificateRequestCondition {
		return certmanagerv1.CertificateRequestCondition{Type: kind, Status: status, Reason: reason, Message: "message"}
	}
	approved := condition(certmanagerv1.CertificateRequestConditionApproved, cmmeta.ConditionTrue, "ok")
	failed := condition(certmanagerv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, certmanagerv1.CertificateRequestReasonFailed)
	for name, tc := range map[string]struct {
		conditions []certmanagerv1.CertificateRequestCondition
		want       State
	}{
		"new":               {nil, Waiting},
		"approved":          {[]certmanagerv1.CertificateRequestCondition{approved}, Waiting},
		"pending":           {[]certmanagerv1.CertificateRequestCondition{approved, condition("Ready", "False", "Pending")}, Waiting},
		"issued":            {[]certmanagerv1.CertificateRequestCondition{approved, condition("Ready", "True", "Issued")}, Issued},
		"failed":            {[]certmanagerv1.CertificateRequestCondition{approved, failed}, Failed},
		"denied":            {[]certmanagerv1.CertificateRequestCondition{condition("Denied", "True", "x")}, Denied},
		"denied and failed": {[]certmanagerv1.CertificateRequestCondition{failed, condition("Denied", "True", "x")}, Denied},
		"denied by Ready":   {[]certmanagerv1.CertificateRequestCondition{condition("Ready", "False", "Denied")}, Denied},
		"not denied":        {[]certmanagerv1.CertificateRequestCondition{condition("Denied", "False", "x")}, Waiting},
		"invalid":           {[]certmanagerv1.CertificateRequestCondition{failed, condition("InvalidRequest", "True", "x")}, Invalid},
	} {
		o := &certmanagerv1.CertificateRequest{Status: certmanagerv1.CertificateRequestStatus{Conditions: tc.conditions}}
		if got, _ := StateOf(o); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
}

var made = time.Date(2026, 1, 1, 12, 0, 0, 0, time.UTC)

// request was answered after some time, unless that is zero, and is to be kept for an hour or more.
func request(answered, kept time.Duration) *certmanagerv1.CertificateRequest {
	o := &certmanagerv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{CreationTimestamp: metav1.NewTime(made)}}
	if kept > 0 {
		o.Annotations = map[string]string{v1alpha1.AnnotationKeepUntil: made.Add(kept).Format(time.RFC3339)}
	}
	if answered > 0 {
		at := metav1.NewTime(made.Add(answered))
		o.Status.Conditions = []certmanagerv1.CertificateRequestCondition{{Type: "Ready", Status: "True", Reason: "Issued", LastTransitionTime: &at}}
	}
	return o
}

func TestKeepUntil(t *testing.T) {
	const day = 24 * time.Hour
	for name, tc := range map[string]struct {
		answered, kept, want time.Duration
	}{
		"answered at once":          {10 * time.Second, time.Hour, time.Hour},
		"without annotation":        {10 * time.Second, 0, time.Hour},
		"for a long challenge":      {10 * time.Second, 3 * day, 3 * day},
		"answered late":             {time.Hour, time.Hour, 7*day + time.Hour},
		"not answered":              {0, time.Hour, 7*day + time.Hour},
		"for a very long challenge": {0, 9 * day, 9 * day},
	} {
		if got := KeepUntil(request(tc.answered, tc.kept), 7*day).Sub(made); got != tc.want {
			t.Errorf("%s: %s, want %s", name, got, tc.want)
		}
	}
	undated := request(time.Hour, time.Hour)
	undated.Status.Conditions[0].LastTransitionTime = nil
	if got := KeepUntil(undated, 7*day).Sub(made); got != time.Hour {
		t.Errorf("answered at no known time: %s", got)
	}
}

func TestPastDeadline(t *testing.T) {
	for name, tc := range map[string]struct {
		answered, age time.Duration
		want          bool
	}{
		"young":          {0, time.Hour - time.Second, false},
		"old":            {0, time.Hour, true},
		"old, answered":  {time.Minute, 2 * time.Hour, false},
		"answered later": {2 * time.Hour, 3 * time.Hour, false},
	} {
		if got := PastDeadline(request(tc.answered, 0), time.Hour, made.Add(tc.age)); got != tc.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
