package conformance

import (
	"crypto/x509"
	"encoding/pem"
	"slices"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// strongswan is a device that runs pki --scep.
type strongswan struct{ *scene }

func newStrongswan(t *testing.T, o sceptest.Options) strongswan {
	t.Helper()
	s := strongswan{newScene(t, o)}
	mustRun(t, s.dir, "pki", "--scepca", "--url", s.URL, "--caout", "ca.pem", "--raout", "ra.pem", "--outform", "pem", "--force")
	// pki numbers the RA certificates; which one encrypts is said by key usage.
	s.writePEM(t, "enc.pem", s.Identity().Active.Encryption.Certificate)
	s.writePEM(t, "sig.pem", s.Identity().Active.Signing.Certificate)
	s.writePEM(t, "issuer.pem", s.CA.Certificate)
	s.key(t, "k.pem", 11)
	return s
}

func (s strongswan) key(t *testing.T, name string, n int) {
	t.Helper()
	der := x509.MarshalPKCS1PrivateKey(sceptest.RSAKey(t, n))
	s.write(t, name, pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: der}))
}

// arguments of an enrolment with the key in a file.
func (s strongswan) arguments(key, password string, more ...string) []string {
	return append([]string{
		"--scep", "--url", s.URL, "--in", key, "--dn", "O=x, CN=y", "--password", password,
		"--cacert-enc", "enc.pem", "--cacert-sig", "sig.pem", "--cacert", "issuer.pem", "--cacert", "root.pem",
		"--outform", "pem", "--interval", "1",
	}, more...)
}

// enrol writes a certificate for the key in k.pem to a file and checks it.
func (s strongswan) enrol(t *testing.T, out string, more ...string) {
	t.Helper()
	s.write(t, out, []byte(mustRun(t, s.dir, "pki", s.arguments("k.pem", challenge, more...)...)))
	if cert := s.certificate(t, out); !sceptest.RSAKey(t, 11).PublicKey.Equal(cert.PublicKey) {
		t.Error("the certificate is for another key")
	}
}

func TestStrongswanEnrols(t *testing.T) {
	legacy := scep.Settings{AllowSHA1: true, AllowTripleDES: true}
	for name, test := range map[string]struct {
		layout   sceptest.Layout
		settings scep.Settings
		more     []string
	}{
		"defaults, pair":     {},
		"defaults, combined": {layout: sceptest.Combined},
		"SHA-384":            {more: []string{"--digest", "sha384"}},
		"SHA-512":            {more: []string{"--digest", "sha512"}},
		"PSS":                {more: []string{"--rsa-padding", "pss"}},
		"legacy allowed":     {settings: legacy},
		"3DES":               {settings: legacy, more: []string{"--cipher", "des3"}},
		"SHA-1":              {settings: legacy, more: []string{"--digest", "sha1"}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStrongswan(t, sceptest.Options{Layout: test.layout, Settings: test.settings})
			s.enrol(t, "c.pem", test.more...)
			s.want(t, scep.PKCSReq, scep.StatusSuccess)
		})
	}
}

func TestStrongswanWrongChallenge(t *testing.T) {
	s := newStrongswan(t, sceptest.Options{})
	if _, stderr, err := run(t, s.dir, "pki", s.arguments("k.pem", "wrong")...); err == nil {
		t.Errorf("pki succeeded: %s", stderr)
	}
	s.want(t, scep.PKCSReq, scep.StatusFailure)
	if s.Issued() != 0 {
		t.Error("a certificate was issued")
	}
}

func TestStrongswanRenews(t *testing.T) {
	s := newStrongswan(t, sceptest.Options{})
	s.enrol(t, "old.pem")
	s.key(t, "new.key", 12)
	arguments := slices.DeleteFunc(s.arguments("new.key", ""), func(a string) bool { return a == "--password" || a == "" })
	arguments = append(arguments, "--cert", "old.pem", "--key", "k.pem")
	s.write(t, "renewed.pem", []byte(mustRun(t, s.dir, "pki", arguments...)))
	if cert := s.certificate(t, "renewed.pem"); !sceptest.RSAKey(t, 12).PublicKey.Equal(cert.PublicKey) {
		t.Error("the certificate is for another key")
	}
	s.want(t, scep.RenewalReq, scep.StatusSuccess)
}

func TestStrongswanPolls(t *testing.T) {
	s := newStrongswan(t, sceptest.Options{Pending: 2})
	s.enrol(t, "c.pem")
	s.want(t, scep.PKCSReq, scep.StatusPending)
	s.want(t, scep.CertPoll, scep.StatusPending)
	s.want(t, scep.CertPoll, scep.StatusSuccess)
}
