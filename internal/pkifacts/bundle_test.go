package pkifacts_test

import (
	"bytes"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func inPEM(certificates ...*x509.Certificate) []byte {
	var out []byte
	for _, c := range certificates {
		out = append(out, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: c.Raw})...)
	}
	return out
}

// lookalike has the subject and issuer of a root, and is signed by somebody else.
func lookalike(t testing.TB, ca *sceptest.CA) *x509.Certificate {
	t.Helper()
	template := &x509.Certificate{
		RawSubject: ca.Root.RawSubject, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	key := sceptest.RSAKey(t, 7)
	parent := &x509.Certificate{RawSubject: ca.Root.RawSubject, PublicKey: key.Public()}
	c, err := (&sceptest.CA{Certificate: parent, Key: key}).Issue(template, sceptest.RSAKey(t, 8).Public())
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func root(t testing.TB, name string, begin, end time.Time) *x509.Certificate {
	t.Helper()
	return sceptest.SelfSigned(t, &x509.Certificate{
		Subject: pkix.Name{CommonName: name}, BasicConstraintsValid: true, IsCA: true, KeyUsage: x509.KeyUsageCertSign,
		NotBefore: begin, NotAfter: end,
	}, sceptest.RSAKey(t, 9))
}

func TestReadBundle(t *testing.T) {
	ca := sceptest.NewCA(t)
	issuing, top, forged := ca.Certificate, ca.Root, lookalike(t, ca)
	device, err := ca.Issue(&x509.Certificate{Subject: pkix.Name{CommonName: "device"}}, sceptest.RSAKey(t, 1).Public())
	if err != nil {
		t.Fatal(err)
	}
	pinned := sceptest.SelfSigned(t, nil, sceptest.RSAKey(t, 2))
	at := time.Now()
	ended, tocome := root(t, "ended", at.Add(-2*time.Hour), at.Add(-time.Hour)), root(t, "to come", at.Add(time.Hour), at.Add(2*time.Hour))
	key := pem.EncodeToMemory(&pem.Block{Type: "RSA PRIVATE KEY", Bytes: []byte{1}})
	type kinds = []pkifacts.FindingKind
	type certificates = []*x509.Certificate
	for name, tc := range map[string]struct {
		in                            []byte
		roots, intermediates, anchors certificates
		findings                      kinds
	}{
		"nothing":                   {in: nil},
		"text":                      {in: []byte("nothing of use")},
		"a root":                    {inPEM(top), certificates{top}, nil, certificates{top}, nil},
		"text between":              {slices.Concat([]byte("# the root\n"), inPEM(top), []byte("\nthe end")), certificates{top}, nil, certificates{top}, nil},
		"an intermediate and roots": {inPEM(issuing, top), certificates{top}, certificates{issuing}, certificates{top}, kinds{pkifacts.FindingIntermediate}},
		"an intermediate alone":     {inPEM(issuing), nil, certificates{issuing}, certificates{issuing}, kinds{pkifacts.FindingRootless}},
		"a forged root":             {inPEM(forged), nil, certificates{forged}, certificates{forged}, kinds{pkifacts.FindingRootless}},
		"a device's":                {inPEM(top, device), certificates{top}, nil, certificates{top}, kinds{pkifacts.FindingNotCA}},
		"a server's own":            {inPEM(pinned), certificates{pinned}, nil, certificates{pinned}, kinds{pkifacts.FindingNotCA}},
		"twice":                     {inPEM(top, top), certificates{top}, nil, certificates{top}, kinds{pkifacts.FindingDuplicate}},
		"expired":                   {inPEM(ended), certificates{ended}, nil, certificates{ended}, kinds{pkifacts.FindingExpired}},
		"not yet valid":             {inPEM(tocome), certificates{tocome}, nil, certificates{tocome}, kinds{pkifacts.FindingNotYetValid}},
		"a private key":             {append(inPEM(top), key...), certificates{top}, nil, certificates{top}, kinds{pkifacts.FindingPrivateKey}},
		"no certificate in it":      {append(inPEM(top), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte{0x30, 0}})...), certificates{top}, nil, certificates{top}, kinds{pkifacts.FindingUnreadable}},
		"cut short":                 {append(inPEM(top), inPEM(issuing)[:200]...), certificates{top}, nil, certificates{top}, kinds{pkifacts.FindingUnreadable}},
		"too many":                  {bytes.Repeat(inPEM(top), pkifacts.MaxBundle+1), certificates{top}, nil, certificates{top}, append(kinds{pkifacts.FindingTooMany}, slices.Repeat(kinds{pkifacts.FindingDuplicate}, pkifacts.MaxBundle-1)...)},
	} {
		t.Run(name, func(t *testing.T) {
			b := pkifacts.ReadBundle(tc.in)
			wantSame(t, "roots", b.Roots, tc.roots)
			wantSame(t, "intermediates", b.Intermediates, tc.intermediates)
			wantSame(t, "anchors", b.Anchors(), tc.anchors)
			var got kinds
			for _, f := range b.FindingsAt(at) {
				got = append(got, f.Kind)
				if text := f.String(); len(text) < 20 || strings.Contains(text, "%!") {
					t.Errorf("finding %q", text)
				}
			}
			if d := cmp.Diff(tc.findings, got); d != "" {
				t.Error(d)
			}
			if b.Empty() != (len(tc.roots)+len(tc.intermediates) == 0) {
				t.Error("Empty is wrong")
			}
		})
	}
}

