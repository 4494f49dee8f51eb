package revocation

import (
	"context"
	"crypto"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/crypto/ocsp"
)

// verdict is an outcome of Check in a word, with its cause.
func verdict(err error) (word, cause string) {
	var revoked *RevokedError
	var unknown *UnknownError
	switch {
	case err == nil:
		return "good", ""
	case errors.As(err, &revoked):
		return "revoked", err.Error()
	case errors.As(err, &unknown):
		return "unknown", err.Error()
	case errors.Is(err, ErrNoSource):
		return "no source", ""
	case errors.Is(err, ErrForgotten):
		return "forgotten", ""
	default:
		return "another error", err.Error()
	}
}

func (w *world) want(c *x509.Certificate, word, cause string) {
	w.t.Helper()
	got, why := verdict(w.checker.Check(context.Background(), c, w.ca, w.grace))
	if got != word || !strings.Contains(why, cause) {
		w.t.Errorf("certificate %d is %s (%s), want %s (%s)", c.SerialNumber, got, why, word, cause)
	}
}

func TestLists(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("/crl", fixed(w.crl(nil)))
	w.want(w.device(12, []string{"/crl"}, nil), "good", "")
	w.want(w.device(13, []string{"/crl"}, nil), "revoked", "reason 1")
	w.want(w.device(14, []string{"/crl"}, nil), "good", "")
	if n := w.calls.Load(); n != 1 {
		t.Errorf("the list was fetched %d times", n)
	}
}

func TestNothingToAsk(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.want(w.device(12, nil, nil), "no source", "")
	w.want(w.device(12, []string{"ldap://127.0.0.1/cn=crl", "file:///etc/passwd", "http://", "::"}, []string{"gopher://127.0.0.1"}), "no source", "")
	if n := w.calls.Load(); n != 0 {
		t.Errorf("%d calls", n)
	}
}

// TestListsThatCannotBeUsed: each leaves the question open.
func TestListsThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	otherKey := newKey(t)
	namesake := w.newCA(otherKey, "CA")
	extension := func(oid asn1.ObjectIdentifier, critical bool, value []byte) func(*x509.RevocationList) {
		return func(l *x509.RevocationList) {
			l.ExtraExtensions = []pkix.Extension{{Id: oid, Critical: critical, Value: value}}
		}
	}
	point := asn1.ObjectIdentifier{2, 5, 29, 28}
	good := w.crl(nil)
	for name, tc := range map[string]struct {
		der   []byte
		cause string
	}{
		"nothing":            {nil, "cannot be read"},
		"a page":             {[]byte("<html>welcome</html>"), "cannot be read"},
		"half a list":        {good[:len(good)/2], "cannot be read"},
		"a flipped bit":      {append(append([]byte{}, good[:len(good)-1]...), good[len(good)-1]^1), "not the issuer's"},
		"another CA's":       {w.crlBy(w.newCA(otherKey, "Other"), otherKey, nil), "not the issuer's"},
		"a namesake's":       {w.crlBy(namesake, otherKey, nil), "not the issuer's"},
		"stale":              {w.crl(func(l *x509.RevocationList) { l.ThisUpdate, l.NextUpdate = noon.AddDate(0, 0, -2), noon }), "stale"},
		"of the future":      {w.crl(func(l *x509.RevocationList) { l.ThisUpdate = noon.Add(time.Hour) }), "of the future"},
		"without an end":     {withoutEnd(w), "until when"},
		"a delta":            {w.crl(extension(asn1.ObjectIdentifier{2, 5, 29, 27}, true, []byte{2, 1, 1})), "not a whole list"},
		"of CA certificates": {w.crl(extension(point, true, []byte{0x30, 3, 0x82, 1, 0xff})), "not a whole list"},
		"of some reasons":    {w.crl(extension(point, true, []byte{0x30, 4, 0x83, 2, 1, 6})), "not a whole list"},
		"indirect":           {w.crl(extension(point, true, []byte{0x30, 3, 0x84, 1, 0xff})), "not a whole list"},
		"of attributes":      {w.crl(extension(point, true, []byte{0x30, 3, 0x85, 1, 0xff})), "not a whole list"},
		"for another place":  {w.crl(extension(point, true, scopeOf(t, "http://127.0.0.1/other"))), "for other certificates"},
		"for no place":       {w.crl(extension(point, true, scopeOf(t))), "for other certificates"},
		"a point of rubbish": {w.crl(extension(point, true, []byte{0x30, 2, 0xa0, 0x80})), "cannot be read"},
		"critical and new":   {w.crl(extension(asn1.ObjectIdentifier{1, 2, 3}, true, []byte{5, 0})), "not understood"},
		"a critical entry":   {w.crl(criticalEntry), "not understood"},
		"too large":          {make([]byte, maxList+1), "more than"},
	} {
		path := "/" + strings.ReplaceAll(name, " ", "-")
		w.serve(path, fixed(tc.der))
		w.want(w.device(12, []string{path}, nil), "unknown", tc.cause)
	}
}

