package stock

import (
	"bytes"
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// OpenSSLPackages are the Debian packages that hold openssl and curl.
var OpenSSLPackages = []string{"openssl", "curl"}

// OpenSSL is a device that is a script: openssl makes its keys and its requests,
// encrypts, decrypts, signs and verifies; curl carries the messages, with the media
// types that it thinks of. What openssl's command line cannot do is put SCEP's
// attributes beside a signature: those few bytes are laid around it here.
type OpenSSL struct {
	Run Runner
	// KeyOptions are given to "openssl genpkey"; empty for RSA of the size asked for.
	KeyOptions []string
	// EncryptOptions are given to "openssl cms -encrypt", and RecipientOptions to it
	// after the recipient; empty for AES-128-CBC and PKCS #1 v1.5.
	EncryptOptions, RecipientOptions []string
	// Digest of the signature as openssl calls it; empty for sha256.
	Digest string
	// PSS signs with RSASSA-PSS.
	PSS bool
}

// Name implements Client.
func (*OpenSSL) Name() string { return "openssl" }

// Enrol implements Client: a PKCSReq, signed by a self-signed certificate.
func (o *OpenSSL) Enrol(ctx context.Context, dir string, r Request) (*Identity, error) {
	d := o.device(dir, r)
	if err := d.newRequest(ctx); err != nil {
		return nil, err
	}
	err := d.openssl(ctx, "req", "-new", "-x509", "-days", "2", "-config", "req.conf", "-key", keyFile, "-out", selfFile)
	if err != nil {
		return nil, err
	}
	return d.enrol(ctx, exchange{messageType: pkcsReq, certificate: selfFile, key: keyFile})
}

// Renew implements Client: a RenewalReq for a new key, signed by the old certificate.
func (o *OpenSSL) Renew(ctx context.Context, dir string, old *Identity, r Request) (*Identity, error) {
	d := o.device(dir, r)
	if err := d.newRequest(ctx); err != nil {
		return nil, err
	}
	return d.enrol(ctx, exchange{
		messageType: renewalReq,
		certificate: filepath.Join(old.Dir, certFile), key: filepath.Join(old.Dir, keyFile),
	})
}

// selfFile is the name of a self-signed certificate.
const selfFile = "self.pem"

// device is an OpenSSL at work in a directory.
type device struct {
	*OpenSSL
	dir     string
	request Request
	// usesGET says that GetCACaps does not list POSTPKIOperation.
	usesGET bool
	// encryption and issuer are certificates of GetCACert.
	encryption, issuer *x509.Certificate
}

func (o *OpenSSL) device(dir string, r Request) *device {
	return &device{OpenSSL: o, dir: dir, request: r}
}

// exchange is one message that a device sends.
type exchange struct {
	messageType      int
	certificate, key string // files of the signer
	content          string // file with what is inside the envelope
	transactionID    string
}

// Message types and statuses of RFC 8894, sections 3.2.1.2 and 3.2.1.3.
const (
	renewalReq = 17
	pkcsReq    = 19
	certPoll   = 20

	statusSuccess = "0"
	statusPending = "3"
)

// openssl runs a command of it in the device's directory.
func (d *device) openssl(ctx context.Context, args ...string) error {
	_, err := d.run(ctx, "openssl", args...)
	return err
}

// run runs a program in the device's directory, wherever the Runner runs it.
func (d *device) run(ctx context.Context, program string, args ...string) ([]byte, error) {
	inDir := append([]string{"-c", `cd "$0" && exec "$@"`, d.dir, program}, args...)
	return output(d.Run(ctx, "sh", inDir...), d.Name()+": "+program+" "+args[0])
}

func (d *device) write(name string, content []byte) error {
	if err := os.WriteFile(filepath.Join(d.dir, name), content, 0o600); err != nil {
		return fmt.Errorf("write a file for openssl: %w", err)
	}
	return nil
}

func (d *device) read(name string) ([]byte, error) {
	content, err := os.ReadFile(filepath.Join(d.dir, name))
	if err != nil {
		return nil, fmt.Errorf("read what openssl wrote: %w", err)
	}
	return content, nil
}

// newRequest makes a key and a CSR.
func (d *device) newRequest(ctx context.Context) error {
	if err := d.write("req.conf", []byte(d.requestConfig())); err != nil {
		return err
	}
	options := d.KeyOptions
	if len(options) == 0 {
		options = []string{"-algorithm", "RSA", "-pkeyopt", fmt.Sprintf("rsa_keygen_bits:%d", keyBits(d.request))}
	}
	if err := d.openssl(ctx, slices.Concat([]string{"genpkey", "-out", keyFile}, options)...); err != nil {
		return err
	}
	return d.openssl(ctx, "req", "-new", "-config", "req.conf", "-key", keyFile, "-outform", "der", "-out", "csr.der")
}

func (d *device) requestConfig() string {
	var b strings.Builder
	b.WriteString("[req]\nprompt = no\ndistinguished_name = name\n")
	if d.request.Challenge != "" {
		b.WriteString("attributes = attributes\n")
	}
	if len(d.request.DNSNames) > 0 {
		b.WriteString("req_extensions = extensions\n")
	}
	fmt.Fprintf(&b, "[name]\nO = %s\nCN = %s\n", cmp.Or(d.request.Organization, "none"), d.request.CommonName)
	fmt.Fprintf(&b, "[attributes]\nchallengePassword = %s\n", d.request.Challenge)
	b.WriteString("[extensions]\nsubjectAltName = @names\n[names]\n")
	for i, name := range d.request.DNSNames {
		fmt.Fprintf(&b, "DNS.%d = %s\n", i, name)
	}
	return b.String()
}

// enrol asks for a certificate and polls for it.
func (d *device) enrol(ctx context.Context, x exchange) (*Identity, error) {
	if err := d.askCA(ctx); err != nil {
		return nil, err
	}
	x.content, x.transactionID = "csr.der", transactionID()
	status, err := d.exchange(ctx, x)
	if err != nil {
		return nil, err
	}
	if status == statusPending {
		status, err = d.poll(ctx, x)
	}
	if err != nil {
		return nil, err
	}
	if status != statusSuccess {
		return nil, &ClientError{Client: d.Name(), Output: d.failure(), Err: errors.New("refused")}
	}
	return d.unpack(ctx, x)
}

// askCA asks what the RA can do and for its certificates.
func (d *device) askCA(ctx context.Context) error {
	capabilities, err := d.run(ctx, "curl", "-sS", "--fail", d.request.URL+"?operation=GetCACaps")
	if err != nil {
		return err
	}
	d.usesGET = !bytes.Contains(capabilities, []byte("POSTPKIOperation"))
	if _, err := d.run(ctx, "curl", "-sS", "--fail", "-o", "cacert.der", d.request.URL+"?operation=GetCACert"); err != nil {
		return err
	}
	if err := d.openssl(ctx, "pkcs7", "-inform", "der", "-in", "cacert.der", "-print_certs", "-out", "chain.pem"); err != nil {
		return err
	}
	certificates, err := readCertificates(filepath.Join(d.dir, "chain.pem"))
	if err != nil {
		return err
	}
	if d.encryption = find(certificates, isRecipient); d.encryption == nil {
		return errors.New("GetCACert shows no RA certificate for encryption")
	}
	d.issuer = find(certificates, func(c *x509.Certificate) bool { return bytes.Equal(c.RawSubject, d.encryption.RawIssuer) })
	if d.issuer == nil {
		return errors.New("GetCACert does not show who issued the RA's certificate")
	}
	return d.write("recipient.pem", pemOf(d.encryption))
}

func isRecipient(c *x509.Certificate) bool {
	return !c.IsCA && c.KeyUsage&x509.KeyUsageKeyEncipherment != 0
}

func find(certificates []*x509.Certificate, is func(*x509.Certificate) bool) *x509.Certificate {
	if i := slices.IndexFunc(certificates, is); i >= 0 {
		return certificates[i]
	}
	return nil
}

// poll asks again, as RFC 8894, section 3.3.3, has it, while the answer is PENDING.
func (d *device) poll(ctx context.Context, x exchange) (string, error) {
	csr, err := d.read("csr.der")
	if err != nil {
		return "", err
	}
	content, err := issuerAndSubject(d.issuer, csr)
	if err != nil {
		return "", err
	}
	if err := d.write("poll.der", content); err != nil {
		return "", err
	}
	x.messageType, x.content = certPoll, "poll.der"
	ticker := time.NewTicker(max(100*time.Millisecond, d.request.PollInterval))
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return "", fmt.Errorf("while PENDING: %w", ctx.Err())
		case <-ticker.C:
		}
		if status, err := d.exchange(ctx, x); err != nil || status != statusPending {
			return status, err
		}
	}
}

