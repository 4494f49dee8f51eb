package scependpoint

import (
	"fmt"
	"slices"
	"strings"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/baseline"
	"github.com/scepter-pki/scepter/internal/conditions"
)

// hopTexts say of each hop what is missed, what comes still, and what to look at.
var hopTexts = map[baseline.Hop]struct{ missed, still, remedy string }{
	baseline.Arrives: {
		"nothing arrives", "",
		"see DNS, what publishes the endpoint, and whether the profile still names a URL of status.urls; if those devices need nothing more, the operator forgets them after four weeks",
	},
	baseline.PKIOperation: {
		"no PKIOperation arrives", "GetCACaps and GetCACert do",
		"compare the URL in the profile with status.urls, and see that what is in front of the servers lets POST and long URLs pass (conditions Exposed and LongURLs)",
	},
	baseline.Opened: {
		"no PKIOperation can be opened", "they arrive",
		"devices may keep an RA certificate that is gone, or something changes their messages on the way: see the audit records SCEP1011",
	},
	baseline.Authenticated: {
		"no request is authenticated", "they can be opened",
		"has the password, the webhook or the MDM's connector changed? See the audit records SCEP1062",
	},
	baseline.Judged: {
		"no request is allowed by a template", "they are authenticated",
		"compare the profile with the CertificateTemplate; the audit records SCEP1062 say what differs",
	},
	baseline.Issued: {
		"no certificate is handed out", "requests are allowed by the templates",
		"see the issuer and the approver, and the condition IssuerReady",
	},
}

// mistakeTexts say what is likely wrong with the URL in a profile, in the order in which
// they are told.
var mistakeTexts = []struct {
	mistake v1alpha1.PathMistake
	text    string
}{
	{v1alpha1.MistakeUnknownTemplate, "what follows /scep/ in it is no template of this endpoint"},
	{v1alpha1.MistakeEncodedQuery, "its question mark comes as %3F: something encodes it twice"},
	{v1alpha1.MistakeAdminPage, "it is that of the page of challenges, not of SCEP"},
	{v1alpha1.MistakeSpace, "it has a space or another invisible character in it, perhaps at its end (%20)"},
	{v1alpha1.MistakeDoubledSlash, "it has two slashes in a row"},
	{v1alpha1.MistakeNDESFolder, "it lacks /mscep.dll"},
}

// orMistaken says what is likely wrong with the URL in a profile, while nobody enrols by it.
func orMistaken(c metav1.Condition, ep *v1alpha1.ScepEndpoint, seen *observation) metav1.Condition {
	found := mistakes(seen)
	if len(found) == 0 || lastIssued(ep, seen) != nil || c.Reason != v1alpha1.ReasonNoRequests && c.Reason != v1alpha1.ReasonNotRecorded {
		return c
	}
	var said []string
	for _, m := range mistakeTexts {
		if slices.Contains(found, m.mistake) {
			said = append(said, m.text)
		}
	}
	return conditions.False(v1alpha1.ConditionEnrolling, v1alpha1.ReasonProfileMistaken,
		"devices ask, and none has enrolled yet; the URL in a profile seems mistaken: "+strings.Join(said, "; ")+": correct it to one of status.urls")
}

// orBroken puts a break of the funnel in the place of what is not known to be wrong.
func orBroken(c metav1.Condition, breaks []baseline.Break) metav1.Condition {
	if len(breaks) == 0 || c.Status == metav1.ConditionFalse {
		return c
	}
	return conditions.False(v1alpha1.ConditionEnrolling, v1alpha1.ReasonFunnelBroken, describeBreaks(breaks))
}

// describeBreaks tells the first in full, and of the others where.
func describeBreaks(breaks []baseline.Break) string {
	first := breaks[0]
	text := hopTexts[first.Hop]
	said := fmt.Sprintf("%s from clients of the family %s since %s UTC, although at such times it did before", text.missed, first.Family, first.Since.UTC().Format("2006-01-02 15:00"))
	if text.still != "" {
		said += fmt.Sprintf("; %s (some %d)", text.still, first.Missed)
	}
	said += ": " + text.remedy
	var others []string
	for _, b := range breaks[1:] {
		others = append(others, fmt.Sprintf("%s at %s", b.Family, b.Hop))
	}
	if len(others) > 0 {
		said += ". Likewise " + bounded(others) + ": see status.funnel"
	}
	return said
}
