package issue

import (
	"context"
	"crypto/x509"
	"errors"
	"maps"
	"sync"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
)

// Delayed holds orders back, so that devices are told PENDING and have to poll: it
// stands for an approver that takes its time. What it holds is in memory only.
type Delayed struct {
	// Issuer gets an order when its delay is over.
	Issuer
	Delay time.Duration
	Names Names
	Now   func() time.Time

	mu   sync.Mutex
	held map[string]heldOrder // by signer and transaction
}

// heldOrder is an order and when it came first.
type heldOrder struct {
	Order
	since time.Time
}

// maxHeld bounds the orders in memory.
const maxHeld = 10_000

var errHoldsTooMany = errors.New("too many requests are held back")

// Record implements Issuer.
func (d *Delayed) Record(ctx context.Context, o Order) (*Record, error) {
	held, err := d.hold(o)
	if err != nil {
		return nil, err
	}
	return d.release(ctx, held)
}

// Collect implements Issuer.
func (d *Delayed) Collect(ctx context.Context, transactionID string, signer *x509.Certificate) (*Record, error) {
	d.mu.Lock()
	held, ok := d.held[d.Names.Signer(transactionID, signer)]
	d.mu.Unlock()
	if !ok {
		return nil, nil
	}
	return d.release(ctx, held)
}

// hold keeps an order, if it is not the repetition of one that is held.
func (d *Delayed) hold(o Order) (heldOrder, error) {
	key := d.Names.Signer(o.TransactionID, o.Signer)
	d.mu.Lock()
	defer d.mu.Unlock()
	if held, ok := d.held[key]; ok && sameRequest(held.CSR, o.CSR) {
		return held, nil
	}
	if len(d.held) >= maxHeld {
		d.forget()
	}
	if len(d.held) >= maxHeld {
		return heldOrder{}, &scep.UnavailableError{RetryAfter: retryAfter, Err: errHoldsTooMany}
	}
	if d.held == nil {
		d.held = map[string]heldOrder{}
	}
	held := heldOrder{o, d.Now()}
	d.held[key] = held
	return held, nil
}

// forget drops the orders that nobody will ask for any more.
func (d *Delayed) forget() {
	limit := d.Now().Add(-d.Delay - keepFor)
	maps.DeleteFunc(d.held, func(_ string, held heldOrder) bool { return held.since.Before(limit) })
}

// release hands an order on, if its time has come.
func (d *Delayed) release(ctx context.Context, held heldOrder) (*Record, error) {
	if d.Now().Sub(held.since) < d.Delay {
		return &Record{Template: held.Template, CSR: held.CSR, Usages: held.Grant.Usages, State: Waiting, created: held.since}, nil
	}
	return d.Issuer.Record(ctx, held.Order)
}
