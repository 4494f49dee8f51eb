package ra

import "crypto/tls"

// MintTLS is for the listener of MintHandler. It asks callers for a certificate where one may let them in, and requires none:
// a password or a token does as well. What they show is judged with each request.
func (s *Server) MintTLS() *tls.Config {
	config := tlsConfig(s.mintCertificate)
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
		snapshot := s.reloader.Current()
		if snapshot == nil || snapshot.Admin.Callers == nil {
			return nil, nil
		}
		asking := tlsConfig(s.mintCertificate)
		asking.ClientAuth = tls.RequestClientCert
		asking.ClientCAs = snapshot.Admin.Callers.Named()
		return asking, nil
	}
	return config
}
