package scependpoint

import (
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// TestRecordingProblems goes through what the sink's Secret may lack. One that is not
// labelled is never sent, and the servers know that there should be a sink.
func TestRecordingProblems(t *testing.T) {
	there := secretFact{found: true, hasKeys: true, labelled: true}
	for name, c := range map[string]struct {
		seen     secretFact
		says     string
		withheld bool
	}{
		"all there":           {there, "", false},
		"a missing Secret":    {secretFact{}, "Secret audit of spec.recording.sink does not exist", false},
		"a missing key":       {secretFact{found: true, labelled: true}, "needs the keys signing-secret", false},
		"a Secret unlabelled": {secretFact{found: true, hasKeys: true}, "label it scepter.dev/challenge-credentials=true", true},
		"an unread Secret":    {secretFact{err: errSecret}, "could not be read", false},
	} {
		ep := &v1alpha1.ScepEndpoint{}
		ep.Namespace = "pki"
		ep.Spec.Recording = &v1alpha1.Recording{Sink: &v1alpha1.RecordingSink{Webhook: &v1alpha1.WebhookSink{
			URL: "https://audit.example.com/", SecretRef: v1alpha1.LocalReference{Name: "audit"},
		}}}
		seen := &observation{}
		for directory, sources := range render.RecordingSources(ep) {
			seen.recording = append(seen.recording, recordingFact{directory, []sourceFact{{sources[0], c.seen}}})
		}
		got, bad := recordingProblem(ep.Namespace, seen)
		if bad != (c.says != "") || !strings.Contains(got.Message, c.says) {
			t.Errorf("%s: %+v", name, got)
		}
		config := withholdRecording(&raconfig.Config{Recording: &raconfig.Recording{Sink: &raconfig.Sink{}}}, seen)
		if config.Recording.Sink.Withheld != c.withheld {
			t.Errorf("%s: withheld %v, want %v", name, config.Recording.Sink.Withheld, c.withheld)
		}
	}
}
