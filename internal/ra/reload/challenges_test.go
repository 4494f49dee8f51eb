package reload

import (
	"bytes"
	"crypto/rand"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

func stateKey(fill byte) []byte { return bytes.Repeat([]byte{fill}, onetime.KeyBytes) }

// oneTimeOf is what a server makes of the state's files, and what it says of them.
func oneTimeOf(t *testing.T, p *parts, state map[string][]byte) (*onetime.OneTime, problems) {
	t.Helper()
	found := &problems{}
	p.updateChallengeKeys(state, found)
	compiled, err := policy.Compile(v1alpha1.CertificateTemplateSpec{Usages: []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature}})
	if err != nil {
		t.Fatal(err)
	}
	config := &configPart{config: &raconfig.Config{Endpoint: raconfig.Endpoint{UID: "uid"}}, templates: []Template{{"device", compiled}}}
	made, err := p.oneTime(config, raconfig.Challenge{
		Name: "helpdesk", Type: v1alpha1.ChallengeOneTime, OneTime: &raconfig.OneTime{ValiditySeconds: 3600},
	})
	if err != nil {
		t.Fatal(err)
	}
	return made, *found
}

// accepts says whether one verifies what another mints.
func accepts(t *testing.T, verifier, minter *onetime.OneTime) bool {
	t.Helper()
	minted, err := minter.Mint(onetime.Order{Form: onetime.Standard, Binding: onetime.Binding{Template: "device"}}, rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	attempt := newAttempt(t, minted.Challenge)
	attempt.Template = "device"
	admission, err := verifier.Verify(t.Context(), attempt)
	if err != nil {
		t.Fatal(err)
	}
	return admission != nil
}

func TestOnlyTheActiveChallengeKeyMints(t *testing.T) {
	t.Parallel()
	with := func(fill byte) *onetime.OneTime {
		p := newParts(time.Now)
		made, _ := oneTimeOf(t, &p, map[string][]byte{raconfig.ChallengeKeyFile: stateKey(fill)})
		return made
	}
	for name, tc := range map[string]struct {
		state    map[string][]byte
		verifies []byte // the keys
		problem  string
	}{
		"one":      {map[string][]byte{}, []byte{1}, ""},
		"next":     {map[string][]byte{raconfig.NextChallengeKeyFile: stateKey(2)}, []byte{1, 2}, ""},
		"previous": {map[string][]byte{raconfig.PreviousChallengeKeyFile: stateKey(3)}, []byte{1, 3}, ""},
		"none in a place": {map[string][]byte{
			raconfig.NextChallengeKeyFile: {}, raconfig.PreviousChallengeKeyFile: stateKey(3),
		}, []byte{1, 3}, ""},
		"three": {map[string][]byte{
			raconfig.NextChallengeKeyFile: stateKey(2), raconfig.PreviousChallengeKeyFile: stateKey(3),
		}, []byte{1, 3}, "state/challenge-next"},
		"a short one": {map[string][]byte{raconfig.NextChallengeKeyFile: []byte("short")}, []byte{1}, "state/challenge-next: it holds 5 bytes"},
		"twice": {map[string][]byte{
			raconfig.NextChallengeKeyFile: stateKey(1), raconfig.PreviousChallengeKeyFile: stateKey(3),
		}, []byte{1, 3}, ""},
	} {
		tc.state[raconfig.ChallengeKeyFile] = stateKey(1)
		p := newParts(time.Now)
		server, found := oneTimeOf(t, &p, tc.state)
		for fill := byte(1); fill <= 3; fill++ {
			if got, want := accepts(t, server, with(fill)), bytes.Contains(tc.verifies, []byte{fill}); got != want {
				t.Errorf("%s: a challenge of key %d is accepted: %t", name, fill, got)
			}
		}
		if !accepts(t, with(1), server) {
			t.Errorf("%s: another key than the active one mints", name)
		}
		if text := strings.Join(found, "\n"); (text != "") != (tc.problem != "") || !strings.Contains(text, tc.problem) {
			t.Errorf("%s: problems %q", name, text)
		}
	}
}

// Where the key that mints is missing or no key, no other mints in its place.
func TestChallengeKeysStayWithoutAnActiveOne(t *testing.T) {
	t.Parallel()
	for _, active := range [][]byte{nil, []byte("short")} {
		p := newParts(time.Now)
		before, _ := oneTimeOf(t, &p, map[string][]byte{raconfig.ChallengeKeyFile: stateKey(1)})
		after, found := oneTimeOf(t, &p, map[string][]byte{raconfig.ChallengeKeyFile: active, raconfig.NextChallengeKeyFile: stateKey(2)})
		if !accepts(t, before, after) {
			t.Errorf("%q: another key mints", active)
		}
		if (len(found) > 0) != (len(active) > 0) {
			t.Errorf("%q: problems %q", active, found)
		}
	}
}
