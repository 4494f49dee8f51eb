package wire

import (
	"bytes"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"
)

var claimed = time.Date(2030, 3, 1, 12, 0, 0, 0, time.UTC)

func goodOrder() *Order {
	return &Order{
		Generation: 3, TransactionID: "t1", CSR: []byte("csr"), Signer: []byte("signer"), Template: "device",
		Challenge: &Challenge{
			Name: "helpdesk", Rule: "kiosk", Data: map[string]any{"owner": "x"},
			Claim: &Claim{Name: "corp-1", Time: claimed, Expires: claimed.Add(time.Hour)},
		},
		Client: Client{Address: "192.0.2.1", TLS: true},
	}
}

func TestOrdersComeBackAsTheyWent(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Order){
		"everything":           func(*Order) {},
		"by a certificate":     func(o *Order) { o.Challenge = nil },
		"by another challenge": func(o *Order) { o.Challenge = &Challenge{Name: "mdm"} },
		"odd transactionID":    func(o *Order) { o.TransactionID = "\x7f<>&\u2028" },
		"unknown client":       func(o *Order) { o.Client = Client{} },
	} {
		want := goodOrder()
		change(want)
		out, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeOrder(bytes.NewReader(out)); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%s: %+v (%v), want %+v", name, got, err, want)
		}
	}
}

func TestWrongOrdersAreRefused(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Order){
		"no CSR":                func(o *Order) { o.CSR = nil },
		"no signer":             func(o *Order) { o.Signer = nil },
		"no template":           func(o *Order) { o.Template = "" },
		"long template":         func(o *Order) { o.Template = strings.Repeat("x", 300) },
		"no transaction":        func(o *Order) { o.TransactionID = "" },
		"negative generation":   func(o *Order) { o.Generation = -1 },
		"nameless challenge":    func(o *Order) { o.Challenge.Name = "" },
		"nameless claim":        func(o *Order) { o.Challenge.Claim.Name = "" },
		"claim without time":    func(o *Order) { o.Challenge.Claim.Time = time.Time{} },
		"claim without end":     func(o *Order) { o.Challenge.Claim.Expires = time.Time{} },
		"claim between seconds": func(o *Order) { o.Challenge.Claim.Time = claimed.Add(time.Millisecond) },
		"too long":              func(o *Order) { o.CSR = make([]byte, MaxOrder) },
	} {
		order := goodOrder()
		change(order)
		out, err := Encode(order)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := DecodeOrder(bytes.NewReader(out)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	good, err := Encode(goodOrder())
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{
		"unknown field": strings.Replace(string(good), `"template"`, `"more":1,"template"`, 1),
		"two of them":   string(good) + string(good),
		"cut short":     string(good[:len(good)/2]),
		"another kind":  strings.Replace(string(good), `"device"`, `7`, 1),
		"nothing":       "",
		"no JSON":       "password: secret",
	} {
		_, err := DecodeOrder(strings.NewReader(text))
		if !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %v", name, err)
		}
		if strings.Contains(err.Error(), "secret") || strings.Contains(err.Error(), "more") {
			t.Errorf("%s: the error quotes its input: %v", name, err)
		}
	}
}

func TestProblems(t *testing.T) {
	t.Parallel()
	for _, want := range []*Problem{{Code: Refused, Reason: "RuleNotMet", Text: "CN"}, {Code: Busy, Text: "later"}, {Code: NotReady}} {
		out, err := Encode(want)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := DecodeProblem(bytes.NewReader(out)); err != nil || *got != *want {
			t.Errorf("%+v (%v), want %+v", got, err, want)
		}
		if !strings.Contains(want.Error(), string(want.Code)) {
			t.Errorf("%v does not name its code", want)
		}
	}
	for _, text := range []string{`{}`, `{"code":"Other"}`, `{"code":"Refused","text":"x"}`, `{"code":"Busy","reason":"x"}`, `<html>`} {
		if got, err := DecodeProblem(strings.NewReader(text)); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: %+v (%v)", text, got, err)
		}
	}
	if _, err := DecodeIssued(strings.NewReader(`{"certificate":"","generation":1}`)); !errors.Is(err, ErrMalformed) {
		t.Errorf("no certificate: %v", err)
	}
}

func FuzzDecodeOrder(f *testing.F) {
	good, err := Encode(goodOrder())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte(`{"generation":0,"transactionID":"t","csr":"AA==","signer":"AA==","template":"d"}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		order, err := DecodeOrder(bytes.NewReader(in))
		if err != nil {
			if !errors.Is(err, ErrMalformed) {
				t.Fatalf("untyped error %v", err)
			}
			return
		}
		out, err := Encode(order)
		if err != nil {
			t.Fatal(err)
		}
		again, err := DecodeOrder(bytes.NewReader(out))
		if err != nil {
			if len(out) > MaxOrder {
				return // escapes made it longer
			}
			t.Fatalf("%v: %s", err, out)
		}
		if twice, err := Encode(again); err != nil || !bytes.Equal(twice, out) {
			t.Fatalf("other bytes (%v): %s, %s", err, out, twice)
		}
	})
}

func FuzzDecodeAnswers(f *testing.F) {
	f.Add([]byte(`{"code":"Refused","reason":"RuleNotMet","text":"CN must be a device name"}`))
	f.Add([]byte(`{"certificate":"AA==","generation":3}`))
	f.Fuzz(func(t *testing.T, in []byte) {
		if p, err := DecodeProblem(bytes.NewReader(in)); err == nil && p.Code == "" {
			t.Fatal("a problem without a code")
		} else if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("untyped error %v", err)
		}
		if i, err := DecodeIssued(bytes.NewReader(in)); err == nil && len(i.Certificate) == 0 {
			t.Fatal("an answer without a certificate")
		} else if err != nil && !errors.Is(err, ErrMalformed) {
			t.Fatalf("untyped error %v", err)
		}
	})
}
