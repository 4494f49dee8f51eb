package scep_test

import (
	"bytes"
	"crypto"
	"crypto/rsa"
	"crypto/x509"
	"encoding/asn1"
	"errors"
	"math/big"
	"net/http"
	"net/url"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// greedy are messages of about size bytes that are made to cost more than others.
func (b bench) greedy(t testing.TB, size int) map[string][]byte {
	t.Helper()
	const levels = 31
	pieces := bytes.Repeat([]byte{0x04, 0x01, 0xaa}, size/3)
	nested := slices.Concat(bytes.Repeat([]byte{0x30, 0x80}, levels), []byte{0x24, 0x80}, pieces, make([]byte, 2*levels+2))
	longOID := cms.Element(6, bytes.Repeat([]byte{0x2a}, size))
	aes, err := asn1.Marshal(scep.AES128CBC.OID())
	if err != nil {
		t.Fatal(err)
	}
	messages := map[string][]byte{
		"pieces of one byte, nested": nested,
		"small elements":             cms.Element(0x30, bytes.Repeat([]byte{5, 0}, size/2)),
		"empty sequences":            cms.Element(0x30, bytes.Repeat([]byte{0x30, 0x80, 0, 0}, size/4)),
		"nesting":                    sceptest.Nested(size / 4),
	}
	for name, change := range map[string]func(*sceptest.Message){
		"large content": func(m *sceptest.Message) { m.Content = append(bytes.Clone(b.csr), make([]byte, size)...) },
		"pieces of one byte": func(m *sceptest.Message) {
			m.Content = append(bytes.Clone(b.csr), make([]byte, size/4)...)
			m.Message = func(der []byte) []byte { return sceptest.Indefinite(der, 1) }
		},
		"attribute":       func(m *sceptest.Message) { m.Extra = extra(1, size) },
		"many attributes": func(m *sceptest.Message) { m.Extra = extra(size/20, 1) },
		"transactionID":   func(m *sceptest.Message) { m.TransactionID = strings.Repeat("a", size) },
		"senderNonce":     func(m *sceptest.Message) { m.SenderNonce = make([]byte, size) },
		"messageType":     func(m *sceptest.Message) { m.Type = strings.Repeat("1", size) },
		"cipher": func(m *sceptest.Message) {
			m.Envelope = func(der []byte) []byte { return sceptest.Replace(der, aes, longOID) }
		},
		"serial number": func(m *sceptest.Message) {
			m.Recipient = recipient(m.Recipient, new(big.Int).Lsh(big.NewInt(1), uint(8*size)))
		},
		"signer's key": func(m *sceptest.Message) { m.Signer = hugeSigner(t, m.Signer, size) },
	} {
		m := b.message(t)
		change(&m)
		messages[name] = m.Bytes(t)
	}
	return messages
}

// extra are n attributes of a size.
func extra(n, size int) []cms.Attribute {
	one := cms.Attribute{Type: oid(9), Value: cms.Element(0x13, bytes.Repeat([]byte("x"), size))}
	return slices.Repeat([]cms.Attribute{one}, n)
}

func recipient(c *x509.Certificate, serial *big.Int) *x509.Certificate {
	other := *c
	other.SerialNumber = serial
	return &other
}

// hugeSigner gives a certificate a modulus of a size in bytes.
func hugeSigner(t testing.TB, c *x509.Certificate, size int) *x509.Certificate {
	t.Helper()
	modulus := new(big.Int).Lsh(big.NewInt(1), uint(8*size))
	public, err := x509.MarshalPKIXPublicKey(&rsa.PublicKey{N: modulus.Add(modulus, big.NewInt(1)), E: 65537})
	if err != nil {
		t.Fatal(err)
	}
	huge, err := x509.ParseCertificate(sceptest.Replace(c.Raw, c.RawSubjectPublicKeyInfo, public))
	if err != nil {
		t.Fatal(err)
	}
	return huge
}

// memoryFactor is how many bytes opening a message may allocate for each of its
// own, and memoryFloor what it may in any case.
const (
	memoryFactor = 16
	memoryFloor  = 64 << 10
)

// Whatever a message is made of, the memory to open it is a small multiple of its
// size: counted, not timed. BenchmarkGreedy looks at the time.
func TestOpenTakesLinearMemory(t *testing.T) { //nolint:paralleltest // it counts what the process allocates
	b := newBench(t)
	large := everything
	large.Limits.MaxMessageBytes = 8 << 20
	for _, size := range []int{64 << 10, 128 << 10, 1 << 20} {
		for name, message := range b.greedy(t, size) {
			taken := allocated(func() { _, _ = scep.Open(message, b.id, large) })
			if limit := memoryFactor*len(message) + memoryFloor; taken > limit {
				t.Errorf("%s: %d bytes for a message of %d, limit %d", name, taken, len(message), limit)
			}
		}
	}
}

// allocated is how many bytes f allocates; nothing else may run.
func allocated(f func()) int {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return int(after.TotalAlloc - before.TotalAlloc)
}

// What a stranger sends must not fill the log either.
func TestErrorsAreShort(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for name, message := range b.greedy(t, 64<<10) {
		_, err := scep.Open(message, b.id, everything)
		if err != nil && len(err.Error()) > 1000 {
			t.Errorf("%s: an error of %d bytes: %.100s", name, len(err.Error()), err)
		}
	}
}

// Each limit holds at its default, and as it is set.
func TestLimitsOfMessages(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	with := func(change func(*sceptest.Message)) []byte {
		m := b.message(t)
		change(&m)
		return m.Bytes(t)
	}
	padded := func(n int) []byte {
		return with(func(m *sceptest.Message) { m.Content = append(bytes.Clone(b.csr), make([]byte, n)...) })
	}
	overhead := len(padded(1<<15)) - 1<<15
	attributes := func(n int) []byte { return with(func(m *sceptest.Message) { m.Extra = extra(n, 1) }) }
	own := len(padded(0))
	for name, test := range map[string]struct {
		fits, exceeds []byte
		limits        scep.Limits
	}{
		"256 KiB":       {padded(256<<10 - overhead - 64), padded(256 << 10), scep.Limits{}},
		"own size":      {padded(0), padded(100), scep.Limits{MaxMessageBytes: own + 10}},
		"64 attributes": {attributes(64 - 5), attributes(64 - 4), scep.Limits{}},
		"8 attributes":  {attributes(3), attributes(4), scep.Limits{MaxAttributes: 8}},
	} {
		s := scep.Settings{Limits: test.limits}
		if _, err := scep.Open(test.fits, b.id, s); err != nil {
			t.Errorf("%s: what fits is refused: %v", name, err)
		}
		var e *scep.MessageError
		if _, err := scep.Open(test.exceeds, b.id, s); !errors.As(err, &e) || e.FailInfo != scep.BadRequest {
			t.Errorf("%s: what exceeds gives %v", name, err)
		}
	}
}

// The limit of a message is that of a body, and of what a GET decodes to, before
// anything is parsed.
func TestLimitsOfTransports(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	server := enrolment{bench: b}.handler()
	large := make([]byte, 256<<10+1)
	if recorder := serve(t.Context(), server, large); recorder.Code != http.StatusRequestEntityTooLarge {
		t.Errorf("POST: HTTP %d", recorder.Code)
	}
	for _, n := range []int{1, 100_000} {
		query := "operation=PKIOperation&message=" + strings.Repeat("%25", n) + url.QueryEscape(strings.Repeat("A", 400<<10))
		request := &http.Request{Method: http.MethodGet, URL: &url.URL{Path: "/scep", RawQuery: query}, Body: http.NoBody}
		recorder := record(server, request)
		if recorder.Code != http.StatusRequestEntityTooLarge && recorder.Code != http.StatusBadRequest {
			t.Errorf("GET: HTTP %d", recorder.Code)
		}
	}
}

// Every type a message may claim has a name, and none brings the server down:
// micromdm's died of the first that it did not know.
func TestUnknownTypesHaveNames(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	for _, messageType := range []string{"0", "1", "3", "4", "16", "23", "99", "2147483648", "-1"} {
		m := b.message(t)
		m.Type = messageType
		e := openError(t, m.Bytes(t), b.id)
		if e.MessageType.String() == "" || e.FailInfo != scep.BadRequest {
			t.Errorf("type %s: %v, %v", messageType, e.MessageType, e)
		}
	}
	for n := range 1000 {
		for _, name := range []string{
			scep.MessageType(n - 500).String(), scep.PKIStatus(n - 500).String(), scep.FailInfo(n - 500).String(),
			scep.Cipher(n - 500).String(), crypto.Hash(n).String(),
		} {
			if name == "" {
				t.Errorf("%d has no name", n-500)
			}
		}
	}
}
