package load

import "testing"

// TestLoad goes from what is harmless to what is not: after the last part, parts of
// the cluster have ended for want of an API server, and come back.
func TestLoad(t *testing.T) {
	for _, part := range []struct {
		name string
		run  func(*testing.T)
	}{
		{"wave", testWave},
		{"one-time challenges", testRace},
		{"replays", testReplays},
		{"foreign objects", testForeignObjects},
		{"cert-manager away", testIssuerAway},
		{"API server away", testAPIServerAway},
	} {
		t.Run(part.name, part.run)
	}
}
