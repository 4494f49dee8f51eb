package probe

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"syscall"
	"unicode"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// maxText bounds what is kept, in bytes, of what somebody else says.
const maxText = 120

// bounded keeps what is printable of a text, and not too much of it.
func bounded(text string) string {
	printable := func(r rune) rune {
		if r > unicode.MaxASCII || !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}
	return strings.Map(printable, text[:min(len(text), maxText)])
}

// causes are the errors of the system, and what they say of the way.
var causes = []struct {
	err  error
	kind raconfig.FailureKind
}{
	{errNotHTTP, raconfig.FailureNotHTTP}, // whatever its cause
	{context.DeadlineExceeded, raconfig.FailureTimeout},
	{context.Canceled, raconfig.FailureTimeout},
	{os.ErrDeadlineExceeded, raconfig.FailureTimeout},
	{syscall.ETIMEDOUT, raconfig.FailureTimeout},
	{syscall.ECONNREFUSED, raconfig.FailureRefused},
	{syscall.ECONNRESET, raconfig.FailureReset},
	{syscall.EPIPE, raconfig.FailureReset},
	{syscall.EHOSTUNREACH, raconfig.FailureUnreachable},
	{syscall.ENETUNREACH, raconfig.FailureUnreachable},
	{syscall.EPERM, raconfig.FailureUnreachable}, // what some packet filters answer with
	{syscall.EACCES, raconfig.FailureUnreachable},
	{io.EOF, raconfig.FailureClosed},
	{io.ErrUnexpectedEOF, raconfig.FailureClosed},
	{net.ErrClosed, raconfig.FailureClosed},
}

// failureOf says what an error of a connection means.
func failureOf(err error) *raconfig.ProbeFailure {
	for _, c := range causes {
		if errors.Is(err, c.err) {
			return &raconfig.ProbeFailure{Kind: c.kind}
		}
	}
	var network net.Error
	if errors.As(err, &network) && network.Timeout() {
		return &raconfig.ProbeFailure{Kind: raconfig.FailureTimeout}
	}
	var record tls.RecordHeaderError
	var alert tls.AlertError
	if errors.As(err, &record) || errors.As(err, &alert) || strings.Contains(err.Error(), "tls: ") {
		return &raconfig.ProbeFailure{Kind: raconfig.FailureTLS, Detail: bounded(err.Error())}
	}
	return &raconfig.ProbeFailure{Kind: raconfig.FailureUnreachable, Detail: bounded(err.Error())}
}

// resolverFailure tells a name that is not there from a resolver that does not answer.
func resolverFailure(err error) *raconfig.ProbeFailure {
	var dns *net.DNSError
	if errors.As(err, &dns) && dns.IsNotFound {
		return &raconfig.ProbeFailure{Kind: raconfig.FailureNameUnknown}
	}
	return &raconfig.ProbeFailure{Kind: raconfig.FailureResolver}
}
