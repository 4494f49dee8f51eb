package probe

import (
	"bytes"
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// backend is one that answers everybody the same, and keeps what it was asked.
type backend struct {
	answer func(*scep.Request) (*scep.Reply, error)
	got    []*scep.Request
}

func (b *backend) PKIOperation(_ context.Context, r *scep.Request) (*scep.Reply, error) {
	b.got = append(b.got, r)
	return b.answer(r)
}

func dryRun(*scep.Request) (*scep.Reply, error) {
	return scep.Fail(scep.BadRequest, probemark.DryRun), nil
}

func replies(reply *scep.Reply) func(*scep.Request) (*scep.Reply, error) {
	return func(*scep.Request) (*scep.Reply, error) { return reply, nil }
}

// raServer is a server of the endpoint with an RA of the test's: whatever it answers to
// who has its keys, it signs for.
func raServer(id *scep.Identity, b *backend) http.Handler {
	answers := scep.NewHandler(scep.HandlerConfig{
		Identity: func() *scep.Identity { return id }, Settings: func() scep.Settings { return scep.Settings{} },
		Backend: b, Logger: slog.New(slog.DiscardHandler),
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		r.Body = io.NopCloser(bytes.NewReader(body))
		recorded := httptest.NewRecorder()
		mark := r.Header.Get(probemark.Header)
		var key interface {
			Sign(mark string, r probemark.Receipt) string
		}
		about, canary := endpointKeys.Canary.Opens(mark, time.Now())
		switch {
		case canary && about == probemark.SumOf(body):
			key = endpointKeys.Canary
		case endpointKey.Knows(mark, time.Now()) && r.Method == http.MethodGet:
			key = endpointKey
		default:
			http.Error(w, "a stranger", http.StatusForbidden)
			return
		}
		answers.ServeHTTP(recorded, r)
		for name, values := range recorded.Header() {
			w.Header()[name] = values
		}
		w.Header().Set(probemark.Header, key.Sign(mark, probemark.Receipt{
			TargetBytes: len(r.RequestURI), Target: probemark.SumOf([]byte(r.RequestURI)),
			Body: probemark.SumOf(body), Answer: probemark.SumOf(recorded.Body.Bytes()),
		}))
		w.WriteHeader(recorded.Code)
		_, _ = w.Write(recorded.Body.Bytes())
	})
}

// posts puts a hop in front that treats POST in its own way.
func posts(hop func(http.ResponseWriter, *http.Request, http.Handler)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPost {
				hop(w, r, next)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

func fault(f faults.Fault) func(http.ResponseWriter, *http.Request, http.Handler) {
	return func(w http.ResponseWriter, r *http.Request, _ http.Handler) { f(w, r) }
}

// ended issues an RA certificate that has.
func ended(t *testing.T, ca *sceptest.CA, key int) *scep.Credential {
	t.Helper()
	c, err := ca.Issue(&x509.Certificate{
		Subject: pkix.Name{CommonName: "Test RA"}, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: time.Now().Add(-time.Hour),
	}, sceptest.RSAKey(t, key).Public())
	if err != nil {
		t.Fatal(err)
	}
	return &scep.Credential{Certificate: c, Key: sceptest.RSAKey(t, key)}
}

// TestCanarySteps breaks each step of the exchange, in the servers and on the way.
func TestCanarySteps(t *testing.T) {
	ca := sceptest.NewCA(t)
	const other = 70
	cases := []struct {
		name   string
		change func(*scep.Identity)
		answer func(*scep.Request) (*scep.Reply, error)
		hop    func(http.Handler) http.Handler
		step   v1alpha1.CanaryStep // "": it comes to its end
		kind   raconfig.FailureKind
		says   string
		proved bool
	}{
		{name: "healthy"},
		{name: "one credential for both", change: func(id *scep.Identity) { id.Active = sceptest.NewGeneration(t, ca, sceptest.Combined) }},
		{
			name: "capabilities are another's", hop: func(http.Handler) http.Handler { return endpoint(otherKey, ours) },
			step: v1alpha1.CanaryGetCACaps, kind: raconfig.FailureForeign,
		},
		{
			name: "an RA certificate that has ended", change: func(id *scep.Identity) {
				one := ended(t, ca, other)
				id.Active.Signing, id.Active.Encryption = one, one
			},
			step: v1alpha1.CanaryGetCACert, kind: raconfig.FailureUnfit, says: "expired", proved: true,
		},
		{
			name: "the CA is missing from the chain", change: func(id *scep.Identity) { id.CAChain = nil },
			step: v1alpha1.CanaryGetCACert, kind: raconfig.FailureUnfit, says: "no CA certificate", proved: true,
		},
		{
			name: "the chain is another CA's", change: func(id *scep.Identity) {
				id.CAChain = []*x509.Certificate{sceptest.SelfSigned(t, nil, sceptest.RSAKey(t, other))}
			},
			step: v1alpha1.CanaryGetCACert, kind: raconfig.FailureUnfit, says: "no CA certificate", proved: true,
		},
		{
			name: "signed with another key than is shown", change: func(id *scep.Identity) { id.Active.Signing.Key = sceptest.RSAKey(t, other) },
			step: v1alpha1.CanaryReply, kind: raconfig.FailureUnfit, says: "not signed by the RA certificate", proved: true,
		},
		{
			name: "the key that decrypts is another", change: func(id *scep.Identity) { id.Active.Encryption.Key = sceptest.RSAKey(t, other) },
			step: v1alpha1.CanaryAnswer, kind: raconfig.FailureUnfit, says: "badRequest: the request inside the message is not valid", proved: true,
		},
		{
			name: "refused", answer: replies(scep.Fail(scep.BadRequest, "the RA's signing certificate ended")),
			step: v1alpha1.CanaryAnswer, kind: raconfig.FailureUnfit, says: "signing certificate ended", proved: true,
		},
		{
			name: "pending", answer: replies(scep.Pending()),
			step: v1alpha1.CanaryAnswer, kind: raconfig.FailureUnfit, says: "PENDING in place of a dry run", proved: true,
		},
		{
			name: "no answer", answer: replies(nil),
			step: v1alpha1.CanaryPKIOperation, kind: raconfig.FailureStatus, proved: true,
		},
		{
			name: "no POST on the way", hop: posts(fault(faults.Status(http.StatusMethodNotAllowed))),
			step: v1alpha1.CanaryPKIOperation, kind: raconfig.FailureStatus,
		},
		{
			name: "cut on the way", hop: posts(fault(faults.Closed)),
			step: v1alpha1.CanaryPKIOperation, kind: raconfig.FailureClosed,
		},
		{
			name: "redirected on the way", hop: posts(fault(faults.Redirect(http.StatusFound, "/elsewhere"))),
			step: v1alpha1.CanaryPKIOperation, kind: raconfig.FailureRedirect, says: "/elsewhere",
		},
		{
			name: "the message is changed on the way", hop: posts(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				r.Body = io.NopCloser(io.MultiReader(r.Body, strings.NewReader("x")))
				next.ServeHTTP(w, r)
			}),
			step: v1alpha1.CanaryPKIOperation, kind: raconfig.FailureStatus,
		},
		{
			name: "the answer is changed on the way", hop: posts(func(w http.ResponseWriter, r *http.Request, next http.Handler) {
				rewriting(next, "Test", "Best").ServeHTTP(w, r)
			}),
			step: v1alpha1.CanaryPKIOperation, kind: raconfig.FailureAltered, proved: true,
		},
		{
			name: "somebody else answers POST", hop: posts(fault(faults.Says("application/x-pki-message", "hello"))),
			step: v1alpha1.CanaryPKIOperation, kind: raconfig.FailureForeign,
		},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			id := sceptest.NewIdentity(t, ca, sceptest.Pair)
			if c.change != nil {
				c.change(id)
			}
			b := &backend{answer: dryRun}
			if c.answer != nil {
				b.answer = c.answer
			}
			handler := raServer(id, b)
			if c.hop != nil {
				handler = c.hop(handler)
			}
			p := prober(endpointKey, serve(t, handler))
			p.CanaryKey = endpointKeys.Canary
			got := p.Canary(t.Context(), target(t, plain), sceptest.RSAKey(t, other+1))
			wantCanary(t, got, c.step, c.kind, c.says, c.proved)
			if c.step == "" && (len(b.got) != 1 || b.got[0].CSR.Subject.CommonName != probemark.CanaryName || b.got[0].ChallengePassword != "") {
				t.Errorf("asked %d times", len(b.got))
			}
		})
	}
}

