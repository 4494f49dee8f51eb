package scep_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func newECKey(t testing.TB) *ecdsa.PrivateKey {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

// vault is a Backend that takes every challenge for a one-time one, holds the
// first answer back if told to, and remembers the password for the poll.
type vault struct {
	ca   *sceptest.CA
	hold bool

	mu    sync.Mutex
	spent map[string]*x509.CertificateRequest // by transactionID
	words map[string]string
}

func (v *vault) answer(r *scep.Request) (*scep.Reply, error) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if r.MessageType == scep.CertPoll {
		return v.issue(r.TransactionID)
	}
	if v.spent == nil {
		v.spent, v.words = map[string]*x509.CertificateRequest{}, map[string]string{}
	}
	v.spent[r.TransactionID], v.words[r.TransactionID] = r.CSR, r.ChallengePassword
	if v.hold {
		return scep.Pending(), nil
	}
	return v.issue(r.TransactionID)
}

func (v *vault) issue(id string) (*scep.Reply, error) {
	csr := v.spent[id]
	if csr == nil {
		return scep.Fail(scep.BadRequest, "no such transaction"), nil
	}
	cert, err := v.ca.Issue(&x509.Certificate{RawSubject: csr.RawSubject}, csr.PublicKey)
	if err != nil {
		return nil, err
	}
	reply := scep.Success(cert)
	reply.Password = v.words[id]
	return reply, nil
}

func newVault(t *testing.T, hold bool) *sceptest.Server {
	t.Helper()
	ca := sceptest.NewCA(t)
	v := &vault{ca: ca, hold: hold}
	return sceptest.NewServer(t, sceptest.Options{CA: ca, Backend: backend(v.answer), Settings: everything})
}

// A device with an EC key enrols, with every cipher, and polls.
func TestECDevice(t *testing.T) {
	t.Parallel()
	for _, hold := range []bool{false, true} {
		s := newVault(t, hold)
		for _, cipher := range scep.KnownCiphers() {
			t.Run(cipher.String(), func(t *testing.T) {
				r := scep.EnrolRequest{Key: newECKey(t), Template: template("meter"), ChallengePassword: rand.Text(), Cipher: cipher}
				c := &scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA, PollInterval: time.Millisecond, PollLimit: -1}
				wantSuccess(t, mustEnrol(t, c, r), s.CA)
			})
		}
	}
}

// With a challenge, an EC device renews too; without one it is told why not.
func TestECRenewal(t *testing.T) {
	t.Parallel()
	s := newVault(t, false)
	c := &scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA}
	key := newECKey(t)
	first := mustEnrol(t, c, scep.EnrolRequest{Key: key, Template: template("meter"), ChallengePassword: rand.Text()})
	wantSuccess(t, first, s.CA)
	renewal := scep.EnrolRequest{
		Key: newECKey(t), Template: template("meter"), ChallengePassword: rand.Text(),
		Certificate: first.Certificate, CertificateKey: key,
	}
	renewed, err := c.Renew(t.Context(), renewal)
	if err != nil {
		t.Fatal(err)
	}
	wantSuccess(t, renewed, s.CA)

	renewal.ChallengePassword = ""
	refused, err := c.Renew(t.Context(), renewal)
	const text = "a challenge password is needed: without one no answer can be encrypted for a key that is not RSA"
	if err != nil || refused.Status != scep.StatusFailure || refused.FailInfoText != text {
		t.Errorf("got %+v, %v", refused, err)
	}
}

// The answer is readable with the password only, and never in clear.
func TestECAnswerNeedsThePassword(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	r := openEC(t, b)
	cert := sceptest.SelfSigned(t, &x509.Certificate{Subject: pkix.Name{CommonName: "in clear"}}, sceptest.RSAKey(t, 1))
	if _, err := r.Respond(b.id, scep.Success(cert)); err == nil {
		t.Error("SUCCESS without a password")
	}
	reply := scep.Success(cert)
	reply.Password = "one-time"
	der := b.reply(t, r, reply)
	if strings.Contains(string(der), "in clear") {
		t.Error("the certificate is not encrypted")
	}
	envelope, err := cms.ParseEnvelopedData(parseReply(t, der, b.id.Active.Signing).Content)
	if err != nil || len(envelope.Recipients) != 0 || len(envelope.PasswordRecipients) != 1 {
		t.Fatalf("envelope %+v, %v", envelope, err)
	}
	for password, want := range map[string]bool{"one-time": true, "another": false} {
		plaintext, err := envelope.DecryptWithPassword(envelope.PasswordRecipients[0], []byte(password))
		found := strings.Contains(string(plaintext.Bytes), "in clear")
		if err != nil || found != want {
			t.Errorf("%q: found %v, %v", password, found, err)
		}
	}
}

