package crd

import (
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/util/wait"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"

	"github.com/scepter-pki/scepter/test/internal/manifest"
)

// policyCase is a CertificateRequest as the endpoint "corp" would make it, with a
// change, and what the admission policy says of it.
type policyCase struct{ name, patch, want string }

var policyCases = []policyCase{
	{"as granted", "{}", ""},
	{"fewer usages", "spec: {usages: [client auth]}", ""},
	{"a shorter duration", "spec: {duration: 1h}", ""},
	{"isCA left out", "spec: {isCA: null}", ""},
	{"the issuer with defaults", "spec: {issuerRef: {group: null, kind: null}}", ""},
	{
		"another issuer", "spec: {issuerRef: {name: root-ca}}",
		"issuerRef is Issuer.cert-manager.io/root-ca, but ScepEndpoint corp issues from Issuer.cert-manager.io/corp-ca",
	},
	{
		"a cluster issuer of the same name", "spec: {issuerRef: {kind: ClusterIssuer}}",
		"issuerRef is ClusterIssuer.cert-manager.io/corp-ca, but ScepEndpoint corp issues from Issuer.cert-manager.io/corp-ca",
	},
	{
		"an issuer of another group", "spec: {issuerRef: {group: evil.example}}",
		"issuerRef is Issuer.evil.example/corp-ca, but ScepEndpoint corp issues from Issuer.cert-manager.io/corp-ca",
	},
	{
		"a usage not granted", "spec: {usages: [client auth, server auth]}",
		"usages are [client auth, server auth], but the templates of ScepEndpoint corp grant [digital signature, client auth]",
	},
	{
		"no usages", "spec: {usages: null}",
		"usages are [], but the templates of ScepEndpoint corp grant [digital signature, client auth] (at least one must be named)",
	},
	{
		"a longer duration", "spec: {duration: 8761h}",
		"duration is 8761h, but the templates of ScepEndpoint corp grant at most 8760h",
	},
	{
		"no duration", "spec: {duration: null}",
		"duration is not set, but the templates of ScepEndpoint corp grant at most 8760h",
	},
	{
		"a CA certificate", "spec: {isCA: true}",
		"isCA is true: a registration authority never asks for a CA certificate",
	},
	{
		"no label", "metadata: {labels: null}",
		"the label scepter.dev/endpoint must be corp",
	},
	{
		"a trial that nobody wants", "{metadata: {labels: {scepter.dev/trial: id}}, spec: {duration: 1h}}",
		"the label scepter.dev/trial needs a duration of at most 1h, and issuance.trial OnChange in ScepEndpoint corp",
	},
	{
		"a canary that nobody wants", "{metadata: {labels: {scepter.dev/canary: Full}}, spec: {duration: 1h, usages: [digital signature]}}",
		"the label scepter.dev/canary needs the usage digital signature alone, a duration of at most 1h, and probes.canary.level Full in ScepEndpoint corp",
	},
	{
		"another endpoint's label", "metadata: {labels: {scepter.dev/endpoint: lab}}",
		"the label scepter.dev/endpoint must be corp",
	},
}

// everything breaks every rule at once.
const everything = "{metadata: {labels: null}, spec: {isCA: true, duration: null, usages: null, issuerRef: {name: root-ca}}}"

func TestPolicyCagesTheEndpointsServiceAccount(t *testing.T) {
	ns := cage(t)
	ra := serviceAccount(t, ns, "corp-ra")
	awaitPolicy(t, ra, ns, "{}")
	for _, c := range policyCases {
		t.Run(c.name, func(t *testing.T) {
			checkMessage(t, request(t, ra, ns, c.patch), c.want)
		})
	}
}

// TestPolicyGoesByTheOwnEndpoint shows that a second endpoint of the namespace
// neither widens nor narrows what the first one's service account may ask for.
func TestPolicyGoesByTheOwnEndpoint(t *testing.T) {
	ns := cage(t)
	lab := serviceAccount(t, ns, "lab-ra")
	asLab := "{metadata: {labels: {scepter.dev/endpoint: lab}}, spec: {issuerRef: {name: lab-ca}, usages: [server auth], duration: 1h}}"
	awaitPolicy(t, lab, ns, asLab)
	checkMessage(t, request(t, lab, ns, asLab), "")
	checkMessage(t, request(t, lab, ns, "{}"), "ScepEndpoint lab")
	corp := serviceAccount(t, ns, "corp-ra")
	awaitPolicy(t, corp, ns, "{}")
	checkMessage(t, request(t, corp, ns, asLab), "ScepEndpoint corp")
}