func wantCanary(t *testing.T, got *raconfig.CanaryFailure, step v1alpha1.CanaryStep, kind raconfig.FailureKind, says string, proved bool) {
	t.Helper()
	switch {
	case got == nil && step == "":
	case got == nil || step == "":
		t.Errorf("%+v, want %q", got, step)
	case got.Step != step || got.Cause.Kind != kind || got.Proved != proved || !strings.Contains(got.Cause.Detail, says):
		t.Errorf("%+v, want %s %s %q, proved %v", *got, step, kind, says, proved)
	}
}

// TestNoSuccessIsADryRun: a certificate in place of a dry run is a failure.
func TestNoSuccessIsADryRun(t *testing.T) {
	ca := sceptest.NewCA(t)
	b := &backend{answer: func(r *scep.Request) (*scep.Reply, error) {
		c, err := ca.Issue(&x509.Certificate{Subject: r.CSR.Subject}, r.CSR.PublicKey)
		return scep.Success(c), err
	}}
	p := prober(endpointKey, serve(t, raServer(sceptest.NewIdentity(t, ca, sceptest.Pair), b)))
	p.CanaryKey = endpointKeys.Canary
	wantCanary(t, p.Canary(t.Context(), target(t, plain), sceptest.RSAKey(t, 71)),
		v1alpha1.CanaryAnswer, raconfig.FailureUnfit, "SUCCESS in place of a dry run", true)
}

