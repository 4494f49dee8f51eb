// Package ratest is for tests of the registration authority: a real API server
// with cert-manager's kinds, an issuer whose moods a test can set, the files that
// the operator would mount, and servers.
//
//	func TestMain(m *testing.M) { ratest.Main(m) }
package ratest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certmanagerclient "github.com/cert-manager/cert-manager/pkg/client/clientset/versioned/typed/certmanager/v1"
	admissionv1 "k8s.io/api/admissionregistration/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"

	"github.com/scepter-pki/scepter/test/apiserver"
)

const (
	prepareLimit = 2 * time.Minute
	resource     = "certificaterequests"
	roleName     = "scepter-ra"
)

// admin reaches the API server of this test binary; Main sets it before any test runs.
var admin *rest.Config

// Main starts the API server, runs the tests, stops the server, and exits.
func Main(m *testing.M) {
	apiserver.Main(m, func(s *apiserver.Server) error {
		admin = s.Config
		return prepare()
	})
}

// prepare installs what a cluster has: the servers' role, and the stamping of the
// requester's name, which cert-manager's webhook does.
func prepare() error {
	ctx, cancel := context.WithTimeout(context.Background(), prepareLimit)
	defer cancel()
	client, err := kubernetes.NewForConfig(admin)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: roleName},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{certmanagerv1.SchemeGroupVersion.Group},
			Resources: []string{resource},
			Verbs:     []string{"get", "list", "watch", "create"},
		}, {
			APIGroups: []string{"coordination.k8s.io"}, Resources: []string{"leases"}, Verbs: []string{"create", "get"},
		}, {
			APIGroups: []string{"authorization.k8s.io"}, Resources: []string{"localsubjectaccessreviews"}, Verbs: []string{"create"},
		}},
	}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create role: %w", err)
	}
	if err := allowTokenReviews(ctx, client); err != nil {
		return err
	}
	admission := client.AdmissionregistrationV1()
	if _, err := admission.MutatingAdmissionPolicies().Create(ctx, stampPolicy(), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create admission policy: %w", err)
	}
	if _, err := admission.MutatingAdmissionPolicyBindings().Create(ctx, stampBinding(), metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create admission policy: %w", err)
	}
	return waitForStamp(ctx)
}

// allowTokenReviews does what config/rbac/ra.yaml does for all service accounts.
func allowTokenReviews(ctx context.Context, client kubernetes.Interface) error {
	const name = "scepter-ra-reviews"
	role := &rbacv1.ClusterRole{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		Rules: []rbacv1.PolicyRule{{
			APIGroups: []string{"authentication.k8s.io"}, Resources: []string{"tokenreviews"}, Verbs: []string{"create"},
		}},
	}
	if _, err := client.RbacV1().ClusterRoles().Create(ctx, role, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create role: %w", err)
	}
	binding := &rbacv1.ClusterRoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: name},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: name},
		Subjects:   []rbacv1.Subject{{APIGroup: rbacv1.GroupName, Kind: rbacv1.GroupKind, Name: "system:serviceaccounts"}},
	}
	if _, err := client.RbacV1().ClusterRoleBindings().Create(ctx, binding, metav1.CreateOptions{}); err != nil {
		return fmt.Errorf("create role binding: %w", err)
	}
	return nil
}

const stampName = "stamp-requester"

func stampPolicy() *admissionv1.MutatingAdmissionPolicy {
	fail := admissionv1.Fail
	return &admissionv1.MutatingAdmissionPolicy{
		ObjectMeta: metav1.ObjectMeta{Name: stampName},
		Spec: admissionv1.MutatingAdmissionPolicySpec{
			FailurePolicy:      &fail,
			ReinvocationPolicy: admissionv1.NeverReinvocationPolicy,
			MatchConstraints: &admissionv1.MatchResources{ResourceRules: []admissionv1.NamedRuleWithOperations{{
				RuleWithOperations: admissionv1.RuleWithOperations{
					Operations: []admissionv1.OperationType{admissionv1.Create},
					Rule: admissionv1.Rule{
						APIGroups:   []string{certmanagerv1.SchemeGroupVersion.Group},
						APIVersions: []string{certmanagerv1.SchemeGroupVersion.Version},
						Resources:   []string{resource},
					},
				},
			}}},
			Mutations: []admissionv1.Mutation{{
				PatchType: admissionv1.PatchTypeApplyConfiguration,
				ApplyConfiguration: &admissionv1.ApplyConfiguration{
					Expression: "Object{spec: Object.spec{username: request.userInfo.username}}",
				},
			}},
		},
	}
}

