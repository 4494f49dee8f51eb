package audit

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"regexp"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scepter-pki/scepter/internal/baseline"
	"github.com/scepter-pki/scepter/internal/ra/audit/family"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	texts := map[string]Code{}
	var before Code
	for _, e := range Events() {
		if e.Code <= before {
			t.Errorf("%s comes after %s", e.Code, before)
		}
		before = e.Code
		if !regexp.MustCompile(`^SCEP[0-9]{4}$`).MatchString(string(e.Code)) || e.Text == "" || e.When == "" {
			t.Errorf("code %q: %q, when %q", e.Code, e.Text, e.When)
		}
		if other, taken := texts[e.Text]; taken {
			t.Errorf("%s and %s have the same text", e.Code, other)
		}
		texts[e.Text] = e.Code
	}
}

// TestCodesAreStable has the codes that were there from the beginning: dashboards know them.
func TestCodesAreStable(t *testing.T) {
	t.Parallel()
	for code, text := range map[Code]string{
		"SCEP1010": "message opened", "SCEP1011": "message refused", "SCEP1030": "request authenticated",
		"SCEP1040": "request allowed by the template", "SCEP1050": "request recorded with the issuer",
		"SCEP1060": "certificate handed out", "SCEP1061": "device told to poll", "SCEP1062": "request refused",
		"SCEP1063": "device told to come again", "SCEP1070": "one-time challenge minted",
	} {
		if code.String() != text {
			t.Errorf("%s is %q, and was %q", code, code.String(), text)
		}
	}
}

func TestNDES(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		code   Code
		reason string
		want   int
	}{
		{ServerStarted, "", 1},
		{MessageRefused, "Message/badRequest", 17},
		{MessageRefused, "Message/unreadable", 18},
		{AnsweredFailure, "ChallengeUsed", 29},
		{AnsweredFailure, "RuleNotMet", 31},
		{MessageOpened, "ChallengeUsed", 0},
		{Authenticated, "", 0},
	} {
		if got := NDES(c.code, c.reason); got != c.want {
			t.Errorf("%s with %q is event %d of NDES, want %d", c.code, c.reason, got, c.want)
		}
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	silent := &slog.HandlerOptions{Level: slog.LevelError}
	kept := &keeper{}
	log := NewLog(slog.New(slog.NewJSONHandler(&out, silent)), time.Now, kept)
	log.Record(t.Context(), ObjectIgnored, slog.String("why", "because"))
	if got := kept.entries[0]; string(got.JSON)+"\n" != out.String() || got.Code != ObjectIgnored || got.Level != slog.LevelWarn {
		t.Errorf("kept %s of %s, logged %s", got.JSON, got.Code, out.String())
	}
	var record map[string]any
	if err := json.Unmarshal(out.Bytes(), &record); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]string{"code": "SCEP1021", "level": "WARN", "why": "because", "msg": ObjectIgnored.String()} {
		if record[key] != want {
			t.Errorf("%s is %v, want %s", key, record[key], want)
		}
	}
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	m.Step(family.Apple, StepJudged)
	m.Arrived(family.Apple, 17)
	m.Took([]Took{{"judge", time.Millisecond}})
	m.Target(3000)
	m.Unopened("Message/badAlg")
	m.Ended(ResultFailure, "KeyNotAllowed", time.Second)
	m.InFlight("queue").Inc()
	families, err := m.Registry().Gather()
	if err != nil {
		t.Fatal(err)
	}
	have := map[string]bool{}
	for _, f := range families {
		have[f.GetName()] = true
	}
	for _, name := range []string{
		"scepter_ra_funnel_total", "scepter_ra_request_target_bytes", "scepter_ra_refusals_total",
		"scepter_ra_enrolments_total", "scepter_ra_enrolment_duration_seconds", "scepter_ra_in_flight",
		"scepter_ra_longest_request_target_bytes", "scepter_ra_step_duration_seconds",
	} {
		if !have[name] {
			t.Errorf("no metric %s", name)
		}
	}
}

func TestFunnel(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			m.Step(family.Windows, "GetCACaps")
			m.Arrived(family.Windows, i)
			m.Step("no family", StepJudged)
			m.Step(family.Apple, "no step")
		})
	}
	all.Wait()
	m.Step(family.Windows, StepIssued)
	want := []FunnelRow{
		{Family: family.Other, Steps: map[string]uint64{"judged": 20}},
		{Family: family.Windows, Steps: map[string]uint64{"GetCACaps": 20, "issued": 1}, LongestTarget: 19},
	}
	if diff := cmp.Diff(want, m.Funnel()); diff != "" {
		t.Error(diff)
	}
	seen := map[string]bool{}
	for _, step := range FunnelSteps() {
		if seen[step] {
			t.Errorf("step %s is there twice", step)
		}
		seen[step] = true
	}
}

// keeper keeps everything.
type keeper struct{ entries []Entry }

func (k *keeper) Keep(e Entry) { k.entries = append(k.entries, e) }

// TestTheBaselineKnowsTheSteps by their names: it counts them for its hops.
func TestTheBaselineKnowsTheSteps(t *testing.T) {
	t.Parallel()
	without := map[string]bool{"GetNextCACert": true, "other": true, "answered": true, "refused": true}
	for _, step := range FunnelSteps() {
		if counted := baseline.CountsOf(map[string]uint64{step: 1}) != (baseline.Counts{}); counted == without[step] {
			t.Errorf("%s is counted for a hop: %v", step, counted)
		}
	}
}
