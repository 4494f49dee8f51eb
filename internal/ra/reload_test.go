package ra_test

import (
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func TestNotReadyBeforeThereIsAConfiguration(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	files.Write(files.Dirs.Config, raconfig.ConfigFile, []byte("version: v0\n"))
	server := ratest.StartServer(t, cluster, files)
	if err := server.Get("/livez"); err != nil {
		t.Error(err)
	}
	if err := server.Get("/readyz"); err == nil {
		t.Error("/readyz is 200 without a configuration")
	}
	if _, err := device(server.URL).GetCACert(limited(t)); err == nil || !strings.Contains(err.Error(), "503") {
		t.Errorf("GetCACert: %v, want HTTP 503", err)
	}
	ratest.Eventually(t, "the problem to be shown", func() error {
		return wantProblem(server.Status(), `version "v0"`)
	})
	files.WriteConfig()
	ratest.Eventually(t, "server to be ready", func() error { return server.Get("/readyz") })
	if problems := server.Status().Problems; len(problems) > 0 {
		t.Errorf("problems %q remain", problems)
	}
}

// TestANewServerGoesBack: one that starts while the newest configuration cannot be used has
// the last good one, as those have that run, and takes the newest as soon as that is mended.
func TestANewServerGoesBack(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*ratest.Files)
		problem string
	}{
		"unreadable": {func(f *ratest.Files) { f.Write(f.Dirs.Config, raconfig.ConfigFile, []byte("{")) }, "invalid RA configuration"},
		"unknown generation": {func(f *ratest.Files) {
			f.Config.ActiveGeneration = "absent"
			f.WriteConfig()
		}, "activeGeneration absent: the keyring lacks it"},
		"broken rule": {func(f *ratest.Files) {
			f.Config.Templates[0].Spec.Rules[0].Expression = "csr.nothing"
			f.WriteConfig()
		}, "rules[0]"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			cluster := ratest.NewCluster(t)
			files := ratest.NewFiles(t, cluster)
			good, err := raconfig.Encode(files.Config)
			if err != nil {
				t.Fatal(err)
			}
			files.WriteLastGood(good, t.Name())
			tc.change(files)
			server := ratest.NewServer(t, cluster, files)
			if status := server.Status(); status.ConfigHash != raconfig.Hash(good) || wantProblem(status, tc.problem) != nil {
				t.Errorf("in use is %s, want %s; problems are %q", status.ConfigHash, raconfig.Hash(good), status.Problems)
			}
			request := enrolment(t, 1)
			wantCertificate(t, enrol(t, server.URL, request), request.Key)
			mended := slices.Concat(good, []byte("# mended\n"))
			files.Write(files.Dirs.Config, raconfig.ConfigFile, mended)
			ratest.Eventually(t, "the mended one to be used", func() error {
				if status := server.Status(); status.ConfigHash != raconfig.Hash(mended) || len(status.Problems) > 0 {
					return fmt.Errorf("in use is %s; problems are %q", status.ConfigHash, status.Problems)
				}
				return nil
			})
		})
	}
}

// TestAServerOfAnotherRevisionDoesNotGoBack: it is not ready, so that a Deployment takes none
// away for it, and says why.
func TestAServerOfAnotherRevisionDoesNotGoBack(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	good, err := raconfig.Encode(files.Config)
	if err != nil {
		t.Fatal(err)
	}
	files.WriteLastGood(good, "corp-ra-5d9c7b6f4-x2x7k")
	files.Write(files.Dirs.Config, raconfig.ConfigFile, []byte("{"))
	server := ratest.StartServer(t, cluster, files)
	ratest.Eventually(t, "the problem", func() error { return wantProblem(server.Status(), "invalid RA configuration") })
	if status := server.Status(); status.ConfigHash != "" || server.Get("/readyz") == nil {
		t.Errorf("it uses %q and is ready", status.ConfigHash)
	}
	files.WriteConfig()
	ratest.Eventually(t, "server to be ready", func() error { return server.Get("/readyz") })
}

func wantProblem(s raconfig.ReplicaStatus, text string) error {
	if slices.ContainsFunc(s.Problems, func(p string) bool { return strings.Contains(p, text) }) {
		return nil
	}
	return fmt.Errorf("problems are %q, none has %q", s.Problems, text)
}

