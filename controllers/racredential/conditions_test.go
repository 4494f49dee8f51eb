package racredential

import (
	"errors"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/conditions"
)

var (
	errHidden = errors.New("dial tcp 10.96.0.1:443: detail for the log only")
	now       = time.Date(2031, 3, 4, 5, 6, 7, 0, time.UTC)
)

func credential() *v1alpha1.RACredential {
	rc := &v1alpha1.RACredential{}
	rc.Name, rc.Namespace, rc.Generation = "corp", "pki", 3
	rc.Status.Generations = []v1alpha1.CredentialGeneration{{ID: "earlier"}}
	rc.Status.KeyringSecret = "corp-keyring"
	return rc
}

// nothingIssued is what is seen of a credential that was just made, with a ready issuer.
func nothingIssued() *observation {
	ready := &certmanagerv1.Issuer{}
	ready.Status.Conditions = []certmanagerv1.IssuerCondition{{Type: certmanagerv1.IssuerConditionReady, Status: cmmeta.ConditionTrue}}
	return &observation{
		issuer: issuer.Fact{Ref: v1alpha1.IssuerReference{Name: "ca"}, Namespace: "pki", Issuer: ready},
		sources: []source{
			{role: v1alpha1.RoleSigning, name: "corp-signing"},
			{role: v1alpha1.RoleEncryption, name: "corp-encryption"},
		},
	}
}

func TestAReadThatFailedIsAFactAndNotAnAbsence(t *testing.T) {
	for name, tc := range map[string]struct {
		fail      func(*observation)
		condition string
		writes    bool // whether the Certificates may still be written
	}{
		"issuer":    {func(o *observation) { o.issuer.Err = errHidden }, v1alpha1.ConditionIssuerReady, true},
		"source":    {func(o *observation) { o.sources[0].readErr = errHidden }, v1alpha1.ConditionIssued, true},
		"keyring":   {func(o *observation) { o.keyring.readErr = errHidden }, v1alpha1.ConditionKeyringReady, false},
		"endpoints": {func(o *observation) { o.endpoints.readErr = errHidden }, v1alpha1.ConditionKeyringReady, false},
	} {
		t.Run(name, func(t *testing.T) {
			rc, seen := credential(), nothingIssued()
			tc.fail(seen)
			p := planCredential(rc, seen, now)
			if (p.rotation != nil) != tc.writes {
				t.Errorf("a rotation was planned: %t", p.rotation != nil)
			}
			status := statusOf(rc, seen, p, &deeds{}, now)
			c := conditions.Find(status.Conditions, tc.condition)
			if c.Status != metav1.ConditionUnknown || c.Reason != v1alpha1.ReasonReadFailed || strings.Contains(c.Message, "dial") {
				t.Errorf("condition: %+v", c)
			}
			if !errors.Is(seen.err(), errHidden) {
				t.Error("the failure is not reported to the log")
			}
			if p.rotation == nil && len(status.Generations) != 1 {
				t.Error("the status forgot the generations that it could not read")
			}
		})
	}
}

func TestAWriteThatFailed(t *testing.T) {
	rc, seen := credential(), nothingIssued()
	p := planCredential(rc, seen, now)
	for name, tc := range map[string]struct {
		done      *deeds
		condition string
	}{
		"keyring":      {&deeds{keyringErr: errHidden}, v1alpha1.ConditionKeyringReady},
		"certificates": {&deeds{certificatesErr: errHidden}, v1alpha1.ConditionIssued},
	} {
		t.Run(name, func(t *testing.T) {
			c := conditions.Find(conditionsOf(rc, seen, p, tc.done), tc.condition)
			if c.Status != metav1.ConditionFalse || c.Reason != v1alpha1.ReasonWriteFailed || strings.Contains(c.Message, "dial") {
				t.Errorf("condition: %+v", c)
			}
		})
	}
}

func TestNoKeyringIsWrittenBeforeThereIsSomethingToHold(t *testing.T) {
	for name, tc := range map[string]struct {
		have  keyring
		write bool
	}{
		"none yet":                 {keyring{}, false},
		"damaged":                  {keyring{exists: true, damage: errHidden}, false},
		"emptied by distrust, say": {keyring{exists: true}, true},
	} {
		t.Run(name, func(t *testing.T) {
			seen := nothingIssued()
			seen.keyring = tc.have
			if p := planCredential(credential(), seen, now); (p.keyring != nil) != tc.write || p.keyringErr != nil {
				t.Errorf("keyring %v, error %v", p.keyring, p.keyringErr)
			}
		})
	}
}

func TestDefaultCommonNamesFit(t *testing.T) {
	longest := strings.Repeat("a", 40)
	for role := range commonNames {
		if name := defaultCommonName(longest, role); len(name) > 64 {
			t.Errorf("%s: %d characters", role, len(name))
		}
	}
}
