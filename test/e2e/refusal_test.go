package e2e

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// sends enrols through the ingress.
func sends(t *testing.T, r scep.EnrolRequest) func() (*scep.Result, error) {
	t.Helper()
	return func() (*scep.Result, error) { return through("http").Enrol(within(t, enrolLimit), r) }
}

// outcome is a result in words; there may be none.
func outcome(result *scep.Result) string {
	if result == nil {
		return "no result"
	}
	return result.Status.String() + " " + result.FailInfoText
}

// TestF17KeyDoesNotFit has the template ask for another digest than devices sign with, and a
// device come with too short a key: they are told what they asked with and what is allowed,
// and those that heed it are served.
func TestF17KeyDoesNotFit(t *testing.T) {
	row := failureRow(t, "F17")
	setTemplate(t, `{"signatureDigests": ["SHA-384"]}`)
	t.Cleanup(func() { setTemplate(t, `{"signatureDigests": null}`) })
	row.Injected()
	short, other := enrolment(t, newName()), enrolment(t, newName())
	key, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	short.Key, short.Template.SignatureAlgorithm = key, x509.SHA384WithRSA
	mustWait(t, "all servers to refuse the digest", everyServer(t, func(ctx context.Context, c *scep.Client) (bool, string, error) {
		result, err := c.Enrol(ctx, other)
		return err == nil && result.Status == scep.StatusFailure, outcome(result), err
	}))
	row.mustRefuse(
		refusedCase{refusal.KeyNotAllowed, scep.BadAlg, []string{"RSA 1024", "2048"}, sends(t, short)},
		refusedCase{refusal.DigestNotAllowed, scep.BadAlg, []string{"SHA256-RSA", "SHA-384"}, sends(t, other)},
	)
	short.Key = newKey(t)
	mustEnrol(t, through("http"), short)
	setTemplate(t, `{"signatureDigests": null}`)
	row.Remedied()
	row.mustHeal(namespace, endpoint, everyServer(t, func(ctx context.Context, c *scep.Client) (bool, string, error) {
		result, err := c.Enrol(ctx, enrolment(t, newName()))
		return err == nil && result.Status == scep.StatusSuccess, outcome(result), err
	}))
	mustEnrol(t, through("http"), enrolment(t, newName()))
	row.Served()
}

// TestF26ChallengeRefused has devices come with challenges that are none, wrong, too old or
// spent; each refusal has its reason. More challenges are open than the five that NDES
// remembers, and each is good.
func TestF26ChallengeRefused(t *testing.T) {
	row := failureRow(t, "F26")
	addChallenge(t, v1alpha1.Challenge{Name: "once", Type: v1alpha1.ChallengeOneTime})
	plugin, err := shared.rig.Program(t.Context(), "kubectl-scep")
	if err != nil {
		t.Fatal(err)
	}
	mint := func(flags ...string) string {
		minted, err := (kubectlScep{plugin}).run(within(t, enrolLimit), append([]string{"challenge", endpoint}, flags...)...)
		if err != nil {
			t.Fatal(err)
		}
		return minted
	}
	const moreThanNDESKeeps = 6
	var open []string
	for range moreThanNDESKeeps {
		open = append(open, mint())
	}
	expired := mint("--validity", "1s")
	ends := time.Now().Add(time.Second)
	mustEnrol(t, through("http"), withChallenge(enrolment(t, newName()), open[0]))
	mustWait(t, "the challenge of a second to end", func(context.Context) (bool, string, error) {
		return time.Now().After(ends), "", nil
	})
	with := func(password string) func() (*scep.Result, error) {
		return sends(t, withChallenge(enrolment(t, newName()), password))
	}
	row.Injected()
	row.mustRefuse(
		refusedCase{refusal.ChallengeMissing, scep.BadRequest, []string{"required"}, with("")},
		refusedCase{refusal.ChallengeWrong, scep.BadRequest, []string{"refused"}, with("wrong")},
		refusedCase{refusal.ChallengeExpired, scep.BadRequest, []string{"expired"}, with(expired)},
		refusedCase{refusal.ChallengeUsed, scep.BadRequest, []string{"already used"}, with(open[0])},
	)
	row.mustHeal(namespace, endpoint, enrols(t))
	for _, password := range open[1:] {
		mustEnrol(t, through("http"), withChallenge(enrolment(t, newName()), password))
	}
	row.Served()
}

// changeEndpoint merges a patch into the endpoint.
func changeEndpoint(t *testing.T, patch string) {
	t.Helper()
	// A cleanup runs after the test's own context has ended.
	ctx := context.WithoutCancel(t.Context())
	if err := shared.api.Patch(ctx, named(&v1alpha1.ScepEndpoint{}, endpoint), client.RawPatch(types.MergePatchType, []byte(patch))); err != nil {
		t.Fatal(err)
	}
}

// mustLoad waits until every server has the endpoint's present spec.
func mustLoad(t *testing.T) {
	t.Helper()
	ep := named(&v1alpha1.ScepEndpoint{}, endpoint)
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(ep), ep); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "all servers to load the endpoint's spec", func(ctx context.Context) (bool, string, error) {
		pods := servers(t)
		behind := len(pods) != 2
		seen := fmt.Sprintf("generation %d is wanted;", ep.Generation)
		for _, pod := range pods {
			status, err := serverStatus(ctx, t, pod.Name)
			if err != nil {
				return false, "", err
			}
			behind = behind || status.ConfigGeneration < ep.Generation
			seen += fmt.Sprintf(" %s has %d %v", pod.Name, status.ConfigGeneration, status.Problems)
		}
		return !behind, seen, nil
	})
}

// serverStatus is what a server says of itself.
func serverStatus(ctx context.Context, t *testing.T, pod string) (*raconfig.ReplicaStatus, error) {
	t.Helper()
	raw, err := clientset(t).CoreV1().RESTClient().Get().Namespace(namespace).Resource("pods").
		Name(pod + ":8081").SubResource("proxy").Suffix("status").DoRaw(ctx)
	if err != nil {
		return nil, err
	}
	status := &raconfig.ReplicaStatus{}
	return status, json.Unmarshal(raw, status)
}

// addChallenge adds an entry to the endpoint's challenges until the test ends, and waits
// until the servers have it.
func addChallenge(t *testing.T, added v1alpha1.Challenge) {
	t.Helper()
	ep := named(&v1alpha1.ScepEndpoint{}, endpoint)
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(ep), ep); err != nil {
		t.Fatal(err)
	}
	before := ep.Spec.Challenges
	t.Cleanup(func() { setChallenges(t, before) })
	setChallenges(t, append(before[:len(before):len(before)], added))
	mustLoad(t)
}

func setChallenges(t *testing.T, challenges []v1alpha1.Challenge) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"spec": map[string]any{"challenges": challenges}})
	if err != nil {
		t.Fatal(err)
	}
	changeEndpoint(t, string(patch))
}
