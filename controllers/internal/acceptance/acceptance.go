// Package acceptance words what is to be done where a service does not accept a client
// certificate: which thumbprint to register, at the service of which challenge. A
// service's URL is never named: it may hold a secret.
package acceptance

import (
	"fmt"
	"strings"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/render"
)

// Outstanding lists the services of an endpoint's client credential that do not accept a
// generation, with what they answer; next says whether it is about the next generation or
// the one in use.
func Outstanding(c *v1alpha1.ClientCredentialStatus, next bool) []string {
	var out []string
	for i := range c.Services {
		s := &c.Services[i]
		answer := s.Active
		if next {
			answer = s.Next
		}
		if answer == nil || answer.Answer != v1alpha1.ClientAccepted {
			out = append(out, fmt.Sprintf("%s (%s)", service(s), said(answer)))
		}
	}
	return out
}

// Refusing lists the services that refuse the generation in use.
func Refusing(c *v1alpha1.ClientCredentialStatus) []string {
	var out []string
	for i := range c.Services {
		if s := &c.Services[i]; s.Active != nil && s.Active.Answer == v1alpha1.ClientRefused {
			out = append(out, fmt.Sprintf("%s (%s)", service(s), said(s.Active)))
		}
	}
	return out
}

func service(s *v1alpha1.ClientServiceStatus) string {
	if s.Notification {
		return "the notified service of challenge " + s.Challenge
	}
	return "the service of challenge " + s.Challenge
}

// sayings are what answers come to, by their reasons.
var sayings = map[v1alpha1.ClientAnswerReason]string{
	v1alpha1.ClientReasonTLS:               "refuses it in the TLS handshake",
	v1alpha1.ClientReasonUnauthenticated:   "does not know who calls",
	v1alpha1.ClientReasonForbidden:         "does not let the caller in",
	v1alpha1.ClientReasonNetwork:           "is not reached",
	v1alpha1.ClientReasonServerCertificate: "shows a TLS certificate that is not trusted",
	v1alpha1.ClientReasonNoDifference:      "answers the same without a certificate: set clientProbe to Post, or None",
}

func said(a *v1alpha1.ClientServiceAnswer) string {
	switch {
	case a == nil:
		return "has not been asked yet"
	case a.HTTPStatus != 0:
		return fmt.Sprintf("%s, HTTP %d", sayings[a.Reason], a.HTTPStatus)
	}
	return sayings[a.Reason]
}

// Register says what to register, and where the certificate itself is to be had.
func Register(rc *v1alpha1.RACredential, generation string) string {
	var prints []string
	for _, g := range rc.Status.Generations {
		if g.ID != generation {
			continue
		}
		for _, c := range g.Certificates {
			prints = append(prints, "SHA-256 "+c.Fingerprint)
			if c.SHA1 != "" {
				prints = append(prints, "SHA-1 "+c.SHA1)
			}
		}
	}
	return fmt.Sprintf("register the certificate with %s there; it is in ConfigMap %s under the key %s",
		strings.Join(prints, ", "), render.CertificatesName(rc.Name), render.CertificateKey(generation))
}