func TestABadConfigurationIsNotUsed(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*ratest.Files)
		problem string
	}{
		"unreadable": {func(f *ratest.Files) { f.Write(f.Dirs.Config, raconfig.ConfigFile, []byte("{")) }, "invalid RA configuration"},
		"broken rule": {func(f *ratest.Files) {
			f.Config.Templates[0].Spec.Rules[0].Expression = "csr.nothing"
			f.WriteConfig()
		}, "rules[0]"},
		"unknown generation": {func(f *ratest.Files) {
			f.Config.ActiveGeneration = "absent"
			f.WriteConfig()
		}, "activeGeneration absent: the keyring lacks it"},
		"another endpoint": {func(f *ratest.Files) {
			f.Config.Endpoint.Name = "other"
			f.WriteConfig()
		}, "it belongs to another endpoint"},
		"broken keyring": {func(f *ratest.Files) {
			f.Write(f.Dirs.Keyring, raconfig.KeyringIndexFile, []byte("{"))
		}, "keyring: "},
		"empty challenge": {func(f *ratest.Files) {
			f.Write(f.Dirs.Challenges, "mdm/password", []byte("\n"))
		}, "challenges/mdm/password: the file holds no password"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newFixture(t)
			before := f.server.Status()
			tc.change(f.files)
			ratest.Eventually(t, "the problem to be shown", func() error { return wantProblem(f.server.Status(), tc.problem) })
			after := f.server.Status()
			if after.ConfigHash != before.ConfigHash || after.ActiveGeneration != before.ActiveGeneration {
				t.Errorf("configuration in use changed from %+v to %+v", before, after)
			}
			request := enrolment(t, 1)
			wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
		})
	}
}

func TestRolloverOfTheRACredential(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	old, err := device(f.server.URL).GetCACert(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	next := ratest.NewGeneration(t, f.Issuer.CA, sceptest.Combined)
	f.files.Config.ActiveGeneration = next.ID
	f.files.WriteConfig()
	ratest.Eventually(t, "the lack to be told", func() error { return wantProblem(f.server.Status(), next.ID) })

	f.files.Keyring.Generations = append([]raconfig.Generation{next}, f.files.Keyring.Generations...)
	f.files.WriteKeyring()
	f.wantStatus(t, "the next generation to be active", func(s raconfig.ReplicaStatus) bool {
		return s.ActiveGeneration == next.ID && len(s.Problems) == 0
	})
	if held := f.server.Status().HeldGenerations; !slices.Equal(held, f.files.Keyring.IDs()) {
		t.Errorf("held are %v, want %v", held, f.files.Keyring.IDs())
	}
	fresh, err := device(f.server.URL).GetCACert(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	if !fresh.Signing.Equal(next.Certificates[0].Certificate) {
		t.Error("GetCACert does not show the next generation")
	}
	late := device(f.server.URL)
	late.CA = old
	request := enrolment(t, 1)
	result, err := late.Enrol(limited(t), request)
	if err != nil {
		t.Fatalf("a device with the old certificates: %v", err)
	}
	wantCertificate(t, result, request.Key)
}

func TestChangesTakeEffectWithoutARestart(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.files.Write(f.files.Dirs.Challenges, "mdm/password", []byte("another\n"))
	request := enrolment(t, 1)
	request.ChallengePassword = "another"
	ratest.Eventually(t, "the new password to be accepted", func() error {
		return succeeded(device(f.server.URL).Enrol(limited(t), request))
	})
	wantFailure(t, enrol(t, f.server.URL, enrolment(t, 2)), "challenge password refused")

	f.files.Config.Templates[0].Spec.SANs.DNS.AllowedSuffixes = []string{"elsewhere.example.com"}
	f.reconfigure(t)
	request = enrolment(t, 3)
	request.ChallengePassword = "another"
	wantFailure(t, enrol(t, f.server.URL, request), `DNS name "d1.devices.example.com" refused: allowed is elsewhere.example.com`)
	request.Template = &x509.CertificateRequest{Subject: request.Template.Subject, DNSNames: []string{"d.elsewhere.example.com"}}
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
}
