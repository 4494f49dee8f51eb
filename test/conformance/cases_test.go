package conformance

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
	"github.com/scepter-pki/scepter/test/stock"
)

// cases are what is tried with each client; each returns what the page says of it.
var cases = []struct {
	name string
	try  func(*testing.T, client) string
}{
	{"GetCACaps", asksCapabilities},
	{"GetCACert", readsCACertificates},
	{"Wrong challenge", isRefused},
	{"Renewal without a challenge", renews},
	{"PENDING", waits},
	{"GET over 12 KiB", travelsByGET},
}

func asksCapabilities(t *testing.T, c client) string {
	s := newScene(t, c.options())
	s.mustEnrol(t, c, s.request())
	if s.tap.asked("GetCACaps") {
		return "asks"
	}
	return "does not ask"
}

// options are those of an RA that serves the client.
func (c client) options() sceptest.Options { return sceptest.Options{Settings: c.legacy.settings()} }

// readsCACertificates enrols with what GetCACert may show.
func readsCACertificates(t *testing.T, c client) string {
	for _, layout := range []sceptest.Layout{sceptest.Pair, sceptest.Combined} {
		o := c.options()
		o.Layout = layout
		s := newScene(t, o)
		s.mustEnrol(t, c, s.request())
		if !s.tap.asked("GetCACert") {
			t.Error("it never asked")
		}
	}
	o := c.options()
	o.Settings.ChainShape = scep.RAAndIssuer
	s := newScene(t, o)
	if c.shortChain == "" {
		s.mustEnrol(t, c, s.request())
		return "a pair or one; root or not"
	}
	_, err := s.enrol(t, c, s.request())
	mustSay(t, err, c.shortChain)
	return "a pair or one; wants the root"
}

func isRefused(t *testing.T, c client) string {
	s := newScene(t, c.options())
	r := s.request()
	r.Challenge = "wrong"
	_, err := s.enrol(t, c, r)
	mustSay(t, err, c.refusal)
	if s.Issued() != 0 {
		t.Error("a certificate was issued")
	}
	return "says `" + c.refusal + "`"
}

// mustSay checks that a client gave up by itself and said why.
func mustSay(t *testing.T, err error, what string) {
	t.Helper()
	var refusal *stock.ClientError
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want the client's own refusal", err)
	}
	if !strings.Contains(refusal.Error(), what) {
		t.Errorf("it does not say %q: %v", what, refusal)
	}
}

func renews(t *testing.T, c client) string {
	var seen []string
	for _, each := range append([]stock.Client{c.Client}, c.renewing...) {
		seen = append(seen, renewsBy(t, c, each))
	}
	return strings.Join(seen, "; ")
}

// renewsBy renews with a client's certificate alone.
func renewsBy(t *testing.T, c client, by stock.Client) string {
	t.Helper()
	s := newScene(t, c.options())
	old := s.mustEnrol(t, c, s.request())
	ctx, cancel := context.WithTimeout(t.Context(), clientLimit)
	defer cancel()
	r := s.request()
	r.Challenge = ""
	renewed, err := by.Renew(ctx, t.TempDir(), old, r)
	if err != nil {
		t.Fatal(err)
	}
	if !s.CA.Issued(renewed.Certificate) || renewed.Certificate.Equal(old.Certificate) {
		t.Error("that is not a new certificate of the CA")
	}
	operations := s.tap.operations()
	request := operations[len(operations)-1].request
	if !s.signedByOurs(request) {
		t.Error("the renewal was not signed by the old certificate")
	}
	return fmt.Sprintf("%s, %s", request.typeName(), keyOf(renewed, old))
}

func keyOf(renewed, old *stock.Identity) string {
	if old.SameKey(renewed) {
		return "same key"
	}
	return "new key"
}

