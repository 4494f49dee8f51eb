package ra_test

import (
	"errors"
	"net/http"
	"slices"
	"testing"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// TestRightsAreReviewed: a right that is taken away is told as soon as it is refused, and no
// more when it is back.
func TestRightsAreReviewed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	wantCertificate(t, enrol(t, f.server.URL, enrolment(t, 1)), enrolment(t, 1).Key)
	bindings := f.Admin(t).RbacV1().RoleBindings(f.Namespace)
	all, err := bindings.List(t.Context(), metav1.ListOptions{})
	if err != nil || len(all.Items) != 1 {
		t.Fatalf("%d RoleBindings, %v", len(all.Items), err)
	}
	bound := &all.Items[0]
	if err := bindings.Delete(t.Context(), bound.Name, metav1.DeleteOptions{}); err != nil {
		t.Fatal(err)
	}
	ratest.Eventually(t, "a device to be told to come again", func() error {
		_, err := device(f.server.URL).Enrol(limited(t), enrolment(t, 2))
		if status := (*scep.HTTPError)(nil); !errors.As(err, &status) || status.StatusCode != http.StatusServiceUnavailable {
			return errors.New("it is not")
		}
		return nil
	})
	const create = "create certificaterequests.cert-manager.io"
	f.wantStatus(t, "the right to be told of", func(s raconfig.ReplicaStatus) bool { return slices.Contains(s.MissingRights, create) })
	bound.ResourceVersion, bound.UID = "", ""
	if _, err := bindings.Create(t.Context(), bound, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	f.wantStatus(t, "the right to be back", func(s raconfig.ReplicaStatus) bool { return len(s.MissingRights) == 0 })
}
