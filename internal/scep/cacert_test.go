package scep_test

import (
	"crypto"
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// authority is a CA below another, or a root.
type authority struct {
	*sceptest.CA
}

func newAuthority(t *testing.T, name string, key crypto.Signer, above *authority, change ...func(*x509.Certificate)) *authority {
	t.Helper()
	template := &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign,
	}
	for _, c := range change {
		c(template)
	}
	if above == nil {
		return &authority{&sceptest.CA{Certificate: sceptest.SelfSigned(t, template, key), Key: key}}
	}
	return &authority{&sceptest.CA{Certificate: above.certify(t, template, key.Public()), Key: key}}
}

func (a *authority) certify(t *testing.T, template *x509.Certificate, key crypto.PublicKey) *x509.Certificate {
	t.Helper()
	cert, err := a.Issue(template, key)
	if err != nil {
		t.Fatal(err)
	}
	return cert
}

// ra is a certificate of an RA with the key usage.
func (a *authority) ra(t *testing.T, name string, usage x509.KeyUsage) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{Subject: pkix.Name{CommonName: name}, KeyUsage: usage}
	return a.certify(t, template, sceptest.RSAKey(t, 4).Public())
}

func expired(c *x509.Certificate) {
	c.NotBefore, c.NotAfter = time.Now().AddDate(-2, 0, 0), time.Now().AddDate(-1, 0, 0)
}

const (
	signs    = x509.KeyUsageDigitalSignature
	encrypts = x509.KeyUsageKeyEncipherment
)

// The certificates a client chooses, as Apple's and jscep do, whatever their order.
func TestRAChoice(t *testing.T) {
	t.Parallel()
	root := newAuthority(t, "root", sceptest.RSAKey(t, 1), nil)
	ca := newAuthority(t, "issuing", sceptest.RSAKey(t, 2), root)
	ecCA := newAuthority(t, "EC", newECKey(t), nil)
	other := newAuthority(t, "other root", sceptest.RSAKey(t, 3), nil)
	impostor := newAuthority(t, "issuing", sceptest.RSAKey(t, 3), root)
	signing, encryption := ca.ra(t, "signing", signs), ca.ra(t, "encryption", encrypts)
	data := ca.ra(t, "data", x509.KeyUsageDataEncipherment)
	both, anything := ca.ra(t, "both", signs|encrypts), ca.ra(t, "anything", 0)
	ecRA := ca.certify(t, &x509.Certificate{Subject: pkix.Name{CommonName: "EC RA"}}, newECKey(t).Public())
	list := func(certs ...*x509.Certificate) []*x509.Certificate { return certs }
	for name, test := range map[string]struct {
		all                     []*x509.Certificate
		signing, encryption, ca string // common names
		chain                   int
		reason                  string // of the refusal
	}{
		"one for both":            {list(both, ca.Certificate, root.Certificate), "both", "both", "issuing", 2, ""},
		"a pair":                  {list(signing, encryption, ca.Certificate, root.Certificate), "signing", "encryption", "issuing", 2, ""},
		"a pair, backwards":       {list(root.Certificate, ca.Certificate, encryption, signing), "signing", "encryption", "issuing", 2, ""},
		"a pair before both":      {list(both, signing, encryption, ca.Certificate), "signing", "encryption", "issuing", 1, ""},
		"both and half a pair":    {list(signing, both, ca.Certificate), "both", "both", "issuing", 1, ""},
		"data encipherment":       {list(signing, data, ca.Certificate), "signing", "data", "issuing", 1, ""},
		"no key usage":            {list(anything, ca.Certificate), "anything", "anything", "issuing", 1, ""},
		"encryption only":         {list(encryption, ca.Certificate), "issuing", "encryption", "issuing", 1, ""},
		"signing only":            {list(signing, ca.Certificate), "signing", "issuing", "issuing", 1, ""},
		"EC signs, RSA encrypts":  {list(ecRA, encryption, ca.Certificate), "EC RA", "encryption", "issuing", 1, ""},
		"no RA":                   {list(root.Certificate, ca.Certificate), "issuing", "issuing", "issuing", 2, ""},
		"a CA alone":              {list(root.Certificate), "root", "root", "root", 1, ""},
		"not said to be a CA":     {list(both), "both", "both", "both", 1, ""},
		"no CA":                   {list(both, signing), "", "", "", 0, "no CA certificate in the answer issued it"},
		"no CA but the root":      {list(both, root.Certificate), "", "", "", 0, "no CA certificate in the answer issued it"},
		"a CA of the same name":   {list(both, impostor.Certificate), "", "", "", 0, "no CA certificate in the answer issued it"},
		"RAs of two CAs":          {list(signing, other.ra(t, "encryption", encrypts), ca.Certificate, root.Certificate, other.Certificate), "", "", "", 0, "not of the same CA"},
		"nothing to encrypt to":   {list(ecCA.Certificate), "", "", "", 0, "its key is not RSA"},
		"EC RA, nothing encrypts": {list(ecCA.ra(t, "signing", signs), ecCA.Certificate), "", "", "", 0, "its key is not RSA"},
		"nothing":                 {nil, "", "", "", 0, "no certificate in the answer"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := scep.ParseCACertificates(mustMarshal(t, test.all))
			var refused *scep.CACertificateError
			if test.reason != "" {
				if !errors.As(err, &refused) || !strings.Contains(refused.Error(), test.reason) {
					t.Errorf("got %v", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			names := [3]string{got.Signing.Subject.CommonName, got.Encryption.Subject.CommonName, got.CA.Subject.CommonName}
			if names != [3]string{test.signing, test.encryption, test.ca} || len(got.Chain) != test.chain || len(got.All) != len(test.all) {
				t.Errorf("chosen %q, chain of %d", names, len(got.Chain))
			}
		})
	}
}

func TestParseCACertificatesRefusesGarbage(t *testing.T) {
	t.Parallel()
	for _, body := range []string{"", "<html>", "\x30\x00"} {
		if got, err := scep.ParseCACertificates([]byte(body)); err == nil {
			t.Errorf("%q: %+v", body, got)
		}
	}
}

// A certificate that is expired, or not valid yet, anywhere between the RA and
// the top stops the client (RFC 8894, section 2.2).
func TestCheckValidity(t *testing.T) {
	t.Parallel()
	early := func(c *x509.Certificate) {
		c.NotBefore, c.NotAfter = time.Now().AddDate(1, 0, 0), time.Now().AddDate(2, 0, 0)
	}
	good := func(*x509.Certificate) {}
	for name, test := range map[string]struct {
		root, ca, ra func(*x509.Certificate)
		want         string
	}{
		"good":          {good, good, good, ""},
		"root":          {expired, good, good, "CN=root: expired"},
		"intermediate":  {good, expired, good, "CN=issuing: expired"},
		"RA":            {good, good, expired, "CN=RA: expired"},
		"too early, RA": {good, good, early, "CN=RA: not valid before"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			root := newAuthority(t, "root", sceptest.RSAKey(t, 1), nil, test.root)
			ca := newAuthority(t, "issuing", sceptest.RSAKey(t, 2), root, test.ca)
			template := &x509.Certificate{Subject: pkix.Name{CommonName: "RA"}, KeyUsage: signs | encrypts}
			test.ra(template)
			credential := &scep.Credential{
				Certificate: ca.certify(t, template, sceptest.RSAKey(t, 4).Public()), Key: sceptest.RSAKey(t, 4),
			}
			id := &scep.Identity{
				Active:  &scep.Generation{Signing: credential, Encryption: credential},
				CAChain: []*x509.Certificate{ca.Certificate, root.Certificate},
			}
			s := sceptest.NewServer(t, sceptest.Options{CA: ca.CA, Identity: id})
			r := newRequest(t)
			r.ChallengePassword = ""
			_, err := (&scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}).Enrol(t.Context(), r)
			var refused *scep.CACertificateError
			switch {
			case test.want == "" && err != nil:
				t.Error(err)
			case test.want != "" && (!errors.As(err, &refused) || !strings.Contains(err.Error(), test.want)):
				t.Errorf("got %v, want %s", err, test.want)
			}
		})
	}
}

