package triage

import (
	"encoding/json"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

const (
	head = `{"completeSince":"2026-05-01T00:00:00Z","lost":0}`
	// minted for d1, by its names.
	mintedForD1 = `{"time":"2026-05-02T09:00:00Z","msg":"one-time challenge minted","code":"SCEP1070","challenge":"ticket","subject":["commonName=d1"],"alternativeNames":null,"expires":"%s"}`
)

var now = time.Date(2026, 5, 2, 12, 0, 0, 0, time.UTC)

// line is a record of a request with names, as servers write it.
func line(at, code, transaction, subject, more string) string {
	return fmt.Sprintf(`{"time":"2026-05-02T%sZ","msg":"…","code":%q,"transaction":%q,"subject":%q,"alternativeNames":[%q]%s}`,
		at, code, transaction, subject, "dns:"+strings.TrimPrefix(subject, "CN=")+".example.com", more)
}

// unnamed is a record of a message whose names nobody has read.
func unnamed(at, code, transaction, more string) string {
	return fmt.Sprintf(`{"time":"2026-05-02T%sZ","msg":"…","code":%q,"transaction":%q%s}`, at, code, transaction, more)
}

func issued(notAfter string) string { return fmt.Sprintf(`,"serial":"4be1","notAfter":%q`, notAfter) }

func trail(t *testing.T, pod string, lines ...string) Trail {
	t.Helper()
	read, err := ReadTrail(pod, strings.NewReader(strings.Join(lines, "\n")), 100)
	if err != nil {
		t.Fatal(err)
	}
	return read
}

func TestClasses(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		q       Question // of the subject d1 where it is empty
		records []string
		class   Class
		says    string
		advice  string // begin of the first; "": none at all
	}{
		"valid": {
			records: []string{
				unnamed("10:00:00", "SCEP1010", "A", ""), line("10:00:01", "SCEP1060", "A", "CN=d1", issued("2026-06-01T00:00:00Z")),
			},
			class: Valid, says: "certificate 4be1 at 2026-05-02T10:00:01Z, which is valid until 2026-06-01T00:00:00Z",
		},
		"valid though a renewal was refused": {
			records: []string{
				line("10:00:01", "SCEP1060", "A", "CN=d1", issued("2026-06-01T00:00:00Z")), line("11:00:00", "SCEP1062", "B", "CN=d1", `,"reason":"RenewalTooEarly"`),
			},
			class: Valid, says: "valid until", advice: "wait for the renewal window",
		},
		"by an alternative name": {
			q:       Question{Subject: "D1.example.com"},
			records: []string{line("10:00:01", "SCEP1060", "A", "CN=d1", issued("2026-06-01T00:00:00Z"))},
			class:   Valid, says: "D1.example.com was handed",
		},
		"by a serial number": {
			q:       Question{Serial: "4be1"},
			records: []string{line("10:00:01", "SCEP1060", "A", "CN=d1", issued("2026-06-01T00:00:00Z"))},
			class:   Valid, says: "certificate 4be1 was handed",
		},
		"collected by a poll": {
			records: []string{line("10:00:00", "SCEP1061", "A", "CN=d1", ""), unnamed("10:05:00", "SCEP1060", "A", issued("2026-06-01T00:00:00Z"))},
			class:   Valid, says: "at 2026-05-02T10:05:00Z",
		},
		"expired": {
			records: []string{line("10:00:01", "SCEP1060", "A", "CN=d1", issued("2026-05-02T11:00:00Z"))},
			class:   Ended, says: "valid no more", advice: "have the device renew",
		},
		"revoked": {
			records: []string{
				line("10:00:01", "SCEP1060", "A", "CN=d1", issued("2026-06-01T00:00:00Z")),
				`{"time":"2026-05-02T10:30:00Z","code":"SCEP1084","serial":"4be1"}`,
			},
			class: Ended, says: "valid no more", advice: "have the device renew",
		},
		"lost on the way": {
			records: []string{
				line("10:00:01", "SCEP1060", "A", "CN=d1", issued("2026-06-01T00:00:00Z")), line("10:00:02", "SCEP1065", "A", "CN=d1", `,"error":"broken pipe"`),
			},
			class: Unanswered, says: "no certificate and no refusal", advice: "have the device try again with the same key",
		},
		"refused": {
			records: []string{unnamed("10:00:00", "SCEP1010", "A", ""), line("10:00:00", "SCEP1062", "A", "CN=d1", `,"reason":"ChallengeWrong"`)},
			class:   Refused, says: "was refused: ChallengeWrong", advice: "put the endpoint's present challenge",
		},
		"refused for a reason of a newer server": {
			records: []string{line("10:00:00", "SCEP1062", "A", "CN=d1", `,"reason":"Novel"`)},
			class:   Refused, says: "Novel", advice: "look at the error",
		},
		"not opened": {
			q:       Question{Transaction: "A"},
			records: []string{unnamed("10:00:00", "SCEP1011", "A", `,"reason":"Message/unreadable"`)},
			class:   Refused, says: "transaction A asked at", advice: "have the device fetch GetCACert again",
		},
		"pending": {
			records: []string{line("10:00:00", "SCEP1061", "A", "CN=d1", `,"certificateRequest":"corp-1"`)},
			class:   Pending, says: "told to poll", advice: "look at what CertificateRequest corp-1 waits for",
		},
		"told to come again": {
			records: []string{line("10:00:00", "SCEP1063", "A", "CN=d1", `,"reason":"Unavailable"`)},
			class:   Unanswered, says: ": Unavailable", advice: "look at the ScepEndpoint's conditions",
		},
		"opened and then nothing": {
			q:       Question{Transaction: "A"},
			records: []string{unnamed("10:00:00", "SCEP1010", "A", "")},
			class:   Unanswered, says: "no certificate and no refusal", advice: "have the device try again",
		},
		"nothing": {class: NothingArrived, says: "no request of d1 since 2026-05-01T12:00:00Z", advice: deviceChecks[0].Check},
		"too long ago": {
			records: []string{`{"time":"2026-05-01T11:59:59Z","code":"SCEP1062","subject":"CN=d1","reason":"ChallengeWrong"}`},
			class:   NothingArrived, says: "no request", advice: deviceChecks[0].Check,
		},
		"another's certificate": {
			records: []string{line("10:00:00", "SCEP1060", "A", "CN=d2", issued("2026-06-01T00:00:00Z"))},
			class:   NothingArrived, says: "no request", advice: deviceChecks[0].Check,
		},
		"another's name that holds this one": {
			records: []string{line("10:00:00", "SCEP1060", "A", `CN=d2,O=a\,CN=d1`, issued("2026-06-01T00:00:00Z"))},
			class:   NothingArrived, says: "no request", advice: deviceChecks[0].Check,
		},
		"another's request with the same transaction": {
			records: []string{line("10:00:00", "SCEP1062", "A", "CN=d1", `,"reason":"ChallengeWrong"`), line("10:00:01", "SCEP1060", "A", "CN=d2", issued("2026-06-01T00:00:00Z"))},
			class:   Refused, says: "ChallengeWrong", advice: "put the endpoint's present challenge",
		},
		"a transaction that did not arrive": {
			q: Question{Transaction: "A"}, class: NothingArrived, says: "no request of transaction A", advice: transactionChecks[0].Check,
		},
		"a serial number that is not known": {
			q: Question{Serial: "1"}, class: NothingArrived, says: "no request of certificate 1", advice: serialChecks[0].Check,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if c.q == (Question{}) {
				c.q.Subject = "d1"
			}
			c.q.Since, c.q.Now = now.Add(-24*time.Hour), now
			v := Judge(c.q, []Trail{trail(t, "a", append([]string{head}, c.records...)...)}, Tier{})
			if v.Class != c.class || !strings.Contains(v.Summary, c.says) || len(v.Coverage.Gaps) > 0 {
				t.Errorf("%s: %s, gaps %v", v.Class, v.Summary, v.Coverage.Gaps)
			}
			if (c.advice == "") != (len(v.Advice) == 0) || len(v.Advice) > 0 && !strings.HasPrefix(v.Advice[0].Check, c.advice) {
				t.Errorf("advice %v, want %q", v.Advice, c.advice)
			}
			if listed := cmp.Equal(v.Advice, deviceChecks); listed != (c.class == NothingArrived && c.q.Subject != "") {
				t.Errorf("the list for devices is there: %t", listed)
			}
		})
	}
}

