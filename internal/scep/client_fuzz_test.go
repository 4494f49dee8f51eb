package scep_test

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net/http"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// FuzzCACertificates reads what GetCACert answers. What it chooses is among what
// came, and it chooses the same from the same certificates written again.
func FuzzCACertificates(f *testing.F) {
	id := sceptest.FixedIdentity(f)
	f.Add(id.CAChain[0].Raw)
	f.Add(sceptest.Bundle(f, id.CertificatesFor(scep.RAAndChain)...))
	f.Add(sceptest.Indefinite(sceptest.Bundle(f, id.CertificatesFor(scep.RAAndChain)...), 100))
	f.Add(sceptest.Bundle(f, sceptest.FixedDevice(f)))
	f.Fuzz(func(t *testing.T, body []byte) {
		c, err := scep.ParseCACertificates(body)
		if err != nil {
			mustBeClientError(t, err)
			return
		}
		if bytes.Equal(body, c.All[0].Raw) {
			return // nothing to choose; and what crypto/x509 does not look into may be no BER
		}
		again, err := scep.ParseCACertificates(sceptest.Bundle(t, c.All...))
		if err != nil {
			t.Fatal(err)
		}
		if !again.Signing.Equal(c.Signing) || !again.Encryption.Equal(c.Encryption) || !again.CA.Equal(c.CA) || len(again.All) != len(c.All) {
			t.Errorf("%x: chosen differently when written again", body)
		}
	})
}

func mustBeClientError(t *testing.T, err error) {
	t.Helper()
	var reply *scep.ReplyError
	var certificates *scep.CACertificateError
	if !errors.As(err, &reply) && !errors.As(err, &certificates) && !errors.Is(err, cms.ErrEncoding) && !errors.As(err, new(*cms.UnsupportedAlgorithmError)) {
		t.Errorf("untyped error %T %v", err, err)
	}
}

// inMemory answers a client without a network: a good server of the fixed
// identity, but for the operation under test.
type inMemory struct {
	id           *scep.Identity
	pkiOperation func(message []byte) []byte
}

// RoundTrip implements http.RoundTripper.
func (m inMemory) RoundTrip(r *http.Request) (*http.Response, error) {
	body := []byte("AES\nSHA-256\nPOSTPKIOperation\n")
	if r.Method == http.MethodPost {
		message, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, err
		}
		body = m.pkiOperation(message)
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(body)), Request: r, Header: http.Header{}}, nil
}

// fixedClient is a client of it that has the RA's certificates.
func fixedClient(f *testing.F) (client *scep.Client, server *inMemory, request scep.EnrolRequest) {
	f.Helper()
	id := sceptest.FixedIdentity(f)
	ca, err := scep.ParseCACertificates(sceptest.Bundle(f, id.CertificatesFor(scep.RAAndChain)...))
	if err != nil {
		f.Fatal(err)
	}
	server = &inMemory{id: id}
	client = &scep.Client{URL: "http://scep.example.com/scep", CA: ca, HTTP: &http.Client{Transport: server}}
	request = scep.EnrolRequest{
		Key:           sceptest.FixedKey(f, "device"),
		CSR:           fixedCSR(f),
		Certificate:   sceptest.FixedDevice(f),
		TransactionID: "transaction",
	}
	return client, server, request
}

// goodAnswer is a SUCCESS with the device's own certificate, to any request.
func goodAnswer(id *scep.Identity, device *x509.Certificate, content []byte) sceptest.Answer {
	return sceptest.Answer{
		Message: sceptest.Message{
			Type:          "3",
			TransactionID: "transaction",
			SenderNonce:   []byte("0123456789abcdef"),
			Content:       content,
			Recipient:     device,
			Cipher:        scep.AES128CBC,
			Digest:        crypto.SHA256,
			Signer:        id.Active.Signing.Certificate,
			SignerKey:     id.Active.Signing.Key,
		},
		Status: "0",
	}
}

// FuzzReply gives a client bytes for an answer.
func FuzzReply(f *testing.F) {
	client, server, request := fixedClient(f)
	good := goodAnswer(server.id, request.Certificate, sceptest.Bundle(f, request.Certificate))
	f.Add(good.Bytes(f))
	f.Add(sceptest.Indefinite(good.Bytes(f), 50))
	good.Without(scep.StatusPending)
	f.Add(good.Bytes(f))
	good.Without(scep.StatusFailure)
	good.FailInfo = "2"
	f.Add(good.Bytes(f))
	f.Fuzz(func(t *testing.T, body []byte) {
		server.pkiOperation = func([]byte) []byte { return body }
		result, err := client.Enrol(t.Context(), request)
		if err == nil {
			t.Errorf("a nonce was guessed: %+v", result)
		} else {
			mustBeClientError(t, err)
		}
	})
}