func criticalEntry(l *x509.RevocationList) {
	l.RevokedCertificateEntries[0].ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 29}, Critical: true, Value: []byte{0x30, 0}}}
}

// withoutEnd is a list that leaves nextUpdate out, which the library does not make.
func withoutEnd(w *world) []byte {
	w.t.Helper()
	tbs := marshal(w.t, struct {
		Version    int
		Algorithm  pkix.AlgorithmIdentifier
		Issuer     asn1.RawValue
		ThisUpdate time.Time
	}{1, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, asn1.RawValue{FullBytes: w.ca.RawSubject}, noon}, "")
	digest := crypto.SHA256.New()
	digest.Write(tbs)
	signature, err := w.key.Sign(nil, digest.Sum(nil), crypto.SHA256)
	if err != nil {
		w.t.Fatal(err)
	}
	return marshal(w.t, struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}{asn1.RawValue{FullBytes: tbs}, pkix.AlgorithmIdentifier{Algorithm: asn1.ObjectIdentifier{1, 2, 840, 10045, 4, 3, 2}}, asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}}, "")
}

// scopeOf is an IssuingDistributionPoint that names URLs.
func scopeOf(t testing.TB, urls ...string) []byte {
	t.Helper()
	var names []byte
	for _, u := range urls {
		names = append(names, marshal(t, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 6, Bytes: []byte(u)}, "")...)
	}
	nested := func(inner []byte) []byte {
		return marshal(t, asn1.RawValue{Class: asn1.ClassContextSpecific, Tag: 0, IsCompound: true, Bytes: inner}, "")
	}
	return marshal(t, asn1.RawValue{Tag: asn1.TagSequence, IsCompound: true, Bytes: nested(nested(names))}, "")
}

func TestAListForTheCertificatesPlace(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("/part", fixed(w.crl(func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 28}, Critical: true, Value: scopeOf(t, "ldap:///x", w.server.URL+"/part")}}
	})))
	w.want(w.device(12, []string{"/part"}, nil), "good", "")
	w.want(w.device(13, []string{"/part"}, nil), "revoked", "")
}

// TestServersThatMisbehave: whatever a server does, the question stays open.
func TestServersThatMisbehave(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	good := w.crl(nil)
	elsewhere := httptest.NewServer(http.HandlerFunc(func(out http.ResponseWriter, _ *http.Request) { _, _ = out.Write(good) }))
	t.Cleanup(elsewhere.Close)
	secure := httptest.NewTLSServer(elsewhere.Config.Handler)
	t.Cleanup(secure.Close)
	closed := httptest.NewServer(nil)
	closed.Close()
	redirect := func(to string) http.HandlerFunc {
		return func(out http.ResponseWriter, r *http.Request) { http.Redirect(out, r, to, http.StatusFound) }
	}
	for name, tc := range map[string]struct {
		handler http.HandlerFunc
		cause   string
	}{
		"missing":              {http.NotFound, "HTTP status 404"},
		"failing":              {func(out http.ResponseWriter, _ *http.Request) { out.WriteHeader(http.StatusInternalServerError) }, "HTTP status 500"},
		"torn":                 {torn(good), "broke off"},
		"hanging up":           {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, "call"},
		"redirected elsewhere": {redirect(elsewhere.URL + "/crl"), "redirects to where"},
		"redirected to TLS":    {redirect(secure.URL + "/crl"), "redirects to where"},
		"redirected to a file": {redirect("file:///etc/passwd"), "redirects to where"},
		"redirected for ever":  {redirect("/redirected-for-ever"), "redirects to where"},
	} {
		path := "/" + strings.ReplaceAll(name, " ", "-")
		w.mux.HandleFunc(path, tc.handler)
		w.want(w.device(12, []string{path}, nil), "unknown", tc.cause)
	}
	w.want(w.device(12, []string{closed.URL + "/crl"}, nil), "unknown", "refused")
	w.serve("/crl", fixed(good))
	w.mux.HandleFunc("/moved", redirect("/crl"))
	w.want(w.device(12, []string{"/moved"}, nil), "good", "")
}

