package policy

import (
	"encoding/asn1"
	"slices"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
)

const (
	signature    = certmanagerv1.UsageDigitalSignature
	encipherment = certmanagerv1.UsageKeyEncipherment
	clients      = certmanagerv1.UsageClientAuth
)

// usageList is for the readers of tables.
type usageList = []certmanagerv1.KeyUsage

// What a request that names some usages gets by each issuance mode, of a template
// with the three usages above and smart-card logon.
func TestUsagesByMode(t *testing.T) {
	t.Parallel()
	const requests, direct = v1alpha1.IssuanceCertificateRequest, v1alpha1.IssuanceDirect
	all := usageList{signature, encipherment, clients}
	for name, tc := range map[string]struct {
		mode   v1alpha1.IssuanceMode
		change func(*wish)
		usages usageList
		custom []string
	}{
		"nothing named":                         {requests, asks(), all, nil},
		"nothing named, Direct":                 {direct, asks(), all, []string{smartCard}},
		"nothing named, ECDSA, Direct":          {direct, withKey("P-256"), usageList{signature, clients}, []string{smartCard}},
		"key usage":                             {requests, asks(keyUsage(0)), usageList{signature}, nil},
		"key usage, Direct":                     {direct, asks(keyUsage(0)), usageList{signature, clients}, []string{smartCard}},
		"purpose":                               {requests, asks(extKeyUsages(clientAuth)), usageList{clients}, nil},
		"purpose, Direct":                       {direct, asks(extKeyUsages(clientAuth)), usageList{clients, signature, encipherment}, nil},
		"purpose by OID beside one with a name": {requests, asks(extKeyUsages(smartCard, clientAuth)), usageList{clients}, []string{smartCard}},
		"purpose by OID and key usage":          {requests, asks(keyUsage(0), extKeyUsages(smartCard)), usageList{signature}, []string{smartCard}},
		"purpose by OID, Direct":                {direct, asks(extKeyUsages(smartCard, smartCard)), usageList{signature, encipherment}, []string{smartCard}},
	} {
		spec := template()
		spec.ExtendedKeyUsages = []string{smartCard}
		w := allowedWish()
		tc.change(w)
		grant, err := compile(t, spec).For(tc.mode).Judge(w.csr(t), Context{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if !slices.Equal(grant.Usages, tc.usages) || !slices.Equal(dotted(grant.ExtendedKeyUsages), tc.custom) {
			t.Errorf("%s: granted %v and %v, want %v and %v", name, grant.Usages, grant.ExtendedKeyUsages, tc.usages, tc.custom)
		}
	}
}

func dotted(oids []asn1.ObjectIdentifier) []string {
	var out []string
	for _, o := range oids {
		out = append(out, o.String())
	}
	return out
}

func TestUsagesThatAreNotGranted(t *testing.T) {
	t.Parallel()
	direct := v1alpha1.IssuanceDirect
	for name, tc := range map[string]struct {
		mode   v1alpha1.IssuanceMode
		usages usageList
		change func(*wish)
		reason refusal.Reason
		text   string
	}{
		"another purpose by OID": {
			direct,
			usageList{clients},
			asks(extKeyUsages("1.2.3")),
			refusal.UsageNotAllowed, `usage "1.2.3" refused: allowed is client auth, 1.3.6.1.4.1.311.20.2.2`,
		},
		// cert-manager would put key usages of its own choice into such a certificate.
		"a purpose by OID alone": {
			v1alpha1.IssuanceCertificateRequest,
			usageList{signature},
			asks(extKeyUsages(smartCard)),
			refusal.UsageUnfit, `request refused: it names 1.3.6.1.4.1.311.20.2.2 alone, and must name a key usage too`,
		},
	} {
		spec := template()
		spec.Usages, spec.ExtendedKeyUsages = tc.usages, []string{smartCard}
		w := allowedWish()
		tc.change(w)
		_, err := compile(t, spec).For(tc.mode).Judge(w.csr(t), Context{})
		if got, ok := refusal.As(err); !ok || got.Reason != tc.reason || got.Text != tc.text {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A key has the usages of the first entry that accepts it.
func TestUsagesByKey(t *testing.T) {
	t.Parallel()
	spec := template()
	spec.Usages = usageList{signature, clients}
	spec.Keys = []v1alpha1.KeyRequirement{
		{Algorithm: v1alpha1.RSAKey, MinSize: 4096, Usages: usageList{clients}},
		{Algorithm: v1alpha1.RSAKey, Usages: usageList{encipherment, clients}},
		{Algorithm: v1alpha1.ECDSAKey},
	}
	p := compile(t, spec)
	for key, want := range map[string]usageList{"RSA 2048": {encipherment, clients}, "P-256": {signature, clients}} {
		w := allowedWish()
		w.key = key
		grant, err := p.Judge(w.csr(t), Context{})
		if err != nil || !slices.Equal(grant.Usages, want) {
			t.Errorf("%s is granted %+v (%v), want %v", key, grant, err, want)
		}
	}
	w := allowedWish()
	asks(keyUsage(0))(w)
	_, err := p.Judge(w.csr(t), Context{})
	if got, ok := refusal.As(err); !ok || got.Text != `usage "digital signature" refused: allowed is key encipherment, client auth` {
		t.Errorf("a usage of another key: %v", err)
	}
}

func TestUsagesThatTheKeysOfAnEntryCannotHave(t *testing.T) {
	t.Parallel()
	spec := template()
	spec.Keys = []v1alpha1.KeyRequirement{{Algorithm: v1alpha1.RSAKey}, {Algorithm: v1alpha1.ECDSAKey, Usages: usageList{encipherment}}}
	const want = "no accepted key can have any of the usages: keys[1], ECDSA with key encipherment"
	if _, err := Compile(spec); err == nil || err.Error() != want {
		t.Errorf("%v, want %s", err, want)
	}
}
