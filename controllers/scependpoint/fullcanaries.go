package scependpoint

import (
	"fmt"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/enrolrecord"
	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// canaryKept is how long the request of a canary is kept for people to look at. The newest
// is kept for longer: the servers go by it.
const canaryKept = time.Hour

// surplusCanaries are those that the servers do not go by, the newest first.
func surplusCanaries(ep *v1alpha1.ScepEndpoint, seen *observation) []*certmanagerv1.CertificateRequest {
	all := newestFirst(seen.canaries)
	if wanted := wantedCanary(ep, seen); len(all) > 0 && wanted != nil && wanted.IssueIntervalSeconds > 0 {
		return all[1:]
	}
	return all
}

// expiredCanaries names the requests of canaries that nobody needs any more.
func expiredCanaries(ep *v1alpha1.ScepEndpoint, seen *observation, now time.Time) []string {
	var out []string
	for _, request := range surplusCanaries(ep, seen) {
		if request.DeletionTimestamp == nil && now.Sub(request.CreationTimestamp.Time) >= canaryKept {
			out = append(out, request.Name)
		}
	}
	return out[:min(len(out), maxPrunedAtOnce)]
}

// untilCanary is the time until the request of a canary may go.
func untilCanary(ep *v1alpha1.ScepEndpoint, seen *observation, now time.Time) time.Duration {
	after := restInterval
	for _, request := range surplusCanaries(ep, seen) {
		after = min(after, max(request.CreationTimestamp.Add(canaryKept).Sub(now), pruneInterval))
	}
	return after
}

// describeIssuance says why a canary got no certificate, as far as its request tells.
func describeIssuance(seen *observation, l lostCanary) string {
	said := saidOf(l)
	if all := newestFirst(seen.canaries); len(all) > 0 {
		if state, message := enrolrecord.StateOf(all[0]); state != enrolrecord.Issued && state != enrolrecord.Waiting {
			said = fmt.Sprintf("%s: CertificateRequest %s: %s", said, all[0].Name, cleaned(message))
		}
	}
	return fmt.Sprintf("the issuer makes no certificate for it (%s); let it issue to the name %q, for an hour and for digital signatures alone, "+
		"or set spec.probes.canary.level to %s; it is tried again every five minutes", said, probemark.CanaryName, v1alpha1.CanaryProtocol)
}

// issuedCanary is what the report says of the canary that was to get a certificate; nil if
// nothing, or if its URL is none of the endpoint's any more.
func issuedCanary(report *raconfig.ProbeReport, wanted *raconfig.Canary) *raconfig.IssuedCanary {
	issued := report.Issued
	if issued == nil || wanted == nil || wanted.IssueIntervalSeconds == 0 || issued.Level != wanted.Level {
		return nil
	}
	return issued
}
