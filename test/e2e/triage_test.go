package e2e

import (
	"context"
	"encoding/json"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/triage"
	"github.com/scepter-pki/scepter/test/rig"
)

// Names in testdata/triage.yaml.
const (
	fatesEndpoint = "fates"
	fatesURL      = "http://fates.example.com/scep"
)

// keyStore is of the advice for a device that sent nothing.
const keyStore = "key store"

// TestF33KeyNotMade asks what became of a device that got a challenge and never came, as one
// does that cannot make its key pair: what to check on it is listed, and it is not for a
// device that was refused, nor for one that has its certificate.
func TestF33KeyNotMade(t *testing.T) {
	row := failureRow(t, "F33")
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", "testdata/triage.yaml"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.rig.Kubectl(context.WithoutCancel(t.Context()), "delete", "-f", "testdata/triage.yaml", "--wait=false"); err != nil {
			t.Error(err)
		}
	})
	mustWait(t, "the endpoint of three fates to be Ready", rig.Ready(shared.api, namespace, fatesEndpoint))
	c := newStrictClient(fatesURL, shared.rig.Dial)
	mustWait(t, "the ingress to know it", func(ctx context.Context) (bool, string, error) {
		_, err := c.GetCACert(ctx)
		return err == nil, "", err
	})
	plugin, err := shared.rig.Program(t.Context(), "kubectl-scep")
	if err != nil {
		t.Fatal(err)
	}
	kubectl := kubectlScep{plugin}
	absent, refused, served := newName(), newName(), newName()
	kubectl.mintFor(t, absent)
	mustEnrol(t, c, withChallenge(enrolment(t, served), kubectl.mintFor(t, served)))
	result, err := c.Enrol(within(t, enrolLimit), withChallenge(enrolment(t, refused), "wrong"))
	mustRefuse(t, result, err)
	for _, fate := range []struct {
		tier, name string
		class      triage.Class
		says       string
		listed     bool
	}{
		{"a device that never came", absent, triage.NothingArrived, absent, true},
		{"a device that was refused", refused, triage.Refused, string(refusal.ChallengeWrong), false},
		{"a device that enrolled", served, triage.Valid, served, false},
	} {
		kubectl.mustJudge(t, fate.name, fate.class, fate.says, fate.listed)
		row.Used(fate.tier)
	}
	v := kubectl.triage(t, "--transaction", result.TransactionID)
	if v.Class != triage.Refused {
		t.Errorf("the transaction that was refused: %s: %s", v.Class, v.Summary)
	}
}

// mintFor mints a challenge for one device, which asks as enrolment does.
func (k kubectlScep) mintFor(t *testing.T, name string) string {
	t.Helper()
	minted, err := k.run(within(t, enrolLimit), "challenge", fatesEndpoint, "--subject", "commonName="+name, "--subject", "organization="+organization)
	if err != nil {
		t.Fatal(err)
	}
	return minted
}

// mustJudge asks about a device, and whether what to check on it is listed.
func (k kubectlScep) mustJudge(t *testing.T, name string, class triage.Class, says string, listed bool) {
	t.Helper()
	v := k.triage(t, "--subject", name)
	has := false
	for _, a := range v.Advice {
		has = has || strings.Contains(a.Check, keyStore)
	}
	if v.Class != class || !strings.Contains(v.Summary, says) || has != listed || len(v.Evidence) == 0 {
		t.Errorf("%s is %s, want %s; the list is there: %t, want %t: %+v", name, v.Class, class, has, listed, v)
	}
}

func (k kubectlScep) triage(t *testing.T, flags ...string) triage.Verdict {
	t.Helper()
	out, err := k.run(within(t, enrolLimit), append([]string{"triage", fatesEndpoint, "-o", "json"}, flags...)...)
	if err != nil {
		t.Fatal(err)
	}
	var v triage.Verdict
	if err := json.Unmarshal([]byte(out), &v); err != nil {
		t.Fatal(err)
	}
	t.Logf("%s: %s; gaps %q, notes %q", v.Class, v.Summary, v.Coverage.Gaps, v.Notes)
	return v
}
