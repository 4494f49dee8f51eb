package scependpoint

import (
	"fmt"
	"net/http"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render/route"
)

// gatewayStatuses are what a proxy answers itself that does not get through to what is
// behind it. The servers were asked before it, without anything between, and answered.
var gatewayStatuses = map[int]verdict{
	http.StatusBadGateway: {
		v1alpha1.ReasonHopFailed, "something in front of the servers gets no answer where it leads, but the servers answer",
		"see the address and port that it leads to, and its log",
	},
	http.StatusServiceUnavailable: {
		v1alpha1.ReasonHopFailed, "something in front of the servers finds none to lead to, but the servers answer",
		"see the addresses and ports that it leads to, its checks of their health, and its log",
	},
	http.StatusGatewayTimeout: {
		v1alpha1.ReasonHopFailed, "something in front of the servers waits in vain where it leads (gateway timeout), but the servers answer",
		"see what it leads to: the next proxy, the ingress controller, or a firewall between",
	},
}

// lookedFor adds where the cause is set in the software that answered.
func (v verdict) lookedFor(f *raconfig.ProbeFailure) verdict {
	one, known := route.SoftwareByID(f.Software)
	if look := one.Look[v.reason]; known && look != "" {
		v.remedy += fmt.Sprintf(" (%s: see %s)", one.Name, look)
	}
	return v
}

// advice is what to set so that long URLs pass, where what cut them is known: by what
// answered, or else as the implementation that the endpoint's route is of.
func advice(ep *v1alpha1.ScepEndpoint, seen *observation, f *raconfig.ProbeFailure) string {
	answered, known := route.SoftwareByID(f.Software)
	for _, way := range exposureStatus(ep, seen) {
		switch {
		case known && !answered.IsOf(way.Implementation):
		case way.LongURLs == v1alpha1.LongURLsNeedSetting:
			return fmt.Sprintf("; for devices that send requests by GET the administrator of %s sets %s (ready to copy in status.exposure)", through(way), way.Advice[0].Do)
		case way.LongURLs == v1alpha1.LongURLsLimited:
			return fmt.Sprintf("; no setting of %s raises that: for devices that send long requests by GET set exposure.service", through(way))
		}
	}
	switch {
	case !known:
		return "; devices that send requests by GET need it: raise the limit on URLs and header fields in what is in front of the servers"
	case answered.Raise.What == "":
		return fmt.Sprintf("; %s answers in front of the servers, and no setting of it raises that: for devices that send long requests by GET set exposure.service", answered.Name)
	}
	return fmt.Sprintf("; %s answers in front of the servers: for devices that send requests by GET set %s", answered.Name, answered.Raise)
}
