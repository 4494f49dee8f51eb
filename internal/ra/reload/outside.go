package reload

import (
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/challenge/webhook"
	"github.com/scepter-pki/scepter/internal/ra/clientprobe"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// outside is a challenge that asks a service, and what it was made from.
type outside struct {
	verifier challenge.Verifier
	madeFrom string
	// clients are the client credentials that it shows, and services to whom.
	clients  []*ClientCredential
	services []clientprobe.Service
	needs    []raconfig.Need
}

// client finds a client credential by its name; nil if there is none.
func (o *outside) client(name string) *ClientCredential {
	i := slices.IndexFunc(o.clients, func(c *ClientCredential) bool { return c.Name == name })
	if i < 0 {
		return nil
	}
	return o.clients[i]
}

// updateOutside makes a challenge that asks a service, unless it is as it was:
// what it has learnt, tokens and addresses among it, outlives other changes. One
// that could never be made says so to whoever asks.
func (p *parts) updateOutside(config *configPart, c raconfig.Challenge, f *files, found *problems) {
	sources := sources{
		entry:     c,
		endpoint:  config.config.Endpoint,
		files:     f.ofChallenge(c.Name),
		clients:   f.clients,
		active:    config.config.Clients,
		tokenFile: f.tokenFile(c.Name),
		proxy:     config.config.Proxy,
		now:       p.now,
	}
	sum := sources.sum()
	have := p.outside[c.Name]
	if have.verifier != nil && have.madeFrom == sum {
		return
	}
	made, err := sources.make()
	switch {
	case err == nil:
		made.madeFrom, made.needs = sum, sources.needs()
		p.outside[c.Name] = *made
		return
	case have.verifier == nil:
		p.outside[c.Name] = outside{verifier: challenge.NewUnusable(c.Name, fmt.Errorf("challenge %s: %w", c.Name, err))}
	}
	found.add("challenges/"+c.Name, err)
}

// sources are what a challenge that asks a service is made from.
type sources struct {
	entry     raconfig.Challenge
	endpoint  raconfig.Endpoint
	files     map[string][]byte
	clients   map[string][]byte // of all client credentials
	active    map[string]raconfig.Client
	tokenFile string
	proxy     *raconfig.Proxy
	now       func() time.Time
}

func (s sources) sum() string {
	return s.sumOf(s.files, s.clientFiles())
}

// sumOf tells apart what a challenge is made from: its entry and some files.
func (s sources) sumOf(files ...map[string][]byte) string {
	h := sha256.New()
	_ = json.NewEncoder(h).Encode(s.entry) // plain values, and a hash does not fail
	_ = json.NewEncoder(h).Encode(s.proxy)
	for _, some := range files {
		for _, name := range slices.Sorted(maps.Keys(some)) {
			_, _ = fmt.Fprintf(h, "%q %x\n", name, sha256.Sum256(some[name]))
		}
	}
	return hex.EncodeToString(h.Sum(nil))
}

// clientFiles are those of the credentials that the entry names, and which generation of
// each is to be shown.
func (s sources) clientFiles() map[string][]byte {
	out := map[string][]byte{}
	for _, credential := range s.entry.ClientCredentials() {
		for file, content := range within(s.clients, credential) {
			out[credential+"/"+file] = content
		}
		out[credential] = []byte(s.active[credential].ActiveGeneration)
	}
	return out
}

var errNoSettings = errors.New("the entry has no settings")

func (s sources) make() (*outside, error) {
	switch {
	case s.entry.Webhook != nil:
		return s.webhook(s.entry.Webhook)
	case s.entry.Intune != nil:
		verifier, err := s.intune(s.entry.Intune)
		if err != nil {
			return nil, err
		}
		return &outside{verifier: verifier}, nil
	}
	return nil, errNoSettings
}

// credentials are files whose names begin with a prefix, and perhaps a client certificate from elsewhere.
type credentials struct {
	files  map[string][]byte
	prefix string
	// client is nil where the client certificate is among the files.
	client func() (*ClientCredential, error)
}

// word reads a file of one line. A line end behind it is an editor's.
func (c credentials) word(name string) (string, error) {
	word := strings.TrimRight(string(c.files[c.prefix+name]), "\r\n")
	if word == "" {
		return "", fmt.Errorf("the file %s is missing or empty", c.prefix+name)
	}
	return word, nil
}

func (c credentials) pair() (tls.Certificate, error) {
	pair, err := tls.X509KeyPair(c.files[c.prefix+raconfig.CertificateFile], c.files[c.prefix+raconfig.KeyFile])
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("%s and %s: %w", c.prefix+raconfig.CertificateFile, c.prefix+raconfig.KeyFile, err)
	}
	return pair, nil
}

