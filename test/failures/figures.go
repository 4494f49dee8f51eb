package failures

import (
	_ "embed"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"sync"
	"time"

	"sigs.k8s.io/yaml"
)

// Figure is what a proof measured, in whole seconds, rounded up; 0 for what the row
// does not measure.
type Figure struct {
	Detected int `json:"detected,omitempty"`
	Healed   int `json:"healed,omitempty"`
}

//go:embed figures.yaml
var kept []byte

// Figures returns what "make failures" measured last, by the rows' IDs.
func Figures() (map[string]Figure, error) {
	figures := map[string]Figure{}
	if err := yaml.UnmarshalStrict(kept, &figures); err != nil {
		return nil, fmt.Errorf("read the figures of failures: %w", err)
	}
	return figures, nil
}

func seconds(d time.Duration) int { return int(math.Ceil(d.Seconds())) }

// measured is what the proofs of this process came to.
var measured struct {
	sync.Mutex
	figures map[string]Figure
}

func measure(id string, figure Figure) {
	measured.Lock()
	defer measured.Unlock()
	if measured.figures == nil {
		measured.figures = map[string]Figure{}
	}
	measured.figures[id] = figure
}

// Print lists what the proofs of this process came to.
func Print(out io.Writer) {
	measured.Lock()
	defer measured.Unlock()
	for _, id := range slices.Sorted(maps.Keys(measured.figures)) {
		figure := measured.figures[id]
		_, _ = fmt.Fprintf(out, "FAILURES %s detected after %d s, healed after %d s\n", id, figure.Detected, figure.Healed)
	}
}

const figuresHead = "# Seconds that \"make failures\" measured, rounded up. It writes this file.\n"

// Keep writes what the proofs of this process came to into the file of figures; rows
// that were not tried keep theirs.
func Keep(file string) error {
	figures, err := Figures()
	if err != nil {
		return err
	}
	measured.Lock()
	defer measured.Unlock()
	maps.Copy(figures, measured.figures)
	out, err := yaml.Marshal(figures)
	if err != nil {
		return fmt.Errorf("write the figures of failures: %w", err)
	}
	if err := os.WriteFile(file, append([]byte(figuresHead), out...), 0o644); err != nil { //nolint:gosec // a file of the repository
		return fmt.Errorf("write the figures of failures: %w", err)
	}
	return nil
}
