package ratest

import (
	"fmt"
	"strings"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/scep"
)

// Logged returns nil if an audit record with the code contains text.
func (s *Server) Logged(code audit.Code, text string) error {
	for line := range strings.Lines(s.Log.String()) {
		if strings.Contains(line, `"code":"`+string(code)+`"`) && strings.Contains(line, text) {
			return nil
		}
	}
	return fmt.Errorf("no record %s with %q", code, text)
}

// WantLogged fails the test if there is no such record.
func (s *Server) WantLogged(code audit.Code, text string) {
	s.t.Helper()
	if err := s.Logged(code, text); err != nil {
		s.t.Errorf("%v in\n%s", err, s.Log)
	}
}

// WantNoSecret fails the test if the log or the metrics hold one of the words.
func (s *Server) WantNoSecret(words ...string) {
	s.t.Helper()
	all := s.Log.String() + s.Metrics()
	for _, w := range words {
		if strings.Contains(all, w) {
			s.t.Errorf("log or metrics hold the secret %q", w)
		}
	}
}

// WantMetric fails the test if the metrics have no such line.
func (s *Server) WantMetric(line string) {
	s.t.Helper()
	metrics := s.Metrics()
	if strings.Contains(metrics, line+"\n") {
		return
	}
	name, _, _ := strings.Cut(line, "{")
	var have []string
	for l := range strings.Lines(metrics) {
		if strings.HasPrefix(l, name) {
			have = append(have, l)
		}
	}
	s.t.Errorf("no metric %s; there is\n%s", line, strings.Join(have, ""))
}

// Identity is what devices see of the replica: certificates without keys.
func (s *Server) Identity() *scep.Identity {
	s.t.Helper()
	ca, err := (&scep.Client{URL: s.URL}).GetCACert(s.t.Context())
	must(s.t, err)
	return &scep.Identity{Active: &scep.Generation{
		Signing:    &scep.Credential{Certificate: ca.Signing},
		Encryption: &scep.Credential{Certificate: ca.Encryption},
	}}
}