func wantSame(t *testing.T, what string, got, want []*x509.Certificate) {
	t.Helper()
	if !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
		t.Errorf("%s: got %d, want %d", what, len(got), len(want))
	}
}

func TestLowestFirst(t *testing.T) {
	ca := sceptest.NewCA(t)
	other := root(t, "other", time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	want := []*x509.Certificate{ca.Certificate, ca.Root, other}
	for _, in := range [][]*x509.Certificate{want, {ca.Root, ca.Certificate, other}, {ca.Root, ca.Root, ca.Certificate, other}} {
		got := pkifacts.LowestFirst(in)
		if !slices.EqualFunc(got, want, (*x509.Certificate).Equal) {
			t.Errorf("got %d certificates, the first %s", len(got), got[0].Subject)
		}
	}
	if got := pkifacts.LowestFirst(nil); got != nil {
		t.Error("something came of nothing")
	}
}

// TestFingerprints: of the empty certificate, the well-known hashes of nothing.
func TestFingerprints(t *testing.T) {
	got := pkifacts.Fingerprints(&x509.Certificate{})
	if got.SHA256 != "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855" ||
		got.SHA1 != "da39a3ee5e6b4b0d3255bfef95601890afd80709" || got.MD5 != "d41d8cd98f00b204e9800998ecf8427e" {
		t.Errorf("got %+v", got)
	}
}

func TestSubjectOf(t *testing.T) {
	long := &x509.Certificate{Subject: pkix.Name{CommonName: strings.Repeat("é", 300)}}
	if got := pkifacts.SubjectOf(long); len(got) > 256 || !strings.HasSuffix(got, "…") {
		t.Errorf("got %d bytes", len(got))
	}
	if got := pkifacts.SubjectOf(sceptest.SelfSigned(t, &x509.Certificate{}, sceptest.RSAKey(t, 1))); !strings.HasPrefix(got, "serial number ") {
		t.Errorf("without a subject: %q", got)
	}
}

// FuzzReadBundle: whatever a file holds, each certificate comes once, a root is signed
// by itself, and where there is a CA certificate trust begins somewhere.
func FuzzReadBundle(f *testing.F) {
	ca := sceptest.NewCA(f)
	f.Add(inPEM(ca.Certificate, ca.Root, ca.Root))
	f.Add(append([]byte("-----BEGIN CERTIFICATE-----\n"), inPEM(lookalike(f, ca), ca.Certificate)...))
	f.Add([]byte("-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		b := pkifacts.ReadBundle(in)
		for _, f := range b.FindingsAt(now, pkifacts.FindingDuplicate) {
			if f.Kind == pkifacts.FindingDuplicate || f.String() == "" {
				t.Fatalf("finding %q", f.Kind)
			}
		}
		if slices.ContainsFunc(b.Roots, func(c *x509.Certificate) bool { return !pkifacts.IsSelfSigned(c) }) {
			t.Fatal("a root is not signed by itself")
		}
		if !b.Empty() && len(b.Anchors()) == 0 {
			t.Fatal("trust begins nowhere")
		}
		if got := pkifacts.LowestFirst(b.All()); len(got) != len(b.All()) {
			t.Fatalf("%d of %d certificates are left", len(got), len(b.All()))
		}
	})
}
