package ra_test

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const callerName = "mdm.example.com"

// callerFixture has an admin exposure over TLS that takes client certificates of a CA.
type callerFixture struct {
	*oneTimeFixture
	ca    *sceptest.CA // the callers'
	roots *x509.CertPool
}

func pemOf(kind string, der []byte) []byte {
	return pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der})
}

func newCallerFixture(t *testing.T) *callerFixture {
	t.Helper()
	f := &callerFixture{ca: sceptest.NewCA(t), roots: x509.NewCertPool()}
	key := sceptest.RSAKey(t, 5)
	server := sceptest.SelfSigned(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "admin"}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}, key)
	f.roots.AddCert(server)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	f.oneTimeFixture = newMintFixture(t, func(files *ratest.Files) {
		files.Config.AdminClients = []string{"dns:MDM.example.com", "commonName=console"}
		files.Write(files.Dirs.AdminTLS, "tls.crt", pemOf("CERTIFICATE", server.Raw))
		files.Write(files.Dirs.AdminTLS, "tls.key", pemOf("PRIVATE KEY", der))
		files.Write(files.Dirs.AdminClients, raconfig.CABundleFile, pemOf("CERTIFICATE", f.ca.Root.Raw))
	})
	return f
}

// caller makes a client with a certificate; the template nil: without one.
func (f *callerFixture) caller(t *testing.T, ca *sceptest.CA, template *x509.Certificate) *http.Client {
	t.Helper()
	config := &tls.Config{RootCAs: f.roots, MinVersion: tls.VersionTLS12}
	if template != nil {
		key := sceptest.RSAKey(t, 6)
		leaf, err := ca.Issue(template, key.Public())
		if err != nil {
			t.Fatal(err)
		}
		shown := tls.Certificate{Certificate: [][]byte{leaf.Raw, ca.Certificate.Raw}, PrivateKey: key, Leaf: leaf}
		// Whatever CAs the server names: it must turn away what it does not want by itself.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return &shown, nil }
	}
	transport := &http.Transport{TLSClientConfig: config}
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

func (f *callerFixture) mint(t *testing.T, client *http.Client, prepare func(*http.Request)) (status int, text string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, f.server.MintTLSURL+raconfig.ChallengesPath, strings.NewReader("{}"))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if prepare != nil {
		prepare(request)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, string(body)
}

// strangeCA has a key of its own; those of sceptest share theirs.
func strangeCA(t *testing.T) *sceptest.CA {
	t.Helper()
	key := sceptest.RSAKey(t, 7)
	root := sceptest.SelfSigned(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: "Strange CA"}, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
	}, key)
	return &sceptest.CA{Certificate: root, Key: key, Root: root}
}

var clientAuth = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}

func mdmTemplate() *x509.Certificate {
	return &x509.Certificate{Subject: pkix.Name{CommonName: "fleet"}, DNSNames: []string{callerName}, ExtKeyUsage: clientAuth}
}