func question() Question {
	return Question{Subject: "d1", Since: now.Add(-24 * time.Hour), Now: now}
}

// TestGaps: nothing is claimed beyond what the records cover.
func TestGaps(t *testing.T) {
	t.Parallel()
	whole := trail(t, "a", head)
	young := trail(t, "b", `{"completeSince":"2026-05-02T08:00:00Z","lost":2}`, "no record")
	v := Judge(question(), []Trail{whole, young, {Pod: "c", Err: errors.New("gone")}}, Tier{})
	want := Coverage{
		Since: time.Date(2026, 5, 2, 8, 0, 0, 0, time.UTC), Asked: []string{"a", "b"},
		Gaps: []string{
			"server b has lost 3 records; its log may have them", "server c could not be asked: gone",
			"records from before 2026-05-02T08:00:00Z are not all there: servers keep them as long as their pods live",
		},
	}
	if diff := cmp.Diff(want, v.Coverage); diff != "" {
		t.Error(diff)
	}
	if v.Class != NothingArrived || !strings.HasSuffix(v.Summary, "since 2026-05-02T08:00:00Z, and they have gaps: that nothing arrived is not certain") {
		t.Errorf("%s: %s", v.Class, v.Summary)
	}
	cut, err := ReadTrail("a", strings.NewReader(head+"\n"+unnamed("09:00:00", "SCEP1010", "A", "")+"\n"+unnamed("09:30:00", "SCEP1010", "B", "")), 2)
	if err != nil || !cut.CompleteSince.Equal(time.Date(2026, 5, 2, 9, 0, 0, 0, time.UTC)) {
		t.Errorf("an answer that was cut is complete since %v (%v)", cut.CompleteSince, err)
	}
}

