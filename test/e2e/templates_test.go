package e2e

import (
	"context"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"fmt"
	"net/http"
	"testing"
	"time"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/test/rig"
	"github.com/scepter-pki/scepter/test/stock"
)

// severalURL is of testdata/templates.yaml, whose templates differ in their validity.
const (
	severalURL  = "http://several.example.com/scep"
	deviceLasts = 2160 * time.Hour
	laptopLasts = 240 * time.Hour
	signerLasts = 480 * time.Hour
)

// TestTemplates has devices select templates of one endpoint in every way there is.
func TestTemplates(t *testing.T) {
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", "testdata/templates.yaml"); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the endpoint with several templates to be Ready", rig.Ready(shared.api, namespace, "several"))
	mustWait(t, "the ingress to know the endpoint", func(ctx context.Context) (bool, string, error) {
		_, err := newClient(severalURL, shared.rig.Dial).GetCACert(ctx)
		return err == nil, fmt.Sprint(err), nil
	})
	t.Run("selection", selectsTemplates)
	t.Run("stock client", servesAStockClientByPath)
	t.Run("a template that is not there", hidesUnknownTemplates)
	t.Run("one-time challenges", bindsChallengesToTemplates)
	t.Run("a second certificate", limitsSubjects)
	t.Run("ambiguous templates", refusesAmbiguousTemplates)
	if err := shared.rig.Kubectl(t.Context(), "delete", "-f", "testdata/templates.yaml", "--wait"); err != nil {
		t.Fatal(err)
	}
}

// lasting is a validity in hours: the longest one ends with the CA, a little earlier.
func lasting(c *x509.Certificate) time.Duration { return c.NotAfter.Sub(c.NotBefore).Round(time.Hour) }

func selectsTemplates(t *testing.T) {
	name := extension(t, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2}, "workstationauthentication")
	information := extension(t, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 7}, struct {
		ID           asn1.ObjectIdentifier
		Major, Minor int
	}{asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 21, 8, 1, 2, 3}, 100, 4})
	unknown := extension(t, asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2}, "Nobody")
	signature := keyUsage(t, 0x80)
	for what, tc := range map[string]struct {
		path       string
		extensions []pkix.Extension
		lasts      time.Duration
	}{
		"the default":             {"", nil, deviceLasts},
		"an unknown name":         {"", []pkix.Extension{unknown}, deviceLasts},
		"a path":                  {"/laptop", nil, laptopLasts},
		"a path, as Windows does": {"/laptop/pkiclient.exe", []pkix.Extension{unknown}, laptopLasts},
		"a path before a name":    {"/device", []pkix.Extension{name}, deviceLasts},
		"a Microsoft name":        {"", []pkix.Extension{name}, laptopLasts},
		"a Microsoft OID":         {"", []pkix.Extension{information}, laptopLasts},
		"a name before a usage":   {"", []pkix.Extension{name, signature}, laptopLasts},
		"a key usage":             {"", []pkix.Extension{signature}, signerLasts},
	} {
		got := mustEnrol(t, newClient(severalURL+tc.path, shared.rig.Dial), enrolment(t, newName(), tc.extensions...))
		if lasts := lasting(got); lasts != tc.lasts {
			t.Errorf("%s: the certificate lasts %v, want %v", what, lasts, tc.lasts)
		}
	}
}

func servesAStockClientByPath(t *testing.T) {
	device, err := shared.rig.Device(t.Context(), shared.ca, host, "several.example.com")
	if err != nil {
		t.Fatal(err)
	}
	r := request("http")
	r.URL = severalURL + "/laptop"
	got, err := stock.All(device)[0].Enrol(within(t, enrolLimit), t.TempDir(), r)
	if err != nil {
		t.Fatal(err)
	}
	if lasts := lasting(got.Certificate); lasts != laptopLasts {
		t.Errorf("the certificate lasts %v, want %v", lasts, laptopLasts)
	}
}

func hidesUnknownTemplates(t *testing.T) {
	devices := http.Client{Transport: &http.Transport{DialContext: shared.rig.Dial, DisableKeepAlives: true}}
	for query, want := range map[string]int{
		"/laptop?operation=GetCACaps": http.StatusOK,
		"/nobody?operation=GetCACaps": http.StatusNotFound,
		"/nobody?operation=GetCACert": http.StatusNotFound,
	} {
		r, err := http.NewRequestWithContext(within(t, enrolLimit), http.MethodGet, severalURL+query, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		response, err := devices.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		if _ = response.Body.Close(); response.StatusCode != want {
			t.Errorf("GET %s: HTTP status %d, want %d", query, response.StatusCode, want)
		}
	}
}

// bindsChallengesToTemplates: what kubectl mints for one template lets in there only.
func bindsChallengesToTemplates(t *testing.T) {
	plugin, err := shared.rig.Program(t.Context(), "kubectl-scep")
	if err != nil {
		t.Fatal(err)
	}
	minted, err := kubectlScep{plugin}.run(within(t, enrolLimit), "challenge", "several", "--template", "laptop")
	if err != nil {
		t.Fatal(err)
	}
	r := withChallenge(enrolment(t, newName()), minted)
	result, err := newClient(severalURL, shared.rig.Dial).Enrol(within(t, enrolLimit), r)
	mustRefuse(t, result, err, "challenge password refused")
	mustEnrol(t, newClient(severalURL+"/laptop", shared.rig.Dial), r)
}

// limitsSubjects: each server counts what it has heard of, so that of requests right
// behind the first one some may still be granted.
func limitsSubjects(t *testing.T) {
	signer, name := newClient(severalURL+"/signer", shared.rig.Dial), newName()
	mustEnrol(t, signer, enrolment(t, name))
	for range 5 {
		result, err := signer.Enrol(within(t, enrolLimit), enrolment(t, name))
		if err != nil {
			t.Fatal(err)
		}
		if result.Certificate == nil {
			break
		}
	}
	result, err := signer.Enrol(within(t, enrolLimit), enrolment(t, name))
	mustRefuse(t, result, err, "may have 1 valid certificates")
}

func refusesAmbiguousTemplates(t *testing.T) {
	const patch = `{"spec":{"microsoft":{"name":"workstationauthentication"}}}`
	if err := shared.rig.Kubectl(t.Context(), "patch", "certificatetemplate", "signer", "-n", namespace, "--type", "merge", "-p", patch); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the endpoint to name the ambiguous templates", func(ctx context.Context) (bool, string, error) {
		var ep v1alpha1.ScepEndpoint
		err := shared.api.Get(ctx, client.ObjectKey{Namespace: namespace, Name: "several"}, &ep)
		accepted := conditions.Find(ep.Status.Conditions, v1alpha1.ConditionAccepted)
		if err != nil || accepted == nil {
			return false, "no condition", err
		}
		return accepted.Reason == v1alpha1.ReasonTemplatesAmbiguous, accepted.Reason + ": " + accepted.Message, nil
	})
	mustEnrol(t, newClient(severalURL, shared.rig.Dial), enrolment(t, newName())) // by the last configuration
}
