package scep

import (
	"cmp"
	"context"
	"crypto/x509"
	"errors"
	"net/http"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// hasNextCA says whether GetNextCACert has an answer.
func (id *Identity) hasNextCA() bool { return id != nil && len(id.NextCA) > 0 }

// NextCACertificates is the answer to GetNextCACert (RFC 8894, section 4.7.1):
// the certificates of NextCA in a SignedData that NextCASigner signed, in DER.
func (id *Identity) NextCACertificates() ([]byte, error) {
	if !id.hasNextCA() {
		return nil, errors.New("scep: there is no next CA certificate")
	}
	bundle, err := cms.MarshalCertificates(id.NextCA)
	if err != nil {
		return nil, err
	}
	signer := cmp.Or(id.NextCASigner, id.Active.Signing)
	return cms.Sign(bundle, nil, cms.Signer{
		Certificate: signer.Certificate,
		Key:         signer.Key,
		Digest:      defaultDigest,
	})
}

func (h *Handler) getNextCACert(ctx context.Context, x *exchange) {
	if !x.identity.hasNextCA() {
		http.Error(x.w, "there is no next CA certificate", http.StatusNotFound)
		return
	}
	if der, ok := h.guarded(ctx, x, x.identity.NextCACertificates); ok {
		x.write(typeNextCACert, der)
	}
}

// GetNextCACert fetches the CA certificates that will follow (RFC 8894, section
// 4.7), signed by the CA that is trusted now, or by its RA. A server without any
// answers with an HTTP status (*HTTPError). Other errors are those of Enrol.
func (c *Client) GetNextCACert(ctx context.Context) ([]*x509.Certificate, error) {
	ca, err := c.trustedCA(ctx)
	if err != nil {
		return nil, err
	}
	body, err := c.get(ctx, operationGetNextCACert, c.CAIdentifier)
	if err != nil {
		return nil, err
	}
	return ParseNextCACertificates(body, ca)
}

// ParseNextCACertificates reads the body of GetNextCACert, in DER or BER and with
// the two SignedData nested in any of the ways that servers have, and returns its
// certificates in the order they came if the current CA or RA signed them. Errors
// are *ReplyError.
func ParseNextCACertificates(body []byte, current *CACertificates) ([]*x509.Certificate, error) {
	limits := DefaultLimits.cms()
	der, err := cms.Normalize(body, limits.Nesting)
	if err != nil {
		return nil, &ReplyError{"next CA certificates", err}
	}
	signed, err := cms.ParseNextCA(der, limits)
	if err != nil {
		return nil, &ReplyError{"next CA certificates", err}
	}
	if signed.Verify(current.Signing) != nil {
		if err := signed.Verify(current.CA); err != nil {
			return nil, &ReplyError{"next CA certificates are not signed by the current CA or its RA", err}
		}
	}
	next, err := signed.NextCertificates(limits)
	if err != nil {
		return nil, &ReplyError{"next CA certificates", err}
	}
	if len(next) == 0 {
		return nil, &ReplyError{Reason: "no next CA certificate in it"}
	}
	return next, nil
}
