package reload

import (
	"errors"

	"github.com/scepter-pki/scepter/internal/ra/signer/client"
	"github.com/scepter-pki/scepter/internal/ra/signer/mutual"
)

// signers is how those are reached that issue for the endpoint, where there are any.
type signers struct {
	credential *mutual.Credential
	// client of the address and the credential below; made when first needed.
	client  *client.Client
	address string
	of      *mutual.Credential
}

var errNoSigner = errors.New("issuance.signer: there is no certificate to reach the signers with yet")

// updateSigners reads the files for the connection to the signers.
func (p *parts) updateSigners(f *files, found *problems) {
	next, err := mutual.Read(f.signer)
	if err != nil {
		found.add("signer", err)
		return
	}
	p.signers.credential = next
}

// clientOf is the client for a configuration; nil where it has no signers. Its
// connections go on as long as address and credential stay.
func (s *signers) clientOf(c *configPart) (*client.Client, error) {
	wanted := c.config.Issuance.Signer
	if wanted == nil {
		return nil, nil
	}
	if s.credential == nil {
		return nil, errNoSigner
	}
	if s.client != nil && s.address == wanted.Address && s.of == s.credential {
		return s.client, nil
	}
	if s.client != nil {
		s.client.Close()
	}
	s.client, s.address, s.of = client.New(wanted.Address, s.credential), wanted.Address, s.credential
	return s.client, nil
}
