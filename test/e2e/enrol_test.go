package e2e

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

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

// TestLongURLs has the stock clients send requests of more than 12 KiB by GET. A
// front of the test hides POSTPKIOperation from them, as old servers do.
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
	r.Organization = strings.Repeat("Example Corp ", 100)
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
			r.Template.DNSNames = manyNames(610)
			got := mustEnrol(t, c, r)
			if len(got.DNSNames) != len(r.Template.DNSNames) {
				t.Errorf("%d DNS names came back, want %d", len(got.DNSNames), len(r.Template.DNSNames))
			}
			if n := ruler.longest.Load(); n < 60_000 || n > 65_534 {
				t.Errorf("the longest request target had %d bytes, want 60,000 to 65,534", n)
			}
		})
	}
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
