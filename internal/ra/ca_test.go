package ra_test

import (
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// anotherCA is a CA that is its own root.
func anotherCA(t *testing.T, name string, keyNumber int) *sceptest.CA {
	t.Helper()
	key := sceptest.RSAKey(t, keyNumber)
	c := sceptest.SelfSigned(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true, IsCA: true,
		KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageCRLSign,
	}, key)
	return &sceptest.CA{Certificate: c, Key: key, Root: c}
}

func inPEM(certificates ...*x509.Certificate) string {
	return string(raconfig.EncodeCertificates(certificates))
}

// TestNextCA: what is announced is told to those who ask, until it is what GetCACert shows.
func TestNextCA(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	next := anotherCA(t, "Next CA", 50)
	var status *scep.HTTPError
	if _, err := device(f.server.URL).GetNextCACert(limited(t)); !errors.As(err, &status) || status.StatusCode != http.StatusNotFound {
		t.Errorf("before it is announced: %v, want HTTP 404", err)
	}
	f.files.Config.CA = &raconfig.CA{Next: inPEM(next.Certificate)}
	f.files.WriteConfig()
	ratest.Eventually(t, "the next CA to be told", func() error {
		got, err := device(f.server.URL).GetNextCACert(limited(t))
		if err == nil && !slices.EqualFunc(got, []*x509.Certificate{next.Certificate}, (*x509.Certificate).Equal) {
			err = fmt.Errorf("got %v", names(got))
		}
		return err
	})
	if err := announces(t, f.server.URL, true); err != nil {
		t.Error(err)
	}
	followed := ratest.NewGeneration(t, next, sceptest.Pair)
	f.files.Keyring.Generations = slices.Insert(f.files.Keyring.Generations, 0, followed)
	f.files.WriteKeyring()
	f.files.Config.ActiveGeneration = followed.ID
	f.files.WriteConfig()
	ratest.Eventually(t, "nothing more to come", func() error { return announces(t, f.server.URL, false) })
}

func announces(t *testing.T, url string, want bool) error {
	t.Helper()
	capabilities, err := device(url).GetCACaps(limited(t))
	if err != nil {
		return err
	}
	if capabilities.Has(scep.CapabilityGetNextCACert) != want {
		return fmt.Errorf("GetNextCACert announced: %v", !want)
	}
	return nil
}

// TestChainIsCompleted: the issuer gave its own certificate only.
func TestChainIsCompleted(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	ca := cluster.Issuer.CA
	for i := range files.Keyring.Generations[0].Certificates {
		files.Keyring.Generations[0].Certificates[i].Chain = []*x509.Certificate{ca.Certificate}
	}
	files.WriteKeyring()
	files.Config.CA = &raconfig.CA{Chain: inPEM(anotherCA(t, "Unrelated", 51).Certificate, ca.Certificate, ca.Root)}
	files.WriteConfig()
	server := ratest.NewServer(t, cluster, files)
	shown, err := device(server.URL).GetCACert(limited(t))
	if err != nil {
		t.Fatal(err)
	}
	if got := names(shown.All[2:]); !slices.Equal(got, []string{issuingCA, rootCA}) {
		t.Errorf("GetCACert shows %q after the RA's", got)
	}
}

// TestRenewalsUnderSeveralCAs: while CAs follow one another, certificates of each renew.
func TestRenewalsUnderSeveralCAs(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	earlier := anotherCA(t, "Earlier CA", 52)
	request := renewal(t, certificateOf(t, earlier))
	const unknown = "renewal refused: it is not signed by a certificate of this CA"
	wantFailure(t, renew(t, f.server.URL, request), unknown)

	for name, tc := range map[string]struct {
		ca      raconfig.CA
		refused bool
	}{
		"former":             {raconfig.CA{Former: inPEM(earlier.Certificate)}, false},
		"next":               {raconfig.CA{Next: inPEM(earlier.Certificate)}, false},
		"in the chain":       {raconfig.CA{Chain: inPEM(earlier.Certificate)}, false},
		"former, but stolen": {raconfig.CA{Former: inPEM(earlier.Certificate), RefuseFormer: true}, true},
	} {
		f.files.Config.CA = &tc.ca
		f.files.WriteConfig()
		ratest.Eventually(t, name, func() error {
			again := request
			again.TransactionID = strings.ReplaceAll(name, " ", "-")
			result, err := device(f.server.URL).Renew(limited(t), again)
			if err == nil && (result.Status == scep.StatusFailure) != tc.refused {
				err = fmt.Errorf("%s %s", result.Status, result.FailInfoText)
			}
			return err
		})
	}
}

// certificateOf is a device's.
func certificateOf(t *testing.T, ca *sceptest.CA) *x509.Certificate {
	t.Helper()
	c, err := ca.Issue(deviceCertificate(), sceptest.RSAKey(t, oldKey).Public())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestFormerGenerationsAuthenticate: the CA of a generation that is not shown any more
// is as good, unless it is refused.
func TestFormerGenerationsAuthenticate(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	earlier := anotherCA(t, "Earlier CA", 53)
	f.files.Keyring.Generations = append(f.files.Keyring.Generations, ratest.NewGeneration(t, earlier, sceptest.Pair))
	f.files.WriteKeyring()
	ratest.Eventually(t, "the keyring to be loaded", func() error {
		if held := f.server.Status().HeldGenerations; len(held) != 2 {
			return fmt.Errorf("held: %v", held)
		}
		return nil
	})
	request := renewal(t, certificateOf(t, earlier))
	wantCertificate(t, renew(t, f.server.URL, request), request.Key)
	f.files.Config.CA = &raconfig.CA{RefuseFormer: true}
	f.files.WriteConfig()
	request.Key = sceptest.RSAKey(t, 3)
	ratest.Eventually(t, "the former CA to be refused", func() error {
		result, err := device(f.server.URL).Renew(limited(t), request)
		if err == nil && result.Status != scep.StatusFailure {
			err = fmt.Errorf("got %s", result.Status)
		}
		return err
	})
}

// TestIssuingCAIsReported: who issues is seen in what is issued, and in nothing else.
func TestIssuingCAIsReported(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if got := f.server.Status().IssuingCA; got != nil {
		t.Errorf("before anything was issued: %+v", got)
	}
	wantCertificate(t, enrol(t, f.server.URL, enrolment(t, 1)), sceptest.RSAKey(t, 1))
	first := f.server.Status().IssuingCA
	if first == nil || first.Fingerprint != raconfig.Fingerprint(f.Issuer.CA.Certificate) || !strings.Contains(first.Subject, issuingCA) {
		t.Fatalf("got %+v", first)
	}
	another := anotherCA(t, "Another CA", 54)
	f.Issuer.Replace(another)
	wantCertificate(t, enrol(t, f.server.URL, enrolment(t, 2)), sceptest.RSAKey(t, 2))
	now := f.server.Status().IssuingCA
	if now.Fingerprint != raconfig.Fingerprint(another.Certificate) || now.Since.Before(first.Since) || now.Last.Before(now.Since) {
		t.Errorf("after it was replaced: %+v", now)
	}
}
