package onetime

import (
	"bytes"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"io"
	"net"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

var (
	testKey     = bytes.Repeat([]byte{1}, KeyBytes)
	testNextKey = bytes.Repeat([]byte{2}, KeyBytes)
)

// clock is one that a test sets.
type clock struct{ now time.Time }

func (c *clock) Now() time.Time { return c.now }

func newClock() *clock { return &clock{time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)} }

func testConfig(c *clock) Config {
	return Config{
		Name:      "mdm",
		Endpoint:  "uid-1",
		Keys:      [][]byte{testKey},
		Validity:  time.Hour,
		NDES:      true,
		Guard:     NewGuard(),
		Templates: map[string][]string{"device": {"kiosk", "server"}, "router": nil},
		Now:       c.Now,
	}
}

func newOneTime(t testing.TB, c Config) *OneTime {
	t.Helper()
	o, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func mint(t testing.TB, o *OneTime, order Order) *Minted {
	t.Helper()
	if order.Template == "" {
		order.Template = "device"
	}
	m, err := o.Mint(order, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func newCSR(t testing.TB, template *x509.CertificateRequest) *x509.CertificateRequest {
	t.Helper()
	der, err := x509.CreateCertificateRequest(rand.Reader, template, sceptest.RSAKey(t, 1))
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	return csr
}

// device asks for names of each type.
func device(t testing.TB) *x509.CertificateRequest {
	t.Helper()
	return newCSR(t, &x509.CertificateRequest{
		Subject:        pkix.Name{CommonName: "d1", Organization: []string{"Acme"}},
		DNSNames:       []string{"D1.example.com", "a.example.com"},
		EmailAddresses: []string{"d1@example.com"},
		IPAddresses:    []net.IP{net.IPv4(192, 0, 2, 1)},
		URIs:           []*url.URL{{Scheme: "urn", Opaque: "d1"}},
	})
}

func attempt(t testing.TB, password string) challenge.Attempt {
	t.Helper()
	return challenge.Attempt{Password: password, Template: "device", CSR: device(t)}
}

// verdict of Verify: "yes", "no", a refusal's reason, or another error.
func verdict(t testing.TB, o *OneTime, a challenge.Attempt) string {
	t.Helper()
	admission, err := o.Verify(t.Context(), a)
	if refused, ok := refusal.As(err); ok {
		return string(refused.Reason)
	}
	switch {
	case err != nil:
		return err.Error()
	case admission == nil:
		return "no"
	}
	return "yes"
}

func wantVerdict(t testing.TB, o *OneTime, a challenge.Attempt, want string) {
	t.Helper()
	if got := verdict(t, o, a); got != want {
		t.Errorf("verdict %q, want %q", got, want)
	}
}

func canonical(t testing.TB, subject, alternatives []string) *policy.Names {
	t.Helper()
	n, err := policy.ParseNames(subject, alternatives)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

var shapes = map[Form]*regexp.Regexp{
	Standard: regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{32}$`),
	Long:     regexp.MustCompile(`^[0-9A-HJKMNP-TV-Z]{85,255}$`),
	NDES:     regexp.MustCompile(`^[0-9A-F]{16}$`),
}

func TestForms(t *testing.T) {
	t.Parallel()
	c := newClock()
	o := newOneTime(t, testConfig(c))
	for form, shape := range shapes {
		m := mint(t, o, Order{Form: form})
		if !shape.MatchString(m.Challenge) {
			t.Errorf("%s: %q", form, m.Challenge)
		}
		if again := mint(t, o, Order{Form: form}); again.Challenge == m.Challenge {
			t.Errorf("%s: the same challenge twice", form)
		}
		admission, err := o.Verify(t.Context(), attempt(t, m.Challenge))
		if err != nil || admission == nil {
			t.Fatalf("%s: %v (%v)", form, admission, err)
		}
		if admission.Challenge != "mdm" || len(admission.ID) == 0 || !admission.Expires.Equal(m.Expires) {
			t.Errorf("%s: %+v, minted %+v", form, admission, m)
		}
		if left := m.Expires.Sub(c.now); left < time.Hour || left > time.Hour+slotLength {
			t.Errorf("%s: good for %s", form, left)
		}
	}
}

func TestPeopleTypeChallenges(t *testing.T) {
	t.Parallel()
	o := newOneTime(t, testConfig(newClock()))
	standard, ndes := mint(t, o, Order{Form: Standard}).Challenge, mint(t, o, Order{Form: NDES}).Challenge
	typed := strings.NewReplacer("0", "o", "1", "l").Replace(strings.ToLower(standard))
	for _, password := range []string{standard, typed, ndes, strings.ToLower(ndes)} {
		wantVerdict(t, o, attempt(t, password), "yes")
	}
	first, err := o.Verify(t.Context(), attempt(t, standard))
	if err != nil {
		t.Fatal(err)
	}
	second, err := o.Verify(t.Context(), attempt(t, typed))
	if err != nil || !bytes.Equal(first.ID, second.ID) {
		t.Errorf("two ids of one challenge: %x and %x (%v)", first.ID, second.ID, err)
	}
	for _, password := range []string{"", standard + " ", standard[:31], standard + "0", standard[:16] + "\n" + standard[16:], ndes + "0", " " + ndes} {
		wantVerdict(t, o, attempt(t, password), "no")
	}
}

func TestEveryCharacterCounts(t *testing.T) {
	t.Parallel()
	config := testConfig(newClock())
	config.Guard.limiter.SetBurst(1 << 20)
	config.Guard.limiter.SetLimit(1 << 20)
	o := newOneTime(t, config)
	for form := range shapes {
		good := mint(t, o, Order{Form: form, Data: dataFor(form)}).Challenge
		for i := range good {
			other := "0"
			if good[i] == '0' {
				other = "1"
			}
			wantVerdict(t, o, attempt(t, good[:i]+other+good[i+1:]), "no")
		}
	}
}

func dataFor(form Form) map[string]any {
	if form == Long {
		return map[string]any{"site": "north"}
	}
	return nil
}

func TestExpiry(t *testing.T) {
	t.Parallel()
	c := newClock()
	o := newOneTime(t, testConfig(c))
	for form := range shapes {
		start := c.now
		m := mint(t, o, Order{Form: form})
		for _, step := range []struct {
			after time.Duration
			want  string
		}{
			{m.Expires.Sub(start) - time.Nanosecond, "yes"},
			{m.Expires.Sub(start), "ChallengeExpired"},
			{m.Expires.Sub(start) + 30*time.Minute, "ChallengeExpired"},
		} {
			c.now = start.Add(step.after)
			wantVerdict(t, o, attempt(t, m.Challenge), step.want)
		}
		c.now = start
	}
	short := mint(t, o, Order{Form: Standard, Validity: time.Minute})
	c.now = c.now.Add(61 * time.Second)
	wantVerdict(t, o, attempt(t, short.Challenge), "ChallengeExpired")
}

func TestBoundToEndpointEntryAndTemplate(t *testing.T) {
	t.Parallel()
	c := newClock()
	o := newOneTime(t, testConfig(c))
	others := map[string]func(*Config){
		"endpoint": func(c *Config) { c.Endpoint = "uid-2" },
		"entry":    func(c *Config) { c.Name = "other" },
		"key":      func(c *Config) { c.Keys = [][]byte{testNextKey} },
	}
	for form := range shapes {
		m := mint(t, o, Order{Form: form})
		for name, change := range others {
			config := testConfig(c)
			change(&config)
			if got := verdict(t, newOneTime(t, config), attempt(t, m.Challenge)); got != "no" {
				t.Errorf("%s of another %s: %q", form, name, got)
			}
		}
		a := attempt(t, m.Challenge)
		a.Template = "router"
		wantVerdict(t, o, a, "no")
	}
}

func TestTwoKeysAreValidAtOnce(t *testing.T) {
	t.Parallel()
	c := newClock()
	before, during, after := testConfig(c), testConfig(c), testConfig(c)
	during.Keys = [][]byte{testNextKey, testKey}
	after.Keys = [][]byte{testNextKey}
	for form := range shapes {
		old := mint(t, newOneTime(t, before), Order{Form: form}).Challenge
		fresh := mint(t, newOneTime(t, during), Order{Form: form}).Challenge
		wantVerdict(t, newOneTime(t, during), attempt(t, old), "yes")
		wantVerdict(t, newOneTime(t, during), attempt(t, fresh), "yes")
		wantVerdict(t, newOneTime(t, after), attempt(t, old), "no")
		wantVerdict(t, newOneTime(t, after), attempt(t, fresh), "yes")
	}
}

func TestBoundToNames(t *testing.T) {
	t.Parallel()
	o := newOneTime(t, testConfig(newClock()))
	exact := canonical(t, []string{"organization=Acme", "commonName=d1"},
		[]string{"ip:192.0.2.1", "dns:a.example.com", "dns:d1.EXAMPLE.com", "uri:urn:d1", "email:d1@example.com"})
	for name, tc := range map[string]struct {
		binding Binding
		want    string
	}{
		"exact":              {Binding{Subject: exact.Subject, AlternativeNames: exact.AlternativeNames}, "yes"},
		"exact subject":      {Binding{Subject: exact.Subject}, "yes"},
		"exact alternatives": {Binding{AlternativeNames: exact.AlternativeNames}, "yes"},
		"other subject":      {Binding{Subject: []string{"commonName=d2", "organization=Acme"}}, "no"},
		"part of a subject":  {Binding{Subject: []string{"commonName=d1"}}, "no"},
		"no subject":         {Binding{Subject: []string{}}, "no"},
		"one name less":      {Binding{AlternativeNames: exact.AlternativeNames[1:]}, "no"},
		"no alternatives":    {Binding{Subject: exact.Subject, AlternativeNames: []string{}}, "no"},
	} {
		for _, form := range []Form{Standard, Long} {
			m := mint(t, o, Order{Form: form, Binding: tc.binding})
			if got := verdict(t, o, attempt(t, m.Challenge)); got != tc.want {
				t.Errorf("%s, %s: %q, want %q", name, form, got, tc.want)
			}
		}
	}
	nothing := mint(t, o, Order{Form: Standard, Binding: Binding{AlternativeNames: []string{}}})
	a := attempt(t, nothing.Challenge)
	a.CSR = newCSR(t, &x509.CertificateRequest{Subject: pkix.Name{CommonName: "d1"}})
	wantVerdict(t, o, a, "yes")
}

func TestBoundToARule(t *testing.T) {
	t.Parallel()
	c := newClock()
	o := newOneTime(t, testConfig(c))
	m := mint(t, o, Order{Form: Standard, Binding: Binding{Rule: "server"}})
	admission, err := o.Verify(t.Context(), attempt(t, m.Challenge))
	if err != nil || admission == nil || admission.Rule != "server" {
		t.Errorf("admission %+v (%v), want the rule server", admission, err)
	}
	config := testConfig(c)
	config.Templates = map[string][]string{"device": {"kiosk"}}
	wantVerdict(t, newOneTime(t, config), attempt(t, m.Challenge), "no")
}

func TestDataOfTheLongForm(t *testing.T) {
	t.Parallel()
	o := newOneTime(t, testConfig(newClock()))
	m := mint(t, o, Order{Form: Long, Data: map[string]any{"site": "north", "floor": 3}})
	admission, err := o.Verify(t.Context(), attempt(t, m.Challenge))
	if err != nil || admission == nil || admission.Data["site"] != "north" || admission.Data["floor"] != 3.0 {
		t.Errorf("admission %+v (%v)", admission, err)
	}
	longest := mint(t, o, Order{Form: Long, Data: map[string]any{"d": strings.Repeat("x", 98)}})
	if len(longest.Challenge) != maxText {
		t.Errorf("the longest challenge has %d characters, want %d", len(longest.Challenge), maxText)
	}
}

func TestOrdersThatCannotBe(t *testing.T) {
	t.Parallel()
	config := testConfig(newClock())
	o := newOneTime(t, config)
	config.NDES = false
	withoutNDES := newOneTime(t, config)
	for want, tc := range map[string]struct {
		from  *OneTime
		order Order
	}{
		`template "x" is none of this endpoint's`:               {o, Order{Form: Standard, Binding: Binding{Template: "x"}}},
		`template "router" has no rule named "kiosk"`:           {o, Order{Form: Standard, Binding: Binding{Template: "router", Rule: "kiosk"}}},
		`validity must be between 1s and 1h0m0s`:                {o, Order{Form: Standard, Validity: 2 * time.Hour}},
		`validity must be between`:                              {o, Order{Form: Standard, Validity: -1}},
		`form "" is none of Standard, Long and NDES`:            {o, Order{}},
		`only the form Long carries data`:                       {o, Order{Form: Standard, Data: map[string]any{"a": 1}}},
		`data has 107 bytes as JSON, at most 106 have room`:     {o, Order{Form: Long, Data: map[string]any{"d": strings.Repeat("x", 99)}}},
		`data: json: unsupported type`:                          {o, Order{Form: Long, Data: map[string]any{"d": io.EOF.Error}}},
		`challenge "mdm" does not allow the form NDES`:          {withoutNDES, Order{Form: NDES}},
		`the form NDES is bound to its template only`:           {o, Order{Form: NDES, Binding: Binding{Subject: []string{}}}},
		`the form NDES has the validity of the challenge, 1h0m`: {o, Order{Form: NDES, Validity: time.Minute}},
	} {
		if tc.order.Template == "" {
			tc.order.Template = "device"
		}
		_, err := tc.from.Mint(tc.order, rand.Reader)
		var wrong *OrderError
		if !errors.As(err, &wrong) || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
	for _, form := range []Form{Standard, Long, NDES} {
		if _, err := o.Mint(Order{Form: form, Binding: Binding{Template: "device"}}, strings.NewReader("x")); !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("%s without randomness: %v", form, err)
		}
	}
}

func TestNDESIsAcceptedOnlyWhereAllowed(t *testing.T) {
	t.Parallel()
	config := testConfig(newClock())
	m := mint(t, newOneTime(t, config), Order{Form: NDES})
	config.NDES = false
	wantVerdict(t, newOneTime(t, config), attempt(t, m.Challenge), "no")
}

func TestIDsOfOtherSlotsAreOthers(t *testing.T) {
	t.Parallel()
	if bytes.Equal(ndesID(1, 7), ndesID(2, 7)) || bytes.Equal(ndesID(1, 7), ndesID(1, 8)) {
		t.Error("the same name for two issuances")
	}
}

func TestGuessingIsStopped(t *testing.T) {
	t.Parallel()
	config := testConfig(newClock())
	config.Guard.limiter.SetLimit(0)
	o := newOneTime(t, config)
	good := mint(t, o, Order{Form: NDES}).Challenge
	for range guessesBurst {
		wantVerdict(t, o, attempt(t, good), "yes") // what is right costs nothing
		wantVerdict(t, o, attempt(t, "0123456789ABCDEF"), "no")
	}
	if _, err := o.Verify(t.Context(), attempt(t, good)); !errors.Is(err, ErrGuessing) {
		t.Errorf("error %v after %d wrong tries, want %v", err, guessesBurst, ErrGuessing)
	}
	wantVerdict(t, o, attempt(t, mint(t, o, Order{Form: Standard}).Challenge), "yes")
}

func TestConfigsThatCannotBe(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*Config){
		"no key":             func(c *Config) { c.Keys = nil },
		"three keys":         func(c *Config) { c.Keys = [][]byte{testKey, testKey, testKey} },
		"a short key":        func(c *Config) { c.Keys = [][]byte{testKey[1:]} },
		"NDES for two days":  func(c *Config) { c.Validity = 48 * time.Hour },
		"NDES without guard": func(c *Config) { c.Guard = nil },
	} {
		config := testConfig(newClock())
		change(&config)
		if _, err := New(config); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func FuzzVerify(f *testing.F) {
	c := newClock()
	config := testConfig(c)
	config.Guard.limiter.SetLimit(1 << 30)
	o := newOneTime(f, config)
	minted := map[string]bool{}
	for _, order := range []Order{
		{Form: Standard},
		{Form: Long, Data: map[string]any{"a": 1}},
		{Form: NDES},
		{Form: Standard, Binding: Binding{Subject: []string{"commonName=d1", "organization=Acme"}}},
		{Form: Long, Binding: Binding{Rule: "kiosk"}},
	} {
		order.Template = "device"
		// The same in every process that fuzzes.
		m, err := o.Mint(order, bytes.NewReader(bytes.Repeat([]byte{7}, 16)))
		if err != nil {
			f.Fatal(err)
		}
		minted[m.Challenge] = true
		f.Add(m.Challenge)
		f.Add(strings.ToLower(m.Challenge))
	}
	f.Add("")
	f.Add("0123456789abcdef")
	f.Add(strings.Repeat("0", 32))
	csr := device(f)
	f.Fuzz(func(t *testing.T, password string) {
		admission, err := o.Verify(t.Context(), challenge.Attempt{Password: password, Template: "device", CSR: csr})
		if err != nil {
			t.Fatal(err)
		}
		if admission != nil && !minted[forgiving.Replace(strings.ToUpper(password))] {
			t.Errorf("%q is let in and was never minted", password)
		}
	})
}

func FuzzDecode(f *testing.F) {
	o := newOneTime(f, testConfig(newClock()))
	f.Add(mint(f, o, Order{Form: Standard}).Challenge)
	f.Add(mint(f, o, Order{Form: Long}).Challenge)
	f.Add("\n")
	f.Fuzz(func(t *testing.T, text string) {
		token, err := decode(text)
		if err != nil {
			return
		}
		if got, want := token.String(), forgiving.Replace(strings.ToUpper(text)); got != want {
			t.Errorf("%q is read as %q", text, got)
		}
		if len(token.mac) != token.layout.mac || len(token.id()) != 1+token.layout.id+expiryBytes {
			t.Errorf("parts of %q: %x, %x", text, token.id(), token.mac)
		}
	})
}