// openEC is an opened request of an EC device.
func openEC(t *testing.T, b bench) *scep.Request {
	t.Helper()
	return mustOpen(t, b.ecMessage(t, challenge).Bytes(t), b.id, everything)
}

func (b bench) ecMessage(t *testing.T, challenge string) sceptest.Message {
	t.Helper()
	key := newECKey(t)
	csr := sceptest.CSR(t, key, sceptest.CSROptions{ChallengePassword: challenge})
	return sceptest.NewMessage(t, b.id, csr, key)
}

// What an EC device sends that cannot be answered, and what it is told.
func TestECRefusals(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	allowed := everything
	forbidden := everything
	forbidden.PasswordRecipient = false
	const noKey = "sign with an RSA key: the answer is encrypted to it"
	for name, test := range map[string]struct {
		settings  scep.Settings
		t         scep.MessageType
		challenge string
		info      scep.FailInfo
		text      string
	}{
		"switched off":      {forbidden, scep.PKCSReq, challenge, scep.BadAlg, noKey},
		"poll, off":         {forbidden, scep.CertPoll, challenge, scep.BadAlg, noKey},
		"no challenge":      {allowed, scep.PKCSReq, "", scep.BadRequest, "a challenge password is needed"},
		"renewal":           {allowed, scep.RenewalReq, "", scep.BadRequest, "a challenge password is needed"},
		"UpdateReq":         {allowed, scep.UpdateReq, "", scep.BadRequest, "a challenge password is needed"},
		"GetCert":           {allowed, scep.GetCert, challenge, scep.BadAlg, noKey},
		"GetCRL":            {allowed, scep.GetCRL, challenge, scep.BadAlg, noKey},
		"no CSR, challenge": {allowed, scep.PKCSReq, "garbage", scep.BadRequest, "the request inside the message is not valid"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := b.ecMessage(t, test.challenge)
			withType(test.t)(&m)
			if test.challenge == "garbage" {
				m.Content = []byte("no CSR")
			}
			_, err := scep.Open(m.Bytes(t), b.id, test.settings)
			var e *scep.MessageError
			if !errors.As(err, &e) || e.FailInfo != test.info || !strings.HasPrefix(e.Text, test.text) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A Backend that forgets the password breaks one exchange, and nothing is told.
func TestECBackendForgetsThePassword(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	forgetful := backend(func(*scep.Request) (*scep.Reply, error) { return scep.Success(b.ca.Certificate), nil })
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Backend: forgetful, Settings: everything})
	a := send(t, http.MethodPost, s.URL, "", strings.NewReader(string(b.ecMessage(t, challenge).Bytes(t))))
	a.want(t, http.StatusInternalServerError, mediaText)
}

// The client does not take a password where a key would do, nor the other way round.
func TestClientOpensByKeyOrPassword(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: b.id, Settings: everything})
	for name, test := range map[string]struct {
		key    crypto.Signer
		answer func(*scep.Request) *scep.Request
	}{
		"EC, answered to an RSA key": {newECKey(t), func(r *scep.Request) *scep.Request {
			c := *r
			c.Signer = b.ca.Certificate
			return &c
		}},
		"EC, answered with another password": {newECKey(t), func(r *scep.Request) *scep.Request { return r }},
	} {
		url := between(t, s, func(w http.ResponseWriter, hr *http.Request) bool {
			return isOperation(hr, "PKIOperation") && answerWith(t, w, hr, b.id, everything, func(r *scep.Request) ([]byte, error) {
				reply := scep.Success(b.ca.Certificate)
				reply.Password = "another"
				return test.answer(r).Respond(b.id, reply)
			})
		})
		r := scep.EnrolRequest{Key: test.key, Template: template("meter"), ChallengePassword: challenge}
		_, err := (&scep.Client{URL: url, VerifyCA: scep.TrustAnyCA}).Enrol(t.Context(), r)
		var bad *scep.ReplyError
		if !errors.As(err, &bad) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
