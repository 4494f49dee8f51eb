package load

import (
	"context"
	"fmt"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/scepter-pki/scepter/test/stock"
)

// The wave: so many devices, of which so many are stock clients, and how many are on
// their way at once.
const (
	waveDevices     = 2000
	waveStock       = 36
	waveAtOnce      = 100
	waveStockAtOnce = 8
)

// testWave has 2,000 devices enrol while servers are killed and rolled over. Each
// ends with one certificate, and there is no other one.
func testWave(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), waveLimit)
	defer cancel()
	count := newTally()
	own := newDevices(t, host, "wave", waveDevices-waveStock, count)
	before := apiCalls(t)
	started := time.Now()

	held := newHoldings()
	group, groupCtx := errgroup.WithContext(ctx)
	group.Go(func() error { return wreck(groupCtx, count) })
	group.Go(func() error { return enrolAll(groupCtx, own, waveAtOnce, held) })
	group.Go(func() error { return enrolStock(groupCtx, t, held, count) })
	if err := group.Wait(); err != nil {
		t.Fatal(err)
	}
	took := time.Since(started)

	calls := apiCalls(t).since(before)
	mustHoldOne(t, "wave", held, waveDevices)
	figures.add("wave", held.len(), count, took)
	figures.addCalls(calls, held.len())
}

// enrolAll has devices enrol, so many at once.
func enrolAll(ctx context.Context, devices []*device, atOnce int, held *holdings) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(atOnce)
	for _, d := range devices {
		group.Go(func() error {
			certificate, err := d.certificate(ctx)
			if err == nil {
				held.add(d.name, certificate)
			}
			return err
		})
	}
	return group.Wait()
}

// enrolStock has clients of others enrol, each kind in turn.
func enrolStock(ctx context.Context, t *testing.T, held *holdings, count *tally) error {
	dir := t.TempDir()
	clients := append(stock.All(shared.device), &stock.Certmonger{Run: shared.device})
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(waveStockAtOnce)
	for i := range waveStock {
		s := &stockDevice{client: clients[i%len(clients)], dir: fmt.Sprintf("%s/%d", dir, i), tally: count, logf: t.Logf}
		group.Go(func() error { return s.enrol(ctx, fmt.Sprintf("wavestock%02d%s", i, domain), held) })
	}
	return group.Wait()
}
