package ra

import (
	"context"
	"crypto/x509"
	"errors"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/reload"
	signerclient "github.com/scepter-pki/scepter/internal/ra/signer/client"
)

// signersOfCRLs plays an endpoint's signers, and the clock.
type signersOfCRLs struct {
	mu     sync.Mutex
	now    time.Time
	number int64 // of the list; 0: no signer answers
	asked  int
}

var errSignersAway = errors.New("signers are away")

func (s *signersOfCRLs) ask(context.Context, *reload.Snapshot) (*x509.RevocationList, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.asked++
	if s.number == 0 {
		return nil, errSignersAway
	}
	return &x509.RevocationList{Number: big.NewInt(s.number), ThisUpdate: s.now, NextUpdate: s.now.Add(time.Hour)}, nil
}

func (s *signersOfCRLs) clock() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.now
}

// later sets the number of the signers' list, after a time.
func (s *signersOfCRLs) later(d time.Duration, number int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.now, s.number = s.now.Add(d), number
}

func TestCRLsAreKept(t *testing.T) {
	t.Parallel()
	signers := &signersOfCRLs{now: time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)}
	snapshot := &reload.Snapshot{Signers: &signerclient.Client{}}
	c := &crls{snapshot: func() *reload.Snapshot { return snapshot }, now: signers.clock, ask: signers.ask}
	for _, step := range []struct {
		name   string
		after  time.Duration
		number int64
		want   int64 // 0: none
		asked  int
	}{
		{"no signer", 0, 0, 0, 1},
		{"not asked again at once", time.Second, 5, 0, 1},
		{"but soon", askAgainAfter, 5, 5, 2},
		{"kept", time.Second, 6, 5, 2},
		{"for half a minute", askEvery, 6, 6, 3},
		{"never an older one", askEvery, 4, 6, 4},
		{"without signers", askEvery, 0, 6, 5},
		{"until its end", time.Hour, 0, 0, 6},
		{"and again", askAgainAfter, 7, 7, 7},
	} {
		signers.later(step.after, step.number)
		if answered, _ := c.refresh(t.Context(), snapshot); answered != nil {
			<-answered
		}
		list, err := c.current()
		switch {
		case step.want == 0 && !errors.Is(err, errNoCRL):
			t.Errorf("%s: %v, want %v", step.name, err, errNoCRL)
		case step.want != 0 && (err != nil || list.Number.Int64() != step.want):
			t.Errorf("%s: %+v (%v), want number %d", step.name, list, err, step.want)
		}
		if signers.asked != step.asked {
			t.Errorf("%s: asked %d times, want %d", step.name, signers.asked, step.asked)
		}
	}
	snapshot = &reload.Snapshot{}
	if _, err := c.get(t.Context()); !errors.Is(err, errNoSigners) {
		t.Errorf("without signers in the configuration: %v", err)
	}
}

// Many ask at once, and the signers are asked once.
func TestOneQuestionForManyWhoWantTheCRL(t *testing.T) {
	t.Parallel()
	const askers = 50
	signers := &signersOfCRLs{now: time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC), number: 1}
	release := make(chan struct{})
	c := &crls{
		snapshot: func() *reload.Snapshot { return &reload.Snapshot{Signers: &signerclient.Client{}} },
		now:      signers.clock,
		ask: func(ctx context.Context, s *reload.Snapshot) (*x509.RevocationList, error) {
			<-release
			return signers.ask(ctx, s)
		},
	}
	var group sync.WaitGroup
	begun := make(chan struct{}, askers)
	for range askers {
		group.Go(func() {
			begun <- struct{}{}
			if list, err := c.get(t.Context()); err != nil || list.Number.Int64() != 1 {
				t.Errorf("%+v (%v)", list, err)
			}
		})
	}
	for range askers {
		<-begun
	}
	close(release)
	group.Wait()
	if signers.asked != 1 {
		t.Errorf("asked %d times", signers.asked)
	}
}