func torn(body []byte) http.HandlerFunc {
	return func(out http.ResponseWriter, _ *http.Request) {
		out.Header().Set("Content-Length", "100000")
		_, _ = out.Write(body)
	}
}

// TestSlowServer: a device is told to come again, and does not wait for ever.
func TestSlowServer(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	end := make(chan struct{})
	t.Cleanup(func() { close(end) })
	w.mux.HandleFunc("/slow", func(http.ResponseWriter, *http.Request) { <-end })
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	err := w.checker.Check(ctx, w.device(12, []string{"/slow"}, nil), w.ca, 0)
	if word, why := verdict(err); word != "unknown" || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%s (%s)", word, why)
	}
}

func TestListsAreKeptUntilTheyAreStale(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var mu sync.Mutex
	current, broken := w.crl(nil), false
	w.mux.HandleFunc("/crl", func(out http.ResponseWriter, _ *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		if broken {
			out.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = out.Write(current)
	})
	set := func(der []byte, fails bool) {
		mu.Lock()
		defer mu.Unlock()
		current, broken = der, fails
	}
	calls := func(want int64, when string) {
		t.Helper()
		if n := w.calls.Swap(0); n != want {
			t.Errorf("%s: %d calls, want %d", when, n, want)
		}
	}
	device := w.device(12, []string{"/crl"}, nil)
	w.want(device, "good", "")
	old := w.crl(nil)
	calls(1, "first")

	w.pass(30 * time.Minute)
	set(w.crl(func(l *x509.RevocationList) { l.RevokedCertificateEntries[0].SerialNumber = big.NewInt(12) }), false)
	w.want(device, "good", "")
	calls(0, "half an hour later")

	w.pass(time.Hour)
	w.want(device, "revoked", "")
	calls(1, "an hour later")

	w.pass(2 * time.Hour)
	set(old, false)
	w.want(device, "revoked", "") // an old list does not bring it back
	calls(1, "with an old list")

	w.pass(2 * time.Hour)
	set(nil, true)
	w.want(device, "revoked", "")
	w.want(device, "revoked", "")
	calls(1, "while the server fails")

	w.pass(24 * time.Hour)
	w.want(device, "unknown", "502")
	calls(1, "when the list is stale")
	w.pass(failureRemembered / 2)
	w.want(device, "unknown", "502")
	calls(0, "right after a failure")
	set(w.crl(nil), false)
	w.pass(failureRemembered)
	w.want(device, "good", "")
	calls(1, "afterwards")
}

// TestWhatHasEnded counts for as long as the caller bears it, and what it revokes stays so. It
// is asked for anew all the same, and not more often than a source that fails.
func TestWhatHasEnded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	var away atomic.Bool
	list := w.crl(nil) // holds for a day
	w.mux.HandleFunc("/crl", func(out http.ResponseWriter, _ *http.Request) {
		if away.Load() {
			out.WriteHeader(http.StatusBadGateway)
			return
		}
		_, _ = out.Write(list)
	})
	device, revoked := w.device(12, []string{"/crl"}, nil), w.device(13, []string{"/crl"}, nil)
	w.want(device, "good", "")
	judged := func(when, word, revokedWord, cause string) {
		t.Helper()
		w.calls.Store(0)
		w.want(device, word, cause)
		w.want(revoked, revokedWord, "")
		if n := w.calls.Load(); n != 1 {
			t.Errorf("%s: %d calls, want 1", when, n)
		}
	}
	w.pass(25 * time.Hour)
	judged("not borne", "unknown", "unknown", "stale")
	w.grace = 2 * time.Hour
	w.pass(failureRemembered)
	judged("borne", "good", "revoked", "")
	away.Store(true)
	w.pass(failureRemembered)
	judged("borne, while the source is away", "good", "revoked", "")
	w.pass(2 * time.Hour)
	judged("no longer borne", "unknown", "unknown", "502")

	away.Store(false)
	w.grace = 4 * time.Hour
	w.checker = New(Options{Now: w.now})
	judged("a server that starts", "good", "revoked", "")
}

func TestOneFetchServesAFleet(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	list, open := w.crl(nil), make(chan struct{})
	w.mux.HandleFunc("/crl", func(out http.ResponseWriter, _ *http.Request) {
		<-open
		_, _ = out.Write(list)
	})
	device := w.device(12, []string{"/crl"}, nil)
	var group sync.WaitGroup
	for range 16 {
		group.Go(func() { w.want(device, "good", "") })
	}
	close(open)
	group.Wait()
	if n := w.calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
}