// TestPolicyBoundsTrials: where trials are wanted, they are for an hour at most.
func TestPolicyBoundsTrials(t *testing.T) {
	ns := cage(t)
	trying := newObject("scepter.dev/v1alpha1", "ScepEndpoint")
	if err := server.Client.Get(context.Background(), client.ObjectKey{Namespace: ns, Name: "corp"}, trying); err != nil {
		t.Fatal(err)
	}
	change(t, trying, "spec: {issuance: {trial: OnChange}}")
	if err := server.Client.Update(context.Background(), trying); err != nil {
		t.Fatal(err)
	}
	corp := serviceAccount(t, ns, "corp-ra")
	const trial = "{metadata: {labels: {scepter.dev/trial: id}}, spec: {duration: 1h}}"
	await(t, "a trial to pass", func() bool { return request(t, corp, ns, trial) == nil })
	checkMessage(t, request(t, corp, ns, trial, "spec: {duration: 61m}"),
		"the label scepter.dev/trial needs a duration of at most 1h, and issuance.trial OnChange in ScepEndpoint corp")
}

// TestPolicyBoundsCanaries: where canaries are issued to, they get next to nothing,
// whatever the templates grant.
func TestPolicyBoundsCanaries(t *testing.T) {
	ns := cage(t)
	trying := newObject("scepter.dev/v1alpha1", "ScepEndpoint")
	if err := server.Client.Get(context.Background(), client.ObjectKey{Namespace: ns, Name: "corp"}, trying); err != nil {
		t.Fatal(err)
	}
	change(t, trying, "spec: {probes: {canary: {level: Full}}}")
	if err := server.Client.Update(context.Background(), trying); err != nil {
		t.Fatal(err)
	}
	corp := serviceAccount(t, ns, "corp-ra")
	const canary = "{metadata: {labels: {scepter.dev/canary: Full}}, spec: {duration: 1h, usages: [digital signature]}}"
	await(t, "a canary to pass", func() bool { return request(t, corp, ns, canary) == nil })
	const refused = "the label scepter.dev/canary needs the usage digital signature alone, a duration of at most 1h, and probes.canary.level Full in ScepEndpoint corp"
	checkMessage(t, request(t, corp, ns, canary, "spec: {duration: 61m}"), refused)
	checkMessage(t, request(t, corp, ns, canary, "spec: {duration: null}"), refused)
	checkMessage(t, request(t, corp, ns, canary, "spec: {usages: [digital signature, client auth]}"), refused)
	checkMessage(t, request(t, corp, ns, canary, "spec: {issuerRef: {name: root-ca}}"), "issuerRef is Issuer.cert-manager.io/root-ca")
}

func TestPolicyLeavesOthersAlone(t *testing.T) {
	ns := cage(t)
	awaitPolicy(t, serviceAccount(t, ns, "corp-ra"), ns, "{}")
	others := map[string]client.Client{
		"an administrator":            server.Client,
		"another service account":     serviceAccount(t, ns, "builder"),
		"a person whose name ends so": person(t, ns, "maria-ra"),
	}
	for name, c := range others {
		t.Run(name, func(t *testing.T) {
			await(t, "the request to pass", func() bool { return request(t, c, ns, everything) == nil })
		})
	}
}

// TestPolicyKnowsItsPlace: a namespace without endpoints is none of the policy's business.
func TestPolicyKnowsItsPlace(t *testing.T) {
	caged := cage(t)
	awaitPolicy(t, serviceAccount(t, caged, "corp-ra"), caged, "{}")
	empty := namespace(t)
	for _, name := range []string{"cert-manager", "corp-ra"} {
		c := serviceAccount(t, empty, name)
		await(t, "the request of "+name+" to pass", func() bool { return request(t, c, empty, everything) == nil })
	}
}

// TestPolicyDeniesBeforeTheGrants covers an endpoint that the operator has not seen yet.
func TestPolicyDeniesBeforeTheGrants(t *testing.T) {
	ns := cage(t)
	ra := serviceAccount(t, ns, "corp-ra")
	awaitPolicy(t, ra, ns, "{}")
	fresh := sample(t, endpoint, ns)
	fresh.SetName("fresh")
	if err := server.Client.Create(context.Background(), fresh); err != nil {
		t.Fatal(err)
	}
	c := serviceAccount(t, ns, "fresh-ra")
	patch := "metadata: {labels: {scepter.dev/endpoint: fresh}}"
	await(t, "a refusal for want of grants", func() bool {
		return says(request(t, c, ns, patch), "the templates of ScepEndpoint fresh grant []")
	})
}

