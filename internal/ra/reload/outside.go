package reload

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/challenge/intune"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/challenge/webhook"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// outside is a challenge that asks a service, and what it was made from.
type outside struct {
	verifier challenge.Verifier
	madeFrom [sha256.Size]byte
}

// updateOutside makes a challenge that asks a service, unless it is as it was:
// what it has learnt, tokens and addresses among it, outlives other changes. One
// that could never be made says so to whoever asks.
func (p *parts) updateOutside(config *configPart, c raconfig.Challenge, f *files, found *problems) {
	sources := sources{
		entry:     c,
		endpoint:  config.config.Endpoint,
		files:     f.ofChallenge(c.Name),
		tokenFile: f.tokenFile(c.Name),
		now:       p.now,
	}
	sum := sources.sum()
	have := p.outside[c.Name]
	if have.verifier != nil && have.madeFrom == sum {
		return
	}
	verifier, err := sources.make()
	switch {
	case err == nil:
		p.outside[c.Name] = outside{verifier, sum}
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
	tokenFile string
	now       func() time.Time
}

func (s sources) sum() [sha256.Size]byte {
	h := sha256.New()
	_ = json.NewEncoder(h).Encode(s.entry) // plain values, and a hash does not fail
	for _, name := range slices.Sorted(maps.Keys(s.files)) {
		_, _ = fmt.Fprintf(h, "%q %x\n", name, sha256.Sum256(s.files[name]))
	}
	return [sha256.Size]byte(h.Sum(nil))
}

var errNoSettings = errors.New("the entry has no settings")

func (s sources) make() (challenge.Verifier, error) {
	switch {
	case s.entry.Webhook != nil:
		return s.webhook(s.entry.Webhook)
	case s.entry.Intune != nil:
		return s.intune(s.entry.Intune)
	}
	return nil, errNoSettings
}

func (s sources) webhook(c *raconfig.Webhook) (challenge.Verifier, error) {
	roots, err := s.roots(c.CABundle)
	if err != nil {
		return nil, err
	}
	timeout := time.Duration(c.TimeoutSeconds) * time.Second
	o := challenge.WebhookOptions{Name: s.entry.Name}
	if o.Ask, err = s.hook(c.Hook, "", roots, timeout); err != nil {
		return nil, err
	}
	if c.Notification != nil {
		o.NotificationRequired = c.Notification.Required
		if o.Notify, err = s.hook(c.Notification.Hook, raconfig.NotificationPrefix, roots, timeout); err != nil {
			return nil, fmt.Errorf("notification: %w", err)
		}
	}
	return challenge.NewWebhook(o), nil
}

// hook makes one webhook of the files whose names begin with prefix.
func (s sources) hook(c raconfig.Hook, prefix string, roots *x509.CertPool, timeout time.Duration) (*webhook.Hook, error) {
	if err := outbound.CheckURL(c.URL); err != nil {
		return nil, fmt.Errorf("url: %w", err)
	}
	h := &webhook.Hook{
		URL: c.URL, ID: cmp.Or(c.ID, s.entry.Name), Provisioner: s.endpoint.Name,
		Timeout: timeout, Now: s.now,
	}
	o := outbound.Options{Timeout: timeout, MaxAnswer: webhook.MaxAnswer, Roots: roots}
	for _, way := range c.Authentication {
		authenticate, known := authentications[way]
		if !known {
			return nil, fmt.Errorf("authentication %s is not known", way)
		}
		if err := authenticate(credentials{s.files, prefix}, h, &o); err != nil {
			return nil, fmt.Errorf("authentication %s: %w", way, err)
		}
	}
	h.Client = outbound.New(o)
	return h, nil
}

// credentials are files whose names begin with a prefix.
type credentials struct {
	files  map[string][]byte
	prefix string
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
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(bytes.TrimSpace(s.files[raconfig.CABundleFile])) {
		return nil, errNoRoots
	}
	return pool, nil
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
		Outbound:   outbound.New(outbound.Options{Timeout: time.Duration(c.TimeoutSeconds) * time.Second, MaxAnswer: intune.MaxAnswer, Roots: roots}),
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