func TestMintByClientCertificate(t *testing.T) {
	t.Parallel()
	f := newCallerFixture(t)
	stranger := strangeCA(t)
	changed := func(change func(*x509.Certificate)) *x509.Certificate {
		template := mdmTemplate()
		change(template)
		return template
	}
	for name, tc := range map[string]struct {
		ca       *sceptest.CA
		template *x509.Certificate
		prepare  func(*http.Request)
		status   int
		logged   string
	}{
		"by DNS name":                 {f.ca, mdmTemplate(), nil, 200, `"caller":"certificate:dns:mdm.example.com"`},
		"by common name":              {f.ca, &x509.Certificate{Subject: pkix.Name{CommonName: "console"}, ExtKeyUsage: clientAuth}, nil, 200, `"caller":"certificate:commonName=console"`},
		"Basic without":               {nil, nil, basic, 200, `"caller":"basic:fleet"`},
		"Basic beside one":            {f.ca, mdmTemplate(), basic, 200, `"caller":"basic:fleet"`},
		"a wrong password beside one": {f.ca, mdmTemplate(), func(r *http.Request) { r.SetBasicAuth(minterUser, "no") }, 401, ""},
		"nobody":                      {nil, nil, nil, 401, ""},
		"another CA's":                {stranger, mdmTemplate(), nil, 401, "unknown authority"},
		"another name":                {f.ca, &x509.Certificate{Subject: pkix.Name{CommonName: "device-1"}, ExtKeyUsage: clientAuth}, nil, 403, "none of the names"},
		"the name as a common name":   {f.ca, &x509.Certificate{Subject: pkix.Name{CommonName: callerName}, ExtKeyUsage: clientAuth}, nil, 403, ""},
		"without usages":              {f.ca, changed(func(c *x509.Certificate) { c.ExtKeyUsage = nil }), nil, 401, "clientAuth"},
		"a server's": {f.ca, changed(func(c *x509.Certificate) {
			c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
		}), nil, 401, "clientAuth"},
		"expired": {f.ca, changed(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
		}), nil, 401, "expired"},
		"not begun": {f.ca, changed(func(c *x509.Certificate) {
			c.NotBefore, c.NotAfter = time.Now().Add(time.Hour), time.Now().Add(2*time.Hour)
		}), nil, 401, "not yet valid"},
	} {
		status, body := f.mint(t, f.caller(t, tc.ca, tc.template), tc.prepare)
		if status != tc.status {
			t.Errorf("%s: status %d, %s; want %d", name, status, body, tc.status)
		}
		if status == http.StatusOK {
			wantReply(t, body)
		}
		code := audit.MintingRefused
		if status == http.StatusOK {
			code = audit.ChallengeMinted
		}
		f.server.WantLogged(code, tc.logged)
	}
}

// A CA that is taken away counts at once, on connections that last as well.
func TestACallersCAThatIsTakenAway(t *testing.T) {
	t.Parallel()
	f := newCallerFixture(t)
	client := f.caller(t, f.ca, mdmTemplate())
	if status, body := f.mint(t, client, nil); status != http.StatusOK {
		t.Fatalf("status %d, %s", status, body)
	}
	change := func(ca []byte, want int) {
		t.Helper()
		f.files.Write(f.files.Dirs.AdminClients, raconfig.CABundleFile, ca)
		ratest.Eventually(t, "the callers' CA to change", func() error {
			if status, body := f.mint(t, client, nil); status != want {
				return errors.New(body)
			}
			return nil
		})
	}
	change(pemOf("CERTIFICATE", strangeCA(t).Root.Raw), http.StatusUnauthorized)
	f.files.Write(f.files.Dirs.AdminClients, raconfig.CABundleFile, []byte("nonsense"))
	ratest.Eventually(t, "the bad file to be named", func() error { return f.server.Logged(audit.ConfigurationProblem, "admin-clients") })
	if status, body := f.mint(t, client, nil); status != http.StatusUnauthorized {
		t.Errorf("status %d, %s", status, body)
	}
}

// A caller by certificate has an allowance of his own.
func TestACallerByCertificateIsLimited(t *testing.T) {
	t.Parallel()
	f := newCallerFixture(t)
	client := f.caller(t, f.ca, mdmTemplate())
	statuses := map[int]int{}
	for range 400 {
		status, _ := f.mint(t, client, nil)
		statuses[status]++
	}
	if statuses[http.StatusOK] < 200 || statuses[http.StatusTooManyRequests] == 0 {
		t.Errorf("statuses %v", statuses)
	}
	other := f.caller(t, f.ca, &x509.Certificate{Subject: pkix.Name{CommonName: "console"}, ExtKeyUsage: clientAuth})
	if status, body := f.mint(t, other, nil); status != http.StatusOK {
		t.Errorf("another caller: status %d, %s", status, body)
	}
}