func TestListsAreBounded(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	list := w.crl(nil)
	for _, path := range []string{"/1", "/2", "/3", "/4", "/5", "/6"} {
		w.serve(path, fixed(list))
		w.want(w.device(12, []string{path}, nil), "good", "")
	}
	if n := len(w.checker.lists.cache.entries); n != maxLists {
		t.Errorf("%d lists are kept", n)
	}
}

func TestResponders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	device := w.device(12, nil, []string{"/ocsp"})
	w.mux.HandleFunc("/ocsp", func(out http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		asked, parseErr := ocsp.ParseRequest(body)
		if err != nil || parseErr != nil || r.Header.Get("Content-Type") != ocspRequest || asked.SerialNumber.Cmp(device.SerialNumber) != 0 {
			t.Errorf("asked %+v (%v, %v)", asked, err, parseErr)
		}
		_, _ = out.Write(w.respond(device, nil))
	})
	w.want(device, "good", "")
	w.want(device, "good", "")
	if n := w.calls.Load(); n != 1 {
		t.Errorf("%d calls", n)
	}
	revoked := w.device(13, nil, []string{"/revoked"})
	w.serve("/revoked", fixed(w.respond(revoked, func(r *ocsp.Response) {
		r.Status, r.RevokedAt, r.RevocationReason = ocsp.Revoked, noon.Add(-time.Hour), ocsp.KeyCompromise
	})))
	w.want(revoked, "revoked", "reason 1")
}

// TestDelegatedResponders: a certificate of the same CA speaks for it only if it was made for that.
func TestDelegatedResponders(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	for name, tc := range map[string]struct {
		usages []x509.ExtKeyUsage
		end    time.Time
		want   string
	}{
		"delegated":        {[]x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, noon.AddDate(0, 0, 1), "good"},
		"a device":         {[]x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}, noon.AddDate(0, 0, 1), "unknown"},
		"for any purpose":  {[]x509.ExtKeyUsage{x509.ExtKeyUsageAny}, noon.AddDate(0, 0, 1), "unknown"},
		"without purposes": {nil, noon.AddDate(0, 0, 1), "unknown"},
		"expired":          {[]x509.ExtKeyUsage{x509.ExtKeyUsageOCSPSigning}, noon.AddDate(0, 0, -1), "unknown"},
	} {
		key := newKey(t)
		signer := w.certify(&x509.Certificate{
			SerialNumber: big.NewInt(99), Subject: pkix.Name{CommonName: "responder"},
			NotBefore: noon.AddDate(0, -1, 0), NotAfter: tc.end, ExtKeyUsage: tc.usages,
		}, w.ca, key.Public(), w.key)
		path := "/" + strings.ReplaceAll(name, " ", "-")
		device := w.device(12, nil, []string{path})
		w.serve(path, fixed(w.respondBy(signer, key, device, nil)))
		cause := ""
		if tc.want != "good" {
			cause = errNotDelegated.Error()
		}
		w.want(device, tc.want, cause)
	}
}

func TestResponsesThatCannotBeUsed(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	device, other := w.device(12, nil, nil), w.device(14, nil, nil)
	otherKey := newKey(t)
	otherCA := w.newCA(otherKey, "Other")
	good := w.respond(device, nil)
	for name, tc := range map[string]struct {
		der   []byte
		cause string
	}{
		"nothing":             {nil, "cannot be used"},
		"rubbish":             {[]byte("good"), "cannot be used"},
		"half":                {good[:len(good)/2], "cannot be used"},
		"a flipped bit":       {append(append([]byte{}, good[:len(good)-1]...), good[len(good)-1]^1), "cannot be used"},
		"try later":           {ocsp.TryLaterErrorResponse, "try later"},
		"unauthorized":        {ocsp.UnauthorizedErrorResponse, "unauthorized"},
		"about another":       {w.respond(other, nil), "cannot be used"},
		"by another CA":       {w.respondBy(otherCA, otherKey, device, nil), "cannot be used"},
		"unknown":             {w.respond(device, func(r *ocsp.Response) { r.Status = ocsp.Unknown }), "does not know"},
		"stale":               {w.respond(device, func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = noon.AddDate(0, 0, -2), noon }), "stale"},
		"of the future":       {w.respond(device, func(r *ocsp.Response) { r.ThisUpdate = noon.Add(time.Hour) }), "of the future"},
		"old, without an end": {w.respond(device, func(r *ocsp.Response) { r.ThisUpdate, r.NextUpdate = noon.Add(-2*time.Hour), time.Time{} }), "stale"},
		"too large":           {make([]byte, maxResponse+1), "more than"},
	} {
		path := "/" + strings.NewReplacer(" ", "-", ",", "").Replace(name)
		w.serve(path, fixed(tc.der))
		w.want(w.device(12, nil, []string{path}), "unknown", tc.cause)
	}
	w.serve("/now", fixed(w.respond(device, func(r *ocsp.Response) { r.NextUpdate = time.Time{} })))
	w.want(w.device(12, nil, []string{"/now"}), "good", "")
}

