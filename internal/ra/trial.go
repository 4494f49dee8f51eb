package ra

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// trialInterval is between looks at whether there is something to try.
const trialInterval = 2 * time.Second

// trials makes the throw-away requests that the configuration asks for: every server
// tries, the name of the object is the same for all, and so there is one.
type trials struct {
	snapshot func() *reload.Snapshot
	store    func() *issue.Store
	now      func() time.Time
	logger   *slog.Logger

	done string // ID of the trial that needs nothing more of this server

	mu      sync.Mutex
	problem *raconfig.TrialProblem
}

// run tries until the context ends.
func (t *trials) run(ctx context.Context) {
	tick := time.NewTicker(trialInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			t.look(ctx)
		}
	}
}

// look does what there is to do.
func (t *trials) look(ctx context.Context) {
	s, store := t.snapshot(), t.store()
	if s == nil || s.Config.Trial == nil {
		t.tell(nil)
		return
	}
	wanted := *s.Config.Trial
	if store == nil || wanted.ID == t.done {
		return
	}
	err := try(ctx, s, certManagerFor(s, store, t.now), wanted)
	if err == nil {
		t.done = wanted.ID
		t.tell(nil)
		return
	}
	t.logger.WarnContext(ctx, "the issuer could not be tried", "template", wanted.Template, "error", err)
	refused := errors.Is(err, issue.ErrRefused)
	if refused {
		t.done = wanted.ID
	}
	t.tell(&raconfig.TrialProblem{ID: wanted.ID, Refused: refused, Message: err.Error()})
}

func try(ctx context.Context, s *reload.Snapshot, by *issue.CertManager, wanted raconfig.Trial) error {
	template := s.Template(wanted.Template)
	if template == nil {
		return fmt.Errorf("the configuration has no template %s", wanted.Template)
	}
	csr, usages, err := template.Policy.Specimen()
	if err != nil {
		return fmt.Errorf("template %s: %w", wanted.Template, err)
	}
	return by.Try(ctx, issue.Trial{ID: wanted.ID, Template: wanted.Template, CSR: csr, Usages: usages}) //nolint:wrapcheck // says it all
}

func (t *trials) tell(problem *raconfig.TrialProblem) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problem = problem
}

// report is nil where nothing is in the way.
func (t *trials) report() *raconfig.TrialProblem {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.problem
}
