package e2e

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// Names in testdata/page.yaml.
const (
	pageEndpoint = "page"
	pageHost     = "page-admin.example.net"
	pageURL      = "https://" + pageHost + "/certsrv/mscep_admin/"
)

// TestF27ChallengePage reads the page of challenges as a person does, while its name leads
// to it, to nowhere, and to something else: the condition names it, and a device enrols
// with what a person gets there when it is back.
func TestF27ChallengePage(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F27")
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", "testdata/page.yaml"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.rig.Kubectl(context.WithoutCancel(t.Context()), "delete", "-f", "testdata/page.yaml", "--wait=false"); err != nil {
			t.Error(err)
		}
	})
	service := mustHaveAddress(t, pageEndpoint+"-ra-admin")
	node, err := shared.rig.IngressAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	setRecord(t, pageHost, service)
	mustWait(t, "the endpoint to be Ready", rig.Ready(shared.api, namespace, pageEndpoint))
	mustWait(t, "the page to be probed", pageIs(v1alpha1.ProbePassed))
	mustWait(t, "the ingress to know the servers", func(ctx context.Context) (bool, string, error) {
		_, err := pageDevice().GetCACert(ctx)
		return err == nil, "", err
	})
	mustServePage(t, service)
	row.Used("a healthy tier")

	setRecord(t, pageHost, "")
	mustSayOfPage(t, v1alpha1.ReasonNameNotResolved, "make a DNS record", "page-ra-admin")
	row.Used("a name that leads nowhere")
	setRecord(t, pageHost, node)
	mustSayOfPage(t, v1alpha1.ReasonTLSInvalid, "at "+node, "page-ra-admin")
	row.Used("a name that leads to something else")
	setRecord(t, pageHost, service)
	mustWait(t, "the page to pass again", pageIs(v1alpha1.ProbePassed))
	mustWait(t, "the endpoint to be Ready", rig.Ready(shared.api, namespace, pageEndpoint))
	mustServePage(t, service)
}

// mustHaveAddress waits for the address of a Service.
func mustHaveAddress(t *testing.T, name string) string {
	t.Helper()
	service := named(&corev1.Service{}, name)
	mustWait(t, "Service "+name, func(ctx context.Context) (bool, string, error) {
		err := shared.api.Get(ctx, client.ObjectKeyFromObject(service), service)
		return service.Spec.ClusterIP != "", "", err
	})
	return service.Spec.ClusterIP
}

// pageIs checks what the status says of the page.
func pageIs(want string) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		ep := named(&v1alpha1.ScepEndpoint{}, pageEndpoint)
		if err := shared.api.Get(ctx, client.ObjectKeyFromObject(ep), ep); err != nil {
			return false, "", err
		}
		if ep.Status.Probes == nil || ep.Status.Probes.Admin == nil {
			return false, "not probed", nil
		}
		got := ep.Status.Probes.Admin
		return got.Result == want && got.URL == pageURL, fmt.Sprintf("%+v", *got), nil
	}
}

// mustSayOfPage waits until condition and status tell; the endpoint goes on being Ready.
func mustSayOfPage(t *testing.T, result string, parts ...string) {
	t.Helper()
	mustWait(t, "the condition to tell of the page", condition("ScepEndpoint", namespace, pageEndpoint, v1alpha1.ConditionExposed,
		func(c *metav1.Condition) bool {
			says := func(part string) bool { return strings.Contains(c.Message, part) }
			missing := slices.ContainsFunc(append(parts, "of exposure.admin, "+pageURL), func(p string) bool { return !says(p) })
			return isTrue(c) && c.Reason == v1alpha1.ReasonAdminUnreachable && !missing
		}))
	mustWait(t, "the status to say so", pageIs(result))
	mustWait(t, "the endpoint to be Ready all the same", rig.Ready(shared.api, namespace, pageEndpoint))
}

// mustServePage gets a challenge from the page, with which a device enrols; without the
// password there is none.
func mustServePage(t *testing.T, service string) {
	t.Helper()
	status, body := readPage(t, service, "let-me-mint")
	found := password.FindStringSubmatch(body)
	if status != http.StatusOK || found == nil {
		t.Fatalf("HTTP status %d:\n%s", status, body)
	}
	r := enrolment(t, newName())
	r.ChallengePassword = found[1]
	mustEnrol(t, pageDevice(), r)
	if status, _ := readPage(t, service, "wrong"); status != http.StatusUnauthorized {
		t.Errorf("a wrong password: HTTP status %d, want 401", status)
	}
}

// pageDevice is a device of the endpoint.
func pageDevice() *scep.Client { return newClient("http://page.example.com/scep", shared.rig.Dial) }

// readPage reads the page at an address over TLS, as its user.
func readPage(t *testing.T, address, secret string) (status int, body string) {
	t.Helper()
	return getPage(t, pageURL, net.JoinHostPort(address, "443"), "mdm", secret)
}
