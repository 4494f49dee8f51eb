package scependpoint

import (
	"context"
	"maps"
	"slices"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// recordingFact says whether what the sink, or tracing, needs is there.
type recordingFact struct {
	// directory in which the servers find its files: raconfig.SinkDir or TracingDir.
	directory string
	sources   []sourceFact
}

func (r *Reconciler) observeRecording(ctx context.Context, ep *v1alpha1.ScepEndpoint) []recordingFact {
	var out []recordingFact
	needed := render.RecordingSources(ep)
	for _, directory := range slices.Sorted(maps.Keys(needed)) {
		fact := recordingFact{directory: directory}
		for _, s := range needed[directory] {
			fact.sources = append(fact.sources, sourceFact{s, r.observeSource(ctx, ep.Namespace, s)})
		}
		out = append(out, fact)
	}
	return out
}

// recordingProblem is the first thing that the sink or tracing lacks.
func recordingProblem(namespace string, seen *observation) (metav1.Condition, bool) {
	for _, fact := range seen.recording {
		for _, s := range fact.sources {
			if c, bad := s.problem(namespace, "spec."+fact.directory); bad {
				return c, true
			}
		}
	}
	return metav1.Condition{}, false
}

// withholdRecording tells the servers to send nothing with a Secret that is not labelled
// for it. The sink stays in the configuration: it may be that nothing is to be issued
// without it.
func withholdRecording(c *raconfig.Config, seen *observation) *raconfig.Config {
	for _, fact := range seen.recording {
		denied := slices.ContainsFunc(fact.sources, func(s sourceFact) bool { return s.seen.found && !s.allowed() })
		if denied && fact.directory == raconfig.SinkDir {
			c.Recording.Sink.Withheld = true
		}
	}
	return c
}

func (f recordingFact) readErrors() []error {
	var errs []error
	for _, s := range f.sources {
		errs = append(errs, s.seen.err)
	}
	return errs
}
