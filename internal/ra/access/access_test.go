package access

import (
	"bytes"
	"context"
	"errors"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	authorizationv1 "k8s.io/api/authorization/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	authorizationclient "k8s.io/client-go/kubernetes/typed/authorization/v1"
	"sigs.k8s.io/yaml"
)

// judge plays the API server: it allows all but what is denied, or does not answer.
type judge struct {
	authorizationclient.SelfSubjectAccessReviewInterface
	denied []string
	err    error
}

func (j *judge) Create(
	_ context.Context, review *authorizationv1.SelfSubjectAccessReview, _ metav1.CreateOptions,
) (*authorizationv1.SelfSubjectAccessReview, error) {
	of := review.Spec.ResourceAttributes
	right := Right{of.Group, of.Resource, of.Verb}
	if j.err != nil || of.Namespace != "devices" {
		return nil, j.err
	}
	review.Status.Allowed = !slices.Contains(j.denied, right.String())
	return review, nil
}

func TestRounds(t *testing.T) {
	now := time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)
	api := &judge{}
	r := New(api, func() Wanted { return Wanted{"devices", ByRequests} }, func() time.Time { return now })
	for _, step := range []struct {
		name   string
		denied []string
		err    error
		want   []string
		soon   bool
	}{
		{name: "all is allowed"},
		{
			name: "a role was changed", denied: []string{"create certificaterequests.cert-manager.io", "watch certificaterequests.cert-manager.io"},
			want: []string{"create certificaterequests.cert-manager.io", "watch certificaterequests.cert-manager.io"}, soon: true,
		},
		{
			name: "the API server is away", err: errors.New("no route to host"),
			want: []string{"create certificaterequests.cert-manager.io", "watch certificaterequests.cert-manager.io"},
		},
		{name: "rights of others do not count", denied: []string{"create leases.coordination.k8s.io"}},
	} {
		api.denied, api.err = step.denied, step.err
		next := r.round(t.Context()).Sub(now)
		if diff := cmp.Diff(step.want, r.Missing()); diff != "" {
			t.Errorf("%s: %s", step.name, diff)
		}
		if soon := next < every; soon != step.soon {
			t.Errorf("%s: the next round comes after %s", step.name, next)
		}
	}
}

// TestRefusedIsReviewed: who was just refused something does not wait for a minute.
func TestRefusedIsReviewed(t *testing.T) {
	api := &judge{denied: []string{"create leases.coordination.k8s.io"}}
	reviewed := make(chan struct{})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	r := New(api, func() Wanted {
		select {
		case reviewed <- struct{}{}:
		case <-ctx.Done():
		}
		return Wanted{"devices", Direct}
	}, time.Now)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		r.Run(ctx)
	}()
	<-reviewed
	r.Refused()
	r.Refused()
	<-reviewed
	if got := r.Missing(); len(got) != 1 {
		t.Errorf("missing: %v", got)
	}
	cancel()
	<-ended
}

// TestTheRolesGiveTheRights compares with what is installed.
func TestTheRolesGiveTheRights(t *testing.T) {
	manifest, err := os.ReadFile("../../../config/rbac/ra.yaml")
	if err != nil {
		t.Fatal(err)
	}
	verbs := map[string][]string{}
	for document := range bytes.SplitSeq(manifest, []byte("\n---\n")) {
		var role rbacv1.ClusterRole
		if err := yaml.Unmarshal(document, &role); err != nil {
			t.Fatal(err)
		}
		for _, rule := range role.Rules {
			verbs[role.Name+"/"+rule.Resources[0]] = rule.Verbs
		}
	}
	for role, rights := range map[string][]Right{"scepter-ra/certificaterequests": ByRequests, "scepter-ra-direct/leases": Direct} {
		var wanted []string
		for _, right := range rights {
			wanted = append(wanted, right.Verb)
		}
		if diff := cmp.Diff(verbs[role], wanted); diff != "" {
			t.Errorf("%s: %s", role, diff)
		}
	}
}