func stampBinding() *admissionv1.MutatingAdmissionPolicyBinding {
	return &admissionv1.MutatingAdmissionPolicyBinding{
		ObjectMeta: metav1.ObjectMeta{Name: stampName},
		Spec:       admissionv1.MutatingAdmissionPolicyBindingSpec{PolicyName: stampName},
	}
}

// waitForStamp waits until the policy has taken effect.
func waitForStamp(ctx context.Context) error {
	client, err := certmanagerclient.NewForConfig(admin)
	if err != nil {
		return fmt.Errorf("client: %w", err)
	}
	probe := &certmanagerv1.CertificateRequest{ObjectMeta: metav1.ObjectMeta{GenerateName: "probe-"}}
	probe.Spec.IssuerRef.Name, probe.Spec.Request = "none", []byte("none")
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		made, err := client.CertificateRequests("default").Create(ctx, probe, metav1.CreateOptions{DryRun: []string{metav1.DryRunAll}})
		if err == nil && made.Spec.Username != "" {
			return nil
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return fmt.Errorf("waiting for the admission policy: %w", errors.Join(err, ctx.Err()))
		}
	}
}

// Cluster is a namespace with an endpoint's identity and an issuer.
type Cluster struct {
	Namespace string
	Requests  certmanagerclient.CertificateRequestInterface // as administrator
	Issuer    *Issuer
}

// Names of the endpoint under test.
const (
	Endpoint   = "corp"
	IssuerName = "corp-ca"
)

// NewCluster makes a namespace that no other test uses.
func NewCluster(t testing.TB) *Cluster {
	t.Helper()
	client, err := kubernetes.NewForConfig(admin)
	must(t, err)
	namespace, err := client.CoreV1().Namespaces().Create(t.Context(),
		&corev1.Namespace{ObjectMeta: metav1.ObjectMeta{GenerateName: "test-"}}, metav1.CreateOptions{})
	must(t, err)
	binding := &rbacv1.RoleBinding{
		ObjectMeta: metav1.ObjectMeta{Name: roleName},
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "ClusterRole", Name: roleName},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: namespace.Name, Name: Endpoint + "-ra"}},
	}
	_, err = client.RbacV1().RoleBindings(namespace.Name).Create(t.Context(), binding, metav1.CreateOptions{})
	must(t, err)
	typed, err := certmanagerclient.NewForConfig(admin)
	must(t, err)
	c := &Cluster{Namespace: namespace.Name, Requests: typed.CertificateRequests(namespace.Name)}
	c.Issuer = startIssuer(t, c.Requests)
	return c
}

// Username is the servers' service account.
func (c *Cluster) Username() string {
	return "system:serviceaccount:" + c.Namespace + ":" + Endpoint + "-ra"
}

// Config reaches the API server as the servers do.
func (c *Cluster) Config() *rest.Config {
	config := rest.CopyConfig(admin)
	config.Impersonate.UserName = c.Username()
	return config
}

// Admin reaches the API server as its administrator.
func (c *Cluster) Admin(t testing.TB) kubernetes.Interface {
	t.Helper()
	client, err := kubernetes.NewForConfig(admin)
	must(t, err)
	return client
}

// AdminConfig reaches the API server as its administrator.
func (c *Cluster) AdminConfig() *rest.Config { return rest.CopyConfig(admin) }

// List returns the CertificateRequests that there are.
func (c *Cluster) List(t testing.TB) []certmanagerv1.CertificateRequest {
	t.Helper()
	list, err := c.Requests.List(t.Context(), metav1.ListOptions{})
	must(t, err)
	return list.Items
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// Eventually waits until cond returns nil, at most ten seconds.
func Eventually(t testing.TB, what string, cond func() error) {
	t.Helper()
	const limit = 10 * time.Second
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	end := time.After(limit)
	for {
		err := cond()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-end:
			t.Fatalf("waited %s in vain for: %s\nlast state: %v", limit, what, err)
		}
	}
}
