package ra

import (
	"context"
	"log/slog"
	"slices"
	"sync"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// maxCollection bounds the requests that a server remembers of each kind: the operator
// reads them within minutes, and what it does not learn it does not count.
const maxCollection = 256

// collection remembers which requests still owe their device a certificate, and which
// were collected later than at once, perhaps from another server than the one that owed
// it. It is safe for concurrent use.
type collection struct {
	mu              sync.Mutex
	owed, collected []string // names of CertificateRequests, the oldest first
}

// owe remembers that a device has to come again for its certificate.
func (c *collection) owe(name string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owed = newest(c.owed, name)
}

// give remembers that a device has its certificate, where it had to come again for it.
func (c *collection) give(name string, again bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owed = without(c.owed, name)
	if again {
		c.collected = newest(c.collected, name)
	}
}

// report is nil where there is nothing to tell.
func (c *collection) report() *raconfig.Collection {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.owed)+len(c.collected) == 0 {
		return nil
	}
	return &raconfig.Collection{Owed: slices.Clone(c.owed), Collected: slices.Clone(c.collected)}
}

// newest puts a name behind all others, and lets the oldest go where there are too many.
func newest(names []string, name string) []string {
	names = append(without(names, name), name)
	return names[max(0, len(names)-maxCollection):]
}

func without(names []string, name string) []string {
	return slices.DeleteFunc(names, func(have string) bool { return have == name })
}

// followAnswer keeps what becomes of a certificate: one that a request on record came to
// is owed until the connection has taken it.
func (b *backend) followAnswer(ctx context.Context, e *enrolment, reply *scep.Reply) {
	succeeded := reply != nil && reply.Status == scep.StatusSuccess && len(reply.Certificates) > 0
	if succeeded {
		reply.Sent = func(err error) { b.sent(context.WithoutCancel(ctx), e, err) }
		return
	}
	if r := e.record; r != nil && r.Name != "" && (r.State == issue.Waiting || r.State == issue.Issued) {
		b.collection.owe(r.Name)
	}
}

// sent takes note of how the sending of a certificate ended.
func (b *backend) sent(ctx context.Context, e *enrolment, err error) {
	if err != nil {
		b.recorder.metrics.Lost()
		b.recorder.log.Record(ctx, audit.AnswerLost, append(e.attributes(ctx), slog.String("error", err.Error()))...)
	}
	if e.record == nil || e.record.Name == "" {
		return // nothing is on record, and a retry gets the same certificate all the same
	}
	if err != nil {
		b.collection.owe(e.record.Name)
		return
	}
	b.collection.give(e.record.Name, !e.record.New)
}