// waits is told PENDING twice.
func waits(t *testing.T, c client) string {
	o := c.options()
	o.Pending = 2
	if _, slow := c.Client.(*stock.ScepClient); slow {
		o.Pending = 1 // it waits half a minute each time
	}
	s := newScene(t, o)
	s.mustEnrol(t, c, s.request())
	operations := s.tap.operations()
	if len(operations) != o.Pending+1 {
		t.Fatalf("%d messages, want %d", len(operations), o.Pending+1)
	}
	for i, x := range operations {
		if pending := x.reply.statusName() == scep.StatusPending.String(); pending != (i < o.Pending) {
			t.Errorf("message %d was answered with %s", i, x.reply.statusName())
		}
	}
	again := operations[1].request.typeName()
	if again == scep.PKCSReq.String() {
		return "repeats its PKCSReq"
	}
	return "polls by " + again
}

// travelsByGET enrols where GetCACaps does not list POST.
func travelsByGET(t *testing.T, c client) string {
	const longURL = 12 << 10
	s := newScene(t, c.options())
	s.tap.hide = []string{"POSTPKIOperation", "SCEPStandard"}
	s.tap.byGET = c.alwaysPOST
	r := s.request()
	c.large(&r)
	s.mustEnrol(t, c, r)
	x := s.tap.operations()[0]
	if x.targetBytes <= longURL {
		t.Errorf("the request target has %d bytes, want more than %d", x.targetBytes, longURL)
	}
	if posted := x.method == "POST"; posted != c.alwaysPOST {
		t.Errorf("sent by %s", x.method)
	}
	if c.alwaysPOST {
		return "sends POST all the same; its message as a GET is answered"
	}
	return "yes"
}

// manyNames and longName make a request large.
func manyNames(r *stock.Request) {
	for i := range 150 {
		r.DNSNames = append(r.DNSNames, fmt.Sprintf("alternative-name-number-%03d-of-this-device.devices.example.com", i))
	}
}

func longName(r *stock.Request) { r.Organization = strings.Repeat("Example Corp ", 150) }

// enrolsBy enrols in a certain way and returns the cells of its row.
func enrolsBy(t *testing.T, w way) []string {
	s := newScene(t, w.options())
	s.tap.hide = w.hide
	_, err := s.enrol(t, w.Client, s.request())
	switch {
	case w.impossible != "":
		mustSay(t, err, w.impossible)
		return []string{w.told, "-", "-", "-", "-", "not possible: the client says `" + w.impossible + "`", "-"}
	case w.refused != "":
		mustSay(t, err, "")
		x := s.tap.operations()[0]
		mustBeBadAlg(t, x)
		return append(append([]string{w.told}, x.request.algorithms()...), "refused: badAlg", "none helps")
	case err != nil:
		t.Fatal(err)
	}
	for i := range w.legacy {
		isBadAlgWithout(t, w, i)
	}
	x := s.tap.operations()[0]
	answer := []string{x.reply.cipher, x.reply.transport, x.reply.digest}
	return append(append([]string{w.told}, x.request.algorithms()...), strings.Join(answer, ", "), w.legacy.String())
}

func (w way) options() sceptest.Options {
	o := sceptest.Options{Settings: w.legacy.settings()}
	if w.ec {
		o.Settings.PasswordRecipient, o.OneTime = true, []string{challenge}
	}
	return o
}

// isBadAlgWithout tries the same with each of what has to be allowed left out.
func isBadAlgWithout(t *testing.T, w way, missing int) {
	t.Helper()
	rest := slices.Delete(slices.Clone(w.legacy), missing, missing+1)
	s := newScene(t, sceptest.Options{Settings: rest.settings()})
	s.tap.hide = w.hide
	_, err := s.enrol(t, w.Client, s.request())
	x := s.tap.operations()[0]
	if err != nil {
		mustBeBadAlg(t, x)
		return
	}
	// The client may choose by GetCACaps, and have found another way.
	if is := string(w.legacy[missing]); x.request.cipher == is || x.request.digest == is {
		t.Errorf("served with %s, which is not allowed", is)
	}
}

func mustBeBadAlg(t *testing.T, x exchange) {
	t.Helper()
	if x.reply.failInfoName() != scep.BadAlg.String() {
		t.Errorf("answered with %s %s, want badAlg", x.reply.statusName(), x.reply.failInfoName())
	}
}
