package scependpoint

import (
	"cmp"
	"slices"
	"strings"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// CertificateRequests are the record of enrolments. The newest are kept for
// people to read; the servers need none after its keep-until.
const (
	maxRequests      = 1000
	maxRequestAge    = 30 * 24 * time.Hour
	maxPrunedAtOnce  = 100
	defaultKeepUntil = time.Hour // after creation, for a request without AnnotationKeepUntil
)

// expiredRequests names those to delete, the oldest first, so many at a time: the
// ones that have ended, are past their keep-until, and are neither young nor
// among the newest. Nothing is named after a failed list.
func expiredRequests(seen read[[]certmanagerv1.CertificateRequest], now time.Time) []string {
	if seen.value == nil {
		return nil
	}
	var names []string
	for i, request := range newestFirst(*seen.value) {
		tooMany, tooOld := i >= maxRequests, now.Sub(request.CreationTimestamp.Time) > maxRequestAge
		if (tooMany || tooOld) && hasEnded(request) && !now.Before(keepUntil(request)) && request.DeletionTimestamp == nil {
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

func keepUntil(request *certmanagerv1.CertificateRequest) time.Time {
	until, err := time.Parse(time.RFC3339, request.Annotations[v1alpha1.AnnotationKeepUntil])
	if err != nil {
		return request.CreationTimestamp.Add(defaultKeepUntil)
	}
	return until
}

// hasEnded says whether cert-manager is done with a request, one way or another.
func hasEnded(request *certmanagerv1.CertificateRequest) bool {
	_, failed := failure(request)
	return failed || requestCondition(request, certmanagerv1.CertificateRequestConditionReady, "").Status == cmmeta.ConditionTrue
}

// failure is cert-manager's, or an approver's, message about a request that was not granted.
func failure(request *certmanagerv1.CertificateRequest) (message string, failed bool) {
	for _, verdict := range []certmanagerv1.CertificateRequestCondition{
		requestCondition(request, certmanagerv1.CertificateRequestConditionDenied, ""),
		requestCondition(request, certmanagerv1.CertificateRequestConditionInvalidRequest, ""),
	} {
		if verdict.Status == cmmeta.ConditionTrue {
			return verdict.Message, true
		}
	}
	ready := requestCondition(request, certmanagerv1.CertificateRequestConditionReady, certmanagerv1.CertificateRequestReasonFailed)
	return ready.Message, ready.Status == cmmeta.ConditionFalse
}

// requestCondition finds a condition, with a given reason unless that is empty; the zero value if there is none.
func requestCondition(request *certmanagerv1.CertificateRequest, t certmanagerv1.CertificateRequestConditionType, reason string) certmanagerv1.CertificateRequestCondition {
	for _, c := range request.Status.Conditions {
		if c.Type == t && (reason == "" || c.Reason == reason) {
			return c
		}
	}
	return certmanagerv1.CertificateRequestCondition{}
}
