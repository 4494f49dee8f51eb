package probe

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const (
	// customaryPath is what the URLs of an endpoint have.
	customaryPath = "/scep"

	operationCaps = "?operation=GetCACaps"
	operationCert = "?operation=GetCACert"
	operationPost = "?operation=PKIOperation"
)

// Known is what a server that is known answers: the same is expected of others. Nil
// fields are not known.
type Known struct {
	Capabilities, CACertificates []byte
}

// Exchange asks for the capabilities and the CA certificates, as every device does
// before it enrols. What it got is Known for other URLs of the same endpoint.
func (p *Prober) Exchange(ctx context.Context, t Target, known Known) (raconfig.ProbeResult, Known) {
	out := raconfig.ProbeResult{URL: t.URL, At: p.now().UTC().Truncate(time.Second)}
	v, failed := p.arrive(ctx, t)
	out.Addresses = v.addressTexts()
	if failed != nil {
		out.Failure = failed
		return out, Known{}
	}
	var got Known
	for _, question := range []struct {
		operation string
		known     []byte
		got       *[]byte
	}{{operationCaps, known.Capabilities, &got.Capabilities}, {operationCert, known.CACertificates, &got.CACertificates}} {
		f := v.judged(ctx, request{method: http.MethodGet, target: t.path + question.operation}, question.known)
		out.Proved, out.Failure, out.TLS = f.proved, f.failure, v.tls
		if f.answer != nil {
			out.ClockSkewSeconds = v.skew(f.answer)
			*question.got = f.answer.body
		}
		if out.Failure != nil {
			break
		}
	}
	out.Answer = readable(got)
	if out.Failure != nil {
		return out, Known{}
	}
	return out, got
}

// finding is an answer and what it is worth.
type finding struct {
	answer  *answer // nil if there was none
	failure *raconfig.ProbeFailure
	// proved is true where a server of the endpoint has signed for what receipt says.
	proved  bool
	receipt probemark.Receipt
}

// judged asks, and compares the answer with what is expected of the endpoint's servers.
func (v *visit) judged(ctx context.Context, r request, known []byte) finding {
	return v.judgedBy(ctx, r, known, v.mark(), v.Key)
}

// receipts verifies what a server signs for a mark or a pass.
type receipts interface {
	Verify(mark, receipt string) (probemark.Receipt, error)
}

func (v *visit) judgedBy(ctx context.Context, r request, known []byte, mark string, key receipts) finding {
	f := v.receive(ctx, r, mark, key)
	if f.failure == nil {
		f.failure = f.judge(known)
	}
	return f
}

// receive asks, and sees whether a server of the endpoint signed for the answer.
func (v *visit) receive(ctx context.Context, r request, mark string, key receipts) finding {
	a, failed := v.ask(ctx, r, mark)
	if failed != nil {
		return finding{failure: failed}
	}
	f := finding{answer: a}
	if receipt, err := key.Verify(mark, a.header.Get(probemark.Header)); mark != "" && err == nil {
		f.proved, f.receipt = true, receipt
	}
	return f
}

func (f *finding) judge(known []byte) *raconfig.ProbeFailure {
	body := f.answer.body
	return f.judgeBy(http.StatusOK, known != nil && bytes.Equal(body, known) || known == nil && plausible(f.answer))
}

// judgeBy looks for an answer with a status: one that a receipt proves, or that looks like
// ours.
func (f *finding) judgeBy(status int, ours bool) *raconfig.ProbeFailure {
	a := f.answer
	switch {
	case a.isRedirect():
		return a.failure(raconfig.FailureRedirect, destination(a.header.Get("Location")))
	case a.status != status:
		return a.failure(raconfig.FailureStatus, "")
	case f.proved && f.receipt.Answer != probemark.SumOf(a.body):
		return a.failure(raconfig.FailureAltered, "the answer was changed on the way")
	case f.proved, ours:
		return nil
	}
	return a.failure(raconfig.FailureForeign, "")
}

func (a *answer) isRedirect() bool {
	return a.status >= http.StatusMultipleChoices && a.status < http.StatusBadRequest
}

func (a *answer) failure(kind raconfig.FailureKind, detail string) *raconfig.ProbeFailure {
	return &raconfig.ProbeFailure{
		Kind: kind, Status: a.status, Server: bounded(a.header.Get("Server")), Software: a.software(), Detail: detail,
	}
}

// destination is a redirect's, without a query: that is ours, and long.
func destination(location string) string {
	u, err := url.Parse(location)
	if err != nil {
		return ""
	}
	u.RawQuery, u.Fragment, u.User = "", "", nil
	return bounded(u.String())
}

// plausible says whether an answer looks like SCEP's, where nothing better is known:
// GetCACaps is a few short lines of text, GetCACert has a type of its own.
func plausible(a *answer) bool {
	if strings.HasPrefix(a.header.Get("Content-Type"), "application/x-x509-ca-") {
		return len(a.body) > 0
	}
	return slices.ContainsFunc(keywords(a.body), func(word string) bool {
		word = strings.ToLower(word)
		return strings.HasPrefix(word, "sha-") || word == "aes" || word == "des3" || word == "postpkioperation"
	})
}

// skewStep is how exactly clocks are compared: a Date has whole seconds, and takes some to come.
const skewStep = 10 * time.Second

// skew is how far the field Date is ahead of the clock, in seconds; 0 without one.
func (p *Prober) skew(a *answer) int64 {
	date, err := http.ParseTime(a.header.Get("Date"))
	if err != nil {
		return 0
	}
	return int64(date.Sub(p.now()).Truncate(skewStep) / time.Second)
}
