package scependpoint

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/rotation"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func server(name string, ready bool, holds ...string) replica {
	return replica{name: name, ready: ready, status: &raconfig.ReplicaStatus{HeldGenerations: holds}}
}

func TestHoldersAreThoseThatDevicesMayMeet(t *testing.T) {
	ready, ends := server("ready", true, "g1"), server("ends", true, "g1")
	ends.leaving, ends.started = true, true
	seen := &observation{
		replicas: read[[]replica]{value: &[]replica{ready, {name: "starts", started: true}, {name: "waits for a node"}}},
		leaving:  []replica{ends},
	}
	want := []rotation.Holder{
		{Name: "ends", Answers: true, Holds: []string{"g1"}}, {Name: "ready", Ready: true, Answers: true, Holds: []string{"g1"}}, {Name: "starts"},
	}
	if diff := cmp.Diff(want, holders(seen)); diff != "" {
		t.Error(diff)
	}
	seen.replicas = read[[]replica]{err: errors.New("away")}
	if got := holders(seen); len(got) != 1 || got[0].Answers {
		t.Errorf("servers that could not be listed: %+v", got)
	}
}

// TestWhatIsShownIsKnownWithoutTheConfiguration: whoever deletes the ConfigMap within a
// rollover does not bring about what servers lack.
func TestWhatIsShownIsKnownWithoutTheConfiguration(t *testing.T) {
	ep, seen := restingEndpoint()
	seen.credential.value.Status.Generations = append([]v1alpha1.CredentialGeneration{generation("g2", noon)}, seen.credential.value.Status.Generations...)
	ep.Status.RACredential = &v1alpha1.EndpointCredentialStatus{
		Name: render.CredentialName(ep), ActiveGeneration: seen.config.value.ActiveGeneration,
		Previous: []v1alpha1.ShownGeneration{{Name: "former", Generation: "f1", Until: metav1.NewTime(noon.Add(testDay))}},
	}
	seen.config = read[raconfig.Config]{}
	former := generation("f1", noon.Add(-89*testDay))
	seen.earlier = []credentialFact{{
		name: "former", keyring: read[metav1.PartialObjectMetadata]{value: &metav1.PartialObjectMetadata{}},
		credential: read[v1alpha1.RACredential]{value: &v1alpha1.RACredential{
			Spec: v1alpha1.RACredentialSpec{Purpose: v1alpha1.PurposeRA}, Status: v1alpha1.RACredentialStatus{Generations: []v1alpha1.CredentialGeneration{former}},
		}},
	}}
	p := planRollover(ep, seen, noon)
	if p.Stage != rotation.StageLoading || p.Active != "g1" || p.Next != "g2" || len(p.Accepted) != 1 || p.Accepted[0].Generation != "f1" {
		t.Errorf("%+v", p)
	}
	seen.earlier[0].keyring.err = errors.New("away")
	if p := planRollover(ep, seen, noon); p.Active != "" || p.Stage != rotation.StageNone {
		t.Errorf("decided without a keyring that could not be read: %+v", p)
	}
}

func TestNextNudge(t *testing.T) {
	cases := map[string]struct {
		have  string
		stale bool
		want  string
	}{
		"never touched":           {"", false, "h.1"},
		"other content":           {"g.3", false, "h.1"},
		"touched and up to date":  {"h.1", false, "h.1"},
		"touched and stale":       {"h.1", true, "h.2"},
		"touched often, stale":    {"h.9", true, "h.10"},
		"touched enough, stale":   {"h.10", true, "h.10"},
		"touched by another hand": {"h.x", true, "h.1"},
	}
	for name, c := range cases {
		if got := nextNudge(c.have, "h", c.stale); got != c.want {
			t.Errorf("%s: %s, want %s", name, got, c.want)
		}
	}
}
