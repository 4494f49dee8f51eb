package issuer

import (
	"errors"
	"strings"
	"testing"

	acmev1 "github.com/cert-manager/cert-manager/pkg/apis/acme/v1"
	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

func withCondition(status cmmeta.ConditionStatus, message string) certmanagerv1.GenericIssuer {
	issuer := &certmanagerv1.Issuer{}
	issuer.Status.Conditions = []certmanagerv1.IssuerCondition{
		{Type: "Other", Status: cmmeta.ConditionTrue},
		{Type: certmanagerv1.IssuerConditionReady, Status: status, Message: message},
	}
	return issuer
}

func TestCondition(t *testing.T) {
	ca := v1alpha1.IssuerReference{Name: "ca"}
	cases := map[string]struct {
		fact    Fact
		status  metav1.ConditionStatus
		reason  string
		message string
	}{
		"ready":             {Fact{Ref: ca, Issuer: withCondition(cmmeta.ConditionTrue, "")}, metav1.ConditionTrue, v1alpha1.ReasonSucceeded, "Issuer ca is ready"},
		"not ready":         {Fact{Ref: ca, Issuer: withCondition(cmmeta.ConditionFalse, "secret missing.")}, metav1.ConditionFalse, v1alpha1.ReasonIssuerNotReady, "secret missing; repair"},
		"not looked at yet": {Fact{Ref: ca, Issuer: &certmanagerv1.Issuer{}}, metav1.ConditionFalse, v1alpha1.ReasonIssuerNotReady, "cert-manager is running"},
		"missing":           {Fact{Ref: ca, Namespace: "pki"}, metav1.ConditionFalse, v1alpha1.ReasonIssuerNotFound, "in namespace pki: create it"},
		"missing for all":   {Fact{Ref: v1alpha1.IssuerReference{Kind: "ClusterIssuer", Name: "ca"}}, metav1.ConditionFalse, v1alpha1.ReasonIssuerNotFound, "ClusterIssuer ca does not exist: create it"},
		"unread":            {Fact{Ref: ca, Err: errors.New("secret detail")}, metav1.ConditionUnknown, v1alpha1.ReasonReadFailed, "could not be read"},
		"foreign":           {Fact{Ref: v1alpha1.IssuerReference{Group: "step.example.com", Kind: "StepIssuer", Name: "ca"}}, metav1.ConditionTrue, v1alpha1.ReasonIssuerUnknown, "step.example.com"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := c.fact.Condition()
			if got.Type != v1alpha1.ConditionIssuerReady || got.Status != c.status || got.Reason != c.reason {
				t.Errorf("got %s %s %s, want %s %s", got.Type, got.Status, got.Reason, c.status, c.reason)
			}
			if !strings.Contains(got.Message, c.message) || strings.Contains(got.Message, "secret detail") {
				t.Errorf("message %q, want %q in it", got.Message, c.message)
			}
		})
	}
}

func TestUnsupported(t *testing.T) {
	config := func(c certmanagerv1.IssuerConfig) Fact {
		return Fact{
			Ref:    v1alpha1.IssuerReference{Kind: "ClusterIssuer", Name: "ca"},
			Issuer: &certmanagerv1.ClusterIssuer{Spec: certmanagerv1.IssuerSpec{IssuerConfig: c}},
		}
	}
	for name, c := range map[string]struct {
		fact Fact
		want string
	}{
		"acme":       {config(certmanagerv1.IssuerConfig{ACME: &acmev1.ACMEIssuer{}}), "ClusterIssuer ca is of type ACME"},
		"selfSigned": {config(certmanagerv1.IssuerConfig{SelfSigned: &certmanagerv1.SelfSignedIssuer{}}), "ClusterIssuer ca is of type SelfSigned"},
		"ca":         {config(certmanagerv1.IssuerConfig{CA: &certmanagerv1.CAIssuer{}}), ""},
		"vault":      {config(certmanagerv1.IssuerConfig{Vault: &certmanagerv1.VaultIssuer{}}), ""},
		"venafi":     {config(certmanagerv1.IssuerConfig{Venafi: &certmanagerv1.VenafiIssuer{}}), ""},
		"foreign":    {Fact{Ref: v1alpha1.IssuerReference{Group: "step.example.com", Kind: "StepIssuer", Name: "ca"}}, ""},
	} {
		got := c.fact.Unsupported()
		if (got == "") != (c.want == "") || !strings.HasPrefix(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestCanonical(t *testing.T) {
	short := v1alpha1.IssuerReference{Name: "ca"}
	long := v1alpha1.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: "ca"}
	if Canonical(short) != long || Canonical(long) != long {
		t.Errorf("%+v and %+v are not the same", Canonical(short), Canonical(long))
	}
}