// A fingerprint of the CA, or of one above it, in any notation and of any length
// that a digest has.
func TestPinCA(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	c, err := scep.ParseCACertificates(mustMarshal(t, b.id.CertificatesFor(scep.RAAndChain)))
	if err != nil {
		t.Fatal(err)
	}
	raw := b.ca.Certificate.Raw
	root := sha256.Sum256(b.ca.Root.Raw)
	s1, s256, s384, s512, s224, m5 := sha1.Sum(raw), sha256.Sum256(raw), sha512.Sum384(raw), sha512.Sum512(raw), sha256.Sum224(raw), md5.Sum(raw)
	ra := sha256.Sum256(b.id.Active.Signing.Certificate.Raw)
	var colons []string
	for _, octet := range s256 {
		colons = append(colons, fmt.Sprintf("%02X", octet))
	}
	for name, test := range map[string]struct {
		fingerprint string
		trusted     bool
	}{
		"SHA-256":          {hex.EncodeToString(s256[:]), true},
		"colons":           {strings.Join(colons, ":"), true},
		"spaces":           {strings.Join(colons, " "), true},
		"SHA-1":            {hex.EncodeToString(s1[:]), true},
		"MD5":              {hex.EncodeToString(m5[:]), true},
		"SHA-224":          {hex.EncodeToString(s224[:]), true},
		"SHA-384":          {hex.EncodeToString(s384[:]), true},
		"SHA-512":          {hex.EncodeToString(s512[:]), true},
		"the root's":       {hex.EncodeToString(root[:]), true},
		"the RA's":         {hex.EncodeToString(ra[:]), false},
		"another":          {strings.Repeat("00", 32), false},
		"another's SHA-1 ": {strings.Repeat("00", 20), false},
	} {
		verify, err := scep.PinCA(test.fingerprint)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if err := verify(c); (err == nil) != test.trusted {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, bad := range []string{"", "xyz", "abc", "abcd", strings.Repeat("00", 33)} {
		if _, err := scep.PinCA(bad); err == nil {
			t.Errorf("%q is taken for a fingerprint", bad)
		}
	}
}

// Without anything that says which CA to trust nothing is sent at all.
func TestClientWantsToKnowTheCA(t *testing.T) {
	t.Parallel()
	o := &observed{}
	s := sceptest.NewServer(t, sceptest.Options{Observer: o, Settings: everything})
	c := &scep.Client{URL: s.URL}
	r := newRequest(t)
	_, enrolled := c.Enrol(t.Context(), r)
	r.Certificate = sceptest.SelfSigned(t, nil, r.Key)
	_, renewed := c.Renew(t.Context(), r)
	_, next := c.GetNextCACert(t.Context())
	for _, err := range []error{enrolled, renewed, next} {
		if !errors.Is(err, scep.ErrCANotTrusted) {
			t.Errorf("got %v", err)
		}
	}
	if steps := o.steps(); len(steps) != 0 {
		t.Errorf("the server saw %v", steps)
	}
}
