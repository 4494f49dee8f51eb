// Package withdrawal carries out what Microsoft Intune wants revoked.
//
// Every server asks Intune every few minutes. What is to be revoked it shows on its
// status, where the operator finds it and adds it to the endpoint's list; servers
// have no right to write that. Intune is told of a success only when a CRL of the
// signers names the certificate. Nothing is kept: Intune names a certificate again
// until it has the result, so a crash at any point costs time only, and that several
// servers do the same changes nothing.
package withdrawal

import (
	"context"
	"crypto/x509"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const (
	// askEvery is how often Intune is asked.
	askEvery = 5 * time.Minute
	// firstAfter is when Intune is asked first: a server that does not last asks nobody.
	firstAfter = time.Minute
	// lookEvery is how often the CRL is looked at while something is to be revoked.
	lookEvery = 30 * time.Second
	// patience is how long a certificate may take to be on the CRL, before Intune is
	// told that it is to ask again later.
	patience = 30 * time.Minute
	// maxWanted bounds what is remembered, and shown.
	maxWanted = 2 * intune.MaxRevocations
)

// Tenant is an entry of the endpoint's challenges that Intune answers.
type Tenant struct {
	// Name of the entry.
	Name   string
	Client *intune.Client
	// Endpoint is what Intune knows this endpoint by.
	Endpoint string
}

// Options of a Desk.
type Options struct {
	// Tenants at present.
	Tenants func() []Tenant
	// Revokes says whether the endpoint can revoke: only one with signers can.
	Revokes func() bool
	// CRL is the newest one of the endpoint's signers.
	CRL func(context.Context) (*x509.RevocationList, error)
	Log *audit.Log
	Now func() time.Time
}

// Desk takes Intune's requests in. It is safe for concurrent use.
type Desk struct {
	options Options

	mu     sync.Mutex // guards what follows
	wanted []wish     // the oldest first
}

// wish is a certificate to be revoked.
type wish struct {
	tenant  string
	context string // Intune's name of the request
	serial  *big.Int
	since   time.Time
}

// New makes a desk that has asked nobody.
func New(o Options) *Desk { return &Desk{options: o} }

// Run works until the context ends.
func (d *Desk) Run(ctx context.Context) {
	asked := d.options.Now().Add(firstAfter - askEvery)
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for {
		now := d.options.Now()
		ask := now.Sub(asked) >= askEvery
		if ask {
			asked = now
		}
		if ask || len(d.Wanted()) > 0 {
			d.Round(ctx, ask)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// Wanted are the serial numbers that are to be revoked and are on no CRL yet, as
// raconfig.SerialText writes them, sorted.
func (d *Desk) Wanted() []string {
	d.mu.Lock()
	defer d.mu.Unlock()
	var out []string
	for _, w := range d.wanted {
		out = append(out, raconfig.SerialText(w.serial))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

// Round looks after all tenants once; with ask, it asks Intune for more.
func (d *Desk) Round(ctx context.Context, ask bool) {
	for _, tenant := range d.options.Tenants() {
		var results []intune.RevocationResult
		if ask {
			results = d.takeIn(ctx, tenant)
		}
		results = append(results, d.settle(ctx, tenant)...)
		d.upload(ctx, tenant, results)
	}
}

// takeIn asks Intune, and returns what can be answered at once.
func (d *Desk) takeIn(ctx context.Context, t Tenant) []intune.RevocationResult {
	requests, err := t.Client.DownloadRevocations(ctx, intune.MaxRevocations, "")
	if err != nil {
		d.options.Log.Record(ctx, audit.RevocationStuck, slog.String("challenge", t.Name), slog.String("error", err.Error()))
		return nil
	}
	var results []intune.RevocationResult
	for _, request := range requests {
		if request.CAConfiguration != t.Endpoint {
			continue // another endpoint's, which asks for itself
		}
		if refused := d.take(ctx, t, request); refused != nil {
			results = append(results, *refused)
		}
	}
	return results
}

// Why a request is refused for good, in words for an administrator of Intune.
const (
	noRevocation = "This endpoint issues by cert-manager, which cannot revoke certificates: revoke it at the CA."
	noSerial     = "The serial number is not one of a certificate."
)

// take notes a request down, or refuses it.
func (d *Desk) take(ctx context.Context, t Tenant, r intune.RevocationRequest) *intune.RevocationResult {
	serial, err := raconfig.ParseSerial(r.SerialNumber)
	switch {
	case err != nil:
		return d.refuse(ctx, t, r, noSerial)
	case !d.options.Revokes():
		return d.refuse(ctx, t, r, noRevocation)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	known := func(w wish) bool { return w.tenant == t.Name && w.context == r.RequestContext }
	if slices.ContainsFunc(d.wanted, known) || len(d.wanted) >= maxWanted {
		return nil // Intune asks again for what has no room now
	}
	d.wanted = append(d.wanted, wish{t.Name, r.RequestContext, serial, d.options.Now()})
	d.options.Log.Record(ctx, audit.RevocationWanted, slog.String("challenge", t.Name), slog.String("serial", raconfig.SerialText(serial)))
	return nil
}

func (d *Desk) refuse(ctx context.Context, t Tenant, r intune.RevocationRequest, why string) *intune.RevocationResult {
	d.options.Log.Record(ctx, audit.RevocationRefused,
		slog.String("challenge", t.Name), slog.String("serial", strings.ToValidUTF8(r.SerialNumber[:min(len(r.SerialNumber), 64)], "")), slog.String("why", why))
	return &intune.RevocationResult{RequestContext: r.RequestContext, Code: intune.RevocationNonRetryable, Message: why}
}

const tooLong = "The certificate is not on the revocation list yet: ask again later."

// settle answers what is on the CRL, and what has waited too long for it. What is
// answered stays noted down until Intune has taken the answer.
func (d *Desk) settle(ctx context.Context, t Tenant) []intune.RevocationResult {
	wishes := d.of(t.Name)
	if len(wishes) == 0 {
		return nil
	}
	listed := d.listed(ctx, t)
	var results []intune.RevocationResult
	for _, w := range wishes {
		switch {
		case listed[raconfig.SerialText(w.serial)]:
			results = append(results, intune.RevocationResult{RequestContext: w.context, Succeeded: true})
		case d.options.Now().Sub(w.since) > patience:
			results = append(results, intune.RevocationResult{RequestContext: w.context, Code: intune.RevocationRetryable, Message: tooLong})
		}
	}
	return results
}

func (d *Desk) of(tenant string) []wish {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(d.wanted), func(w wish) bool { return w.tenant != tenant })
}

// listed are the serial numbers on the CRL; none where there is no CRL.
func (d *Desk) listed(ctx context.Context, t Tenant) map[string]bool {
	list, err := d.options.CRL(ctx)
	if err != nil {
		d.options.Log.Record(ctx, audit.RevocationStuck, slog.String("challenge", t.Name), slog.String("error", err.Error()))
		return nil
	}
	out := map[string]bool{}
	for _, entry := range list.RevokedCertificateEntries {
		out[raconfig.SerialText(entry.SerialNumber)] = true
	}
	return out
}

// upload tells Intune, in batches, and forgets what it has taken.
func (d *Desk) upload(ctx context.Context, t Tenant, results []intune.RevocationResult) {
	for batch := range slices.Chunk(results, intune.MaxRevocations) {
		if err := t.Client.UploadRevocations(ctx, batch); err != nil {
			d.options.Log.Record(ctx, audit.RevocationStuck, slog.String("challenge", t.Name), slog.String("error", err.Error()))
			return
		}
		d.forget(ctx, t, batch)
	}
}

func (d *Desk) forget(ctx context.Context, t Tenant, told []intune.RevocationResult) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.wanted = slices.DeleteFunc(d.wanted, func(w wish) bool {
		i := slices.IndexFunc(told, func(r intune.RevocationResult) bool { return w.tenant == t.Name && r.RequestContext == w.context })
		if i >= 0 && told[i].Succeeded {
			d.options.Log.Record(ctx, audit.RevocationDone, slog.String("challenge", t.Name), slog.String("serial", raconfig.SerialText(w.serial)))
		}
		return i >= 0
	})
}
