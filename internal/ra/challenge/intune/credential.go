package intune

import (
	"crypto"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/cloud"
	"github.com/Azure/azure-sdk-for-go/sdk/azcore/policy"
	"github.com/Azure/azure-sdk-for-go/sdk/azidentity"
)

// Application is a registration in Microsoft Entra ID.
type Application struct {
	// Authority as in URLs.
	Authority string
	TenantID  string
	ClientID  string
}

// options of the identity library: no retries and telemetry of its own, and no
// question to the global cloud about whether the authority is one.
func (a Application) options(transport Transport) policy.ClientOptions {
	return policy.ClientOptions{
		Cloud:     cloud.Configuration{ActiveDirectoryAuthorityHost: a.Authority},
		Transport: transport,
		Retry:     policy.RetryOptions{MaxRetries: -1},
		Telemetry: policy.TelemetryOptions{Disabled: true},
	}
}

// Secret authenticates an application by a client secret.
func (a Application) Secret(secret string) CredentialFunc {
	return func(transport Transport) (azcore.TokenCredential, error) {
		c, err := azidentity.NewClientSecretCredential(a.TenantID, a.ClientID, secret, &azidentity.ClientSecretCredentialOptions{
			ClientOptions: a.options(transport), DisableInstanceDiscovery: true,
		})
		return made(c, err)
	}
}

// Certificate authenticates an application by an assertion that the key signs. The
// chain begins with the certificate that the application registers.
func (a Application) Certificate(chain []*x509.Certificate, key crypto.PrivateKey) CredentialFunc {
	return func(transport Transport) (azcore.TokenCredential, error) {
		c, err := azidentity.NewClientCertificateCredential(a.TenantID, a.ClientID, chain, key, &azidentity.ClientCertificateCredentialOptions{
			ClientOptions: a.options(transport), DisableInstanceDiscovery: true, SendCertificateChain: true,
		})
		return made(c, err)
	}
}

// Federated authenticates an application by a service account token, which the
// kubelet keeps fresh in a file (workload identity federation).
func (a Application) Federated(tokenFile string) CredentialFunc {
	return func(transport Transport) (azcore.TokenCredential, error) {
		if _, err := os.Stat(tokenFile); err != nil { // the library would say so among answers that it quotes
			return nil, fmt.Errorf("token of the service account: %w", err)
		}
		c, err := azidentity.NewWorkloadIdentityCredential(&azidentity.WorkloadIdentityCredentialOptions{
			ClientOptions: a.options(transport), DisableInstanceDiscovery: true,
			TenantID: a.TenantID, ClientID: a.ClientID, TokenFilePath: tokenFile,
		})
		return made(c, err)
	}
}

func made[C azcore.TokenCredential](c C, err error) (azcore.TokenCredential, error) {
	if err != nil {
		return nil, fmt.Errorf("identity of the application: %w", err)
	}
	return c, nil
}