// TestNothingArrived: what else is known tells whether to look at the device or on the way.
func TestNothingArrived(t *testing.T) {
	t.Parallel()
	others := []string{line("10:00:00", "SCEP1060", "A", "CN=d2", ""), line("10:01:00", "SCEP1062", "B", "CN=d3", `,"reason":"ChallengeWrong"`), unnamed("10:02:00", "SCEP1011", "C", `,"reason":"Message/unreadable"`)}
	v := Judge(question(), []Trail{trail(t, "a", append([]string{head, fmt.Sprintf(mintedForD1, "2026-05-02T10:00:00Z")}, others...)...)}, Tier{
		Conditions: []metav1.Condition{
			{Type: v1alpha1.ConditionEnrolling, Status: metav1.ConditionTrue},
			{Type: v1alpha1.ConditionReady, Status: metav1.ConditionFalse},
			{Type: v1alpha1.ConditionLongURLs, Status: metav1.ConditionUnknown},
		},
		Funnel: []raconfig.FunnelRow{
			{Family: "Apple", Steps: map[string]uint64{"GetCACert": 3}},
			{Family: "Windows", Steps: map[string]uint64{"GetCACaps": 1}},
			{Family: "Windows", Steps: map[string]uint64{"PKIOperation": 1}},
			{Family: "Scepter", Steps: map[string]uint64{"GetCACert": 9}},
		},
	})
	notes := strings.Join(v.Notes, "\n")
	for _, want := range []string{
		"minted at 2026-05-02T09:00:00Z, good until 2026-05-02T10:00:00Z, and no request came", "since the servers started: Apple; a device",
		"ChallengeWrong (1), Message/unreadable (1); one may be", "got certificates in that time: 1",
	} {
		if !strings.Contains(notes, want) {
			t.Errorf("no note says %q:\n%s", want, notes)
		}
	}
	if diff := cmp.Diff(deviceChecks, v.Advice[1:]); diff != "" || !strings.HasPrefix(v.Advice[0].Check, "mint another") || v.Evidence[0].Code != codeMinted {
		t.Errorf("%v\n%s", v.Advice[0], diff)
	}
	v = Judge(question(), []Trail{trail(t, "a", head, fmt.Sprintf(mintedForD1, "2026-05-02T13:00:00Z"))}, Tier{Conditions: []metav1.Condition{
		{Type: v1alpha1.ConditionEnrolling, Status: metav1.ConditionFalse, Reason: v1alpha1.ReasonFunnelBroken, Message: "Apple clients stop after GetCACert"},
	}})
	if len(v.Advice) != 1 || !strings.Contains(v.Advice[0].Check, "Enrolling of the ScepEndpoint is False, FunnelBroken: Apple clients stop") {
		t.Errorf("a break on the way: %v", v.Advice)
	}
	v = Judge(question(), []Trail{trail(t, "a", head)}, Tier{})
	if want := []string{"no other device got a certificate in that time, though no condition of the endpoint tells of a break on the way"}; !cmp.Equal(v.Notes, want) {
		t.Errorf("notes %q", v.Notes)
	}
}

