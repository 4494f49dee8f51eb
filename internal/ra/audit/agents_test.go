package audit

import (
	"fmt"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/audit/agent"
	"github.com/scepter-pki/scepter/internal/ra/audit/family"
)

// TestAgentsAreBounded: whatever strangers write, there are a few counters only, and what
// was counted first stays told apart.
func TestAgentsAreBounded(t *testing.T) {
	t.Parallel()
	m := NewMetrics()
	for i := range 1000 {
		m.Agent(family.OpenSSL, fmt.Sprintf("curl/%d.0", i))
		m.Agent(family.Other, fmt.Sprintf("device-%d", i))
	}
	m.Agent(family.OpenSSL, "curl/0")
	m.Agent(family.Other, "")
	got := m.Agents()
	want := map[string]uint64{"curl/0": 2, "curl": 1000 - maxMajors, agent.Other: 1000, agent.None: 1}
	for name, n := range want {
		if got[name] != n {
			t.Errorf("%s: %d, want %d", name, got[name], n)
		}
	}
	if len(got) != len(want)+maxMajors-1 {
		t.Errorf("%d counters: %v", len(got), got)
	}
}
