package ra

import (
	"cmp"
	"errors"
	"slices"
	"sync"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"

	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// health keeps, as far as enrolments show it, which dependencies are away and what
// is wrong with the records of enrolments. A success ends what it disproves. It is
// safe for concurrent use.
type health struct {
	now     func() time.Time
	refused func() // is told when the API server refuses something

	mu       sync.Mutex
	away     map[raconfig.Dependency]*raconfig.Away
	troubles map[raconfig.TroubleKind]*raconfig.Trouble
	issued   time.Time // when a certificate was handed out last
}

func newHealth(now func() time.Time, refused func()) *health {
	return &health{now: now, refused: refused, away: map[raconfig.Dependency]*raconfig.Away{}, troubles: map[raconfig.TroubleKind]*raconfig.Trouble{}}
}

// symptoms are the errors that speak for something.
var symptoms = []struct {
	err     error
	away    raconfig.Dependency
	trouble raconfig.TroubleKind
}{
	{err: issue.ErrFull, trouble: raconfig.TroubleRecordsFull},
	{err: issue.ErrRefused, trouble: raconfig.TroubleRefused},
	{err: issue.ErrWebhook, away: raconfig.DependencyWebhook, trouble: raconfig.TroubleAdmission},
	{err: issue.ErrAPIServer, away: raconfig.DependencyAPIServer},
}

// see learns from how an enrolment ended.
func (h *health) see(e *enrolment, reply *scep.Reply, err error) {
	if apierrors.IsForbidden(err) {
		h.refused()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.seeProgress(e)
	for _, s := range symptoms {
		if errors.Is(err, s.err) {
			h.fail(s.away, s.trouble)
			return
		}
	}
	switch refused, isRefusal := refusal.As(err); {
	case isRefusal && refused.Reason == refusal.IssuedMismatch:
		h.fail("", raconfig.TroubleMismatch)
	case err != nil || reply == nil:
	case reply.Status == scep.StatusPending:
		h.fail(raconfig.DependencyIssuer, "")
	case reply.Status == scep.StatusSuccess:
		delete(h.away, raconfig.DependencyIssuer)
		delete(h.troubles, raconfig.TroubleMismatch)
		h.issued = h.now().UTC().Truncate(time.Second)
	}
}

// lastIssued is nil before the first certificate.
func (h *health) lastIssued() *time.Time {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.issued.IsZero() {
		return nil
	}
	issued := h.issued
	return &issued
}

// seeProgress ends what the enrolment got past, wherever it ended.
func (h *health) seeProgress(e *enrolment) {
	if e.record == nil || e.record.Name == "" {
		return
	}
	delete(h.away, raconfig.DependencyAPIServer)
	if e.admitted != "" { // it was recorded just now
		delete(h.away, raconfig.DependencyWebhook)
		delete(h.troubles, raconfig.TroubleAdmission)
		delete(h.troubles, raconfig.TroubleRefused)
		delete(h.troubles, raconfig.TroubleRecordsFull)
	}
}

// fail counts a failure; either is "" where it is not meant.
func (h *health) fail(away raconfig.Dependency, trouble raconfig.TroubleKind) {
	now := h.now().UTC().Truncate(time.Second)
	if away != "" {
		if h.away[away] == nil {
			h.away[away] = &raconfig.Away{Dependency: away, Since: now}
		}
		h.away[away].Failures++
	}
	if trouble != "" {
		if h.troubles[trouble] == nil {
			h.troubles[trouble] = &raconfig.Trouble{Kind: trouble, Since: now}
		}
		h.troubles[trouble].Last = now
		h.troubles[trouble].Count++
	}
}

// report lists what is wrong, in a stable order.
func (h *health) report() (away []raconfig.Away, troubles []raconfig.Trouble) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, a := range h.away {
		away = append(away, *a)
	}
	for _, t := range h.troubles {
		troubles = append(troubles, *t)
	}
	slices.SortFunc(away, func(a, b raconfig.Away) int { return cmp.Compare(a.Dependency, b.Dependency) })
	slices.SortFunc(troubles, func(a, b raconfig.Trouble) int { return cmp.Compare(a.Kind, b.Kind) })
	return away, troubles
}
