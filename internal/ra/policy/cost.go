package policy

import (
	"fmt"

	"github.com/google/cel-go/cel"
	"github.com/google/cel-go/checker"
	"github.com/google/cel-go/common/types"
)

// costLimit bounds a rule, in CEL's units, of which a comparison is a few: what it
// may cost by estimate where a template is compiled, and what it costs where it
// is evaluated.
const costLimit = 100_000

// What estimates assume of a request. A larger one is judged as well, as long as the
// rule does not really cost more than the limit.
const (
	assumedEntries = 16  // of a list or map
	assumedLength  = 128 // of a string, in characters
)

// checkCost refuses a rule that may cost more than the limit.
func checkCost(env *cel.Env, ast *cel.Ast) error {
	estimate, err := env.EstimateCost(ast, assumptions{})
	if err != nil {
		return fmt.Errorf("its cost cannot be estimated: %w", err)
	}
	if estimate.Max > costLimit {
		return fmt.Errorf("may cost %d units and %d are allowed: use fewer macros (all, exists, map, filter) within each other", estimate.Max, costLimit)
	}
	return nil
}

// assumptions implements checker.CostEstimator.
type assumptions struct{}

// EstimateSize implements checker.CostEstimator: of lists and maps the number of
// entries, of anything else its length.
func (assumptions) EstimateSize(element checker.AstNode) *checker.SizeEstimate {
	if kind := element.Type().Kind(); kind == types.ListKind || kind == types.MapKind {
		return &checker.SizeEstimate{Max: assumedEntries}
	}
	return &checker.SizeEstimate{Max: assumedLength}
}

// EstimateCallCost implements checker.CostEstimator: calls cost what CEL takes them for.
func (assumptions) EstimateCallCost(string, string, *checker.AstNode, []checker.AstNode) *checker.CallEstimate {
	return nil
}
