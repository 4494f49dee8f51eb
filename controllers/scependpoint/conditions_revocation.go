package scependpoint

import (
	"fmt"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// silentReasons say why a source of revocation cannot tell, and what to do.
var silentReasons = map[raconfig.AwayReason]struct{ cause, remedy string }{
	raconfig.AwayNameUnknown:  {"its name does not resolve", "correct the DNS record that the servers' pods see"},
	raconfig.AwayUnreachable:  {"no connection to it holds", "see that it runs, and that firewalls, NetworkPolicies and the proxy let the servers' pods through"},
	raconfig.AwayTimeout:      {"it does not answer in time", "see how busy it is, and what lies on the way"},
	raconfig.AwayTLS:          {"the TLS handshake with it fails", "publish the list by plain HTTP, as RFC 5280 advises, or have its certificate renewed"},
	raconfig.AwayStatus:       {"it answers with an error", "see that the CA publishes its list there"},
	raconfig.AwayStale:        {"its list has ended, and it has no newer one", "have the CA publish a new list, and see the clocks"},
	raconfig.AwayUnverifiable: {"what it says is not the CA's, not about these certificates, or cannot be read", "see what the CA publishes there"},
}

// revocationUnknown says which source keeps renewals from being judged. That others enrol
// is none of its business.
func revocationUnknown(seen *observation) (metav1.Condition, bool) {
	said, found := silentSource(seen, false)
	if !found {
		return metav1.Condition{}, false
	}
	return conditions.False(v1alpha1.ConditionEnrolling, v1alpha1.ReasonRevocationUnknown, fmt.Sprintf(
		"nothing tells whether certificates are revoked: %s. Until then renewals that a certificate has to authenticate wait; "+
			"devices with a challenge enrol", said)), true
}

// orStale says, where nothing worse is to be said, that renewals go on by what has ended.
func orStale(c metav1.Condition, seen *observation) metav1.Condition {
	said, found := silentSource(seen, true)
	if !found || c.Status == metav1.ConditionFalse {
		return c
	}
	c.Reason = v1alpha1.ReasonRevocationStale
	c.Message = fmt.Sprintf("%s; but renewals are judged by what was said last of revoked certificates, and that has ended: %s. "+
		"When the template's renewal.staleRevocation is over, renewals wait", c.Message, said)
	return c
}

// silentSource describes a source of revocation that cannot tell, of those whose last word
// is tolerated or of the others, and how many servers say so.
func silentSource(seen *observation, tolerated bool) (said string, found bool) {
	if seen.replicas.value == nil {
		return "", false
	}
	first := ailing{}
	for _, r := range *seen.replicas.value {
		if r.status == nil {
			continue
		}
		first.of++
		for _, a := range r.status.Away {
			if a.Dependency != raconfig.DependencyRevocation || a.Tolerated != tolerated || silentReasons[a.Reason].cause == "" {
				continue
			}
			if first.servers == 0 {
				first.Away = a
			}
			first.servers++
			break
		}
	}
	if first.servers == 0 {
		return "", false
	}
	text := silentReasons[first.Reason]
	if first.HTTPStatus != 0 {
		text.cause += fmt.Sprintf(" (HTTP %d)", first.HTTPStatus)
	}
	return fmt.Sprintf("%d of %d servers say of the source at %s that %s; %s", first.servers, first.of, first.Name, text.cause, text.remedy), true
}
