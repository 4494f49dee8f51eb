package scependpoint

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

type requestCond = certmanagerv1.CertificateRequestCondition

var (
	granted  = requestCond{Type: certmanagerv1.CertificateRequestConditionReady, Status: cmmeta.ConditionTrue, Reason: "Issued"}
	failedBy = requestCond{Type: certmanagerv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: "Failed", Message: "broken"}
	pending  = requestCond{Type: certmanagerv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: "Pending"}
	denied   = requestCond{Type: certmanagerv1.CertificateRequestConditionDenied, Status: cmmeta.ConditionTrue, Message: "not you"}
)

func request(name string, age time.Duration, keepFor time.Duration, conds ...requestCond) certmanagerv1.CertificateRequest {
	r := certmanagerv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{Name: name, CreationTimestamp: metav1.NewTime(noon.Add(-age))}}
	if keepFor != 0 {
		r.Annotations = map[string]string{v1alpha1.AnnotationKeepUntil: noon.Add(-age + keepFor).Format(time.RFC3339)}
	}
	r.Status.Conditions = conds
	return r
}

func TestExpiredRequestsByAge(t *testing.T) {
	deleting := request("deleting", 60*testDay, time.Hour, granted)
	deleting.DeletionTimestamp = &metav1.Time{Time: noon}
	requests := []certmanagerv1.CertificateRequest{
		request("young", testDay, time.Hour, granted),
		request("old", 31*testDay, time.Hour, granted),
		request("old-and-denied", 33*testDay, time.Hour, denied),
		request("old-without-annotation", 32*testDay, 0, failedBy),
		request("old-but-kept", 31*testDay, 40*testDay, granted),
		request("old-but-pending", 31*testDay, time.Hour, pending),
		request("old-but-untouched", 31*testDay, time.Hour),
		deleting,
	}
	got := expiredRequests(read[[]certmanagerv1.CertificateRequest]{value: &requests}, noon)
	if want := []string{"old-and-denied", "old-without-annotation", "old"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestExpiredRequestsByNumber(t *testing.T) {
	var requests []certmanagerv1.CertificateRequest
	for i := range maxRequests + 250 {
		requests = append(requests, request(fmt.Sprintf("r%04d", i), 2*time.Hour+time.Duration(i)*time.Minute, time.Hour, granted))
	}
	got := expiredRequests(read[[]certmanagerv1.CertificateRequest]{value: &requests}, noon)
	if len(got) != maxPrunedAtOnce || got[0] != "r1249" {
		t.Errorf("%d names, the first is %s", len(got), got[0])
	}
	for i := range requests { // inside keep-until a cap deletes nothing
		requests[i].Annotations[v1alpha1.AnnotationKeepUntil] = noon.Add(time.Minute).Format(time.RFC3339)
	}
	if got := expiredRequests(read[[]certmanagerv1.CertificateRequest]{value: &requests}, noon); len(got) != 0 {
		t.Errorf("%v are deleted before their keep-until", got)
	}
}

func TestNothingExpiresAfterAFailedList(t *testing.T) {
	if got := expiredRequests(read[[]certmanagerv1.CertificateRequest]{err: errors.New("no")}, noon); got != nil {
		t.Errorf("got %v", got)
	}
}

func TestEnrolling(t *testing.T) {
	cases := map[string]struct {
		requests []certmanagerv1.CertificateRequest
		status   metav1.ConditionStatus
		reason   string
	}{
		"none":                        {nil, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests},
		"only pending":                {[]certmanagerv1.CertificateRequest{request("a", time.Hour, 0, pending)}, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests},
		"granted":                     {[]certmanagerv1.CertificateRequest{request("a", time.Hour, 0, granted)}, metav1.ConditionTrue, v1alpha1.ReasonSucceeded},
		"granted after a failure":     {[]certmanagerv1.CertificateRequest{request("b", 2*time.Hour, 0, failedBy), request("a", time.Hour, 0, granted)}, metav1.ConditionTrue, v1alpha1.ReasonSucceeded},
		"denied after a success":      {[]certmanagerv1.CertificateRequest{request("b", 2*time.Hour, 0, granted), request("a", time.Hour, 0, denied)}, metav1.ConditionFalse, v1alpha1.ReasonRequestsFailing},
		"pending after a failure":     {[]certmanagerv1.CertificateRequest{request("b", 2*time.Hour, 0, failedBy), request("a", time.Hour, 0, pending)}, metav1.ConditionFalse, v1alpha1.ReasonRequestsFailing},
		"denied, and waiting forever": {[]certmanagerv1.CertificateRequest{request("a", time.Hour, 0, pending, denied)}, metav1.ConditionFalse, v1alpha1.ReasonRequestsFailing},
	}
	for name, c := range cases {
		got := enrolling(&observation{requests: read[[]certmanagerv1.CertificateRequest]{value: &c.requests}})
		if got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %s %s, want %s %s", name, got.Status, got.Reason, c.status, c.reason)
		}
	}
}
