package conformance

import (
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// micromdm's client keeps key, CSR and self-signed certificate in its working
// directory; a certificate that is there makes the next run a renewal.
func (s *scene) scepclient(challenge string) []string {
	return []string{
		"-server-url", s.URL, "-challenge", challenge,
		"-private-key", s.path("k.pem"), "-certificate", s.path("c.pem"), "-cn", "y",
	}
}

// scepclientSettings is what the client needs: whatever GetCACaps says, it signs
// with SHA-1 and encrypts with single DES.
var scepclientSettings = scep.Settings{AllowSHA1: true, AllowDES: true}

func TestScepclientEnrolsAndRenews(t *testing.T) {
	for name, o := range map[string]sceptest.Options{
		"pair":     {},
		"combined": {Layout: sceptest.Combined},
	} {
		t.Run(name, func(t *testing.T) {
			o.Settings = scepclientSettings
			s := newScene(t, o)
			mustRun(t, s.dir, "scepclient", s.scepclient(challenge)...)
			first := s.certificate(t, "c.pem")
			s.want(t, scep.PKCSReq, scep.StatusSuccess)

			mustRun(t, s.dir, "scepclient", s.scepclient("")...)
			if second := s.certificate(t, "c.pem"); second.Equal(first) {
				t.Error("the certificate was not renewed")
			}
			s.want(t, scep.RenewalReq, scep.StatusSuccess)
		})
	}
}

func TestScepclientWrongChallenge(t *testing.T) {
	s := newScene(t, sceptest.Options{Settings: scepclientSettings})
	stdout, stderr, err := run(t, s.dir, "scepclient", s.scepclient("wrong")...)
	if err == nil {
		t.Error("scepclient succeeded")
	}
	if output := stdout + stderr; !strings.Contains(output, "badRequest") {
		t.Errorf("scepclient does not tell of a refusal: %s", output)
	}
	s.want(t, scep.PKCSReq, scep.StatusFailure)
}

// The client waits 30 s and sends the same PKCSReq again; it never polls.
func TestScepclientWaitsWhilePending(t *testing.T) {
	t.Parallel()
	s := newScene(t, sceptest.Options{Settings: scepclientSettings, Pending: 1})
	mustRun(t, s.dir, "scepclient", s.scepclient(challenge)...)
	s.certificate(t, "c.pem")
	s.want(t, scep.PKCSReq, scep.StatusPending)
	s.want(t, scep.PKCSReq, scep.StatusSuccess)
}

func TestScepclientIsToldWhy(t *testing.T) {
	for name, test := range map[string]struct {
		settings scep.Settings
		want     string
	}{
		"SHA-1": {scep.Settings{AllowDES: true}, "digest algorithm SHA-1 (1.3.14.3.2.26)"},
		"DES":   {scep.Settings{AllowSHA1: true}, "content encryption algorithm DES-CBC (1.3.14.3.2.7)"},
	} {
		t.Run(name, func(t *testing.T) {
			s := newScene(t, sceptest.Options{Settings: test.settings})
			stdout, stderr, err := run(t, s.dir, "scepclient", s.scepclient(challenge)...)
			if output := stdout + stderr; err == nil || !strings.Contains(output, "badAlg") {
				t.Errorf("got %v, %s", err, output)
			}
			if !s.saw(func(e scep.Event) bool { return e.Err != nil && strings.Contains(e.Err.Error(), test.want) }) {
				t.Errorf("no event names %s", test.want)
			}
		})
	}
}
