package ra_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

const notOneTimeText = "the key that signs the request cannot decrypt the answer: sign with an RSA key, or bring a one-time challenge password"

// withECKey is a good request of a device that has no RSA key.
func withECKey(t *testing.T, challenge string) scep.EnrolRequest {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	request := with(t, challenge, 1)
	request.Key = key
	return request
}

// allowECKeys lets the template have them, and an entry with a static challenge stand beside the one-time one.
func allowECKeys(f *ratest.Files) {
	f.Config.Templates[0].Spec.Keys = []v1alpha1.KeyRequirement{{Algorithm: v1alpha1.ECDSAKey, Curves: []v1alpha1.Curve{v1alpha1.P256}}}
	f.Config.Challenges = append(f.Config.Challenges, raconfig.Challenge{Name: "mdm", Type: v1alpha1.ChallengeStatic})
}

// The answer to a device whose key cannot decrypt is encrypted with its one-time
// challenge; a retry gets the same certificate.
func TestOneTimeChallengesServeECKeys(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, allowECKeys)
	request := withECKey(t, f.mint(t))
	request.TransactionID = "ec"
	first := wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	if again := wantCertificate(t, enrol(t, f.server.URL, request), request.Key); !again.Equal(first) {
		t.Error("another certificate for the same request")
	}
	wantFailure(t, enrol(t, f.server.URL, withECKey(t, request.ChallengePassword)), usedText)
	f.wantRequests(t, 1)
}

// A certificate authenticates the renewal, but only a one-time challenge carries its answer.
func TestECKeysRenewWithAOneTimeChallenge(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, allowECKeys)
	request := withECKey(t, f.mint(t))
	renewal := withECKey(t, f.mint(t))
	renewal.Certificate = wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	renewal.CertificateKey = request.Key
	result, err := device(f.server.URL).Renew(limited(t), renewal)
	if err != nil {
		t.Fatal(err)
	}
	wantCertificate(t, result, renewal.Key)

	renewal.ChallengePassword = ratest.Password
	if result, err = device(f.server.URL).Renew(limited(t), renewal); err != nil {
		t.Fatal(err)
	}
	wantFailure(t, result, notOneTimeText)
	f.wantRequests(t, 2)
}

// Many know a static challenge: the answer is not encrypted with it, and nothing is written.
func TestStaticChallengesDoNotServeECKeys(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, allowECKeys)
	wantFailure(t, enrol(t, f.server.URL, withECKey(t, ratest.Password)), notOneTimeText)
	f.wantRequests(t, 0)
}

func TestECKeysPoll(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, allowECKeys)
	f.Issuer.Set(ratest.Holds)
	request := withECKey(t, f.mint(t))
	client := device(f.server.URL)
	client.PollLimit = -1
	done := make(chan *scep.Result, 1)
	go func() {
		result, err := client.Enrol(limited(t), request)
		if err != nil {
			t.Errorf("enrol: %v", err)
		}
		done <- result
	}()
	ratest.Eventually(t, "the device to be told PENDING", func() error { return f.server.Logged(audit.AnsweredPending, "") })
	f.Issuer.Set(ratest.Signs)
	if result := <-done; result != nil {
		wantCertificate(t, result, request.Key)
	}
}
