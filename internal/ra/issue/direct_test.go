package issue

import (
	"bytes"
	"crypto"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
	"strconv"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// noon is far from any slot's end.
var noon = time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)

const year = 365 * 24 * time.Hour

func newDirect(t testing.TB, key crypto.Signer) *Direct {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "ca"},
		NotBefore: noon.Add(-year), NotAfter: noon.Add(10 * year),
		BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	ca, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &Direct{CA: ca, Key: key, Names: Names{Key: []byte("key"), Endpoint: "dev"}, Now: func() time.Time { return noon }}
}

func newOrder(t testing.TB, key *ecdsa.PrivateKey) Order {
	t.Helper()
	return Order{
		Request: Request{
			TransactionID: "id", CSR: csrOf(t, key, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}, DNSNames: []string{"d.example.com"}}),
			Signer: newCertificate(t, key, 1, noon), SelfSigned: true,
			Template: "device",
		},
		Grant: &policy.Grant{Duration: year, Usages: []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageClientAuth}},
	}
}

func directly(t testing.TB, d *Direct, o Order) *x509.Certificate {
	t.Helper()
	r, err := d.Record(t.Context(), o)
	if err != nil || r.State != Issued {
		t.Fatalf("record %+v (%v), want it Issued", r, err)
	}
	return r.Certificates[0]
}

func TestDirectIssues(t *testing.T) {
	t.Parallel()
	for name, key := range map[string]crypto.Signer{"RSA": sceptest.RSAKey(t, 1), "ECDSA": newKey(t)} {
		d := newDirect(t, key)
		o := newOrder(t, newKey(t))
		c := directly(t, d, o)
		if err := c.CheckSignatureFrom(d.CA); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := policy.CheckIssued(c, o.CSR, o.Grant.Usages, nil); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if len(c.DNSNames) != 1 || c.KeyUsage != x509.KeyUsageDigitalSignature || len(c.ExtKeyUsage) != 1 || c.ExtKeyUsage[0] != x509.ExtKeyUsageClientAuth {
			t.Errorf("%s: names %v, usages %v %v", name, c.DNSNames, c.KeyUsage, c.ExtKeyUsage)
		}
		if again := directly(t, d, o); !bytes.Equal(again.Raw, c.Raw) {
			t.Errorf("%s: other bytes for the same order", name)
		}
	}
}

func TestDirectIgnoresWhatChangesInARetry(t *testing.T) {
	t.Parallel()
	d, key := newDirect(t, sceptest.RSAKey(t, 1)), newKey(t)
	first := directly(t, d, newOrder(t, key))
	for name, change := range map[string]func(*Order){
		"signed anew":             func(o *Order) { *o = newOrder(t, key) },
		"another self-signed one": func(o *Order) { o.Signer = newCertificate(t, newKey(t), 7, noon) },
		"usages in another order": func(o *Order) { o.Grant.Usages[0], o.Grant.Usages[1] = o.Grant.Usages[1], o.Grant.Usages[0] },
		"later in the slot":       func(*Order) { d.Now = func() time.Time { return noon.Add(time.Hour) } },
	} {
		o := newOrder(t, key)
		change(&o)
		if c := directly(t, d, o); !bytes.Equal(c.Raw, first.Raw) {
			t.Errorf("%s: other bytes", name)
		}
	}
}

// What differs in anything has another serial number: a CA must not use one twice.
func TestDirectSerialNumbers(t *testing.T) {
	t.Parallel()
	key := newKey(t)
	serials := map[string]string{}
	for name, change := range map[string]func(*Direct, *Order){
		"as it is":            func(*Direct, *Order) {},
		"another transaction": func(_ *Direct, o *Order) { o.TransactionID = "id2" },
		"another key":         func(_ *Direct, o *Order) { o.CSR = newCSR(t, newKey(t), "d") },
		"another subject":     func(_ *Direct, o *Order) { o.CSR = newCSR(t, key, "e") },
		"another name": func(_ *Direct, o *Order) {
			o.CSR = csrOf(t, key, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}, DNSNames: []string{"e.example.com"}})
		},
		"renewal":              func(_ *Direct, o *Order) { o.SelfSigned = false },
		"renewal of a renewal": func(_ *Direct, o *Order) { o.SelfSigned, o.Signer = false, newCertificate(t, key, 2, noon) },
		"other usages":         func(_ *Direct, o *Order) { o.Grant.Usages = o.Grant.Usages[:1] },
		"another validity":     func(_ *Direct, o *Order) { o.Grant.Duration = year / 2 },
		"another day":          func(d *Direct, _ *Order) { d.Now = func() time.Time { return noon.Add(24 * time.Hour) } },
		"another secret":       func(d *Direct, _ *Order) { d.Names.Key = []byte("other") },
		"another CA":           func(d *Direct, _ *Order) { d.CA = newDirect(t, sceptest.RSAKey(t, 1)).CA },
	} {
		d, o := newDirect(t, sceptest.RSAKey(t, 1)), newOrder(t, key)
		d.CA = fixedCA(t)
		change(d, &o)
		serial := d.template(o).SerialNumber
		if serial.Sign() <= 0 || serial.BitLen() > maxSerialBits {
			t.Errorf("%s: serial number %x", name, serial)
		}
		if other, taken := serials[serial.String()]; taken {
			t.Errorf("%q and %q have the same serial number", name, other)
		}
		serials[serial.String()] = name
	}
}

