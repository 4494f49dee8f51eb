package scependpoint

import (
	"fmt"
	"time"

	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/conditions"
	"github.com/scepter-pki/scepter/internal/render"
)

// accepted says whether the spec and what it refers to fit together: the first problem found.
func accepted(ep *v1alpha1.ScepEndpoint, seen *observation, now time.Time) metav1.Condition {
	const accepted = v1alpha1.ConditionAccepted
	for i, t := range seen.templates {
		if c, bad := templateProblem(ep.Namespace, ep.Spec.Templates[i].TemplateRef.Name, t); bad {
			return c
		}
	}
	if c, bad := ambiguityProblem(ep, seen); bad {
		return c
	}
	for _, c := range seen.challenges {
		if c, bad := challengeProblem(ep.Namespace, c); bad {
			return c
		}
	}
	if c, bad := recordingProblem(ep.Namespace, seen); bad {
		return c
	}
	if c, bad := caSourceProblem(seen); bad {
		return c
	}
	if state := seen.state.value; state != nil && state.fixed {
		return conditions.False(accepted, v1alpha1.ReasonStateFixed, fmt.Sprintf(
			"Secret %s lacks a key and is immutable, so that none can be added: delete it; the operator makes it anew, and devices that wait ask again",
			render.StateSecretName(ep.Name)))
	}
	if c, bad := issuerProblem(seen); bad {
		return c
	}
	if c, bad := directProblem(ep, seen); bad {
		return c
	}
	if c, bad := modeProblem(ep, seen); bad {
		return c
	}
	if issuersDiffer(ep, seen) {
		return conditions.False(accepted, v1alpha1.ReasonIssuersDiffer, fmt.Sprintf(
			"the RA certificates come from %s and the devices' from %s, but a device trusts an RA by its own CA: name the same issuer in RACredential %s and in spec.issuance",
			issuer.Name(*seen.credential.value.Spec.IssuerRef), issuer.Name(ep.Spec.Issuance.IssuerRef), seen.credential.value.Name))
	}
	if findings := bundleFindings(ep, seen, now); len(findings) > 0 {
		return untidyBundles(findings)
	}
	return conditions.True(accepted, v1alpha1.ReasonSucceeded, "templates, challenges and issuer fit together")
}

func templateProblem(namespace, name string, t read[v1alpha1.CertificateTemplate]) (metav1.Condition, bool) {
	const accepted = v1alpha1.ConditionAccepted
	switch {
	case t.err != nil:
		return conditions.Unknown(accepted, v1alpha1.ReasonReadFailed, fmt.Sprintf("CertificateTemplate %s could not be read; %s", name, tryAgain)), true
	case t.value == nil:
		return conditions.False(accepted, v1alpha1.ReasonTemplateNotFound, fmt.Sprintf(
			"CertificateTemplate %s does not exist in namespace %s: create it, or correct templateRef", name, namespace)), true
	case conditions.IsTrue(t.value.Status.Conditions, v1alpha1.ConditionReady, t.value.Generation):
		return metav1.Condition{}, false
	}
	why := "it has not been checked yet"
	if ready := conditions.Find(t.value.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.ObservedGeneration == t.value.Generation {
		why = ready.Message
	}
	return conditions.False(accepted, v1alpha1.ReasonTemplateNotReady, fmt.Sprintf(
		"CertificateTemplate %s is not ready: %s; until it is, the servers keep their last configuration", name, why)), true
}

// issuerProblem refuses issuers that cannot sign what devices ask for.
func issuerProblem(seen *observation) (metav1.Condition, bool) {
	why := seen.issuer.Unsupported()
	if why == "" {
		return metav1.Condition{}, false
	}
	return conditions.False(v1alpha1.ConditionAccepted, v1alpha1.ReasonUnsupportedIssuer, why), true
}

func issuersDiffer(ep *v1alpha1.ScepEndpoint, seen *observation) bool {
	credential := seen.credential.value
	return credential != nil && credential.Spec.IssuerRef != nil && issuer.Canonical(*credential.Spec.IssuerRef) != issuer.Canonical(ep.Spec.Issuance.IssuerRef)
}
