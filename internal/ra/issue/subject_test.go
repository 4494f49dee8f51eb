package issue

import (
	"crypto/ecdsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"testing"
	"time"
)

func TestSubjectLabel(t *testing.T) {
	t.Parallel()
	n := Names{Key: []byte("key"), Endpoint: "corp"}
	key, otherKey := newKey(t), newKey(t)
	label := func(template string, key *ecdsa.PrivateKey, csr x509.CertificateRequest) string {
		return n.Subject(template, csrOf(t, key, &csr))
	}
	subject := pkix.Name{CommonName: "d", Organization: []string{"Example"}}
	want := label("device", key, x509.CertificateRequest{Subject: subject})
	for name, same := range map[string]string{
		"another key":         label("device", otherKey, x509.CertificateRequest{Subject: subject}),
		"alternative names":   label("device", key, x509.CertificateRequest{Subject: subject, DNSNames: []string{"d.example.com"}}),
		"another case":        label("device", key, x509.CertificateRequest{Subject: pkix.Name{CommonName: "D", Organization: []string{"EXAMPLE"}}}),
		"attributes in a row": label("device", key, x509.CertificateRequest{Subject: pkix.Name{ExtraNames: reversed(subject)}}),
	} {
		if same != want {
			t.Errorf("%s: another subject", name)
		}
	}
	unnamed := label("device", key, x509.CertificateRequest{DNSNames: []string{"a.example.com"}})
	for name, other := range map[string]string{
		"another template":       label("router", key, x509.CertificateRequest{Subject: subject}),
		"another name":           label("device", key, x509.CertificateRequest{Subject: pkix.Name{CommonName: "e", Organization: []string{"Example"}}}),
		"less of a name":         label("device", key, x509.CertificateRequest{Subject: pkix.Name{CommonName: "d"}}),
		"no name":                unnamed,
		"another endpoint's key": Names{Key: []byte("other")}.Subject("device", csrOf(t, key, &x509.CertificateRequest{Subject: subject})),
	} {
		if other == want {
			t.Errorf("%s: the same subject", name)
		}
	}
	if unnamed == label("device", key, x509.CertificateRequest{DNSNames: []string{"b.example.com"}}) {
		t.Error("without a subject, other alternative names are the same subject")
	}
	if len(want) != labelDigits {
		t.Errorf("label %q", want)
	}
}

func reversed(n pkix.Name) []pkix.AttributeTypeAndValue {
	var out []pkix.AttributeTypeAndValue
	for _, rdn := range n.ToRDNSequence() {
		out = append(append([]pkix.AttributeTypeAndValue{}, rdn...), out...)
	}
	return out
}

// TestCountOthers: what a request takes the place of does not count.
func TestCountOthers(t *testing.T) {
	t.Parallel()
	c := &CertManager{Names: Names{Key: []byte("key")}}
	later := time.Now().Add(time.Hour)
	keyA, keyB, keyC := newKey(t), newKey(t), newKey(t)
	certA, certB := newCertificate(t, keyA, 1, later), newCertificate(t, keyB, 2, later)
	issued := func(key *ecdsa.PrivateKey, certificate, signedBy *x509.Certificate) *Record {
		r := &Record{State: Issued, CSR: newCSR(t, key, "d"), Certificates: []*x509.Certificate{certificate}}
		if signedBy != nil {
			r.sender = c.Names.Sender(signedBy, false)
		}
		return r
	}
	waiting := func(key *ecdsa.PrivateKey) *Record { return &Record{State: Waiting, CSR: newCSR(t, key, "d")} }
	fresh := Request{CSR: newCSR(t, keyC, "d"), Signer: newCertificate(t, keyC, 3, later), SelfSigned: true}
	renewing := func(by *x509.Certificate) Request { return Request{CSR: newCSR(t, keyC, "d"), Signer: by} }
	for name, tc := range map[string]struct {
		live    []*Record
		request Request
		want    int
	}{
		"nothing":                           {nil, fresh, 0},
		"one":                               {[]*Record{issued(keyA, certA, nil)}, fresh, 1},
		"two":                               {[]*Record{issued(keyA, certA, nil), issued(keyB, certB, nil)}, fresh, 2},
		"two for one key":                   {[]*Record{issued(keyA, certA, nil), issued(keyA, certB, nil)}, fresh, 1},
		"one that waits":                    {[]*Record{waiting(keyA)}, fresh, 1},
		"one for the request's key":         {[]*Record{issued(keyC, certA, nil), waiting(keyC)}, fresh, 0},
		"the one that is renewed":           {[]*Record{issued(keyA, certA, nil)}, renewing(certA), 0},
		"another than the one renewed":      {[]*Record{issued(keyA, certA, nil), issued(keyB, certB, nil)}, renewing(certA), 1},
		"one that was renewed":              {[]*Record{issued(keyA, certA, nil), issued(keyB, certB, certA)}, fresh, 1},
		"one that was renewed, and its end": {[]*Record{issued(keyA, certA, nil), issued(keyB, certB, certA)}, renewing(certB), 0},
		"one that is renewed again":         {[]*Record{issued(keyA, certA, nil), issued(keyB, certB, certA)}, renewing(certA), 1},
	} {
		if got := c.countOthers(tc.live, tc.request); got != tc.want {
			t.Errorf("%s: %d count, want %d", name, got, tc.want)
		}
	}
}

func TestCheckSubjectNeedsRecords(t *testing.T) {
	t.Parallel()
	if err := CheckSubject(t.Context(), &Direct{}, Request{}, 1); err == nil {
		t.Error("an issuer without records lets everything through")
	}
}
