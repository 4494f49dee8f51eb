package ra

import (
	"context"
	"errors"
	"net/http"

	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/challenge/webhook"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// onTheWay are the reasons with which a service was not come to: any answer of it
// disproves them.
var onTheWay = map[raconfig.AwayReason]bool{
	raconfig.AwayBusy: true, raconfig.AwayNameUnknown: true, raconfig.AwayUnreachable: true, raconfig.AwayTimeout: true,
	raconfig.AwayTLS: true, raconfig.AwayClientRefused: true,
}

// reasonsOfFaults are the reasons of failed calls that have one answer.
var reasonsOfFaults = map[outbound.Fault]raconfig.AwayReason{
	outbound.BadURL:        raconfig.AwayUnusable,
	outbound.UnknownHost:   raconfig.AwayNameUnknown,
	outbound.Unreachable:   raconfig.AwayUnreachable,
	outbound.Torn:          raconfig.AwayUnreachable,
	outbound.TimedOut:      raconfig.AwayTimeout,
	outbound.Untrusted:     raconfig.AwayTLS,
	outbound.ClientRefused: raconfig.AwayClientRefused,
	outbound.TooLarge:      raconfig.AwayNotUnderstood,
	outbound.Unreadable:    raconfig.AwayNotUnderstood,
}

// whyAway says why a service could not be used: in a fixed set of words, and nothing of
// what it sent but the status and the schemes that it wants.
func whyAway(err error) (reason raconfig.AwayReason, status int, wants []string) {
	if failed, ok := outbound.As(err); ok {
		return whyFailed(err, failed), failed.Status, failed.Wants
	}
	var refused *intune.Refused
	switch {
	case errors.Is(err, challenge.ErrBusy):
		return raconfig.AwayBusy, 0, nil
	case errors.Is(err, context.DeadlineExceeded):
		return raconfig.AwayTimeout, 0, nil
	case errors.Is(err, webhook.ErrNotAccepted), errors.As(err, &refused):
		return raconfig.AwayNotAccepted, 0, nil
	case errors.Is(err, intune.ErrNoService):
		return raconfig.AwayNotProvided, 0, nil
	}
	return raconfig.AwayUnusable, 0, nil
}

func whyFailed(err error, failed *outbound.Error) raconfig.AwayReason {
	if reason, known := reasonsOfFaults[failed.Fault]; known {
		return reason
	}
	var token *intune.TokenError
	switch {
	case failed.Status == http.StatusUnauthorized, failed.Status == http.StatusBadRequest && errors.As(err, &token):
		return raconfig.AwayUnauthenticated // Entra answers 400 too (RFC 6749, section 5.2)
	case failed.Status == http.StatusForbidden:
		return raconfig.AwayForbidden
	case failed.Status >= http.StatusMultipleChoices && failed.Status < http.StatusBadRequest:
		return raconfig.AwayRedirect
	}
	return raconfig.AwayStatus
}
