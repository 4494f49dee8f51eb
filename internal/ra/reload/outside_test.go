package reload

import (
	"crypto/x509"
	"encoding/pem"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/ratest/hooksim"
	"github.com/scepter-pki/scepter/internal/ra/ratest/intunesim"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const devicePassword = "password-of-the-device"

func newAttempt(t *testing.T, password string) challenge.Attempt {
	t.Helper()
	csr := sceptest.Request(t, sceptest.RSAKey(t, 3), sceptest.CSROptions{ChallengePassword: password})
	return challenge.Attempt{Password: password, TransactionID: "transaction", CSR: csr}
}

// pairFiles are a client certificate of a CA and its key.
func pairFiles(t *testing.T, ca *sceptest.CA) (files map[string][]byte, certificate *x509.Certificate) {
	t.Helper()
	key := sceptest.RSAKey(t, 4)
	certificate, err := ca.Issue(&x509.Certificate{ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}}, key.Public())
	if err != nil {
		t.Fatal(err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	chain := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: certificate.Raw})
	chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.Certificate.Raw})...)
	return map[string][]byte{
		raconfig.CertificateFile: chain,
		raconfig.KeyFile:         pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}),
	}, certificate
}

func hookSources(url string, ways ...v1alpha1.WebhookAuthentication) sources {
	return sources{
		entry: raconfig.Challenge{Name: "hook", Type: v1alpha1.ChallengeWebhook, Webhook: &raconfig.Webhook{
			Hook: raconfig.Hook{URL: url, Authentication: ways}, CABundle: true, TimeoutSeconds: 20,
		}},
		endpoint: raconfig.Endpoint{Namespace: "pki", Name: "corp"},
		files:    map[string][]byte{raconfig.SigningSecretFile: []byte(hooksim.SigningSecret)},
		now:      time.Now,
	}
}

func TestWebhookAuthentications(t *testing.T) {
	t.Parallel()
	ca := sceptest.NewCA(t)
	pair, certificate := pairFiles(t, ca)
	const signature = v1alpha1.WebhookSignature
	for _, c := range []struct {
		ways          []v1alpha1.WebhookAuthentication
		files         map[string][]byte
		authorization string
	}{
		{[]v1alpha1.WebhookAuthentication{signature, v1alpha1.WebhookBearer}, map[string][]byte{raconfig.BearerTokenFile: []byte("token\n")}, "Bearer token"},
		{
			[]v1alpha1.WebhookAuthentication{v1alpha1.WebhookBasic, signature},
			map[string][]byte{raconfig.UsernameFile: []byte("u"), raconfig.PasswordFile: []byte("p")},
			"Basic dTpw",
		},
		{[]v1alpha1.WebhookAuthentication{signature, v1alpha1.WebhookClientCertificate}, pair, ""},
	} {
		pool := ca.Pool()
		if c.authorization != "" {
			pool = nil
		}
		service := hooksim.Start(t, pool)
		service.AllowPassword(devicePassword, nil)
		s := hookSources(service.URL, c.ways...)
		maps.Copy(s.files, c.files)
		s.files[raconfig.CABundleFile] = service.RootsPEM()
		made, err := s.make()
		if err != nil {
			t.Fatal(err)
		}
		if admission, err := made.verifier.Verify(t.Context(), newAttempt(t, devicePassword)); err != nil || admission == nil {
			t.Fatalf("%v: %v, %v", c.ways, admission, err)
		}
		asked := service.Asked()[0]
		if got := asked.Header.Get("Authorization"); got != c.authorization {
			t.Errorf("%v: Authorization %q, want %q", c.ways, got, c.authorization)
		}
		if pool != nil && !asked.Peer[0].Equal(certificate) {
			t.Errorf("%v: another client certificate", c.ways)
		}
	}
}

func TestIntuneAuthentications(t *testing.T) {
	t.Parallel()
	ca := sceptest.NewCA(t)
	pair, certificate := pairFiles(t, ca)
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte(intunesim.FederatedToken), 0o600); err != nil {
		t.Fatal(err)
	}
	for way, files := range map[v1alpha1.IntuneAuthentication]map[string][]byte{
		v1alpha1.IntuneClientSecret:      {raconfig.ClientSecretFile: []byte(intunesim.ClientSecret + "\n")},
		v1alpha1.IntuneClientCertificate: pair,
		v1alpha1.IntuneWorkloadIdentity:  {},
	} {
		tenant := intunesim.Start(t)
		tenant.Register(certificate)
		files = maps.Clone(files)
		files[raconfig.CABundleFile] = tenant.RootsPEM()
		s := sources{
			entry: raconfig.Challenge{Name: "intune", Intune: &raconfig.Intune{
				TenantID: intunesim.TenantID, ClientID: intunesim.ClientID, Authentication: way,
				TimeoutSeconds: 20, CABundle: true, URLs: raconfig.IntuneURLs(tenant.URLs()),
			}},
			files: files, tokenFile: token, now: time.Now,
		}
		made, err := s.make()
		if err != nil {
			t.Fatal(err)
		}
		if admission, err := made.verifier.Verify(t.Context(), newAttempt(t, intunesim.Challenge)); err != nil || admission == nil {
			t.Errorf("%s: %v, %v", way, admission, err)
		}
	}
}

