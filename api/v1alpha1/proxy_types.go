package v1alpha1

// OutboundProxy says by which proxies the servers of an endpoint call services. What is
// written here is readable by many: a proxy that wants a user name and a password is not
// supported.
//
// +kubebuilder:validation:XValidation:rule="has(self.httpsProxy) || has(self.httpProxy)",message="proxy needs httpsProxy, httpProxy or both"
type OutboundProxy struct {
	// The proxy for services with TLS, as the environment variable HTTPS_PROXY:
	// http://proxy.example.com:3128. It is asked to connect (CONNECT), and sees host and port
	// alone. With https:// the way to the proxy has TLS too, by a certificate of a public CA.
	// +optional
	HTTPSProxy ProxyURL `json:"httpsProxy,omitempty"`

	// The proxy for services without TLS, as the environment variable HTTP_PROXY.
	// +optional
	HTTPProxy ProxyURL `json:"httpProxy,omitempty"`

	// Hosts that are called directly, as in the environment variable NO_PROXY, one an item:
	// a name with all names below it (example.com), the names below it alone
	// (.example.com), an address, a CIDR; each with or without a port.
	// +optional
	// +listType=set
	// +kubebuilder:validation:MaxItems=32
	NoProxy []NoProxyHost `json:"noProxy,omitempty"`
}

// ProxyURL is the URL of a proxy, without user name and password.
//
// +kubebuilder:validation:MinLength=8
// +kubebuilder:validation:MaxLength=300
// +kubebuilder:validation:XValidation:rule="!self.contains('@')",message="a proxy's URL must not hold a user name or a password: many can read it"
// +kubebuilder:validation:XValidation:rule="self.contains('@') || isURL(self) && url(self).getScheme() in ['http', 'https'] && size(url(self).getHostname()) > 0 && size(url(self).getEscapedPath()) < 2",message="a proxy is a URL with http or https, a host and perhaps a port"
type ProxyURL string

// NoProxyHost is a host, or a range of hosts, that is called directly.
//
// +kubebuilder:validation:MinLength=1
// +kubebuilder:validation:MaxLength=253
// +kubebuilder:validation:Pattern=`^[A-Za-z0-9._:/*\[\]-]+$`
type NoProxyHost string
