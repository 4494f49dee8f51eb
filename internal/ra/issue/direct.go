package issue

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Direct issues with a CA key in this process. It keeps no record: a certificate
// follows from the request, the grant and a slot of time, so that a repeated
// request gets the same bytes from every process with the same keys, after any
// crash. A repetition in a later slot is a new request.
type Direct struct {
	// CA signs with Key: RSA by PKCS #1 v1.5, ECDSA by RFC 6979; both are deterministic.
	CA  *x509.Certificate
	Key crypto.Signer
	// Names holds the key of the serial numbers.
	Names Names
	// CRLURLs go into the certificates' CRL distribution points (RFC 5280, section 4.2.1.13).
	CRLURLs []string
	Now     func() time.Time
}

// Recall implements Issuer: nothing is recorded, so nothing is recalled.
func (d *Direct) Recall(context.Context, Request) (*Record, error) { return nil, nil }

// Collect implements Issuer: PENDING is never answered, so there is nothing to poll for.
func (d *Direct) Collect(context.Context, string, *x509.Certificate) (*Record, error) {
	return nil, nil
}

// Await implements Issuer: the certificate is there already.
func (d *Direct) Await(_ context.Context, r *Record) *Record { return r }

// Record implements Issuer: it makes the certificate.
func (d *Direct) Record(_ context.Context, o Order) (*Record, error) {
	now := d.Now()
	r := newDirectRecord(o, now)
	if now.After(d.CA.NotAfter) {
		r.State, r.Message = Failed, "the CA's certificate has expired"
		return r, nil
	}
	certificate, err := d.issue(o)
	if err != nil {
		return nil, fmt.Errorf("issue directly: %w", err)
	}
	r.State, r.Certificates = Issued, []*x509.Certificate{certificate}
	return r, nil
}

// newDirectRecord is what a record says before there is a certificate.
func newDirectRecord(o Order, now time.Time) *Record {
	r := &Record{Template: o.Template, CSR: o.CSR, Usages: o.Grant.Usages, ExtendedKeyUsages: o.Grant.ExtendedKeyUsages, created: now}
	if o.Admission != nil {
		r.Challenge, r.Notify = o.Admission.Challenge, o.Admission.Notify
	}
	return r
}

func (d *Direct) issue(o Order) (*x509.Certificate, error) {
	template := d.template(o)
	der, err := x509.CreateCertificate(nil, template, d.CA, o.CSR.PublicKey, d.Key)
	if err != nil {
		return nil, fmt.Errorf("sign: %w", err)
	}
	certificate, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, fmt.Errorf("read what was signed: %w", err)
	}
	return certificate, nil
}

// template is the certificate before it is signed: the names of the request, the
// usages and the validity of the grant, and nothing else that was asked for.
func (d *Direct) template(o Order) *x509.Certificate {
	keyID := sha256.Sum256(o.CSR.RawSubjectPublicKeyInfo) // RFC 7093, section 2
	t := &x509.Certificate{
		RawSubject:            o.CSR.RawSubject,
		SubjectKeyId:          keyID[:sha1Size],
		BasicConstraintsValid: true,
	}
	t.NotBefore, t.NotAfter = d.validity(o)
	t.KeyUsage, t.ExtKeyUsage = policy.X509Usages(o.Grant.Usages)
	t.UnknownExtKeyUsage = o.Grant.ExtendedKeyUsages
	t.CRLDistributionPoints = d.CRLURLs
	if san, ok := alternativeNames(o); ok {
		t.ExtraExtensions = []pkix.Extension{san}
	}
	t.SerialNumber = d.serial(o, t)
	return t
}

// sha1Size is the length in bytes of key identifiers, also of those that are not SHA-1.
const sha1Size = 20

var (
	oidSubjectAltName = asn1.ObjectIdentifier{2, 5, 29, 17}
	emptySubject      = []byte{0x30, 0x00}
)

// alternativeNames are as the CSR has them, but for what the grant leaves out; critical
// where there is no subject (RFC 5280, section 4.2.1.6).
func alternativeNames(o Order) (pkix.Extension, bool) {
	i := slices.IndexFunc(o.CSR.Extensions, func(e pkix.Extension) bool { return e.Id.Equal(oidSubjectAltName) })
	if i < 0 {
		return pkix.Extension{}, false
	}
	value, ok := o.CSR.Extensions[i].Value, true
	if o.Grant.WithoutSID {
		value, ok = policy.WithoutSID(value)
	}
	return pkix.Extension{Id: oidSubjectAltName, Critical: slices.Equal(o.CSR.RawSubject, emptySubject), Value: value}, ok
}

const (
	// maxSlot is how long notBefore stays the same, and with it the certificate.
	maxSlot = 24 * time.Hour
	// slotParts bounds what a slot takes from a short validity: a tenth.
	slotParts = 10
	// skewParts of a slot are before its beginning, for devices whose clocks are slow.
	skewParts = 24
)

// validity begins with a slot, but for what the grant says, and ends with the CA at the
// latest. The slot is the present one, or that of a one-time challenge's claim.
func (d *Direct) validity(o Order) (notBefore, notAfter time.Time) {
	at := d.Now()
	if o.Claim != nil {
		at = o.Claim.Time
	}
	slot := max(min(maxSlot, o.Grant.Duration/slotParts).Truncate(time.Second), time.Second)
	begin := at.UTC().Add(-slot / skewParts).Truncate(slot)
	return latest(begin.Add(-o.Grant.Backdate), d.CA.NotBefore), earliest(begin.Add(o.Grant.Duration), d.CA.NotAfter)
}

func earliest(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// maxSerialBits keeps serial numbers positive within the twenty octets of RFC 5280, section 4.1.2.2.
const maxSerialBits = 159

// serial is a keyed hash of all that the certificate will say, so that two that
// differ never share one, and of who asked: a renewal is not the certificate that it
// renews. A CSR that is signed anew, or carries another challenge, is the same request.
func (d *Direct) serial(o Order, t *x509.Certificate) *big.Int {
	parts := [][]byte{
		d.CA.Raw, o.asker(), o.CSR.RawSubjectPublicKeyInfo, t.RawSubject, seconds(t.NotBefore), seconds(t.NotAfter),
		list(slices.Sorted(slices.Values(o.Grant.Usages))), list(o.Grant.ExtendedKeyUsages), list(t.CRLDistributionPoints),
	}
	for _, e := range t.ExtraExtensions {
		parts = append(parts, e.Value)
	}
	sum, _ := hex.DecodeString(d.Names.hash("serial", parts...)) // what EncodeToString made
	serial := new(big.Int).SetBytes(sum[:sha1Size])
	return serial.SetBit(serial, maxSerialBits, 0)
}

func seconds(t time.Time) []byte { return binary.BigEndian.AppendUint64(nil, uint64(t.Unix())) }

// list writes values so that no two lists are alike.
func list[T any](values []T) []byte {
	var out []byte
	for _, v := range values {
		out = fmt.Appendf(out, "%q,", fmt.Sprint(v))
	}
	return out
}

// asker identifies who asked: a one-time challenge, whichever message it came in; or
// a transaction with what signed it. A self-signed certificate counts for nothing,
// for devices make one anew for each message.
func (o Order) asker() []byte {
	switch {
	case o.Claim != nil:
		return list([]string{"claim", o.Claim.Name})
	case o.SelfSigned:
		return list([]string{"transaction", o.TransactionID})
	default:
		return list([]string{"transaction", o.TransactionID, raconfig.Fingerprint(o.Signer)})
	}
}
