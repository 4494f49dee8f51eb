package crd

import (
	"context"
	"testing"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/yaml"
)

// claimCases change a claim as the endpoint "corp" would make it.
var claimCases = []policyCase{
	{"a claim", "{}", ""},
	{"a claim with the times of a leader", "spec: {leaseDurationSeconds: 15}", ""},
	{
		"a name of another endpoint", "metadata: {name: lab-0123456789abcdef0123}",
		"the name must be corp- and twenty hexadecimal digits",
	},
	{
		"a name as leaders have", "metadata: {name: corp-leader}",
		"the name must be corp- and twenty hexadecimal digits",
	},
	{
		"more than a name", "metadata: {name: corp-0123456789abcdef0123-4}",
		"the name must be corp- and twenty hexadecimal digits",
	},
	{
		"no labels", "metadata: {labels: null}",
		"the label scepter.dev/endpoint must be corp, and scepter.dev/claim must be OneTime",
	},
	{
		"another endpoint's label", "metadata: {labels: {scepter.dev/endpoint: lab}}",
		"the label scepter.dev/endpoint must be corp, and scepter.dev/claim must be OneTime",
	},
	{
		"a claim of nothing", "metadata: {labels: {scepter.dev/claim: null}}",
		"the label scepter.dev/endpoint must be corp, and scepter.dev/claim must be OneTime",
	},
	{
		"a holder that is a leader", "spec: {holderIdentity: corp-ra-7c9}",
		"holderIdentity must be three groups of forty hexadecimal digits",
	},
	{
		"no holder", "spec: {holderIdentity: null}",
		"holderIdentity must be three groups of forty hexadecimal digits",
	},
	{
		"no spec", "spec: null",
		"holderIdentity must be three groups of forty hexadecimal digits",
	},
	{
		"an owner", "metadata: {ownerReferences: [{apiVersion: v1, kind: Pod, name: p, uid: u}]}",
		"a claim has neither owner references nor finalizers",
	},
	{
		"a finalizer", "metadata: {finalizers: [example.com/forever]}",
		"a claim has neither owner references nor finalizers",
	},
}

const claimOfCorp = `
metadata:
  name: corp-0123456789abcdef0123
  labels: {scepter.dev/endpoint: corp, scepter.dev/claim: OneTime}
  annotations: {scepter.dev/keep-until: "2026-03-01T12:00:00Z"}
spec:
  holderIdentity: 0123456789abcdef0123456789abcdef01234567.0123456789abcdef0123456789abcdef01234567.0123456789abcdef0123456789abcdef01234567
  acquireTime: "2026-03-01T11:00:00.000000Z"
`

func claim(t *testing.T, ns string, patches ...string) *unstructured.Unstructured {
	t.Helper()
	object := &unstructured.Unstructured{}
	if err := yaml.Unmarshal([]byte(claimOfCorp), &object.Object); err != nil {
		t.Fatal(err)
	}
	object.SetAPIVersion("coordination.k8s.io/v1")
	object.SetKind("Lease")
	object.SetNamespace(ns)
	for _, patch := range patches {
		change(t, object, patch)
	}
	return object
}

// tryClaim makes a claim without a trace.
func tryClaim(t *testing.T, c client.Client, ns string, patches ...string) error {
	t.Helper()
	return c.Create(context.Background(), claim(t, ns, patches...), client.DryRunAll)
}

// directCage is a namespace whose endpoint "corp" issues directly, and a client of
// its servers' service account.
func directCage(t *testing.T) (ns string, ra client.Client) {
	t.Helper()
	ns = cage(t)
	var corp unstructured.Unstructured
	corp.SetAPIVersion("scepter.dev/v1alpha1")
	corp.SetKind(endpoint)
	corp.SetNamespace(ns)
	corp.SetName("corp")
	direct := client.RawPatch("application/merge-patch+json", []byte(`{"spec":{"issuance":{"mode":"Direct"}}}`))
	if err := server.Client.Patch(context.Background(), &corp, direct); err != nil {
		t.Fatal(err)
	}
	ra = withRole(t, ns, "corp-ra", "scepter-ra-direct")
	await(t, "the policy to act", func() bool {
		return says(tryClaim(t, ra, ns, "spec: {holderIdentity: me}"), "holderIdentity must be")
	})
	return ns, ra
}

func TestClaimsAreCaged(t *testing.T) {
	ns, ra := directCage(t)
	for _, c := range claimCases {
		t.Run(c.name, func(t *testing.T) {
			checkMessage(t, tryClaim(t, ra, ns, c.patch), c.want)
		})
	}
}

// TestAClaimIsMadeOnce shows that a server can neither take a claim over nor give
// the challenge back.
func TestAClaimIsMadeOnce(t *testing.T) {
	ns, ra := directCage(t)
	made := claim(t, ns)
	if err := ra.Create(context.Background(), made); err != nil {
		t.Fatal(err)
	}
	if err := ra.Create(context.Background(), claim(t, ns)); !apierrors.IsAlreadyExists(err) {
		t.Errorf("made twice: %v", err)
	}
	if err := ra.Get(context.Background(), client.ObjectKeyFromObject(made), made); err != nil {
		t.Errorf("not to be read: %v", err)
	}
	for what, err := range map[string]error{
		"update": ra.Update(context.Background(), made),
		"delete": ra.Delete(context.Background(), made),
		"list":   ra.List(context.Background(), leases(), client.InNamespace(ns)),
	} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("%s: %v, want Forbidden", what, err)
		}
	}
}

func leases() *unstructured.UnstructuredList {
	list := &unstructured.UnstructuredList{}
	list.SetAPIVersion("coordination.k8s.io/v1")
	list.SetKind("LeaseList")
	return list
}

// TestEachModeHasItsObjects tries, with all rights that either mode has, what the
// other mode's servers make.
func TestEachModeHasItsObjects(t *testing.T) {
	ns, ra := directCage(t)
	serviceAccount(t, ns, "corp-ra") // the role of the other mode too
	await(t, "a refusal of CertificateRequests", func() bool {
		return says(request(t, ra, ns, "{}"), "ScepEndpoint corp issues by its signers (mode Direct): its servers make no CertificateRequests")
	})
	serviceAccount(t, ns, "lab-ra")
	lab := withRole(t, ns, "lab-ra", "scepter-ra-direct")
	asLab := "metadata: {name: lab-0123456789abcdef0123, labels: {scepter.dev/endpoint: lab}}"
	await(t, "a refusal of claims", func() bool {
		return says(tryClaim(t, lab, ns, asLab), "ScepEndpoint lab issues by CertificateRequests: its servers make no Leases")
	})
}

// TestClaimsOfOthers leaves alone the Leases of everybody else, and those of namespaces
// without endpoints: every node and every leader of the cluster has one there.
func TestClaimsOfOthers(t *testing.T) {
	ns, _ := directCage(t)
	builder := withRole(t, ns, "builder", "scepter-ra-direct")
	leader := "{metadata: {name: leader, labels: null}, spec: {holderIdentity: me}}"
	await(t, "another service account's Lease to pass", func() bool { return tryClaim(t, builder, ns, leader) == nil })
	empty := namespace(t)
	elsewhere := withRole(t, empty, "corp-ra", "scepter-ra-direct")
	await(t, "a Lease in another namespace to pass", func() bool { return tryClaim(t, elsewhere, empty, leader) == nil })
}
