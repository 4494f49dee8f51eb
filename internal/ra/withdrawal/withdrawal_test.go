package withdrawal

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/ra/ratest/intunesim"
)

const endpoint = "pki/corp"

// scene is a tenant, signers with a CRL, and any number of servers' desks.
type scene struct {
	*intunesim.Tenant
	client *intune.Client
	log    bytes.Buffer

	mu      sync.Mutex // guards what follows
	now     time.Time
	revoked []int64
	crlErr  error
	revokes bool
}

func newScene(t *testing.T) *scene {
	t.Helper()
	tenant := intunesim.Start(t)
	s := &scene{Tenant: tenant, now: time.Now(), revokes: true}
	s.client = intune.New(intune.Options{
		URLs: tenant.URLs(), Credential: tenant.Application().Secret(intunesim.ClientSecret), Caller: "Scepter test", Now: s.time,
		Outbound: outbound.New(outbound.Options{Timeout: 5 * time.Second, MaxAnswer: intune.MaxAnswer, Roots: tenant.Roots()}),
	})
	return s
}

func (s *scene) time() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

func (s *scene) pass(d time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now = s.now.Add(d)
}

// publish has the signers' CRL name certificates.
func (s *scene) publish(serials ...int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.revoked = append(s.revoked, serials...)
}

func (s *scene) crl(context.Context) (*x509.RevocationList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list := &x509.RevocationList{}
	for _, n := range s.revoked {
		list.RevokedCertificateEntries = append(list.RevokedCertificateEntries, x509.RevocationListEntry{SerialNumber: big.NewInt(n)})
	}
	return list, s.crlErr
}

// desk is that of another server, or of one after a crash.
func (s *scene) desk() *Desk {
	return New(Options{
		Tenants: func() []Tenant { return []Tenant{{Name: "intune", Client: s.client, Endpoint: endpoint}} },
		Revokes: func() bool { return s.revokes },
		CRL:     s.crl,
		Log:     audit.NewLog(slog.New(slog.NewJSONHandler(&s.log, nil)), s.time),
		Now:     s.time,
	})
}

func (s *scene) want(context, serial string) {
	s.WantRevoked(intune.RevocationRequest{RequestContext: context, SerialNumber: serial, IssuerName: "CN=CA", CAConfiguration: endpoint})
}

func (s *scene) wantResults(t *testing.T, want ...intune.RevocationResult) {
	t.Helper()
	if got := s.Results(); !slices.Equal(got, want) {
		t.Fatalf("results %+v, want %+v", got, want)
	}
}

func wantWanted(t *testing.T, d *Desk, want ...string) {
	t.Helper()
	if got := d.Wanted(); !slices.Equal(got, want) {
		t.Fatalf("wanted %v, want %v", got, want)
	}
}

func (s *scene) wantLogged(t *testing.T, code audit.Code) {
	t.Helper()
	if !strings.Contains(s.log.String(), string(code)) {
		t.Errorf("%s is not recorded", code)
	}
}

func TestARevocation(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	d := s.desk()
	s.want("a", "0A:FF")
	s.want("b", "0b")
	s.WantRevoked(intune.RevocationRequest{RequestContext: "c", SerialNumber: "0c", CAConfiguration: "pki/another"})
	d.Round(t.Context(), true)
	wantWanted(t, d, "aff", "b")
	s.wantResults(t)
	d.Round(t.Context(), true) // Intune asks again: nothing is doubled
	wantWanted(t, d, "aff", "b")
	s.publish(0xaff)
	d.Round(t.Context(), false)
	s.wantResults(t, intune.RevocationResult{RequestContext: "a", Succeeded: true})
	wantWanted(t, d, "b")
	s.wantLogged(t, audit.RevocationWanted)
	s.wantLogged(t, audit.RevocationDone)
}

// A server that crashes after the certificate was revoked and before Intune knew
// tells it after its restart; another server tells it as well.
func TestARevocationSurvivesCrashes(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.want("a", "0a")
	s.desk().Round(t.Context(), true) // crashes
	s.publish(10)
	one, other := s.desk(), s.desk()
	one.Round(t.Context(), true)
	s.wantResults(t, intune.RevocationResult{RequestContext: "a", Succeeded: true})
	other.Round(t.Context(), true)
	wantWanted(t, one)
	wantWanted(t, other)
	s.wantResults(t, intune.RevocationResult{RequestContext: "a", Succeeded: true})
}

func TestWhatCannotBeRevoked(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	d := s.desk()
	s.want("a", "no number")
	d.Round(t.Context(), true)
	s.wantResults(t, intune.RevocationResult{RequestContext: "a", Code: intune.RevocationNonRetryable, Message: noSerial})
	s.revokes = false
	s.want("b", "0b")
	d.Round(t.Context(), true)
	if got := s.Results(); len(got) != 2 || got[1].Code != intune.RevocationNonRetryable || got[1].Message != noRevocation {
		t.Errorf("results %+v", got)
	}
	wantWanted(t, d)
	s.wantLogged(t, audit.RevocationRefused)
}

// A certificate that does not come onto the list is not reported as revoked.
func TestARevocationThatTakesTooLong(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	d := s.desk()
	s.want("a", "0a")
	d.Round(t.Context(), true)
	s.crlErr = errors.New("no signer answers")
	d.Round(t.Context(), true)
	s.wantResults(t)
	s.wantLogged(t, audit.RevocationStuck)
	s.pass(patience + time.Second)
	d.Round(t.Context(), false)
	s.wantResults(t, intune.RevocationResult{RequestContext: "a", Code: intune.RevocationRetryable, Message: tooLong})
}

// Whatever Intune does, a revocation is neither lost nor claimed.
func TestRevocationsWhileIntuneIsAway(t *testing.T) {
	t.Parallel()
	for _, c := range faults.Cases {
		if c.Name == "slow" {
			continue // the client's own tests have that
		}
		t.Run(c.Name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t)
			d := s.desk()
			s.want("a", "0a")
			s.Intune.Break(c.Fault)
			d.Round(t.Context(), true)
			wantWanted(t, d)
			s.Intune.Mend()
			s.pass(time.Hour)
			d.Round(t.Context(), true)
			wantWanted(t, d, "a")
			s.publish(10)
			s.Intune.Break(c.Fault)
			d.Round(t.Context(), false)
			s.wantResults(t)
			wantWanted(t, d, "a")
			s.Intune.Mend()
			s.pass(time.Minute)
			d.Round(t.Context(), false)
			s.wantResults(t, intune.RevocationResult{RequestContext: "a", Succeeded: true})
			wantWanted(t, d)
			if strings.Contains(s.log.String(), faults.Leak) {
				t.Error("the log quotes an answer")
			}
		})
	}
}

// Many are taken in and told in batches.
func TestManyRevocations(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	d := s.desk()
	const all = intune.MaxRevocations + 20
	for n := range int64(all) {
		s.want(fmt.Sprint(n), fmt.Sprintf("%x", n+1))
		s.publish(n + 1)
	}
	for range 3 {
		d.Round(t.Context(), true)
	}
	if got := len(s.Results()); got != all {
		t.Errorf("%d results, want %d", got, all)
	}
	wantWanted(t, d)
}

func TestADeskThatRuns(t *testing.T) {
	t.Parallel()
	s := newScene(t)
	s.Intune.Break(faults.Status(http.StatusInternalServerError))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		s.desk().Run(ctx)
	}()
	cancel()
	<-done
	if s.log.Len() > 0 {
		t.Errorf("a server that does not last asks Intune: %s", s.log.String())
	}
}
