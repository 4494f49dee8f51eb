package failures

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// witness is a test that a proof fails or not.
type witness struct {
	testing.TB
	complaints []string
}

func (w *witness) Helper()             {}
func (w *witness) Logf(string, ...any) {}
func (w *witness) Failed() bool        { return len(w.complaints) > 0 }
func (w *witness) Errorf(format string, args ...any) {
	w.complaints = append(w.complaints, fmt.Sprintf(format, args...))
}

var fault = &Row{ID: "F99", Kind: Fault, Promise: &Promise{
	Condition: "CredentialReady", Reason: "Expired",
	Detected: metav1.Duration{Duration: time.Minute}, Healed: metav1.Duration{Duration: 30 * time.Second},
}}

func TestProofOfAFault(t *testing.T) {
	for name, tc := range map[string]struct {
		steps func(p *Proof, pass func(seconds int))
		want  string
	}{
		"whole": {func(p *Proof, pass func(int)) {
			p.Injected()
			pass(50)
			p.Detected("CredentialReady", "Expired")
			p.Remedied()
			pass(30)
			p.Healed()
			p.Served()
		}, ""},
		"detected late": {func(p *Proof, pass func(int)) {
			p.Injected()
			pass(61)
			p.Detected("CredentialReady", "Expired")
		}, "detected after 1m1s"},
		"another reason": {func(p *Proof, _ func(int)) {
			p.Injected()
			p.Detected("CredentialReady", "Broken")
		}, "promises CredentialReady Expired"},
		"healed late without a remedy": {func(p *Proof, pass func(int)) {
			p.Injected()
			pass(20)
			p.Detected("CredentialReady", "Expired")
			pass(20)
			p.Healed()
		}, "healed after 40s"},
		"no device": {func(p *Proof, _ func(int)) {
			p.Injected()
			p.Detected("CredentialReady", "Expired")
			p.Healed()
		}, `lacks ["Served"]`},
		"nothing": {func(*Proof, func(int)) {}, "lacks"},
	} {
		t.Run(name, func(t *testing.T) {
			w, now := &witness{}, time.Unix(1, 0)
			p := &Proof{Row: fault, t: w, now: func() time.Time { return now }}
			tc.steps(p, func(seconds int) { now = now.Add(time.Duration(seconds) * time.Second) })
			p.end()
			if got := strings.Join(w.complaints, "\n"); !strings.Contains(got, tc.want) || (got == "") != (tc.want == "") {
				t.Errorf("complaints %q, want %q", got, tc.want)
			}
		})
	}
}

func TestProofOfAFeature(t *testing.T) {
	row := &Row{ID: "F98", Kind: Feature, Promise: &Promise{Tiers: []string{"healthy", "broken"}}}
	for want, tiers := range map[string][]string{"": {"broken", "healthy"}, `lacks ["broken"]`: {"healthy"}} {
		w := &witness{}
		p := &Proof{Row: row, t: w, now: time.Now}
		for _, tier := range tiers {
			p.Used(tier)
		}
		p.end()
		if got := strings.Join(w.complaints, "\n"); !strings.Contains(got, want) || (got == "") != (want == "") {
			t.Errorf("used on %v: %q, want %q", tiers, got, want)
		}
	}
}

func TestKeepsFigures(t *testing.T) {
	measure("F97", Figure{Detected: seconds(1100 * time.Millisecond), Healed: 7})
	file := filepath.Join(t.TempDir(), "figures.yaml")
	if err := Keep(file); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if want := "F97:\n  detected: 2\n  healed: 7\n"; !strings.Contains(string(got), want) {
		t.Errorf("the file is\n%s, want in it\n%s", got, want)
	}
}