// fixedCA has the same bytes each time.
func fixedCA(t testing.TB) *x509.Certificate {
	t.Helper()
	return &x509.Certificate{Raw: []byte("ca"), NotBefore: noon.Add(-year), NotAfter: noon.Add(10 * year)}
}

func TestDirectValidity(t *testing.T) {
	t.Parallel()
	day := time.Date(2030, 3, 1, 0, 0, 0, 0, time.UTC)
	for name, tc := range map[string]struct {
		now                 time.Time
		duration            time.Duration
		notBefore, notAfter time.Time
	}{
		"a year":             {noon, year, day, day.Add(year)},
		"soon after the day": {day.Add(time.Minute), year, day.Add(-24 * time.Hour), day.Add(year - 24*time.Hour)},
		"an hour":            {noon.Add(5 * time.Minute), time.Hour, noon, noon.Add(time.Hour)},
		"a second":           {noon, time.Second, noon.Add(-time.Second), noon},
		"beyond the CA":      {noon, 20 * year, day, noon.Add(10 * year)},
		"before the CA":      {noon.Add(-year), year, noon.Add(-year), day},
	} {
		d := newDirect(t, newKey(t))
		d.Now = func() time.Time { return tc.now }
		if b, a := d.validity(Order{Grant: &policy.Grant{Duration: tc.duration}}); !b.Equal(tc.notBefore) || !a.Equal(tc.notAfter) {
			t.Errorf("%s: %v to %v, want %v to %v", name, b, a, tc.notBefore, tc.notAfter)
		}
	}
}

func TestDirectWithAnExpiredCA(t *testing.T) {
	t.Parallel()
	d := newDirect(t, newKey(t))
	d.Now = func() time.Time { return noon.Add(11 * year) }
	if r, err := d.Record(t.Context(), newOrder(t, newKey(t))); err != nil || r.State != Failed {
		t.Errorf("record %+v (%v), want it Failed", r, err)
	}
}

// A certificate without a subject has critical alternative names.
func TestDirectWithoutSubject(t *testing.T) {
	t.Parallel()
	o := newOrder(t, newKey(t))
	o.CSR = csrOf(t, newKey(t), &x509.CertificateRequest{DNSNames: []string{"d.example.com"}})
	c := directly(t, newDirect(t, newKey(t)), o)
	for _, e := range c.Extensions {
		if e.Id.Equal(asn1.ObjectIdentifier{2, 5, 29, 17}) && e.Critical {
			return
		}
	}
	t.Error("the alternative names are not critical")
}

func TestDirectKnowsNothingAgain(t *testing.T) {
	t.Parallel()
	d, o := newDirect(t, newKey(t)), newOrder(t, newKey(t))
	directly(t, d, o)
	if r, err := d.Recall(t.Context(), o.Request); r != nil || err != nil {
		t.Errorf("recalled %+v (%v)", r, err)
	}
	if r, err := d.Collect(t.Context(), o.TransactionID, o.Signer); r != nil || err != nil {
		t.Errorf("collected %+v (%v)", r, err)
	}
}

// clock is set by hand.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func newDelayed(t testing.TB) (*Delayed, *clock) {
	t.Helper()
	c := &clock{noon}
	direct := newDirect(t, newKey(t))
	direct.Now = c.now
	return &Delayed{Issuer: direct, Delay: time.Minute, Names: direct.Names, Now: c.now}, c
}

func TestDelayed(t *testing.T) {
	t.Parallel()
	d, clock := newDelayed(t)
	o := newOrder(t, newKey(t))
	record := func() (*Record, error) { return d.Record(t.Context(), o) }
	collect := func() (*Record, error) { return d.Collect(t.Context(), o.TransactionID, o.Signer) }
	want := func(ask func() (*Record, error), state State) {
		t.Helper()
		if r, err := ask(); err != nil || r == nil || r.State != state {
			t.Errorf("%+v (%v), want it %s", r, err, state)
		}
	}
	if r, err := collect(); r != nil || err != nil {
		t.Errorf("collected %+v (%v) before there was a request", r, err)
	}
	want(record, Waiting)
	want(collect, Waiting)
	clock.at = noon.Add(time.Minute - 1)
	want(record, Waiting)
	clock.at = noon.Add(time.Minute)
	want(collect, Issued)
	want(record, Issued)
	if r, err := d.Collect(t.Context(), o.TransactionID, newCertificate(t, newKey(t), 1, noon)); r != nil || err != nil {
		t.Errorf("collected %+v (%v) for another signer", r, err)
	}
	o.CSR = newCSR(t, newKey(t), "other")
	want(record, Waiting)
}

func TestDelayedIsBounded(t *testing.T) {
	t.Parallel()
	d, clock := newDelayed(t)
	o := newOrder(t, newKey(t))
	for n := range maxHeld {
		o.TransactionID = strconv.Itoa(n)
		if _, err := d.hold(o); err != nil {
			t.Fatal(err)
		}
	}
	o.TransactionID = "one too many"
	_, err := d.Record(t.Context(), o)
	var unavailable *scep.UnavailableError
	if !errors.As(err, &unavailable) || !errors.Is(err, errHoldsTooMany) {
		t.Errorf("error %v, want it to be unavailable", err)
	}
	clock.at = noon.Add(d.Delay + keepFor + 1)
	if _, err := d.Record(t.Context(), o); err != nil || len(d.held) != 1 {
		t.Errorf("%v; %d orders are held, want the newest only", err, len(d.held))
	}
}
