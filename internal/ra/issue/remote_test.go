package issue

import (
	"context"
	"crypto/ecdsa"
	"crypto/x509"
	"errors"
	"fmt"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/ra/signer/wire"
	"github.com/scepter-pki/scepter/internal/scep"
)

// signersOf plays signers: they answer every order alike.
type signersOf func(*wire.Order) (*wire.Issued, error)

func (s signersOf) Issue(_ context.Context, o *wire.Order) (*wire.Issued, error) { return s(o) }

func newRemote(signers signersOf) *Remote {
	return &Remote{
		Signers: signers, Names: Names{Key: []byte("key"), Endpoint: "corp"}, Generation: 3,
		Now: func() time.Time { return noon },
	}
}

// wantUnavailable wants HTTP 503 with Retry-After.
func wantUnavailable(t *testing.T, name string, err error) {
	t.Helper()
	var unavailable *scep.UnavailableError
	if !errors.As(err, &unavailable) || unavailable.RetryAfter <= 0 {
		t.Errorf("%s: %v, want an UnavailableError with a time", name, err)
	}
}

func TestRemoteIssues(t *testing.T) {
	t.Parallel()
	d, key := newDirect(t, newKey(t)), newKey(t)
	order := newOrder(t, key)
	order.Admission = &challenge.Admission{Challenge: "intune", Notify: true, Data: map[string]any{"a": "b"}}
	var told *wire.Order
	r := newRemote(func(o *wire.Order) (*wire.Issued, error) {
		told = o
		return &wire.Issued{Certificate: directly(t, d, order).Raw, Generation: 3}, nil
	})
	record, err := r.Record(t.Context(), order)
	if err != nil || record.State != Issued || !record.Notify || record.Challenge != "intune" || record.Template != "device" {
		t.Errorf("record %+v (%v)", record, err)
	}
	if told.Generation != 3 || told.Template != "device" || told.Challenge.Name != "intune" || told.Challenge.Data["a"] != "b" || told.Challenge.Claim != nil {
		t.Errorf("the signer was told %+v", told)
	}
	if again := r.Await(t.Context(), record); again != record {
		t.Error("there was something to wait for")
	}
	if found, err := r.Recall(t.Context(), order.Request); found != nil || err != nil {
		t.Errorf("recalled %+v (%v)", found, err)
	}
	if found, err := r.Collect(t.Context(), "id", order.Signer); found != nil || err != nil {
		t.Errorf("collected %+v (%v)", found, err)
	}
}

func TestWhatSignersDoNotDo(t *testing.T) {
	t.Parallel()
	order := newOrder(t, newKey(t))
	for name, err := range map[string]error{
		"away":       errors.New("connection refused"),
		"outdated":   &wire.Problem{Code: wire.Outdated},
		"not ready":  &wire.Problem{Code: wire.NotReady},
		"expired CA": fmt.Errorf("asked: %w", &wire.Problem{Code: wire.CAExpired}),
		"malformed":  &wire.Problem{Code: wire.Malformed},
		"stranger":   &wire.Problem{Code: wire.UnknownPeer},
	} {
		_, got := newRemote(func(*wire.Order) (*wire.Issued, error) { return nil, err }).Record(t.Context(), order)
		wantUnavailable(t, name, got)
	}
	_, err := newRemote(func(*wire.Order) (*wire.Issued, error) {
		return nil, &wire.Problem{Code: wire.Refused, Reason: "RuleNotMet", Text: "CN must be a device name"}
	}).Record(t.Context(), order)
	if refused, ok := refusal.As(err); !ok || refused.Reason != refusal.RuleNotMet || refused.Text != "CN must be a device name" {
		t.Errorf("refused: %v", err)
	}
	garbage := newRemote(func(*wire.Order) (*wire.Issued, error) { return &wire.Issued{Certificate: []byte("x")}, nil })
	if _, err := garbage.Record(t.Context(), order); err == nil {
		t.Error("garbage is taken for a certificate")
	}
	order.Admission = &challenge.Admission{Challenge: "helpdesk", ID: []byte("id")}
	_, err = garbage.Record(t.Context(), order)
	wantUnavailable(t, "one-time challenge without an API server", err)
}

// While a change reaches servers and signers one after the other, a certificate that
// only the other configuration grants is neither handed out nor a failure.
func TestConfigurationsThatDiffer(t *testing.T) {
	t.Parallel()
	d, key := newDirect(t, newKey(t)), newKey(t)
	issuedBy := func(generation int64, usages ...certmanagerv1.KeyUsage) signersOf {
		return func(*wire.Order) (*wire.Issued, error) {
			return &wire.Issued{Certificate: grantedFor(t, d, key, usages).Raw, Generation: generation}, nil
		}
	}
	_, err := newRemote(issuedBy(4, certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageServerAuth)).Record(t.Context(), newOrder(t, key))
	wantUnavailable(t, "further usages by a newer configuration", err)
	record, err := newRemote(issuedBy(2, certmanagerv1.UsageDigitalSignature)).Record(t.Context(), newOrder(t, key))
	if err != nil || record.State != Issued {
		t.Errorf("fewer usages by an older configuration: %+v (%v)", record, err)
	}
}

func grantedFor(t *testing.T, d *Direct, key *ecdsa.PrivateKey, usages []certmanagerv1.KeyUsage) *x509.Certificate {
	t.Helper()
	o := newOrder(t, key)
	o.Grant.Usages = usages
	return directly(t, d, o)
}
