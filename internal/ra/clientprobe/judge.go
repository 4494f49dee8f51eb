package clientprobe

import (
	"net/http"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
)

// Result is how a service took a certificate.
type Result struct {
	Answer v1alpha1.ClientAnswer
	Reason v1alpha1.ClientAnswerReason
	// HTTPStatus of the answer; 0 if there was none.
	HTTPStatus int
}

// refusals are the statuses that speak of who calls.
var refusals = map[int]v1alpha1.ClientAnswerReason{
	http.StatusUnauthorized: v1alpha1.ClientReasonUnauthenticated,
	http.StatusForbidden:    v1alpha1.ClientReasonForbidden,
}

// away are the statuses of a hop in front of the service, or of a service that has no time.
var away = map[int]bool{
	http.StatusProxyAuthRequired: true, http.StatusTooManyRequests: true,
	http.StatusBadGateway: true, http.StatusServiceUnavailable: true, http.StatusGatewayTimeout: true,
}

// judge says what an answer means by itself. Accepted is only what it looks like: the
// service may answer so to anybody.
func judge(answer *outbound.Answer, err error) Result {
	switch {
	case err != nil && faultOf(err) == outbound.ClientRefused:
		return Result{Answer: v1alpha1.ClientRefused, Reason: v1alpha1.ClientReasonTLS}
	case err != nil:
		return Result{Answer: v1alpha1.ClientUnreachable, Reason: whyUnreachable(err)}
	case refusals[answer.Status] != "":
		return Result{v1alpha1.ClientRefused, refusals[answer.Status], answer.Status}
	case away[answer.Status]:
		return Result{v1alpha1.ClientUnreachable, v1alpha1.ClientReasonNetwork, answer.Status}
	}
	return Result{Answer: v1alpha1.ClientAccepted, HTTPStatus: answer.Status}
}

func whyUnreachable(err error) v1alpha1.ClientAnswerReason {
	if faultOf(err) == outbound.Untrusted {
		return v1alpha1.ClientReasonServerCertificate
	}
	return v1alpha1.ClientReasonNetwork
}

func faultOf(err error) outbound.Fault {
	if failed, ok := outbound.As(err); ok {
		return failed.Fault
	}
	return ""
}

// compare weighs what a certificate got against what comes without one. A service that
// makes no difference has said nothing about the certificate: it may look at it only
// when it is asked a question, or refuse by a status that is not one of refusal.
func compare(with, without Result) Result {
	switch {
	case without.Answer == v1alpha1.ClientUnreachable:
		return without
	case without.Answer == with.Answer && without.HTTPStatus == with.HTTPStatus:
		return Result{v1alpha1.ClientUnclear, v1alpha1.ClientReasonNoDifference, with.HTTPStatus}
	}
	return with
}
