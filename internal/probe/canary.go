package probe

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// canaryKeyBits is what most devices have.
const canaryKeyBits = 2048

// NewCanaryKey makes the RSA key that a prober's canaries ask a certificate for, and sign with.
func NewCanaryKey() (*rsa.PrivateKey, error) {
	key, err := rsa.GenerateKey(rand.Reader, canaryKeyBits)
	if err != nil {
		return nil, fmt.Errorf("key of the canary: %w", err)
	}
	return key, nil
}

// Canary does what a device does that enrols: GetCACaps, GetCACert, a PKCSReq by POST
// to the encryption certificate, and the reading of the answer, which has to be the
// dry run's, signed by the certificate of GetCACert. It needs the prober's keys; nil
// means that all went well.
func (p *Prober) Canary(ctx context.Context, t Target, key *rsa.PrivateKey) *raconfig.CanaryFailure {
	way, result, err := p.enrolCanary(ctx, t, key, p.CanaryKey)
	return way.judge(result, err)
}

// FullCanary does the same with another pass, and has to get a certificate: the right
// one, and none that would let it in anywhere. It is pending while the issuer takes its
// time: the same key is to ask again.
func (p *Prober) FullCanary(ctx context.Context, t Target, key *rsa.PrivateKey) (pending bool, failed *raconfig.CanaryFailure) {
	way, result, err := p.enrolCanary(ctx, t, key, p.FullKey)
	if err == nil && result.Status == scep.StatusPending {
		return true, nil
	}
	return false, way.judgeFull(result, err)
}

// enrolCanary says how far the exchange got; the way knows the step.
func (p *Prober) enrolCanary(ctx context.Context, t Target, key *rsa.PrivateKey, pass probemark.CanaryKey) (*canaryWay, *scep.Result, error) {
	v, failed := p.arrive(ctx, t)
	way := &canaryWay{visit: v, step: v1alpha1.CanaryGetCACaps, failed: failed, pass: pass}
	if failed != nil {
		return way, nil, errCanaryWay
	}
	client := scep.Client{
		URL:    t.URL,
		HTTP:   &http.Client{Transport: way, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }},
		Method: scep.MethodPOST,
		Logger: slog.New(slog.DiscardHandler),
		// The receipt says whose certificates these are.
		VerifyCA: scep.TrustAnyCA,
		Now:      p.now,
	}
	result, err := client.Enrol(ctx, scep.EnrolRequest{
		Key:      key,
		Template: &x509.CertificateRequest{Subject: pkix.Name{CommonName: probemark.CanaryName}},
	})
	return way, result, err //nolint:wrapcheck // the way judges it
}

// canaryWay is how a canary's requests travel: as probes do, with a mark or a pass,
// and with receipts wanted for the answers. One exchange uses it, from step to step.
type canaryWay struct {
	*visit
	pass   probemark.CanaryKey
	step   v1alpha1.CanaryStep
	proved bool // the answer of this step
	failed *raconfig.ProbeFailure
}

var errCanaryWay = errors.New("the canary does not get through")

// canarySteps are those that have a request.
var canarySteps = map[string]v1alpha1.CanaryStep{
	"GetCACaps":    v1alpha1.CanaryGetCACaps,
	"GetCACert":    v1alpha1.CanaryGetCACert,
	"PKIOperation": v1alpha1.CanaryPKIOperation,
}

// RoundTrip implements http.RoundTripper.
func (w *canaryWay) RoundTrip(r *http.Request) (*http.Response, error) {
	operation, _ := scep.QueryParameter(r.URL.RawQuery, "operation")
	w.step, w.proved = canarySteps[operation], false
	f, err := w.ask(r)
	if err != nil {
		return nil, err
	}
	w.proved, w.failed = f.proved, f.failure
	if w.failed == nil && !f.proved {
		w.failed = f.answer.failure(raconfig.FailureForeign, "")
	}
	if w.failed != nil {
		return nil, errCanaryWay
	}
	return &http.Response{
		StatusCode: f.answer.status, Header: f.answer.header, Body: io.NopCloser(bytes.NewReader(f.answer.body)), Request: r,
	}, nil
}

// ask sends a question with a mark, and a message with a pass that is good for it alone.
func (w *canaryWay) ask(r *http.Request) (finding, error) {
	out := request{method: r.Method, target: r.URL.RequestURI()}
	if r.Method != http.MethodPost {
		return w.judged(r.Context(), out, nil), nil
	}
	var err error
	if out.body, err = io.ReadAll(r.Body); err != nil {
		return finding{}, fmt.Errorf("read the message: %w", err)
	}
	return w.judgedBy(r.Context(), out, nil, w.pass.Pass(w.now(), out.body), w.pass), nil
}

// judgeWay says where an exchange ended that brought no answer.
func (w *canaryWay) judgeWay(err error) *raconfig.CanaryFailure {
	var reply *scep.ReplyError
	switch {
	case w.failed != nil:
		return &raconfig.CanaryFailure{Step: w.step, Proved: w.proved, Cause: *w.failed}
	case errors.As(err, &reply):
		return w.unfit(v1alpha1.CanaryReply, err.Error())
	case err != nil:
		return w.unfit(w.step, err.Error())
	}
	return nil
}

// judgeFull wants a certificate, or to hear that there was one a short while ago.
func (w *canaryWay) judgeFull(result *scep.Result, err error) *raconfig.CanaryFailure {
	failed := w.judgeWay(err)
	switch {
	case failed != nil:
		return failed
	case result.Status == scep.StatusFailure && result.FailInfoText == probemark.IssuedLately:
		return nil
	case result.Status != scep.StatusSuccess:
		return w.unfit(v1alpha1.CanaryIssuance, result.FailInfoText)
	case !probemark.IsCanary(result.Certificate):
		return w.unfit(v1alpha1.CanaryIssuance, fmt.Sprintf("the certificate is for %q", result.Certificate.Subject))
	case letsIn(result.Certificate):
		return w.unfit(v1alpha1.CanaryIssuance, "the issuer adds client authentication to the certificate")
	}
	return nil
}

// letsIn says whether a certificate is good for client authentication.
func letsIn(c *x509.Certificate) bool {
	return slices.ContainsFunc(c.ExtKeyUsage, func(u x509.ExtKeyUsage) bool {
		return u == x509.ExtKeyUsageClientAuth || u == x509.ExtKeyUsageAny
	})
}

// judge says where an exchange ended, if it did not end well.
func (w *canaryWay) judge(result *scep.Result, err error) *raconfig.CanaryFailure {
	switch failed := w.judgeWay(err); {
	case failed != nil:
		return failed
	case result.Status == scep.StatusFailure && result.FailInfoText == probemark.DryRun:
		return nil
	case result.Status == scep.StatusFailure:
		return w.unfit(v1alpha1.CanaryAnswer, fmt.Sprintf("%s: %s", result.FailInfo, result.FailInfoText))
	}
	return w.unfit(v1alpha1.CanaryAnswer, result.Status.String()+" in place of a dry run")
}

func (w *canaryWay) unfit(step v1alpha1.CanaryStep, detail string) *raconfig.CanaryFailure {
	return &raconfig.CanaryFailure{Step: step, Proved: w.proved, Cause: raconfig.ProbeFailure{Kind: raconfig.FailureUnfit, Detail: bounded(strings.TrimPrefix(detail, "scep: "))}}
}