// TestEveryReasonHasARemedy reads the reasons where they are declared.
func TestEveryReasonHasARemedy(t *testing.T) {
	t.Parallel()
	reasons := []string{"Message/undecoded", "Message/unreadable"}
	for _, info := range []scep.FailInfo{scep.BadAlg, scep.BadMessageCheck, scep.BadRequest, scep.BadTime} {
		reasons = append(reasons, "Message/"+info.String())
	}
	file, err := parser.ParseFile(token.NewFileSet(), "../ra/refusal/refusal.go", nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, isValue := n.(*ast.ValueSpec)
		if !isValue || spec.Type == nil || fmt.Sprint(spec.Type) != "Reason" {
			return true
		}
		reason, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Error(err)
		}
		reasons = append(reasons, reason)
		return true
	})
	known := map[string]bool{}
	for _, reason := range reasons {
		known[reason] = true
		if refusalRemedies[reason] == "" {
			t.Errorf("no remedy for %s", reason)
		}
	}
	for reason := range refusalRemedies {
		if !known[reason] {
			t.Errorf("a remedy for %s, which is no reason", reason)
		}
	}
}

func TestAnswersThatAreNoTrail(t *testing.T) {
	t.Parallel()
	for _, answer := range []string{"", "404 page not found", "{}", `{"lost":1}`, line("10:00:00", "SCEP1060", "A", "CN=d1", "")} {
		if _, err := ReadTrail("a", strings.NewReader(answer), 10); !errors.Is(err, errNoHead) {
			t.Errorf("%q: %v", answer, err)
		}
	}
	if _, err := ReadTrail("a", strings.NewReader(head+"\n"+strings.Repeat("x", maxLine+1)), 10); err == nil {
		t.Error("a line without end was read")
	}
}

// FuzzReadTrail: whatever a server answers, there is a verdict that can be printed.
func FuzzReadTrail(f *testing.F) {
	f.Add(head + "\n" + line("10:00:00", "SCEP1060", "A", "CN=d1", issued("2026-06-01T00:00:00Z")))
	f.Add(head + "\n" + fmt.Sprintf(mintedForD1, "2026-05-02T13:00:00Z"))
	f.Add(`{"completeSince":"2026-05-01T00:00:00Z"}` + "\n" + `{"code":"SCEP1010","subject":7}`)
	f.Fuzz(func(t *testing.T, answer string) {
		read, err := ReadTrail("a", strings.NewReader(answer), 10)
		if err != nil {
			return
		}
		v := Judge(question(), []Trail{read}, Tier{})
		if v.Class == "" || v.Summary == "" {
			t.Errorf("no verdict: %+v", v)
		}
		if _, err := json.Marshal(v); err != nil {
			t.Error(err)
		}
	})
}
