package e2e

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/cluster/node"
	"github.com/scepter-pki/scepter/test/rig"
)

const (
	restNamespace = "rest"
	// idleEndpoints have no servers: more than a hundred pods do not fit on a node.
	idleEndpoints = 100
	// restAfter is from when the last endpoint came to rest, restFor how long it rests.
	restAfter = time.Minute
	restFor   = 10 * time.Minute
)

// TestNothingIsWrittenAtRest has an endpoint with servers, which are probed all the time,
// and a hundred without. For ten minutes nobody comes to them, while other tests stop the
// operator and what is around it. Neither the operator nor a server may write anything
// there, by the audit log of the API server.
func TestNothingIsWrittenAtRest(t *testing.T) {
	startRest(t)
	began := time.Now()
	t.Parallel() // the others run meanwhile
	from, until := began.Add(restAfter), began.Add(restAfter+restFor)
	if err := rig.Wait(t.Context(), "ten minutes of rest", time.Until(until)+readyLimit, func(context.Context) (bool, string, error) {
		return time.Now().After(until), "", nil
	}); err != nil {
		t.Fatal(err)
	}
	before, within := writesOfOurs(t, time.Time{}, from), writesOfOurs(t, from, until)
	t.Logf("%d endpoints: %d writes to make them, %d in %s of rest", idleEndpoints+1, len(before), len(within), restFor)
	if len(before) < 10*idleEndpoints {
		t.Errorf("the audit log has only %d writes from before", len(before))
	}
	for _, w := range within[:min(len(within), 20)] {
		t.Errorf("written at rest: %s", w)
	}
}

func startRest(t *testing.T) {
	t.Helper()
	for _, file := range []string{"testdata/rest.yaml", idleManifest(t)} {
		if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", file); err != nil {
			t.Fatal(err)
		}
	}
	t.Cleanup(func() {
		if err := shared.rig.Kubectl(context.WithoutCancel(t.Context()), "delete", "namespace", restNamespace, "--wait=false"); err != nil {
			t.Error(err)
		}
	})
	mustWait(t, "the endpoint with servers to be Ready", rig.Ready(shared.api, restNamespace, "served"))
	mustWait(t, "the others to be as wanted", func(ctx context.Context) (bool, string, error) {
		var all v1alpha1.ScepEndpointList
		if err := shared.api.List(ctx, &all, client.InNamespace(restNamespace)); err != nil {
			return false, "", err
		}
		resting := 0
		for i := range all.Items {
			if ready := readyReason(&all.Items[i]); ready == v1alpha1.ReasonSucceeded || ready == v1alpha1.ReasonScaledToZero {
				resting++
			}
		}
		return resting == idleEndpoints+1, fmt.Sprintf("%d of %d", resting, len(all.Items)), nil
	})
}

func readyReason(ep *v1alpha1.ScepEndpoint) string {
	for _, c := range ep.Status.Conditions {
		if c.Type == v1alpha1.ConditionReady {
			return c.Reason
		}
	}
	return ""
}

// idleManifest are endpoints without servers, all else like the one with some.
func idleManifest(t *testing.T) string {
	t.Helper()
	manifest, err := os.ReadFile("testdata/rest.yaml")
	if err != nil {
		t.Fatal(err)
	}
	documents := strings.Split(string(manifest), "---\n")
	served := documents[len(documents)-1]
	var all strings.Builder
	for i := range idleEndpoints {
		name := fmt.Sprintf("idle-%03d", i)
		all.WriteString(strings.NewReplacer("served", name, "replicas: 2", "replicas: 0").Replace(served) + "---\n")
	}
	file := filepath.Join(t.TempDir(), "idle.yaml")
	if err := os.WriteFile(file, []byte(all.String()), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// writesOfOurs are those by the operator and by servers into the namespace at rest.
func writesOfOurs(t *testing.T, from, until time.Time) []string {
	t.Helper()
	log, err := shared.rig.Cluster.Logs(node.AuditLog)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = log.Close() }()
	var writes []string
	lines := bufio.NewScanner(log)
	for lines.Scan() {
		var e auditEvent
		if err := json.Unmarshal(lines.Bytes(), &e); err != nil {
			t.Fatalf("audit log: %v", err)
		}
		if e.ofOurs() && !e.StageTimestamp.Before(from) && e.StageTimestamp.Before(until) {
			writes = append(writes, fmt.Sprintf("%s %s %s %s by %s",
				e.StageTimestamp.Format(time.TimeOnly), e.Verb, e.ObjectRef.Resource, e.ObjectRef.Name, e.User.Username))
		}
	}
	if err := lines.Err(); err != nil {
		t.Fatalf("audit log: %v", err)
	}
	return writes
}

// auditEvent is what a line of the audit log says, as far as it is needed: audit.k8s.io/v1, Event.
type auditEvent struct {
	StageTimestamp time.Time
	Verb           string
	User           struct{ Username string }
	ObjectRef      struct{ Namespace, Resource, Name string }
}

func (e *auditEvent) ofOurs() bool {
	if e.ObjectRef.Namespace != restNamespace {
		return false
	}
	const account = "system:serviceaccount:"
	return strings.HasPrefix(e.User.Username, account+rig.SystemNamespace+":") || strings.HasPrefix(e.User.Username, account+restNamespace+":")
}
