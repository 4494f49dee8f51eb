// Command smallstep is a SCEP device on smallstep's message layer, the one that
// step-ca and its devices speak. It keeps to what the library can do: messages of the
// kinds PKCSReq and RenewalReq; for PENDING the same request again, since the library
// has no CertPoll; and the library's settings, which are for the whole process.
package main

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/smallstep/pkcs7"
	"github.com/smallstep/scep"
	"github.com/smallstep/scep/x509util"
)

// device is what the flags say.
type device struct {
	url, challenge, organization, commonName, names string
	key, old, out                                   string
	cipher, digest, transport                       string
	interval                                        time.Duration
}

func main() {
	var d device
	flag.StringVar(&d.url, "url", "", "URL of the SCEP service")
	flag.StringVar(&d.challenge, "challenge", "", "challenge password")
	flag.StringVar(&d.organization, "organization", "", "organization of the subject")
	flag.StringVar(&d.commonName, "cn", "", "common name of the subject")
	flag.StringVar(&d.names, "dns", "", "DNS names, with commas between them")
	flag.StringVar(&d.key, "key", "", "file of the RSA key (PKCS #1)")
	flag.StringVar(&d.old, "renew", "", "file of the certificate to renew")
	flag.StringVar(&d.out, "out", "", "file for the certificate")
	flag.StringVar(&d.cipher, "cipher", "", "content encryption; empty: the library's own")
	flag.StringVar(&d.digest, "digest", "", "digest; empty: the library's own")
	flag.StringVar(&d.transport, "transport", "", "key transport; empty: the library's own")
	flag.DurationVar(&d.interval, "interval", time.Second, "time between requests while PENDING")
	flag.Parse()
	if err := d.run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func (d *device) run() error {
	if err := d.set(); err != nil {
		return err
	}
	key, err := readKey(d.key)
	if err != nil {
		return err
	}
	ca, err := d.caCertificates()
	if err != nil {
		return err
	}
	request, err := d.request(key, ca)
	if err != nil {
		return err
	}
	reply, err := d.exchange(request.Raw, ca)
	if err != nil {
		return err
	}
	if err := reply.DecryptPKIEnvelope(request.SignerCert, key); err != nil {
		return fmt.Errorf("decrypt the answer: %w", err)
	}
	return os.WriteFile(d.out, encode(reply.Certificate), 0o600)
}

var ciphers = map[string]int{
	"DES":         pkcs7.EncryptionAlgorithmDESCBC,
	"AES-128-CBC": pkcs7.EncryptionAlgorithmAES128CBC,
	"AES-256-CBC": pkcs7.EncryptionAlgorithmAES256CBC,
	"AES-128-GCM": pkcs7.EncryptionAlgorithmAES128GCM,
	"AES-256-GCM": pkcs7.EncryptionAlgorithmAES256GCM,
}

// set sets what the library has for the process.
func (d *device) set() error {
	if d.cipher != "" {
		cipher, known := ciphers[d.cipher]
		if !known {
			return errors.New("no such cipher: " + d.cipher)
		}
		pkcs7.ContentEncryptionAlgorithm = cipher
	}
	digests := map[string]func() error{
		"":        func() error { return nil },
		"SHA-1":   func() error { return pkcs7.SetDefaultDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA1) },
		"SHA-256": func() error { return pkcs7.SetDefaultDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA256) },
		"SHA-384": func() error { return pkcs7.SetDefaultDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA384) },
		"SHA-512": func() error { return pkcs7.SetDefaultDigestAlgorithm(pkcs7.OIDDigestAlgorithmSHA512) },
	}
	digest, known := digests[d.digest]
	if !known {
		return errors.New("no such digest: " + d.digest)
	}
	hashes := map[string]crypto.Hash{"OAEP-SHA-1": crypto.SHA1, "OAEP-SHA-256": crypto.SHA256}
	if hash, known := hashes[d.transport]; known {
		pkcs7.KeyEncryptionAlgorithm, pkcs7.KeyEncryptionHash = pkcs7.OIDEncryptionAlgorithmRSAESOAEP, hash
	} else if d.transport != "" {
		return errors.New("no such key transport: " + d.transport)
	}
	return digest()
}