func TestBadSources(t *testing.T) {
	t.Parallel()
	const url = "https://hook.example.com/"
	good := func() sources {
		s := hookSources(url, v1alpha1.WebhookSignature)
		s.entry.Webhook.CABundle = false
		return s
	}
	intune := func(way v1alpha1.IntuneAuthentication, files map[string][]byte) sources {
		return sources{entry: raconfig.Challenge{Intune: &raconfig.Intune{Authentication: way}}, files: files}
	}
	with := func(change func(*sources)) sources {
		s := good()
		change(&s)
		return s
	}
	if _, err := good().make(); err != nil {
		t.Fatal(err)
	}
	for says, s := range map[string]sources{
		"no settings":                      {},
		"only https is allowed":            with(func(s *sources) { s.entry.Webhook.URL = "http://hook.example.com/?token=secret" }),
		"signing-secret is missing":        with(func(s *sources) { s.files = nil }),
		"not standard base64":              with(func(s *sources) { s.files[raconfig.SigningSecretFile] = []byte("secret!") }),
		"ca.crt is missing":                with(func(s *sources) { s.entry.Webhook.CABundle = true }),
		"authentication Oath is not known": with(func(s *sources) { s.entry.Webhook.Authentication = []v1alpha1.WebhookAuthentication{"Oath"} }),
		"bearer-token is missing": with(func(s *sources) {
			s.entry.Webhook.Authentication = []v1alpha1.WebhookAuthentication{v1alpha1.WebhookBearer}
		}),
		"username is missing": with(func(s *sources) {
			s.entry.Webhook.Authentication = []v1alpha1.WebhookAuthentication{v1alpha1.WebhookBasic}
		}),
		"notification: authentication Signature: the file notification-signing-secret is missing": with(func(s *sources) {
			s.entry.Webhook.Notification = &raconfig.WebhookNotification{Hook: s.entry.Webhook.Hook}
		}),
		"client-secret is missing":   intune(v1alpha1.IntuneClientSecret, nil),
		"tls.crt and tls.key":        intune(v1alpha1.IntuneClientCertificate, map[string][]byte{raconfig.CertificateFile: []byte("secret")}),
		"authentication : it is not": intune("", nil),
	} {
		made, err := s.make()
		if made != nil || err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("want an error with %q: %v", says, err)
		}
		if err != nil && strings.Contains(err.Error(), "=secret") || err != nil && strings.Contains(err.Error(), "secret!") {
			t.Errorf("the error holds a secret: %v", err)
		}
	}
}

// A challenge is made anew only for a reason: what it has learnt is kept.
func TestOutsideIsKept(t *testing.T) {
	t.Parallel()
	p := newParts(time.Now)
	config := &configPart{config: &raconfig.Config{Endpoint: raconfig.Endpoint{Namespace: "pki", Name: "corp"}}}
	entry := hookSources("https://hook.example.com/", v1alpha1.WebhookSignature).entry
	entry.Webhook.CABundle = false
	f := &files{challenges: map[string][]byte{"hook/" + raconfig.SigningSecretFile: []byte(hooksim.SigningSecret)}}
	update := func() (challenge.Verifier, problems) {
		found := &problems{}
		p.updateOutside(config, entry, f, found)
		return p.outside[entry.Name].verifier, *found
	}
	first, found := update()
	if len(found) > 0 {
		t.Fatal(found)
	}
	f.challenges["hook/"+raconfig.TokenFile] = []byte("renewed by the kubelet")
	if again, _ := update(); again != first {
		t.Error("made anew without a reason")
	}
	f.challenges["hook/"+raconfig.SigningSecretFile] = []byte("c2VjcmV0IHR3bw==")
	second, _ := update()
	if second == first {
		t.Error("not made anew for another secret")
	}
	f.challenges["hook/"+raconfig.SigningSecretFile] = nil
	last, found := update()
	if last != second || len(found) != 1 || !strings.Contains(found[0], "challenges/hook: ") {
		t.Errorf("what cannot be used replaced what can, or is no problem: %v", found)
	}
}
