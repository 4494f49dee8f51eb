package scependpoint

import (
	"cmp"
	"slices"
	"strings"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/enrolrecord"
)

// CertificateRequests are the record of enrolments. The newest are kept for
// people to read; the servers need none after its keep-until.
const (
	maxRequests     = 1000
	maxRequestAge   = 30 * 24 * time.Hour
	maxPrunedAtOnce = 100
)

// expiredRequests names those to delete, the oldest first, so many at a time: the
// ones that have ended, are past their keep-until, and are neither young nor
// among the newest; and the ones that nobody has answered in time. Nothing is named
// after a failed list, and nothing inside its keep-until, however many there are.
func expiredRequests(ep *v1alpha1.ScepEndpoint, seen read[[]certmanagerv1.CertificateRequest], now time.Time) []string {
	if seen.value == nil {
		return nil
	}
	deadline := ep.Spec.Issuance.PendingDeadline.Duration
	var names []string
	for i, request := range newestFirst(*seen.value) {
		if request.DeletionTimestamp != nil || now.Before(enrolrecord.KeepUntil(request, deadline)) {
			continue
		}
		surplus := i >= maxRequests || now.Sub(request.CreationTimestamp.Time) > maxRequestAge
		if surplus && hasEnded(request) || enrolrecord.PastDeadline(request, deadline, now) {
			names = append(names, request.Name)
		}
	}
	slices.Reverse(names)
	return names[:min(len(names), maxPrunedAtOnce)]
}

func newestFirst(requests []certmanagerv1.CertificateRequest) []*certmanagerv1.CertificateRequest {
	out := make([]*certmanagerv1.CertificateRequest, 0, len(requests))
	for i := range requests {
		out = append(out, &requests[i])
	}
	slices.SortFunc(out, func(a, b *certmanagerv1.CertificateRequest) int {
		return cmp.Or(b.CreationTimestamp.Compare(a.CreationTimestamp.Time), strings.Compare(a.Name, b.Name))
	})
	return out
}

// hasEnded says whether cert-manager is done with a request, one way or another.
func hasEnded(request *certmanagerv1.CertificateRequest) bool {
	state, _ := enrolrecord.StateOf(request)
	return state != enrolrecord.Waiting
}

// approvalPatience is how long an approver may take before it is missed.
const approvalPatience = 2 * time.Minute

// unapproved says whether a request waits for an approver, or somebody who denies it.
func unapproved(request *certmanagerv1.CertificateRequest) bool {
	return !hasEnded(request) && !slices.ContainsFunc(request.Status.Conditions, func(c certmanagerv1.CertificateRequestCondition) bool {
		return c.Type == certmanagerv1.CertificateRequestConditionApproved && c.Status == cmmeta.ConditionTrue
	})
}

// untilOverdue is the time until the next request has waited too long for an
// approver, or for any answer.
func untilOverdue(ep *v1alpha1.ScepEndpoint, requests read[[]certmanagerv1.CertificateRequest], now time.Time) time.Duration {
	after := restInterval
	if requests.value == nil {
		return after
	}
	for i := range *requests.value {
		request := &(*requests.value)[i]
		if hasEnded(request) {
			continue
		}
		for _, patience := range []time.Duration{approvalPatience, ep.Spec.Issuance.PendingDeadline.Duration} {
			if left := request.CreationTimestamp.Add(patience).Sub(now); left > 0 {
				after = min(after, left)
			}
		}
	}
	return after
}