// cage installs policy and role, and makes a namespace with the endpoints "corp" and "lab".
func cage(t *testing.T) string {
	t.Helper()
	objects, err := manifest.Read(
		filepath.Join(server.Root, "config/admission/ra_*.yaml"), filepath.Join(server.Root, "config/rbac/ra.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	for _, object := range objects {
		if err := server.Client.Create(context.Background(), object); client.IgnoreAlreadyExists(err) != nil {
			t.Fatal(err)
		}
	}
	ns := namespace(t)
	endpointWithGrants(t, ns, "corp", "{usages: [digital signature, client auth], maxDuration: 8760h}")
	endpointWithGrants(t, ns, "lab", "{usages: [server auth], maxDuration: 24h}")
	return ns
}

func endpointWithGrants(t *testing.T, ns, name, grants string) {
	t.Helper()
	object := sample(t, endpoint, ns)
	object.SetName(name)
	change(t, object, "spec: {issuance: {issuerRef: {name: "+name+"-ca}}}")
	if err := server.Client.Create(context.Background(), object); err != nil {
		t.Fatal(err)
	}
	change(t, object, "status: {grants: "+grants+"}")
	if err := server.Client.Status().Update(context.Background(), object); err != nil {
		t.Fatal(err)
	}
}

// serviceAccount is a client of a service account that has the role scepter-ra.
func serviceAccount(t *testing.T, ns, name string) client.Client {
	t.Helper()
	return withRole(t, ns, name, "scepter-ra")
}

// withRole is a client of a service account that has a ClusterRole in a namespace.
func withRole(t *testing.T, ns, name, role string) client.Client {
	t.Helper()
	bind(t, ns, role, fmt.Sprintf("{kind: ServiceAccount, name: %s, namespace: %s}", name, ns))
	return as(t, "system:serviceaccount:"+ns+":"+name, "system:serviceaccounts", "system:authenticated")
}

func person(t *testing.T, ns, name string) client.Client {
	t.Helper()
	bind(t, ns, "scepter-ra", "{kind: User, apiGroup: rbac.authorization.k8s.io, name: "+name+"}")
	return as(t, name, "system:authenticated")
}

func as(t *testing.T, user string, groups ...string) client.Client {
	t.Helper()
	c, err := server.As(user, groups...)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func bind(t *testing.T, ns, role, subject string) {
	t.Helper()
	binding := newObject("rbac.authorization.k8s.io/v1", "RoleBinding")
	binding.SetNamespace(ns)
	binding.SetGenerateName("ra-")
	change(t, binding, "{roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "+role+"}, subjects: ["+subject+"]}")
	if err := server.Client.Create(context.Background(), binding); err != nil {
		t.Fatal(err)
	}
}

const certificateRequest = `
metadata:
  generateName: corp-
  labels: {scepter.dev/endpoint: corp}
spec:
  request: bm90IGEgQ1NS
  issuerRef: {group: cert-manager.io, kind: Issuer, name: corp-ca}
  usages: [digital signature, client auth]
  duration: 8760h
  isCA: false
`

// request makes the CertificateRequest with changes, without a trace.
func request(t *testing.T, c client.Client, ns string, patches ...string) error {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(certificateRequest), &object.Object); err != nil {
		t.Fatal(err)
	}
	object.SetAPIVersion("cert-manager.io/v1")
	object.SetKind("CertificateRequest")
	object.SetNamespace(ns)
	for _, patch := range patches {
		change(t, object, patch)
	}
	return c.Create(context.Background(), object, client.DryRunAll)
}

// awaitPolicy waits until the API server acts by the policy, the role binding and
// the endpoint's grants: of a request that is otherwise good it says that isCA is true.
func awaitPolicy(t *testing.T, c client.Client, ns, good string) {
	t.Helper()
	await(t, "the policy to act", func() bool {
		return says(request(t, c, ns, good, "spec: {isCA: true}"), "isCA is true")
	})
}

func says(err error, what string) bool { return err != nil && strings.Contains(err.Error(), what) }

func await(t *testing.T, what string, done func() bool) {
	t.Helper()
	err := wait.PollUntilContextTimeout(context.Background(), 50*time.Millisecond, time.Minute, true,
		func(context.Context) (bool, error) { return done(), nil })
	if err != nil {
		t.Fatalf("waited a minute for %s", what)
	}
}