// exchange sends a message and returns the status of the answer.
func (d *device) exchange(ctx context.Context, x exchange) (string, error) {
	if err := d.makeMessage(ctx, x); err != nil {
		return "", err
	}
	if err := d.send(ctx); err != nil {
		return "", err
	}
	// The content is left for unpack. Whom the RA's certificate is for is none of openssl's "purposes".
	err := d.openssl(ctx, "cms", "-verify", "-binary", "-inform", "der", "-in", "reply.der",
		"-CAfile", "chain.pem", "-purpose", "any", "-out", "reply-envelope.der")
	if err != nil {
		return "", err
	}
	if err := d.openssl(ctx, "cms", "-cmsout", "-noout", "-print", "-inform", "der", "-in", "reply.der", "-out", "reply.txt"); err != nil {
		return "", err
	}
	status := replyStatus.FindStringSubmatch(readText(filepath.Join(d.dir, "reply.txt")))
	if status == nil {
		return "", &ClientError{Client: d.Name(), Output: readText(filepath.Join(d.dir, "reply.txt")), Err: errors.New("no pkiStatus")}
	}
	return status[1], nil
}

// What openssl prints of pkiStatus, failInfo and failInfoText.
var (
	replyStatus = regexp.MustCompile(`2\.16\.840\.1\.113733\.1\.9\.3\)\s+set:\s+PRINTABLESTRING:(\d+)`)
	replyReason = regexp.MustCompile(`2\.16\.840\.1\.113733\.1\.9\.4\)\s+set:\s+PRINTABLESTRING:(\d+)`)
	replyText   = regexp.MustCompile(`1\.3\.6\.1\.5\.5\.7\.24\.1\)\s+set:\s+UTF8STRING:(.*)`)
)

