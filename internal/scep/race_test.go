package scep_test

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// enrolments is how many devices enrol at a time: enough for every pair of
// algorithms to meet, few enough for the race detector.
const enrolments = 240

// kind is a way to enrol.
type kind struct {
	cipher    scep.Cipher
	digest    crypto.Hash
	transport scep.KeyTransport
	method    scep.ClientMethod
	ber, ec   bool
}

func kinds() []kind {
	ciphers := []scep.Cipher{scep.AES128CBC, scep.AES192CBC, scep.AES256CBC, scep.TripleDESCBC, scep.DESCBC, scep.AES128GCM, scep.AES192GCM, scep.AES256GCM}
	digests := []crypto.Hash{crypto.SHA1, crypto.SHA256, crypto.SHA384, crypto.SHA512}
	transports := []scep.KeyTransport{scep.PKCS1v15, scep.OAEPSHA1, scep.OAEPSHA256}
	all := make([]kind, enrolments)
	for n := range all {
		all[n] = kind{
			cipher:    ciphers[n%len(ciphers)],
			digest:    digests[n/len(ciphers)%len(digests)],
			transport: transports[n%len(transports)],
			method:    scep.MethodPOST,
			ber:       n%5 == 3,
			ec:        n%7 == 5,
		}
		if n%2 == 1 {
			all[n].method = scep.MethodGET
		}
	}
	return all
}

func (k kind) String() string {
	return fmt.Sprintf("%v, %v, transport %d, method %d, BER %v, EC %v", k.cipher, k.digest, k.transport, k.method, k.ber, k.ec)
}

// Hundreds of devices enrol in every algorithm while the RA's credentials are
// replaced all the time: each gets its answer in its own algorithms, signed by
// the generation it asked, and the race detector has nothing to say.
func TestConcurrentEnrolmentsOfAllKinds(t *testing.T) {
	t.Parallel()
	ca := sceptest.NewCA(t)
	generations := []*scep.Generation{
		sceptest.NewGeneration(t, ca, sceptest.Pair),
		sceptest.NewGeneration(t, ca, sceptest.Combined),
		sceptest.NewGeneration(t, ca, sceptest.Pair),
	}
	var oneTime []string
	for n := range enrolments {
		oneTime = append(oneTime, fmt.Sprintf("one time %d", n))
	}
	s := sceptest.NewServer(t, sceptest.Options{
		CA: ca, Identity: identityOf(ca, generations, 0), Settings: everything, OneTime: oneTime,
	})
	stop := rotate(s, generations)
	defer stop()
	var devices sync.WaitGroup
	for n, k := range kinds() {
		devices.Go(func() {
			if err := k.enrol(t, s, n, oneTime[n]); err != nil {
				t.Errorf("%v: %v", k, err)
			}
		})
	}
	devices.Wait()
	if s.Issued() != enrolments {
		t.Errorf("%d certificates for %d devices", s.Issued(), enrolments)
	}
}

// identityOf makes one of the generations the active one.
func identityOf(ca *sceptest.CA, generations []*scep.Generation, active int) *scep.Identity {
	id := &scep.Identity{Active: generations[active], CAChain: ca.Chain()}
	for n, g := range generations {
		if n != active {
			id.Others = append(id.Others, g)
		}
	}
	return id
}

// rotate replaces the identity until it is stopped.
func rotate(s *sceptest.Server, generations []*scep.Generation) (stop func()) {
	done := make(chan struct{})
	var rotation sync.WaitGroup
	rotation.Go(func() {
		ticker := time.NewTicker(time.Millisecond)
		defer ticker.Stop()
		for n := 0; ; n++ {
			select {
			case <-done:
				return
			case <-ticker.C:
				s.SetIdentity(identityOf(s.CA, generations, n%len(generations)))
			}
		}
	})
	return func() { close(done); rotation.Wait() }
}

// enrol enrols device n, with its key and its challenge.
func (k kind) enrol(t *testing.T, s *sceptest.Server, n int, password string) error {
	var key crypto.Signer = sceptest.RSAKey(t, n%4)
	if k.ec {
		var err error
		if key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
			return err
		}
	}
	if k.ber {
		return k.enrolInBER(t, s, key, password)
	}
	client := &scep.Client{URL: s.URL, VerifyCA: scep.TrustAnyCA, Method: k.method}
	result, err := client.Enrol(t.Context(), scep.EnrolRequest{
		Key: key, ChallengePassword: password, Digest: k.digest, Cipher: k.cipher, KeyTransport: k.transport,
	})
	if err == nil && (result.Status != scep.StatusSuccess || !s.CA.Issued(result.Certificate)) {
		err = fmt.Errorf("%v %v %s", result.Status, result.FailInfo, result.FailInfoText)
	}
	return err
}

// enrolInBER posts a message as iOS and Android write it.
func (k kind) enrolInBER(t *testing.T, s *sceptest.Server, key crypto.Signer, password string) error {
	csr := sceptest.CSR(t, key, sceptest.CSROptions{ChallengePassword: password})
	m := sceptest.NewMessage(t, s.Identity(), csr, key)
	m.Cipher, m.Digest, m.Transport = k.cipher, k.digest, k.transport
	m.Envelope = func(b []byte) []byte { return sceptest.Indefinite(b, 100) }
	m.Message = m.Envelope
	answer := serve(t.Context(), s.Handler, m.Bytes(t))
	signed, err := parseSignedData(answer.Body.Bytes())
	if err != nil {
		return fmt.Errorf("HTTP %d: %w", answer.Code, err)
	}
	if digest, err := signed.Digest(); err != nil || digest != k.digest {
		return fmt.Errorf("answered with %v, %w", digest, err)
	}
	if status, _ := signed.Attribute(oid(3)); string(status) != "\x13\x010" {
		return fmt.Errorf("pkiStatus %x", status)
	}
	return nil
}
