package scep_test

import (
	"crypto"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// trial is a message that uses one thing, the keyword that announces it ("" if
// none may), and the settings that allow it.
type trial struct {
	keyword string
	allowed func(scep.Settings) bool
	change  func(*sceptest.Message)
}

func always(scep.Settings) bool { return true }

func withDigest(h crypto.Hash) func(*sceptest.Message) {
	return func(m *sceptest.Message) { m.Digest = h }
}

func withCipher(c scep.Cipher) func(*sceptest.Message) {
	return func(m *sceptest.Message) { m.Cipher = c }
}

// withType makes a message of another type, with contents that fit.
func withType(t scep.MessageType) func(*sceptest.Message) {
	return func(m *sceptest.Message) {
		m.Type = strconv.Itoa(int(t))
		if contents, ok := contentsOf[t]; ok {
			m.Content = contents
		}
	}
}

// contentsOf are an IssuerAndSubject and IssuerAndSerialNumbers.
var contentsOf = map[scep.MessageType][]byte{
	scep.CertPoll: {0x30, 4, 0x30, 0, 0x30, 0},
	scep.GetCert:  {0x30, 5, 0x30, 0, 0x02, 1, 7},
	scep.GetCRL:   {0x30, 5, 0x30, 0, 0x02, 1, 7},
}

// The keywords here are RFC 8894's, not taken from the tables under test.
var digestTrials = map[crypto.Hash]trial{
	crypto.SHA1:   {keyword: "SHA-1", allowed: func(s scep.Settings) bool { return s.AllowSHA1 }},
	crypto.SHA256: {keyword: "SHA-256", allowed: always},
	crypto.SHA384: {keyword: "SHA-384", allowed: always},
	crypto.SHA512: {keyword: "SHA-512", allowed: always},
	crypto.MD5:    {allowed: func(s scep.Settings) bool { return s.AllowMD5 }},
}

var cipherTrials = map[scep.Cipher]trial{
	scep.AES128CBC:    {keyword: "AES", allowed: always},
	scep.AES192CBC:    {allowed: always},
	scep.AES256CBC:    {allowed: always},
	scep.AES128GCM:    {allowed: always},
	scep.AES192GCM:    {allowed: always},
	scep.AES256GCM:    {allowed: always},
	scep.TripleDESCBC: {keyword: "DES3", allowed: func(s scep.Settings) bool { return s.AllowTripleDES }},
	scep.DESCBC:       {allowed: func(s scep.Settings) bool { return s.AllowDES }},
}

var typeTrials = map[scep.MessageType]trial{
	scep.PKCSReq:    {allowed: always},
	scep.RenewalReq: {keyword: "Renewal", allowed: func(s scep.Settings) bool { return s.Renewal }},
	scep.UpdateReq:  {allowed: func(s scep.Settings) bool { return s.Renewal }},
	scep.CertPoll:   {allowed: always},
	scep.GetCert:    {allowed: func(s scep.Settings) bool { return s.GetCert }},
	scep.GetCRL:     {allowed: func(s scep.Settings) bool { return s.GetCRL }},
}

// trials are all of them; one that is in the tables of package scep and not here
// fails the test.
func trials(t *testing.T) []trial {
	t.Helper()
	var all []trial
	all = append(all, choose(t, scep.KnownDigests(), digestTrials, withDigest)...)
	all = append(all, choose(t, scep.KnownCiphers(), cipherTrials, withCipher)...)
	all = append(all, choose(t, scep.KnownTypes(), typeTrials, withType)...)
	return append(all,
		// RFC 8894, section 2.9: what SCEPStandard stands for.
		trial{"SCEPStandard", always, func(m *sceptest.Message) { m.Cipher, m.Digest = scep.AES128CBC, crypto.SHA256 }},
		trial{"POSTPKIOperation", always, func(*sceptest.Message) {}},
	)
}

func choose[K comparable](t *testing.T, known []K, from map[K]trial, with func(K) func(*sceptest.Message)) []trial {
	t.Helper()
	if len(known) != len(from) {
		t.Errorf("known are %v, tried %d", known, len(from))
	}
	var chosen []trial
	for _, k := range known {
		one, ok := from[k]
		if !ok {
			t.Errorf("nothing is known of %v", k)
			continue
		}
		one.change = with(k)
		chosen = append(chosen, one)
	}
	return chosen
}

// allSettings are all combinations of what decides about messages.
func allSettings() []scep.Settings {
	var all []scep.Settings
	for n := range 1 << 7 {
		bit := func(i int) bool { return n>>i&1 == 1 }
		all = append(all, scep.Settings{
			AllowSHA1: bit(0), AllowTripleDES: bit(1), AllowDES: bit(2), AllowMD5: bit(3),
			Renewal: bit(4), GetCert: bit(5), GetCRL: bit(6),
		})
	}
	return all
}

// GetCACaps and Open must agree, in both directions: a keyword is listed exactly
// if a message that needs it is accepted, and every keyword is known.
func TestCapabilitiesAreWhatOpenAccepts(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	all := trials(t)
	messages := make([][]byte, len(all))
	keywords := map[string]bool{}
	for i, one := range all {
		m := b.message(t)
		one.change(&m)
		messages[i] = m.Bytes(t)
		keywords[one.keyword] = true
	}
	for _, s := range allSettings() {
		listed := s.Capabilities(b.id)
		for _, keyword := range listed {
			if keyword == "" || !keywords[keyword] {
				t.Errorf("%q is listed, and nobody knows what for", keyword)
			}
		}
		for i, one := range all {
			_, err := scep.Open(messages[i], b.id, s)
			if accepted := err == nil; accepted != one.allowed(s) {
				t.Errorf("%+v: message %d for %q accepted %v (%v)", s, i, one.keyword, accepted, err)
			}
			if one.keyword != "" && slices.Contains(listed, one.keyword) != (err == nil) {
				t.Errorf("%+v: %s in %v, but %v", s, one.keyword, listed, err)
			}
		}
	}
}

// GetNextCACert is announced exactly if it is answered.
func TestCapabilityGetNextCACert(t *testing.T) {
	t.Parallel()
	b := newBench(t)
	with := *b.id
	with.NextCA = b.ca.Chain()
	for _, id := range []*scep.Identity{b.id, &with} {
		s := sceptest.NewServer(t, sceptest.Options{CA: b.ca, Identity: id})
		answered := get(t, s.URL+"?operation=GetNextCACert").status == http.StatusOK
		listed := strings.Contains(string(get(t, s.URL+"?operation=GetCACaps").body), "GetNextCACert\n")
		if want := len(id.NextCA) > 0; answered != want || listed != want {
			t.Errorf("%d next certificates: answered %v, listed %v", len(id.NextCA), answered, listed)
		}
	}
	if slices.Contains(scep.Settings{}.Capabilities(nil), "GetNextCACert") {
		t.Error("without an identity it is listed")
	}
}
