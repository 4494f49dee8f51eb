package racredential

import (
	"encoding/pem"
	"fmt"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	corev1ac "k8s.io/client-go/applyconfigurations/core/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/acceptance"
	"github.com/scepter-pki/scepter/internal/apply"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// published is a ConfigMap with the certificates of a client credential, for people who
// register them with services: certificates are public. It is nil for other credentials.
func published(rc *v1alpha1.RACredential, keyring *raconfig.Keyring) apply.Object {
	if rc.Spec.Purpose != v1alpha1.PurposePolicyModule || len(keyring.Generations) == 0 {
		return nil
	}
	data := map[string]string{}
	for i := range keyring.Generations {
		g := &keyring.Generations[i]
		if client := g.ByRole(v1alpha1.RoleClient); client != nil {
			block := &pem.Block{Type: "CERTIFICATE", Bytes: client.Certificate.Raw}
			data[render.CertificateKey(g.ID)] = string(pem.EncodeToMemory(block))
		}
	}
	return corev1ac.ConfigMap(render.CertificatesName(rc.Name), rc.Namespace).
		WithLabels(labelsOf(rc)).
		WithData(data)
}

// orNotAccepted says of a credential that is ready otherwise where it is not accepted:
// what is in use, or what is next and is overdue. Nobody but a person can register it.
func orNotAccepted(ready metav1.Condition, rc *v1alpha1.RACredential, seen *observation) metav1.Condition {
	if ready.Status != metav1.ConditionTrue {
		return ready
	}
	for _, judge := range []func(*v1alpha1.RACredential, *use) (metav1.Condition, bool){refused, overdue} {
		for i := range seen.endpoints.uses {
			if u := &seen.endpoints.uses[i]; u.client != nil {
				if c, bad := judge(rc, u); bad {
					return c
				}
			}
		}
	}
	return ready
}

func refused(rc *v1alpha1.RACredential, u *use) (metav1.Condition, bool) {
	refusing := acceptance.Refusing(u.client)
	return conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonClientRefused, fmt.Sprintf(
		"At ScepEndpoint %s, %s: it does not accept the certificate in use; %s, or correct what is sent along",
		u.endpoint, strings.Join(refusing, ", "), acceptance.Register(rc, u.active))), len(refusing) > 0
}

func overdue(rc *v1alpha1.RACredential, u *use) (metav1.Condition, bool) {
	return conditions.False(v1alpha1.ConditionReady, v1alpha1.ReasonNextNotAccepted, fmt.Sprintf(
		"At ScepEndpoint %s, %s: it has not accepted the next certificate in time; %s. Until the end of the present one that stays in use",
		u.endpoint, strings.Join(acceptance.Outstanding(u.client, true), ", "), acceptance.Register(rc, u.next))), u.client.Step == v1alpha1.ClientNotAccepted
}