// FuzzCertRep signs and encrypts what the server says in its attributes and in
// its envelope, to an enrolment or to GetCRL.
func FuzzCertRep(f *testing.F) {
	client, server, request := fixedClient(f)
	bundle := sceptest.Bundle(f, request.Certificate, server.id.CAChain[0])
	list, err := sceptest.FixedCA(f).CRL()
	if err != nil {
		f.Fatal(err)
	}
	crl, err := cms.MarshalCRL(list)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(true, "0", "", []byte(nil), bundle)
	f.Add(true, "0", "", []byte("text"), request.Certificate.Raw)
	f.Add(false, "0", "", []byte(nil), crl)
	f.Add(true, "2", "4", []byte("why not"), []byte(nil))
	f.Add(true, "3", "", []byte(nil), []byte(nil))
	query := scep.CertQuery{SerialNumber: big.NewInt(1), Certificate: request.Certificate, CertificateKey: request.Key}
	f.Fuzz(func(t *testing.T, enrols bool, status, failInfo string, text, content []byte) {
		server.pkiOperation = func(message []byte) []byte {
			return answerTo(t, server.id, message, status, failInfo, text, content)
		}
		var result *scep.Result
		var err error
		if enrols {
			result, err = client.Enrol(t.Context(), request)
		} else {
			result, err = client.GetCRL(t.Context(), query)
		}
		if err != nil {
			mustBeClientError(t, err)
			return
		}
		mustBeWhole(t, result, enrols)
	})
}

func answerTo(t *testing.T, id *scep.Identity, message []byte, status, failInfo string, text, content []byte) []byte {
	t.Helper()
	r, err := scep.Open(message, id, everything)
	if err != nil {
		t.Fatal(err)
	}
	a := goodAnswer(id, r.Signer, content)
	a.TransactionID, a.RecipientNonce, a.Status, a.FailInfo = r.TransactionID, r.SenderNonce, status, failInfo
	if len(text) > 0 {
		a.Extra = []cms.Attribute{{Type: failInfoText(), Value: cms.Element(0x0c, text)}}
	}
	if len(content) == 0 {
		a.Envelope = func([]byte) []byte { return nil }
	}
	return a.Bytes(t)
}

// mustBeWhole checks that a result has all that its status promises.
func mustBeWhole(t *testing.T, r *scep.Result, enrols bool) {
	t.Helper()
	good := map[scep.PKIStatus]bool{
		scep.StatusSuccess: enrols && r.Certificate != nil || !enrols && r.CRL != nil,
		scep.StatusPending: enrols && r.Certificate == nil,
		scep.StatusFailure: r.Certificate == nil && r.FailInfo <= scep.BadCertID,
	}
	if !good[r.Status] {
		t.Errorf("%+v", r)
	}
}

// FuzzNextCACertificates signs what the server says is to come.
func FuzzNextCACertificates(f *testing.F) {
	client, server, _ := fixedClient(f)
	f.Add(sceptest.Bundle(f, server.id.CAChain...))
	f.Add(server.id.CAChain[0].Raw)
	signing := server.id.Active.Signing
	signer := cms.Signer{Certificate: signing.Certificate, Key: signing.Key, Digest: crypto.SHA256}
	f.Fuzz(func(t *testing.T, content []byte) {
		body, err := cms.Sign(content, nil, signer)
		if err != nil {
			t.Fatal(err)
		}
		next, err := scep.ParseNextCACertificates(body, client.CA)
		if err != nil {
			mustBeClientError(t, err)
			return
		}
		again, err := scep.ParseCACertificates(sceptest.Bundle(t, next...))
		if err == nil && len(again.All) != len(next) {
			t.Errorf("%d certificates came back as %d", len(next), len(again.All))
		}
	})
}

// FuzzCapabilities reads what GetCACaps answers: what is listed is
// there, whatever else is.
func FuzzCapabilities(f *testing.F) {
	for _, seed := range []string{"AES\nSHA-256", "SCEPStandard\r\n", "<html>", "\x00\xff", "aes AES\tDES3"} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		client := &scep.Client{URL: "http://scep.example.com/scep", HTTP: &http.Client{Transport: bodyOf(body)}}
		capabilities, err := client.GetCACaps(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for keyword := range capabilities {
			if !capabilities.Has(keyword) || len(keyword) > 3*len(body) {
				t.Errorf("%q of %q", keyword, body)
			}
		}
	})
}

type bodyOf []byte

// RoundTrip implements http.RoundTripper.
func (b bodyOf) RoundTrip(r *http.Request) (*http.Response, error) {
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(bytes.NewReader(b)), Request: r, Header: http.Header{}}, nil
}
