package ra

import (
	"crypto/x509"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

func TestValidityEndsWithTheCA(t *testing.T) {
	t.Parallel()
	const week = 7 * 24 * time.Hour
	noon := time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)
	requests, direct := v1alpha1.IssuanceCertificateRequest, v1alpha1.IssuanceDirect
	for name, tc := range map[string]struct {
		mode  v1alpha1.IssuanceMode
		chain []time.Duration // until the end of each CA certificate
		want  time.Duration   // 0: not now
	}{
		"a CA that lasts":          {requests, []time.Duration{2 * week}, week},
		"a CA that ends before":    {requests, []time.Duration{week / 2}, week / 2},
		"the last hour":            {requests, []time.Duration{time.Hour}, time.Hour},
		"within the last hour":     {requests, []time.Duration{time.Hour - time.Second}, 0},
		"a CA that has ended":      {requests, []time.Duration{-week}, 0},
		"a root that ends before":  {requests, []time.Duration{2 * week, time.Minute}, week},
		"a CA that is not shown":   {requests, nil, week},
		"signers cap by their own": {direct, []time.Duration{week / 2}, week},
		"signers, the last hour":   {direct, []time.Duration{time.Hour - time.Second}, 0},
	} {
		identity := &scep.Identity{}
		for _, left := range tc.chain {
			identity.CAChain = append(identity.CAChain, &x509.Certificate{NotAfter: noon.Add(left)})
		}
		config := &raconfig.Config{Issuance: raconfig.Issuance{Mode: tc.mode}}
		e := &enrolment{snapshot: &reload.Snapshot{Identity: identity, Config: config}, grant: &policy.Grant{Duration: week}}
		err := e.capValidity(noon)
		var unavailable *scep.UnavailableError
		if refused := errors.As(err, &unavailable); refused != (tc.want == 0) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && e.grant.Duration != tc.want {
			t.Errorf("%s: valid for %v, want %v", name, e.grant.Duration, tc.want)
		}
	}
}

func TestTheRAsOwnCertificatesEnd(t *testing.T) {
	t.Parallel()
	noon := time.Date(2031, 5, 6, 12, 0, 0, 0, time.UTC)
	ending := func(at time.Time) *scep.Credential {
		return &scep.Credential{Certificate: &x509.Certificate{NotAfter: at}}
	}
	for name, tc := range map[string]struct {
		signing, encryption time.Time
		want                string
	}{
		"both valid":     {noon.Add(time.Second), noon, ""},
		"the signing":    {noon.Add(-time.Second), noon.Add(time.Hour), "signing certificate ended at 2031-05-06T11:59:59Z"},
		"the encryption": {noon.Add(time.Hour), noon.Add(-time.Second), "encryption certificate ended at"},
	} {
		err := credentialEnded(&scep.Generation{Signing: ending(tc.signing), Encryption: ending(tc.encryption)}, noon)
		if (err == nil) != (tc.want == "") || err != nil && !strings.Contains(err.Error(), tc.want) {
			t.Errorf("%s: %v, want %q", name, err, tc.want)
		}
	}
}
