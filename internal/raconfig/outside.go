package raconfig

import (
	"slices"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// Files of a challenge's directory, beside PasswordFile and UsernameFile.
const (
	// SigningSecretFile holds a webhook's signing secret in base64.
	SigningSecretFile = "signing-secret"
	// BearerTokenFile holds a webhook's bearer token.
	BearerTokenFile = "bearer-token"
	// CertificateFile and KeyFile hold a client certificate with its chain, and its key.
	CertificateFile = "tls.crt"
	KeyFile         = "tls.key"
	// ClientSecretFile holds the secret of an application in Microsoft Entra ID.
	ClientSecretFile = "client-secret"
	// CABundleFile holds CA certificates in PEM.
	CABundleFile = "ca.crt"
	// TokenFile holds a service account token. The kubelet renews it; it is read when needed.
	TokenFile = "token"
	// NotificationPrefix is before the names of the files of a webhook's notification.
	NotificationPrefix = "notification-"
)

// ChallengeFiles are the files of a challenge's directory that a server reads: what
// else is there, TokenFile for one, does not count as a change.
var ChallengeFiles = []string{
	PasswordFile, UsernameFile, SigningSecretFile, BearerTokenFile, CertificateFile, KeyFile, ClientSecretFile, CABundleFile,
	NotificationPrefix + PasswordFile, NotificationPrefix + UsernameFile, NotificationPrefix + SigningSecretFile,
	NotificationPrefix + BearerTokenFile, NotificationPrefix + CertificateFile, NotificationPrefix + KeyFile,
}

// WebhookFiles are the files, and keys of the Secret, that a way to authenticate needs.
var WebhookFiles = map[v1alpha1.WebhookAuthentication][]string{
	v1alpha1.WebhookSignature:         {SigningSecretFile},
	v1alpha1.WebhookBearer:            {BearerTokenFile},
	v1alpha1.WebhookBasic:             {UsernameFile, PasswordFile},
	v1alpha1.WebhookClientCertificate: {CertificateFile, KeyFile},
}

// IntuneFiles are the files, and keys of the Secret, that a way to authenticate needs.
var IntuneFiles = map[v1alpha1.IntuneAuthentication][]string{
	v1alpha1.IntuneClientSecret:      {ClientSecretFile},
	v1alpha1.IntuneClientCertificate: {CertificateFile, KeyFile},
	v1alpha1.IntuneWorkloadIdentity:  nil,
}

// Hook is a service that speaks step-ca's webhook protocol.
type Hook struct {
	URL            string                           `json:"url"`
	ID             string                           `json:"id"`
	Authentication []v1alpha1.WebhookAuthentication `json:"authentication"`
	// ClientCredential is the directory in ClientsDir with the client certificate; "":
	// CertificateFile and KeyFile.
	ClientCredential string `json:"clientCredential,omitempty"`
	// ClientProbe is how the service is asked whether it accepts ClientCredential; "": Head.
	ClientProbe v1alpha1.ClientProbe `json:"clientProbe,omitempty"`
}

// Webhook describes a challenge of that type.
type Webhook struct {
	Hook `json:",inline"`
	// CABundle is true where CABundleFile replaces the public CAs.
	CABundle       bool  `json:"caBundle,omitempty"`
	TimeoutSeconds int32 `json:"timeoutSeconds"`
	// Notification is nil where nobody is told how enrolments end.
	Notification *WebhookNotification `json:"notification,omitempty"`
}

// WebhookNotification describes who is told how enrolments end.
type WebhookNotification struct {
	Hook `json:",inline"`
	// Required holds certificates back until the notification is accepted.
	Required bool `json:"required,omitempty"`
}

// ClientCredentials are the directories in ClientsDir that a challenge needs.
func (c Challenge) ClientCredentials() []string {
	if c.Webhook == nil {
		return nil
	}
	var out []string
	if name := c.Webhook.ClientCredential; name != "" {
		out = append(out, name)
	}
	if n := c.Webhook.Notification; n != nil && n.ClientCredential != "" && !slices.Contains(out, n.ClientCredential) {
		out = append(out, n.ClientCredential)
	}
	return out
}

// Intune describes a challenge of that type.
type Intune struct {
	TenantID       string                        `json:"tenantID"`
	ClientID       string                        `json:"clientID"`
	Authentication v1alpha1.IntuneAuthentication `json:"authentication"`
	// NotificationRequired holds certificates back until Intune has accepted the notification.
	NotificationRequired bool  `json:"notificationRequired"`
	TimeoutSeconds       int32 `json:"timeoutSeconds"`
	// CABundle is true where CABundleFile replaces the public CAs.
	CABundle bool `json:"caBundle,omitempty"`
	// URLs that differ from the global cloud's; "" for those that do not.
	URLs IntuneURLs `json:"urls,omitzero"`
}

// IntuneURLs are where Microsoft's services are.
type IntuneURLs struct {
	Authority   string `json:"authority,omitempty"`
	Graph       string `json:"graph,omitempty"`
	GraphScope  string `json:"graphScope,omitempty"`
	IntuneScope string `json:"intuneScope,omitempty"`
}
