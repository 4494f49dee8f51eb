// Package enrolrecord reads the CertificateRequests that are the records of
// enrolments: what became of one, and how long it is kept. Servers and operator go
// by the same rules. It is pure.
package enrolrecord

import (
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// State is how far an issuer got.
type State string

// The states.
const (
	Waiting State = "Waiting"
	Issued  State = "Issued"
	// Denied by an approver; final.
	Denied State = "Denied"
	// Invalid in the issuer's eyes; final.
	Invalid State = "Invalid"
	// Failed for a reason that may pass; the next attempt may succeed.
	Failed State = "Failed"
	// Expired: nobody answered within the pending deadline; final.
	Expired State = "Expired"
)

// conditionState is a row of the table by which an object's conditions are read.
type conditionState struct {
	kind   certmanagerv1.CertificateRequestConditionType
	status cmmeta.ConditionStatus
	reason string // "": any
	state  State
}

// conditionStates in the order in which they count.
var conditionStates = []conditionState{
	{certmanagerv1.CertificateRequestConditionDenied, cmmeta.ConditionTrue, "", Denied},
	{certmanagerv1.CertificateRequestConditionInvalidRequest, cmmeta.ConditionTrue, "", Invalid},
	{certmanagerv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, certmanagerv1.CertificateRequestReasonDenied, Denied},
	{certmanagerv1.CertificateRequestConditionReady, cmmeta.ConditionFalse, certmanagerv1.CertificateRequestReasonFailed, Failed},
	{certmanagerv1.CertificateRequestConditionReady, cmmeta.ConditionTrue, "", Issued},
}

// StateOf is what the issuer, or an approver, says, and its message; never Expired.
func StateOf(o *certmanagerv1.CertificateRequest) (State, string) {
	row, c := verdict(o)
	if row == nil {
		return Waiting, ""
	}
	return row.state, c.Message
}

// EndedAt is when the issuer, or an approver, said so; the zero time while it waits. Whoever
// gives no time said so when the object was made.
func EndedAt(o *certmanagerv1.CertificateRequest) time.Time {
	row, c := verdict(o)
	switch {
	case row == nil:
		return time.Time{}
	case c.LastTransitionTime == nil:
		return o.CreationTimestamp.Time
	}
	return c.LastTransitionTime.Time
}

// verdict finds the condition that counts; nil if none does.
func verdict(o *certmanagerv1.CertificateRequest) (*conditionState, *certmanagerv1.CertificateRequestCondition) {
	for i := range conditionStates {
		row := &conditionStates[i]
		for j := range o.Status.Conditions {
			c := &o.Status.Conditions[j]
			if c.Type == row.kind && c.Status == row.status && (row.reason == "" || row.reason == c.Reason) {
				return row, c
			}
		}
	}
	return nil, nil
}

const (
	// KeepFor is how long an object is kept for retries and polls at least, from its
	// making or from the end of its challenge: a one-time challenge is used as long
	// as its object is there.
	KeepFor = time.Hour
	// atOnce is how long a device waits for an answer at most. Where the issuer took
	// longer, the device was told to poll, and may come back much later.
	atOnce = time.Minute
)

// KeepUntil is the time before which an object must not be deleted: what the
// servers wrote on it, and, unless the issuer answered at once, an hour after the
// deadline for pending requests.
func KeepUntil(o *certmanagerv1.CertificateRequest, deadline time.Duration) time.Time {
	made := o.CreationTimestamp.Time
	until, err := time.Parse(time.RFC3339, o.Annotations[v1alpha1.AnnotationKeepUntil])
	if err != nil {
		until = made.Add(KeepFor)
	}
	late := made.Add(deadline + KeepFor)
	if answeredAtOnce(o) || late.Before(until) {
		return until
	}
	return late
}

func answeredAtOnce(o *certmanagerv1.CertificateRequest) bool {
	_, c := verdict(o)
	if c == nil {
		return false
	}
	return c.LastTransitionTime == nil || c.LastTransitionTime.Sub(o.CreationTimestamp.Time) <= atOnce
}

// PastDeadline says whether nobody answered a request in time.
func PastDeadline(o *certmanagerv1.CertificateRequest, deadline time.Duration, now time.Time) bool {
	row, _ := verdict(o)
	return row == nil && !now.Before(o.CreationTimestamp.Add(deadline))
}