// TestCanaryWhenDue: at its interval, at once after a URL works again, and at each look
// while it fails.
func TestCanaryWhenDue(t *testing.T) {
	ca := sceptest.NewCA(t)
	b := &backend{answer: dryRun}
	var broken faults.Switch
	p := prober(endpointKey, serve(t, broken.Wrap(raServer(sceptest.NewIdentity(t, ca, sceptest.Pair), b))))
	clock := time.Now()
	p.Now, p.CanaryKey = func() time.Time { return clock }, endpointKeys.Canary
	o := &remembered{shapeDue: clock.Add(100 * time.Hour)}
	with := &canarySender{&raconfig.Canary{Level: v1alpha1.CanaryProtocol, IntervalSeconds: 300}, sceptest.RSAKey(t, 71), nil}
	look := func(sent int, good bool) {
		t.Helper()
		b.got = nil
		o.lookAt(t.Context(), p, plain, Known{}, time.Hour, with)
		if r := o.result.Canary; len(b.got) != sent || r == nil || (r.Failure == nil) != good {
			t.Errorf("%d sent, want %d; %+v", len(b.got), sent, r)
		}
	}
	look(1, true)
	look(0, true)
	clock = clock.Add(6 * time.Minute)
	look(1, true)
	broken.Break(faults.Closed)
	look(0, true)
	look(0, true)
	broken.Mend()
	look(1, true)
	clock = clock.Add(6 * time.Minute)
	b.answer = replies(scep.Pending())
	look(1, true)
	look(1, false)
	look(1, false)
	b.answer = dryRun
	look(1, true)
	look(0, true)
}
