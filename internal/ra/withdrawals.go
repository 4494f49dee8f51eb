package ra

import (
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/withdrawal"
)

// newDesk takes in what Intune wants revoked.
func (s *Server) newDesk() *withdrawal.Desk {
	return withdrawal.New(withdrawal.Options{
		Tenants: s.tenants,
		Revokes: func() bool { c := s.reloader.Current(); return c != nil && c.Signers != nil },
		CRL:     s.crls.get,
		Log:     s.log,
		Now:     s.options.Now,
	})
}

// tenants are the challenges that Intune answers.
func (s *Server) tenants() []withdrawal.Tenant {
	snapshot := s.reloader.Current()
	if snapshot == nil {
		return nil
	}
	var out []withdrawal.Tenant
	for _, v := range snapshot.Challenges {
		if i, ok := v.(*challenge.Intune); ok {
			out = append(out, withdrawal.Tenant{Name: i.Name(), Client: i.Client, Endpoint: i.Endpoint})
		}
	}
	return out
}
