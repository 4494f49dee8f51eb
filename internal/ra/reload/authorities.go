package reload

import (
	"crypto/x509"
	"fmt"
	"slices"

	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// authorities are the CA certificates of a configuration.
type authorities struct {
	chain, next, former []*x509.Certificate
	refuseFormer        bool
}

func readAuthorities(c *raconfig.CA) (authorities, error) {
	if c == nil {
		return authorities{}, nil
	}
	a := authorities{refuseFormer: c.RefuseFormer}
	for _, part := range []struct {
		name string
		in   string
		into *[]*x509.Certificate
	}{{"chain", c.Chain, &a.chain}, {"next", c.Next, &a.next}, {"former", c.Former, &a.former}} {
		var err error
		if *part.into, err = raconfig.ParseCertificates([]byte(part.in)); err != nil {
			return authorities{}, fmt.Errorf("%s: %w", part.name, err)
		}
	}
	return a, nil
}

// complete is the chain behind a generation's certificates: as the keyring has it, and
// above that as far as the configuration does.
func (a authorities) complete(g *raconfig.Generation) []*x509.Certificate {
	return pkifacts.CompleteChain(g.Certificates[0].Certificate, g.Chain(), a.chain)
}

// nextAfter is what is announced beside a chain: once that CA issues, GetCACert shows
// it, and nothing more is to come.
func (a authorities) nextAfter(chain []*x509.Certificate) []*x509.Certificate {
	if len(a.next) > 0 && slices.ContainsFunc(chain, a.next[0].Equal) {
		return nil
	}
	return a.next
}

// forRenewals lists the CAs whose certificates may authenticate their renewal: present
// ones, the one announced, and, unless they are refused, those that issued before.
func (a authorities) forRenewals(k *raconfig.Keyring, id *scep.Identity) []*x509.Certificate {
	all := slices.Concat(id.CAChain, a.chain, a.next)
	if len(k.Generations) > 0 {
		all = append(all, k.Generations[0].Chain()...)
	}
	if !a.refuseFormer {
		all = append(all, a.former...)
		for i := range k.Generations {
			all = append(all, k.Generations[i].Chain()...)
		}
	}
	return all
}
