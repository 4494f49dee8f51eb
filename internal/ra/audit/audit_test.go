package audit

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"regexp"
	"testing"
	"time"
)

func TestCodes(t *testing.T) {
	t.Parallel()
	texts := map[string]Code{}
	for code, text := range descriptions {
		if !regexp.MustCompile(`^SCEP[0-9]{4}$`).MatchString(string(code)) || text == "" {
			t.Errorf("code %q: %q", code, text)
		}
		if other, taken := texts[text]; taken {
			t.Errorf("%s and %s have the same text", code, other)
		}
		texts[text] = code
	}
	for code := range levels {
		if descriptions[code] == "" {
			t.Errorf("%s has a level but no text", code)
		}
	}
}

func TestRecord(t *testing.T) {
	t.Parallel()
	var out bytes.Buffer
	log := NewLog(slog.New(slog.NewJSONHandler(&out, nil)))
	log.Record(t.Context(), ObjectIgnored, slog.String("why", "because"))
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
	m.Step(StepJudged)
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
	} {
		if !have[name] {
			t.Errorf("no metric %s", name)
		}
	}
}
