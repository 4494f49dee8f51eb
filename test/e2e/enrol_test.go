package e2e

import (
	"crypto"
	"crypto/rand"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/stock"
)

// TestStockClientsEnrol is the main job: a device that knows nothing of
// Kubernetes gets a certificate through the ingress.
func TestStockClientsEnrol(t *testing.T) {
	for _, c := range shared.clients {
		for _, scheme := range []string{"http", "https"} {
			t.Run(c.Name()+"/"+scheme, func(t *testing.T) {
				want := request(scheme)
				got, err := c.Enrol(within(t, enrolLimit), t.TempDir(), want)
				if err != nil {
					t.Fatal(err)
				}
				mustBeOurs(t, got.Certificate)
				if got.Certificate.Subject.CommonName != want.CommonName {
					t.Errorf("the certificate is for %s, want %s", got.Certificate.Subject, want.CommonName)
				}
			})
		}
	}
}

// TestStockClientsRenew renews by the certificate alone, without a challenge.
func TestStockClientsRenew(t *testing.T) {
	for _, c := range shared.clients {
		t.Run(c.Name(), func(t *testing.T) {
			r := request("http")
			first, err := c.Enrol(within(t, enrolLimit), t.TempDir(), r)
			if err != nil {
				t.Fatal(err)
			}
			r.Challenge = ""
			second, err := c.Renew(within(t, enrolLimit), t.TempDir(), first, r)
			if err != nil {
				t.Fatal(err)
			}
			mustBeOurs(t, second.Certificate)
			if second.Certificate.SerialNumber.Cmp(first.Certificate.SerialNumber) == 0 {
				t.Error("the renewal brought the same certificate again")
			}
		})
	}
}

// TestStockClientsRefused sends a wrong challenge.
func TestStockClientsRefused(t *testing.T) {
	for _, c := range shared.clients {
		t.Run(c.Name(), func(t *testing.T) {
			r := request("http")
			r.Challenge = "wrong"
			_, err := c.Enrol(within(t, enrolLimit), t.TempDir(), r)
			var refusal *stock.ClientError
			if !errors.As(err, &refusal) {
				t.Fatalf("got %v, want the client's own refusal", err)
			}
		})
	}
	result, err := through("http").Enrol(within(t, enrolLimit), withChallenge(enrolment(t, newName()), "wrong"))
	mustRefuse(t, result, err, "challenge")
}

func withChallenge(r scep.EnrolRequest, password string) scep.EnrolRequest {
	r.ChallengePassword = password
	return r
}

// TestLongURLs has the stock clients' requests travel by GET, in URLs of more than 12 KiB.
func TestLongURLs(t *testing.T) {
	front := newFront(t)
	for _, c := range shared.clients {
		t.Run(c.Name(), func(t *testing.T) {
			r := request("http")
			r.URL = front.url
			bloat(&r)
			got, err := c.Enrol(within(t, enrolLimit), t.TempDir(), r)
			if err != nil {
				t.Fatal(err)
			}
			mustBeOurs(t, got.Certificate)
			if longest := front.longest.Swap(0); longest < 12<<10 {
				t.Errorf("the longest request target had %d bytes, want more than 12 KiB", longest)
			}
		})
	}
}

// bloat makes a request large in the way each client can be asked to.
func bloat(r *stock.Request) {
	r.Organization = strings.Repeat("Example Corp ", 150)
	r.DNSNames = manyNames(120)
}

// TestLongestURL goes close to the limit that NDES has: 65,534 bytes of URL.
func TestLongestURL(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			c := through(scheme)
			c.Method = scep.MethodGET
			ruler := &ruler{next: c.HTTP.Transport}
			c.HTTP.Transport = ruler
			r := enrolment(t, newName())
			r.Certificate = stout(t, r.Key, 44_000)
			mustEnrol(t, c, r)
			if n := ruler.longest.Load(); n < 60_000 || n > 65_534 {
				t.Errorf("the longest request target had %d bytes, want 60,000 to 65,534", n)
			}
		})
	}
}

// stout is a self-signed certificate with an extension of so many bytes. (The CSR
// itself cannot be that long: cert-manager takes 36,500 bytes of PEM at most.)
func stout(t *testing.T, key crypto.Signer, size int) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "stout"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		ExtraExtensions: []pkix.Extension{{Id: asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 32473, 1}, Value: make([]byte, size)}},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// ruler measures request targets.
type ruler struct {
	next    http.RoundTripper
	longest atomic.Int64
}

func (r *ruler) RoundTrip(request *http.Request) (*http.Response, error) {
	r.longest.Store(max(r.longest.Load(), int64(len(request.URL.RequestURI()))))
	return r.next.RoundTrip(request)
}

func manyNames(n int) []string {
	var names []string
	for i := range n {
		names = append(names, fmt.Sprintf("alternative-name-number-%03d-of-this-device.devices.example.com", i))
	}
	return names
}

// TestCapabilities asks what every client asks first.
func TestCapabilities(t *testing.T) {
	for _, scheme := range []string{"http", "https"} {
		t.Run(scheme, func(t *testing.T) {
			c := through(scheme)
			capabilities, err := c.GetCACaps(within(t, enrolLimit))
			if err != nil {
				t.Fatal(err)
			}
			for _, keyword := range []string{"POSTPKIOperation", "AES", "SHA-256", "Renewal", "SCEPStandard"} {
				if !capabilities.Has(keyword) {
					t.Errorf("GetCACaps does not list %s", keyword)
				}
			}
			ca, err := c.GetCACert(within(t, enrolLimit))
			if err != nil {
				t.Fatal(err)
			}
			if ca.Signing.Equal(ca.Encryption) {
				t.Error("GetCACert shows one RA certificate for both uses, want a pair")
			}
			if ca.Encryption.KeyUsage&x509.KeyUsageKeyEncipherment == 0 {
				t.Error("the certificate to encrypt to lacks keyEncipherment")
			}
		})
	}
}

// TestHistoricalPaths finds the endpoint wherever a device's profile says it is.
func TestHistoricalPaths(t *testing.T) {
	for _, path := range []string{
		"/", "/scep", "/scep/", "/certsrv/mscep/", "/certsrv/mscep/mscep.dll", "/CertSrv/mscep/mscep.dll/pkiclient.exe", "/cgi-bin/pkiclient.exe",
	} {
		t.Run(path, func(t *testing.T) {
			mustEnrol(t, newClient("http://"+host+path, shared.rig.Dial), enrolment(t, newName()))
		})
	}
}
