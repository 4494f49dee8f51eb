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
	"github.com/scepter-pki/scepter/internal/raconfig"
)

type requestCond = certmanagerv1.CertificateRequestCondition

var (
	granted  = requestCond{Type: certmanagerv1.CertificateRequestConditionReady, Status: cmmeta.ConditionTrue, Reason: "Issued"}
	failedBy = requestCond{Type: certmanagerv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: "Failed", Message: "broken"}
	approved = requestCond{Type: certmanagerv1.CertificateRequestConditionApproved, Status: cmmeta.ConditionTrue}
	pending  = requestCond{Type: certmanagerv1.CertificateRequestConditionReady, Status: cmmeta.ConditionFalse, Reason: "Pending"}
	denied   = requestCond{Type: certmanagerv1.CertificateRequestConditionDenied, Status: cmmeta.ConditionTrue, Message: "not you"}
)

// weekly is an endpoint with the API's pendingDeadline.
var weekly = &v1alpha1.ScepEndpoint{Spec: v1alpha1.ScepEndpointSpec{Issuance: v1alpha1.Issuance{
	IssuerRef: v1alpha1.IssuerReference{Name: "corp-ca"}, PendingDeadline: metav1.Duration{Duration: 7 * testDay},
}}}

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
		request("unanswered", 8*testDay, time.Hour, approved, pending),
		request("unanswered-but-kept", 8*testDay, 9*testDay, pending),
		request("just-expired", 7*testDay+time.Minute, time.Hour, pending),
		request("waiting", 6*testDay, time.Hour),
		deleting,
	}
	got := expiredRequests(weekly, read[[]certmanagerv1.CertificateRequest]{value: &requests}, noon)
	if want := []string{"old-and-denied", "old-without-annotation", "old", "unanswered"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestExpiredRequestsByNumber(t *testing.T) {
	var requests []certmanagerv1.CertificateRequest
	for i := range maxRequests + 250 {
		requests = append(requests, request(fmt.Sprintf("r%04d", i), 2*time.Hour+time.Duration(i)*time.Minute, time.Hour, granted))
	}
	got := expiredRequests(weekly, read[[]certmanagerv1.CertificateRequest]{value: &requests}, noon)
	if len(got) != maxPrunedAtOnce || got[0] != "r1249" {
		t.Errorf("%d names, the first is %s", len(got), got[0])
	}
	for i := range requests { // inside keep-until a cap deletes nothing
		requests[i].Annotations[v1alpha1.AnnotationKeepUntil] = noon.Add(time.Minute).Format(time.RFC3339)
	}
	if got := expiredRequests(weekly, read[[]certmanagerv1.CertificateRequest]{value: &requests}, noon); len(got) != 0 {
		t.Errorf("%v are deleted before their keep-until", got)
	}
}

// What was answered late is kept as long as its device may poll for it.
func TestLateAnswersAreKept(t *testing.T) {
	requests := []certmanagerv1.CertificateRequest{request("late", 6*testDay, time.Hour, ago(granted, time.Hour))}
	for i := range maxRequests {
		requests = append(requests, request(fmt.Sprintf("r%04d", i), time.Minute, time.Hour, granted))
	}
	seen := read[[]certmanagerv1.CertificateRequest]{value: &requests}
	if got := expiredRequests(weekly, seen, noon); len(got) != 0 {
		t.Errorf("%v are deleted", got)
	}
	if got := expiredRequests(weekly, seen, noon.Add(testDay+2*time.Hour)); !slices.Contains(got, "late") {
		t.Errorf("after the deadline %v are deleted", got)
	}
}

func TestNothingExpiresAfterAFailedList(t *testing.T) {
	if got := expiredRequests(weekly, read[[]certmanagerv1.CertificateRequest]{err: errors.New("no")}, noon); got != nil {
		t.Errorf("got %v", got)
	}
}

// ago is a condition that came so long ago.
func ago(c certmanagerv1.CertificateRequestCondition, since time.Duration) certmanagerv1.CertificateRequestCondition {
	at := metav1.NewTime(noon.Add(-since))
	c.LastTransitionTime = &at
	return c
}

func TestEnrolling(t *testing.T) {
	cases := map[string]struct {
		requests []certmanagerv1.CertificateRequest
		status   metav1.ConditionStatus
		reason   string
	}{
		"none":                        {nil, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests},
		"waiting for an approver":     {[]certmanagerv1.CertificateRequest{request("a", time.Minute, 0)}, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests},
		"no approver":                 {[]certmanagerv1.CertificateRequest{request("a", 2*time.Minute, 0)}, metav1.ConditionFalse, v1alpha1.ReasonNoApprover},
		"no approver since a success": {[]certmanagerv1.CertificateRequest{request("b", time.Hour, 0, granted), request("a", 3*time.Minute, 0, pending)}, metav1.ConditionFalse, v1alpha1.ReasonNoApprover},
		"success since no approver":   {[]certmanagerv1.CertificateRequest{request("b", time.Hour, 0), request("a", time.Minute, 0, granted)}, metav1.ConditionTrue, v1alpha1.ReasonSucceeded},
		"only approved":               {[]certmanagerv1.CertificateRequest{request("a", time.Hour, 0, approved, pending)}, metav1.ConditionUnknown, v1alpha1.ReasonNoRequests},
		"never answered":              {[]certmanagerv1.CertificateRequest{request("a", 7*testDay, 0, approved, pending)}, metav1.ConditionFalse, v1alpha1.ReasonPendingExpired},
		"granted":                     {[]certmanagerv1.CertificateRequest{request("a", time.Hour, 0, granted)}, metav1.ConditionTrue, v1alpha1.ReasonSucceeded},
		"granted after a failure":     {[]certmanagerv1.CertificateRequest{request("b", 2*time.Hour, 0, failedBy), request("a", time.Hour, 0, granted)}, metav1.ConditionTrue, v1alpha1.ReasonSucceeded},
		"denied after a success":      {[]certmanagerv1.CertificateRequest{request("b", 2*time.Hour, 0, granted), request("a", time.Hour, 0, denied)}, metav1.ConditionFalse, v1alpha1.ReasonRequestsFailing},
		"pending after a failure":     {[]certmanagerv1.CertificateRequest{request("b", 2*time.Hour, 0, failedBy), request("a", time.Hour, 0, approved, pending)}, metav1.ConditionFalse, v1alpha1.ReasonRequestsFailing},
		"denied late":                 {[]certmanagerv1.CertificateRequest{request("a", time.Hour, 0, granted), request("b", 2*time.Hour, 0, ago(denied, time.Minute))}, metav1.ConditionFalse, v1alpha1.ReasonRequestsFailing},
		"granted since":               {[]certmanagerv1.CertificateRequest{request("a", time.Hour, 0, granted), request("b", 3*time.Hour, 0, ago(denied, 2*time.Hour))}, metav1.ConditionTrue, v1alpha1.ReasonSucceeded},
		"both in one second":          {[]certmanagerv1.CertificateRequest{request("a", time.Hour, 0, granted), request("b", time.Hour, 0, denied), request("c", time.Hour, 0, granted)}, metav1.ConditionFalse, v1alpha1.ReasonRequestsFailing},
		"denied, and waiting forever": {[]certmanagerv1.CertificateRequest{request("a", time.Hour, 0, pending, denied)}, metav1.ConditionFalse, v1alpha1.ReasonRequestsFailing},
	}
	for name, c := range cases {
		got := enrolling(weekly, &observation{requests: read[[]certmanagerv1.CertificateRequest]{value: &c.requests}}, noon)
		if got.Status != c.status || got.Reason != c.reason {
			t.Errorf("%s: %s %s, want %s %s", name, got.Status, got.Reason, c.status, c.reason)
		}
	}
}

// What only servers see counts until a CertificateRequest is made after it.
func TestServersTrouble(t *testing.T) {
	for kind, reason := range map[raconfig.TroubleKind]string{
		raconfig.TroubleRefused:     v1alpha1.ReasonRequestsRefused,
		raconfig.TroubleRecordsFull: v1alpha1.ReasonRecordsFull,
		raconfig.TroubleAdmission:   v1alpha1.ReasonAdmissionUnreachable,
		raconfig.TroubleMismatch:    v1alpha1.ReasonIssuedMismatch,
	} {
		replicas := []replica{{name: "starting"}, {name: "a", status: &raconfig.ReplicaStatus{
			Troubles: []raconfig.Trouble{{Kind: kind, Last: noon.Add(-time.Minute), Count: 3}},
		}}}
		older := []certmanagerv1.CertificateRequest{request("a", time.Hour, 0, granted)}
		newer := []certmanagerv1.CertificateRequest{older[0], request("b", time.Second, 0, granted)}
		for _, c := range []struct {
			requests []certmanagerv1.CertificateRequest
			want     string
		}{{nil, reason}, {older, reason}, {newer, v1alpha1.ReasonSucceeded}} {
			seen := &observation{
				requests: read[[]certmanagerv1.CertificateRequest]{value: &c.requests},
				replicas: read[[]replica]{value: &replicas},
			}
			if got := enrolling(weekly, seen, noon); got.Reason != c.want {
				t.Errorf("%s with %d requests: %s %s, want %s", kind, len(c.requests), got.Status, got.Reason, c.want)
			}
		}
	}
}

// A webhook that could not be reached is forgotten after a while, if no device comes again;
// a quota is not.
func TestServersTroubleWithoutDevices(t *testing.T) {
	for kind, reason := range map[raconfig.TroubleKind]string{
		raconfig.TroubleAdmission:   v1alpha1.ReasonNoRequests,
		raconfig.TroubleRecordsFull: v1alpha1.ReasonRecordsFull,
	} {
		replicas := []replica{{name: "a", status: &raconfig.ReplicaStatus{
			Troubles: []raconfig.Trouble{{Kind: kind, Last: noon.Add(-admissionLasts - time.Second), Count: 3}},
		}}}
		seen := &observation{requests: read[[]certmanagerv1.CertificateRequest]{value: &[]certmanagerv1.CertificateRequest{}}, replicas: read[[]replica]{value: &replicas}}
		if got := enrolling(weekly, seen, noon); got.Reason != reason {
			t.Errorf("%s: %s %s, want %s", kind, got.Status, got.Reason, reason)
		}
	}
}

func TestUntilOverdue(t *testing.T) {
	for name, c := range map[string]struct {
		request certmanagerv1.CertificateRequest
		want    time.Duration
	}{
		"ended":    {request("a", time.Minute, 0, granted), restInterval},
		"young":    {request("a", time.Minute, 0), time.Minute},
		"missed":   {request("a", time.Hour, 0), restInterval},
		"deadline": {request("a", 7*testDay-time.Second, 0), time.Second},
		"expired":  {request("a", 8*testDay, 0), restInterval},
	} {
		requests := []certmanagerv1.CertificateRequest{c.request}
		if got := untilOverdue(weekly, read[[]certmanagerv1.CertificateRequest]{value: &requests}, noon); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}

// TestRequestsOfCertificatesAreNoEnrolments: cert-manager gives them the labels of the
// endpoint's Certificate for TLS.
func TestRequestsOfCertificatesAreNoEnrolments(t *testing.T) {
	ownedBy := func(kind string) certmanagerv1.CertificateRequest {
		r := request("a", time.Hour, 0, granted)
		r.OwnerReferences = []metav1.OwnerReference{{APIVersion: "v1", Kind: kind, Name: "b", Controller: new(true)}}
		return r
	}
	for name, c := range map[string]struct {
		request certmanagerv1.CertificateRequest
		want    bool
	}{
		"a device's":      {request("a", time.Hour, 0, granted), false},
		"a Certificate's": {ownedBy(certmanagerv1.CertificateKind), true},
		"somebody else's": {ownedBy("ConfigMap"), false},
	} {
		if got := ofCertificate(c.request); got != c.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}
