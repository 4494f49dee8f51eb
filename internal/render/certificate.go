package render

import (
	"net"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certmanagerac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/certmanager/v1"
	cmmetaac "github.com/cert-manager/cert-manager/pkg/client/applyconfigurations/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// tlsRevisions is how many past CertificateRequests of a TLS certificate are kept.
const tlsRevisions = 2

// Certificates are the TLS certificates to be issued, one a host and one for the
// admin exposure. Where TLS reaches the servers, they hold one certificate for all hosts.
func Certificates(ep *v1alpha1.ScepEndpoint) []*certmanagerac.CertificateApplyConfiguration {
	var out []*certmanagerac.CertificateApplyConfiguration
	for _, host := range TLSSources(ep) {
		if host.TLS.IssuerRef == nil {
			continue
		}
		names := []v1alpha1.Host{host}
		if tlsReachesServers(ep) {
			names = namesOfServers(ep)
		}
		out = append(out, certificate(ep, TLSName(ep.Name, host.Name), *host.TLS.IssuerRef, names...))
	}
	if admin := ep.Spec.Exposure.Admin; admin != nil && admin.TLS.IssuerRef != nil {
		out = append(out, certificate(ep, AdminTLSName(ep.Name), *admin.TLS.IssuerRef, v1alpha1.Host{Name: admin.Host}))
	}
	return out
}

// AdminTLSSecretName is the Secret with the admin exposure's TLS certificate; empty if there is none.
func AdminTLSSecretName(ep *v1alpha1.ScepEndpoint) string {
	admin := ep.Spec.Exposure.Admin
	switch {
	case admin == nil:
		return ""
	case admin.TLS.SecretName != "":
		return admin.TLS.SecretName
	}
	return AdminTLSName(ep.Name)
}

// TLSSources are the hosts from which the TLS certificates come: every one with tls,
// or where TLS reaches the servers the first, which serves for all but those for which
// an Ingress has a Secret of the user's own.
func TLSSources(ep *v1alpha1.ScepEndpoint) []v1alpha1.Host {
	hosts := tlsHosts(ep)
	if !tlsReachesServers(ep) || len(hosts) == 0 {
		return hosts
	}
	out := hosts[:1:1]
	for _, host := range hosts[1:] {
		if ep.Spec.Exposure.Ingress != nil && host.TLS.SecretName != "" {
			out = append(out, host)
		}
	}
	return out
}

// namesOfServers are the hosts for which the servers end TLS.
func namesOfServers(ep *v1alpha1.ScepEndpoint) []v1alpha1.Host {
	hosts := tlsHosts(ep)
	if service := ep.Spec.Exposure.Service; service != nil && service.Host != "" {
		hosts = append(hosts, v1alpha1.Host{Name: service.Host})
	}
	return hosts
}

// certificate is good for all of names. RSA, because the devices that need plain
// old TLS know nothing else.
func certificate(
	ep *v1alpha1.ScepEndpoint, name string, issuer v1alpha1.IssuerReference, names ...v1alpha1.Host,
) *certmanagerac.CertificateApplyConfiguration {
	spec := certmanagerac.CertificateSpec().
		WithSecretName(name).
		WithSecretTemplate(certmanagerac.CertificateSecretTemplate().WithLabels(Labels(ep.Name))).
		WithIssuerRef(cmmetaac.IssuerReference().
			WithGroup(issuer.Group).
			WithKind(issuer.Kind).
			WithName(issuer.Name)).
		WithUsages(certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageKeyEncipherment, certmanagerv1.UsageServerAuth).
		WithPrivateKey(certmanagerac.CertificatePrivateKey().
			WithAlgorithm(certmanagerv1.RSAKeyAlgorithm).
			WithSize(2048).
			WithRotationPolicy(certmanagerv1.RotationPolicyAlways)).
		WithRevisionHistoryLimit(tlsRevisions)
	for _, each := range names {
		if net.ParseIP(each.Name) != nil {
			spec.WithIPAddresses(each.Name)
			continue
		}
		spec.WithDNSNames(each.Name)
	}
	return certmanagerac.Certificate(name, ep.Namespace).WithLabels(Labels(ep.Name)).WithSpec(spec)
}

// TLSSecretName is the Secret with a host's TLS certificate; empty for a host without TLS.
func TLSSecretName(ep *v1alpha1.ScepEndpoint, host v1alpha1.Host) string {
	switch {
	case host.TLS == nil:
		return ""
	case host.TLS.SecretName != "":
		return host.TLS.SecretName
	case tlsReachesServers(ep):
		return ServerTLSSecretName(ep)
	}
	return TLSName(ep.Name, host.Name)
}

// ServerTLSSecretName is the Secret that the servers mount where TLS reaches them;
// empty elsewhere.
func ServerTLSSecretName(ep *v1alpha1.ScepEndpoint) string {
	hosts := TLSSources(ep)
	switch {
	case !tlsReachesServers(ep) || len(hosts) == 0:
		return ""
	case hosts[0].TLS.SecretName != "":
		return hosts[0].TLS.SecretName
	}
	return TLSName(ep.Name, hosts[0].Name)
}

func tlsHosts(ep *v1alpha1.ScepEndpoint) []v1alpha1.Host {
	var out []v1alpha1.Host
	for _, host := range ep.Spec.Exposure.Hosts {
		if host.TLS != nil {
			out = append(out, host)
		}
	}
	return out
}