// request makes a PKCSReq with a self-signed certificate, or a RenewalReq.
func (d *device) request(key *rsa.PrivateKey, ca []*x509.Certificate) (*scep.PKIMessage, error) {
	csr, err := d.csr(key)
	if err != nil {
		return nil, err
	}
	template := &scep.PKIMessage{MessageType: scep.PKCSReq, Recipients: ca, SignerKey: key}
	if d.old != "" {
		template.MessageType = scep.RenewalReq
		template.SignerCert, err = readCertificate(d.old)
	} else {
		template.SignerCert, err = selfSign(key, csr)
	}
	if err != nil {
		return nil, err
	}
	message, err := scep.NewCSRRequest(csr, template, scep.WithCertsSelector(scep.EnciphermentCertsSelector()))
	if err != nil {
		return nil, fmt.Errorf("make a message: %w", err)
	}
	message.SignerCert = template.SignerCert
	return message, nil
}

func (d *device) csr(key *rsa.PrivateKey) (*x509.CertificateRequest, error) {
	template := x509util.CertificateRequest{ChallengePassword: d.challenge}
	template.Subject = pkix.Name{Organization: []string{d.organization}, CommonName: d.commonName}
	template.SignatureAlgorithm = x509.SHA256WithRSA
	if d.names != "" {
		template.DNSNames = strings.Split(d.names, ",")
	}
	der, err := x509util.CreateCertificateRequest(rand.Reader, &template, key)
	if err != nil {
		return nil, fmt.Errorf("make a CSR: %w", err)
	}
	return x509.ParseCertificateRequest(der)
}

func selfSign(key *rsa.PrivateKey, csr *x509.CertificateRequest) (*x509.Certificate, error) {
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: csr.Subject,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("sign a certificate: %w", err)
	}
	return x509.ParseCertificate(der)
}

func (d *device) caCertificates() ([]*x509.Certificate, error) {
	body, err := get(d.url + "?operation=GetCACert")
	if err != nil {
		return nil, err
	}
	if one, err := x509.ParseCertificate(body); err == nil {
		return []*x509.Certificate{one}, nil
	}
	return scep.CACerts(body)
}

// exchange sends a message until the answer is not PENDING.
func (d *device) exchange(message []byte, ca []*x509.Certificate) (*scep.PKIMessage, error) {
	for {
		body, err := d.send(message)
		if err != nil {
			return nil, err
		}
		reply, err := scep.ParsePKIMessage(body, scep.WithCACerts(ca))
		if err != nil {
			return nil, fmt.Errorf("read the answer: %w", err)
		}
		switch reply.PKIStatus {
		case scep.SUCCESS:
			return reply, nil
		case scep.FAILURE:
			return nil, errors.New("refused: " + reply.FailInfo.String())
		}
		<-time.After(d.interval)
	}
}

// send posts a message, or sends it by GET to a server that does not list POSTPKIOperation.
func (d *device) send(message []byte) ([]byte, error) {
	capabilities, err := get(d.url + "?operation=GetCACaps")
	if err != nil {
		return nil, err
	}
	target := d.url + "?operation=PKIOperation"
	if bytes.Contains(capabilities, []byte("POSTPKIOperation")) {
		return do(http.MethodPost, target, message)
	}
	return get(target + "&message=" + url.QueryEscape(base64.StdEncoding.EncodeToString(message)))
}

func get(target string) ([]byte, error) { return do(http.MethodGet, target, nil) }

// do is the body of the answer to a request.
func do(method, target string, message []byte) ([]byte, error) {
	request, err := http.NewRequest(method, target, bytes.NewReader(message))
	if err != nil {
		return nil, err
	}
	request.Header.Set("Content-Type", "application/x-pki-message")
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, errors.New(response.Status)
	}
	return io.ReadAll(response.Body)
}

func readKey(file string) (*rsa.PrivateKey, error) {
	der, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	return x509.ParsePKCS1PrivateKey(der)
}

func readCertificate(file string) (*x509.Certificate, error) {
	der, err := readPEM(file)
	if err != nil {
		return nil, err
	}
	return x509.ParseCertificate(der)
}

func readPEM(file string) ([]byte, error) {
	raw, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	block, _ := pem.Decode(raw)
	if block == nil {
		return nil, errors.New(file + " holds no PEM")
	}
	return block.Bytes, nil
}

func encode(c *x509.Certificate) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})
}
