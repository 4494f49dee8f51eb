package signer

import (
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// A CRL follows from the CA, the list of revocations and a slot of time: every
// signer that has read the same list makes the same bytes.

// crlSlots is how many CRLs of one list are made within the validity of one.
const crlSlots = 24

// numberShift makes room for thisUpdate below the list's own time in a CRL's number.
const numberShift = 32

// Why there is no CRL.
var (
	errNoCRLSign = errors.New("the CA certificate may not sign revocation lists: add \"crl sign\" to the usages of its Certificate")
	errNoKeyID   = errors.New("the CA certificate has no subject key identifier, which a revocation list has to name (RFC 5280, section 5.2.1): let it be issued anew")
)

// checkCRL says whether a CA's certificate can sign a CRL that verifiers take
// (RFC 5280, section 6.3.3).
func checkCRL(ca *x509.Certificate) error {
	switch {
	case ca.KeyUsage&x509.KeyUsageCRLSign == 0:
		return errNoCRLSign
	case len(ca.SubjectKeyId) == 0:
		return errNoKeyID
	}
	return nil
}

// crlTemplate is the CRL of a moment before it is signed. Its number (RFC 5280, section
// 5.2.3) grows with the list's own time first, so that one with an older list never has a higher
// one, and then with thisUpdate.
func crlTemplate(list *raconfig.Revocations, validity time.Duration, now time.Time) *x509.RevocationList {
	thisUpdate := now.UTC().Truncate(max(validity/crlSlots, time.Second))
	if list.Updated.After(thisUpdate) && !list.Updated.After(now) {
		thisUpdate = list.Updated.UTC()
	}
	number := new(big.Int).Lsh(big.NewInt(list.Updated.Unix()), numberShift)
	t := &x509.RevocationList{
		Number:     number.Add(number, big.NewInt(thisUpdate.Unix())),
		ThisUpdate: thisUpdate,
		NextUpdate: thisUpdate.Add(validity),
	}
	for _, r := range list.Revoked {
		serial, _ := new(big.Int).SetString(r.Serial, 16) // decoding has seen to that
		t.RevokedCertificateEntries = append(t.RevokedCertificateEntries, x509.RevocationListEntry{
			SerialNumber: serial, RevocationTime: r.Time, ReasonCode: r.Reason.Code(),
		})
	}
	return t
}

// crlCache keeps the newest CRL. It is safe for concurrent use.
type crlCache struct {
	mu     sync.Mutex
	of     crlKey
	der    []byte
	number *big.Int
}

// crlKey is what a CRL follows from.
type crlKey struct {
	ca         *authority
	list       *raconfig.Revocations
	thisUpdate time.Time
	validity   time.Duration
}

// get returns the CRL of a moment, in DER, and whether it was made just now.
func (c *crlCache) get(p *parts, now time.Time) (der []byte, made bool, err error) {
	if err := checkCRL(p.ca.certificate); err != nil {
		return nil, false, err
	}
	validity := p.config.Config.Issuance.Signer.CRL.Validity()
	template := crlTemplate(p.revocations, validity, now)
	key := crlKey{p.ca, p.revocations, template.ThisUpdate, validity}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.of == key {
		return c.der, false, nil
	}
	// Without a source of randomness both kinds of signature are deterministic.
	der, err = x509.CreateRevocationList(nil, template, p.ca.certificate, p.ca.key)
	if err != nil {
		return nil, false, fmt.Errorf("make a CRL: %w", err)
	}
	c.of, c.der, c.number = key, der, template.Number
	return der, true, nil
}