// TestSourcesInTurn: a list that cannot be had leaves it to the responder, but a list
// that says revoked is not overruled.
func TestSourcesInTurn(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.serve("/crl", fixed(w.crl(nil)))
	device := w.device(12, []string{"/missing"}, []string{"/ocsp"})
	w.serve("/ocsp", fixed(w.respond(device, nil)))
	w.want(device, "good", "")
	w.want(w.device(12, []string{"/missing", "/crl"}, nil), "good", "")
	w.want(w.device(13, []string{"/crl"}, []string{"/ocsp"}), "revoked", "")
	w.want(w.device(15, []string{"/missing"}, []string{"/ocsp"}), "unknown", "404")
}

// TestExpired: most lists forget certificates that have expired, revoked or not.
func TestExpired(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	keeps := func(since time.Time) []byte { return marshal(t, since, "generalized") }
	w.serve("/crl", fixed(w.crl(nil)))
	w.serve("/keeps", fixed(w.crl(func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 60}, Value: keeps(noon.AddDate(0, 0, -10))}}
	})))
	w.serve("/rubbish", fixed(w.crl(func(l *x509.RevocationList) {
		l.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{2, 5, 29, 60}, Value: []byte{5, 0}}}
	})))
	yesterday, longAgo := noon.AddDate(0, 0, -1), noon.AddDate(0, 0, -11)
	w.want(w.deviceUntil(yesterday, 12, []string{"/crl"}, nil), "forgotten", "")
	w.want(w.deviceUntil(yesterday, 13, []string{"/crl"}, nil), "revoked", "")
	w.want(w.deviceUntil(yesterday, 12, []string{"/keeps"}, nil), "good", "")
	w.want(w.deviceUntil(yesterday, 13, []string{"/keeps"}, nil), "revoked", "")
	w.want(w.deviceUntil(longAgo, 12, []string{"/keeps"}, nil), "forgotten", "")
	w.want(w.deviceUntil(yesterday, 12, []string{"/rubbish"}, nil), "unknown", "cannot be read")
	w.want(w.deviceUntil(yesterday, 12, []string{"/crl", "/missing"}, nil), "unknown", "404")

	device := w.deviceUntil(yesterday, 12, nil, []string{"/ocsp"})
	w.serve("/ocsp", fixed(w.respond(device, nil)))
	w.want(device, "forgotten", "")
	archived := w.deviceUntil(yesterday, 16, nil, []string{"/archive"})
	w.serve("/archive", fixed(w.respond(archived, func(r *ocsp.Response) {
		r.ExtraExtensions = []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 5, 5, 7, 48, 1, 6}, Value: keeps(noon.AddDate(0, 0, -10))}}
	})))
	w.want(archived, "good", "")
}

// FuzzScope: what is not a whole list is never taken for one.
func FuzzScope(f *testing.F) {
	f.Add(scopeOf(f, "http://127.0.0.1/crl"))
	f.Add([]byte{0x30, 3, 0x81, 1, 0xff})
	f.Add([]byte{0x30, 3, 0x84, 1, 0xff})
	f.Fuzz(func(t *testing.T, der []byte) {
		var known struct {
			Point      asn1.RawValue  `asn1:"optional,tag:0"`
			User       bool           `asn1:"optional,tag:1"`
			CA         bool           `asn1:"optional,tag:2"`
			Reasons    asn1.BitString `asn1:"optional,tag:3"`
			Indirect   bool           `asn1:"optional,tag:4"`
			Attributes bool           `asn1:"optional,tag:5"`
		}
		_, err := readScope(der)
		if err != nil {
			return
		}
		if rest, other := asn1.Unmarshal(der, &known); other == nil && len(rest) == 0 &&
			(known.CA || known.Indirect || known.Attributes || known.Reasons.BitLength > 0) {
			t.Errorf("taken for a whole list: %x", der)
		}
	})
}

func FuzzTime(f *testing.F) {
	f.Add(marshal(f, noon, "generalized"))
	f.Fuzz(func(t *testing.T, der []byte) {
		if at, err := readTime(der); err != nil && !at.IsZero() {
			t.Errorf("%x gives %v with an error", der, at)
		}
	})
}
