package ra_test

import (
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// trialRequests are the requests of a trial.
func (f *fixture) trialRequests(t *testing.T, id string) []certmanagerv1.CertificateRequest {
	t.Helper()
	var out []certmanagerv1.CertificateRequest
	for _, r := range f.List(t) {
		if r.Labels[v1alpha1.LabelTrial] == id {
			out = append(out, r)
		}
	}
	return out
}

// TestTrial: of two servers one makes the request, once, and devices are none the wiser.
func TestTrial(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.files.Config.Trial = &raconfig.Trial{ID: "0123456789abcdef", Template: f.files.Config.Templates[0].Name}
	f.files.WriteConfig()
	ratest.NewServer(t, f.Cluster, f.files)
	f.wantTrial(t, "0123456789abcdef")
	r := f.trialRequests(t, "0123456789abcdef")[0]
	block, _ := pem.Decode(r.Spec.Request)
	csr, err := x509.ParseCertificateRequest(block.Bytes)
	if err != nil {
		t.Fatal(err)
	}
	if r.Spec.Duration.Duration != time.Hour || r.Spec.IsCA || len(r.Spec.Usages) == 0 || r.Labels[v1alpha1.LabelTransaction] != "" {
		t.Errorf("the request is for %s, %v, labels %v", r.Spec.Duration.Duration, r.Spec.Usages, r.Labels)
	}
	if template, err := policy.Compile(f.files.Config.Templates[0].Spec); err != nil {
		t.Error(err)
	} else if _, err := template.Judge(csr, policy.Context{}); err != nil {
		t.Errorf("the template refuses it: %v", err)
	}
	request := enrolment(t, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	f.files.Config.Trial.ID = "fedcba9876543210"
	f.files.WriteConfig()
	f.wantTrial(t, "fedcba9876543210")
	f.wantRequests(t, 3)
	if told := f.server.Status(); told.Trial != nil || told.Collection != nil {
		t.Errorf("the server tells %+v and %+v", told.Trial, told.Collection)
	}
}

func (f *fixture) wantTrial(t *testing.T, id string) {
	t.Helper()
	ratest.Eventually(t, "the request of the trial "+id, func() error {
		if n := len(f.trialRequests(t, id)); n != 1 {
			return fmt.Errorf("%d requests", n)
		}
		return nil
	})
}

// TestATrialThatCannotBeMade is told to the operator, by its ID.
func TestATrialThatCannotBeMade(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.files.Config.Trial = &raconfig.Trial{ID: "0123456789abcdef", Template: "nowhere"}
	f.files.WriteConfig()
	ratest.Eventually(t, "the problem to be told", func() error {
		told := f.server.Status().Trial
		if told == nil || told.ID != "0123456789abcdef" || told.Refused || told.Message == "" {
			return fmt.Errorf("told %+v", told)
		}
		return nil
	})
	f.files.Config.Trial = nil
	f.files.WriteConfig()
	ratest.Eventually(t, "nothing to be told any more", func() error {
		if told := f.server.Status().Trial; told != nil {
			return fmt.Errorf("told %+v", told)
		}
		return nil
	})
}
