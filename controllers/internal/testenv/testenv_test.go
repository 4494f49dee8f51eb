package testenv_test

import (
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/conditions"
)

func TestMain(m *testing.M) { testenv.Main(m) }

func TestEveryKindIsServed(t *testing.T) {
	ns := testenv.Namespace(t)
	for _, list := range []client.ObjectList{
		&corev1.SecretList{}, &certmanagerv1.CertificateList{}, &certmanagerv1.ClusterIssuerList{}, &gatewayv1.HTTPRouteList{},
		&v1alpha1.ScepEndpointList{}, &v1alpha1.CertificateTemplateList{}, &v1alpha1.RACredentialList{},
	} {
		if err := testenv.Client(t).List(t.Context(), list, client.InNamespace(ns)); err != nil {
			t.Errorf("list %T: %v", list, err)
		}
	}
}

func TestCheckKStatus(t *testing.T) {
	ready := conditions.True("Ready", "Succeeded", "")
	broken := conditions.False("Ready", "Broken", "mend it")
	stalled := conditions.True("Stalled", "Broken", "mend it")
	reconciling := conditions.True("Reconciling", "Broken", "mend it")
	for name, tc := range map[string]struct {
		conds    []metav1.Condition
		observed int64
		good     bool
	}{
		"ready":               {[]metav1.Condition{ready}, 2, true},
		"reconciling":         {[]metav1.Condition{broken, reconciling}, 2, true},
		"stalled":             {[]metav1.Condition{broken, stalled}, 2, true},
		"both":                {[]metav1.Condition{broken, stalled, reconciling}, 2, false},
		"neither":             {[]metav1.Condition{broken}, 2, false},
		"ready and stalled":   {[]metav1.Condition{ready, stalled}, 2, false},
		"stalled false":       {[]metav1.Condition{ready, conditions.False("Stalled", "Fine", "fine")}, 2, false},
		"no ready":            {[]metav1.Condition{conditions.True("Issued", "Succeeded", "")}, 2, false},
		"no message":          {[]metav1.Condition{ready, conditions.False("Issued", "Broken", "")}, 2, false},
		"of an earlier spec":  {[]metav1.Condition{ready}, 1, false},
		"no condition at all": {nil, 2, false},
	} {
		t.Run(name, func(t *testing.T) {
			obj := &v1alpha1.RACredential{ObjectMeta: metav1.ObjectMeta{Generation: 2}}
			for i := range tc.conds {
				tc.conds[i].ObservedGeneration = tc.observed
			}
			if err := testenv.CheckKStatus(obj, tc.observed, tc.conds); (err == nil) != tc.good {
				t.Errorf("CheckKStatus: %v", err)
			}
		})
	}
}
