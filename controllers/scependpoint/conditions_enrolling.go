package scependpoint

import (
	"fmt"
	"strings"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/enrolrecord"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// enrolling mirrors the latest fate of an enrolment: of its CertificateRequest, or, where
// there is none or it is not what it seems, as a server tells.
func enrolling(ep *v1alpha1.ScepEndpoint, seen *observation, now time.Time) metav1.Condition {
	const enrolling = v1alpha1.ConditionEnrolling
	if seen.requests.err != nil {
		return conditions.Unknown(enrolling, v1alpha1.ReasonReadFailed, "CertificateRequests could not be listed; "+tryAgain)
	}
	requests := newestFirst(*seen.requests.value)
	if c, told := accessMissing(ep, seen); told {
		return c
	}
	if c, told := serversTrouble(seen, requests, now); told {
		return c
	}
	if c, told := servicesTrouble(ep, seen, requests); told {
		return c
	}
	if c, told := revocationUnknown(seen); told {
		return c
	}
	if render.IsDirect(ep) {
		return conditions.Unknown(enrolling, v1alpha1.ReasonNotRecorded, "signers keep no record of what they issue: see the servers' metrics and audit records")
	}
	if f := latestFate(ep, requests, now); f != nil {
		return orStale(f.condition(ep), seen)
	}
	return orStale(conditions.Unknown(enrolling, v1alpha1.ReasonNoRequests, "no device has enrolled yet: send one to the URL in status.urls"), seen)
}

// fate is what became of a request, and when.
type fate struct {
	at time.Time
	// reason is that of the condition Enrolling; said is the issuer's or approver's message.
	reason, said string
}

func (f *fate) granted() bool { return f.reason == v1alpha1.ReasonSucceeded }

// latestFate is nil if nothing became of any request yet. Of two in one second the worse
// counts: API times have no fractions.
func latestFate(ep *v1alpha1.ScepEndpoint, requests []*certmanagerv1.CertificateRequest, now time.Time) *fate {
	var latest *fate
	for _, request := range requests {
		f := fateOf(ep, request, now)
		switch {
		case f == nil:
		case latest == nil, f.at.After(latest.at), f.at.Equal(latest.at) && !f.granted():
			latest = f
		}
	}
	return latest
}

// fateOf is nil while nothing became of a request.
func fateOf(ep *v1alpha1.ScepEndpoint, request *certmanagerv1.CertificateRequest, now time.Time) *fate {
	state, said := enrolrecord.StateOf(request)
	made, deadline := request.CreationTimestamp.Time, ep.Spec.Issuance.PendingDeadline.Duration
	switch {
	case state == enrolrecord.Issued:
		return &fate{enrolrecord.EndedAt(request), v1alpha1.ReasonSucceeded, said}
	case state != enrolrecord.Waiting:
		return &fate{enrolrecord.EndedAt(request), v1alpha1.ReasonRequestsFailing, said}
	case enrolrecord.PastDeadline(request, deadline, now):
		return &fate{made.Add(deadline), v1alpha1.ReasonPendingExpired, ""}
	case unapproved(request) && now.Sub(made) >= approvalPatience:
		return &fate{made.Add(approvalPatience), v1alpha1.ReasonNoApprover, ""}
	}
	return nil
}

func (f *fate) condition(ep *v1alpha1.ScepEndpoint) metav1.Condition {
	const enrolling = v1alpha1.ConditionEnrolling
	switch f.reason {
	case v1alpha1.ReasonSucceeded:
		return conditions.True(enrolling, f.reason, "the latest CertificateRequest was granted")
	case v1alpha1.ReasonRequestsFailing:
		return conditions.False(enrolling, f.reason, fmt.Sprintf(
			"the latest CertificateRequest was not granted: %s; see the issuer or the approver", strings.TrimRight(f.said, ". ")))
	case v1alpha1.ReasonPendingExpired:
		return conditions.False(enrolling, f.reason,
			"the latest CertificateRequest was not answered within spec.issuance.pendingDeadline, so its device was refused: see the approver and the issuer, or set a longer deadline")
	}
	return conditions.False(enrolling, v1alpha1.ReasonNoApprover, noApprover(ep))
}

// noApprover says who could approve: cert-manager itself if it may, a policy, or a person.
func noApprover(ep *v1alpha1.ScepEndpoint) string {
	ref := issuer.Canonical(ep.Spec.Issuance.IssuerRef)
	return fmt.Sprintf("the latest CertificateRequest was neither approved nor denied for two minutes, its device waits: "+
		"let cert-manager's approver approve (verb approve on signers of cert-manager.io, resourceName %ss.%s/*), "+
		"or add a CertificateRequestPolicy if approver-policy is in use, or run cmctl approve", strings.ToLower(ref.Kind), ref.Group)
}

// admissionLasts is how long an unreachable webhook counts without another device that says so.
// Those that were turned away come again within minutes; a webhook that was only started anew
// must not be held against an endpoint where no device comes until tomorrow.
const admissionLasts = 10 * time.Minute

// troubles are what only the servers see of enrolments, in the order in which they matter.
var troubles = []struct {
	kind    raconfig.TroubleKind
	lasts   time.Duration // how long it counts where no device comes again; 0: until one does
	reason  string
	message string
}{
	{
		raconfig.TroubleRecordsFull, 0, v1alpha1.ReasonRecordsFull,
		"no further CertificateRequest may be stored in this namespace, devices are told to come again: raise the ResourceQuota; " +
			"records inside their keep-until are not deleted early",
	},
	{
		raconfig.TroubleAdmission, admissionLasts, v1alpha1.ReasonAdmissionUnreachable,
		"the API server could not reach an admission webhook for the latest CertificateRequest, the device was told to come again: " +
			"see that the pods of cert-manager's webhook, and of policy engines, run, and that the API server reaches them; the servers' log names the webhook",
	},
	{
		raconfig.TroubleRefused, 0, v1alpha1.ReasonRequestsRefused,
		"the API server refused the latest CertificateRequest when it was made: see cert-manager's webhook and the admission policies; " +
			"the servers' audit records with the reason InvalidRequest quote it",
	},
	{
		raconfig.TroubleMismatch, 0, v1alpha1.ReasonIssuedMismatch,
		"the issuer made another certificate than was asked for, and it was not handed out: let the issuer keep to the CertificateRequest; " +
			"the servers' audit records with the reason IssuedMismatch say what differs",
	},
}

// serversTrouble is a trouble that is newer than every CertificateRequest made since.
func serversTrouble(seen *observation, requests []*certmanagerv1.CertificateRequest, now time.Time) (metav1.Condition, bool) {
	if seen.replicas.value == nil {
		return metav1.Condition{}, false
	}
	var newest time.Time
	if len(requests) > 0 {
		newest = requests[0].CreationTimestamp.Time
	}
	for _, t := range troubles {
		since := newest
		if ago := now.Add(-t.lasts); t.lasts > 0 && ago.After(since) {
			since = ago
		}
		for _, r := range *seen.replicas.value {
			if r.status != nil && r.status.TroubledSince(t.kind, since) {
				return conditions.False(v1alpha1.ConditionEnrolling, t.reason, t.message), true
			}
		}
	}
	return metav1.Condition{}, false
}
