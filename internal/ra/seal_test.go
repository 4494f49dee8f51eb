package ra_test

import (
	"encoding/json"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/ra/ratest/intunesim"
	"github.com/scepter-pki/scepter/internal/scep"
)

// annotate changes annotations of the only CertificateRequest, as somebody with edit
// rights may; nil takes one away.
func (f *fixture) annotate(t *testing.T, annotations map[string]*string) {
	t.Helper()
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := f.Requests.Patch(t.Context(), f.onlyRequest(t).Name, types.MergePatchType, patch, metav1.PatchOptions{}); err != nil {
		t.Fatal(err)
	}
}

func (f *fixture) onlyRequest(t *testing.T) certmanagerv1.CertificateRequest {
	t.Helper()
	all := f.List(t)
	if len(all) != 1 {
		t.Fatalf("%d CertificateRequests, want one", len(all))
	}
	return all[0]
}

// Whoever may edit CertificateRequests cannot get a certificate out before Intune
// has accepted the news of it.
func TestTheObligationToTellCannotBeTakenAway(t *testing.T) {
	t.Parallel()
	for name, take := range map[string][]string{
		"the obligation":                   {v1alpha1.AnnotationNotify},
		"the obligation and the challenge": {v1alpha1.AnnotationNotify, v1alpha1.AnnotationChallenge},
		"all that tells of it":             {v1alpha1.AnnotationNotify, v1alpha1.AnnotationChallenge, v1alpha1.AnnotationSeal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := newIntuneFixture(t, patient)
			f.tenant.Answer("successNotification", intune.Unknown)
			request := with(t, intunesim.Challenge, 1)
			request.TransactionID = "taken-away"
			if result := enrol(t, f.server.URL, request); result.Status != scep.StatusPending {
				t.Fatalf("status %v, want PENDING", result.Status)
			}
			taken, put := map[string]*string{}, map[string]*string{}
			made := f.onlyRequest(t).Annotations
			for _, key := range take {
				value := made[key]
				taken[key], put[key] = nil, &value
			}
			f.annotate(t, taken)
			again := ratest.NewServer(t, f.Cluster, f.files)
			for _, url := range []string{f.server.URL, again.URL} {
				if result := enrol(t, url, request); result.Status != scep.StatusPending {
					t.Fatalf("status %v, want PENDING", result.Status)
				}
			}
			again.WantLogged(audit.OutcomeNotTold, "somebody changed the labels or annotations")
			f.annotate(t, put)
			f.tenant.Answer("successNotification", intune.Success)
			wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
			f.wantRequests(t, 1)
		})
	}
}