// failure is what the answer says about a refusal.
func (d *device) failure() string {
	text := readText(filepath.Join(d.dir, "reply.txt"))
	var said []string
	if reason := replyReason.FindStringSubmatch(text); reason != nil {
		said = append(said, "failInfo "+reason[1])
	}
	if words := replyText.FindStringSubmatch(text); words != nil {
		said = append(said, words[1])
	}
	return strings.Join(said, ": ")
}

// send carries message.der to the RA. curl calls what it posts a form.
func (d *device) send(ctx context.Context) error {
	args := []string{"-sS", "--fail-with-body", "-o", "reply.der"}
	if !d.usesGET {
		_, err := d.run(ctx, "curl", append(args, "--data-binary", "@message.der", d.request.URL+"?operation=PKIOperation")...)
		return err
	}
	if err := d.openssl(ctx, "base64", "-in", "message.der", "-out", "message.b64"); err != nil {
		return err
	}
	encoded, err := d.read("message.b64")
	if err != nil {
		return err
	}
	// The lines that openssl breaks at 64 characters stay in: %0A, as strongSwan and sscep send them.
	target := "url = " + d.request.URL + "?operation=PKIOperation&message=" + url.QueryEscape(string(encoded)) + "\n"
	if err := d.write("curl.conf", []byte(target)); err != nil {
		return err
	}
	_, err = d.run(ctx, "curl", append(args, "--config", "curl.conf")...)
	return err
}

// unpack decrypts the certificates of an answer and keeps the one for our key.
func (d *device) unpack(ctx context.Context, x exchange) (*Identity, error) {
	decrypt := []string{"cms", "-decrypt", "-binary", "-inform", "der", "-in", "reply-envelope.der", "-out", "issued.der"}
	if d.isEC() {
		decrypt = append(decrypt, "-pwri_password", d.request.Challenge)
	} else {
		decrypt = append(decrypt, "-recip", x.certificate, "-inkey", x.key)
	}
	if err := d.openssl(ctx, decrypt...); err != nil {
		return nil, err
	}
	if err := d.openssl(ctx, "pkcs7", "-inform", "der", "-in", "issued.der", "-print_certs", "-out", certFile); err != nil {
		return nil, err
	}
	return ReadIdentity(d.dir)
}

func (d *device) isEC() bool { return slices.Contains(d.KeyOptions, "EC") }