// authentications set a webhook up for each way to authenticate.
var authentications = map[v1alpha1.WebhookAuthentication]func(credentials, *webhook.Hook, *outbound.Options) error{
	v1alpha1.WebhookSignature: func(c credentials, h *webhook.Hook, _ *outbound.Options) error {
		secret, err := c.word(raconfig.SigningSecretFile)
		if err != nil {
			return err
		}
		h.SigningKey, err = webhook.DecodeSigningKey(secret)
		return err
	},
	v1alpha1.WebhookBearer: func(c credentials, h *webhook.Hook, _ *outbound.Options) error {
		token, err := c.word(raconfig.BearerTokenFile)
		h.Authorization = webhook.Bearer(token)
		return err
	},
	v1alpha1.WebhookBasic: func(c credentials, h *webhook.Hook, _ *outbound.Options) error {
		username, err := c.word(raconfig.UsernameFile)
		password, missing := c.word(raconfig.PasswordFile)
		h.Authorization = webhook.Basic(username, password)
		return errors.Join(err, missing)
	},
	v1alpha1.WebhookClientCertificate: func(c credentials, _ *webhook.Hook, o *outbound.Options) error {
		if c.client != nil {
			client, err := c.client()
			if err == nil {
				o.ClientCertificate = client.current
			}
			return err
		}
		pair, err := c.pair()
		o.ClientCertificate = func() (*tls.Certificate, error) { return &pair, nil }
		return err
	},
}

var errNoRoots = errors.New(raconfig.CABundleFile + " is missing or holds no certificate")

// roots are nil, the system's, unless the endpoint brings its own.
func (s sources) roots(own bool) (*x509.CertPool, error) {
	if !own {
		return nil, nil
	}
	bundle := pkifacts.ReadBundle(s.files[raconfig.CABundleFile])
	if bundle.Empty() {
		return nil, errNoRoots
	}
	return bundle.Pool(), nil
}

func (s sources) intune(c *raconfig.Intune) (challenge.Verifier, error) {
	roots, err := s.roots(c.CABundle)
	if err != nil {
		return nil, err
	}
	urls := intune.URLs(c.URLs).Or(intune.PublicCloud)
	for _, u := range []string{urls.Authority, urls.Graph} {
		if err := outbound.CheckURL(u); err != nil {
			return nil, fmt.Errorf("urls: %w", err)
		}
	}
	credential, err := s.identity(c, intune.Application{Authority: urls.Authority, TenantID: c.TenantID, ClientID: c.ClientID})
	if err != nil {
		return nil, fmt.Errorf("authentication %s: %w", c.Authentication, err)
	}
	client := intune.New(intune.Options{
		URLs:       urls,
		Credential: credential,
		Caller:     caller(),
		Outbound:   outbound.New(outbound.Options{Timeout: time.Duration(c.TimeoutSeconds) * time.Second, MaxAnswer: intune.MaxAnswer, Roots: roots, Proxy: s.proxy.ForRequest}),
		Now:        s.now,
	})
	return challenge.NewIntune(challenge.IntuneOptions{
		Name: s.entry.Name, Client: client, NotificationRequired: c.NotificationRequired,
		Endpoint: s.endpoint.Namespace + "/" + s.endpoint.Name,
	}), nil
}

var errAuthentication = errors.New("it is not known")

// identity is how the servers prove to Microsoft who they are.
func (s sources) identity(c *raconfig.Intune, a intune.Application) (intune.CredentialFunc, error) {
	own := credentials{files: s.files}
	switch c.Authentication {
	case v1alpha1.IntuneClientSecret:
		secret, err := own.word(raconfig.ClientSecretFile)
		return a.Secret(secret), err
	case v1alpha1.IntuneClientCertificate:
		return s.assertion(own, a)
	case v1alpha1.IntuneWorkloadIdentity:
		return a.Federated(s.tokenFile), nil
	}
	return nil, errAuthentication
}

func (s sources) assertion(own credentials, a intune.Application) (intune.CredentialFunc, error) {
	pair, err := own.pair()
	if err != nil {
		return nil, err
	}
	chain, err := raconfig.ParseCertificates(s.files[raconfig.CertificateFile])
	if err != nil {
		return nil, fmt.Errorf("%s: %w", raconfig.CertificateFile, err)
	}
	return a.Certificate(chain, pair.PrivateKey), nil
}

// caller names this software in Intune's records.
func caller() string {
	const product = "Scepter"
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return product
	}
	return strings.TrimSpace(product + " " + info.Main.Version)
}
