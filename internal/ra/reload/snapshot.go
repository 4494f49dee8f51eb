// Package reload reads the files that the operator mounts and keeps the last good
// state of them. A change takes effect within seconds, without a restart; what
// cannot be used is named as a problem and leaves the previous state in use.
package reload

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/clientprobe"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/ra/policy/selection"
	"github.com/scepter-pki/scepter/internal/ra/signer/client"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// Snapshot is everything that a request is worked on with. It is never changed.
type Snapshot struct {
	Config     *raconfig.Config
	ConfigHash string
	Keyring    *raconfig.Keyring
	Identity   *scep.Identity
	// RenewalCAs are those whose certificates may authenticate their renewal.
	RenewalCAs []*x509.Certificate
	Settings   scep.Settings
	Templates  []Template
	// Selection says which of them serves a request.
	Selection  *selection.Table
	Challenges challenge.List
	// StateKey is the endpoint's HMAC key.
	StateKey []byte
	// ChallengeKeys are those of one-time challenges: the first mints, all verify.
	ChallengeKeys  [][]byte
	TrustedProxies []netip.Prefix
	// Recording is where records and traces are sent.
	Recording Recording
	// TLS is nil where the servers do not end TLS.
	TLS *tls.Certificate
	// Admin is empty where challenges are not minted over HTTPS.
	Admin Admin
	// Clients are the client credentials that services are shown, and Services whom to
	// ask whether they let them pass.
	Clients  []*ClientCredential
	Services []clientprobe.Service
	// Needs are the services that the servers call, but for the API server.
	Needs []raconfig.Need
	// Signers is nil where the endpoint has none.
	Signers *client.Client
}

// Template is a compiled template under its name within the endpoint.
type Template struct {
	Name   string
	Policy *policy.Policy
}

// DefaultTemplate serves requests that match no other.
func (s *Snapshot) DefaultTemplate() *Template {
	wanted := s.Config.DefaultTemplate()
	if wanted == nil {
		return nil
	}
	return s.Template(wanted.Name)
}

// Template finds a template by its name within the endpoint; nil if there is none.
func (s *Snapshot) Template(name string) *Template {
	i := slices.IndexFunc(s.Templates, func(t Template) bool { return t.Name == name })
	if i < 0 {
		return nil
	}
	return &s.Templates[i]
}

// Active is the keyring generation that GetCACert shows.
func (s *Snapshot) Active() *raconfig.Generation { return s.Keyring.Find(s.Config.ActiveGeneration) }

// configPart is a configuration file that was read and compiled.
type configPart struct {
	config    *raconfig.Config
	hash      string
	templates []Template
	selection *selection.Table
	proxies   []netip.Prefix
	ca        authorities
}

// readConfig reads one of the configuration files.
func readConfig(files map[string][]byte, name string) (*configPart, error) {
	raw, ok := files[name]
	if !ok {
		return nil, fmt.Errorf("%s is missing", name)
	}
	config, err := raconfig.Decode(raw)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	part := &configPart{config: config, hash: raconfig.Hash(raw)}
	if part.ca, err = readAuthorities(config.CA); err != nil {
		return nil, fmt.Errorf("%s: ca: %w", name, err)
	}
	if part.selection, err = newSelection(config.Templates); err != nil {
		return nil, fmt.Errorf("%s: %w", name, err)
	}
	for _, t := range config.Templates {
		compiled, err := policy.Compile(t.Spec)
		if err != nil {
			return nil, fmt.Errorf("%s: template %s: %w", name, t.Name, err)
		}
		part.templates = append(part.templates, Template{Name: t.Name, Policy: compiled.For(config.Issuance.Mode)})
	}
	for _, cidr := range config.TrustedProxies {
		prefix, err := netip.ParsePrefix(cidr)
		if err != nil {
			return nil, fmt.Errorf("%s: trustedProxies: %w", name, err)
		}
		part.proxies = append(part.proxies, prefix)
	}
	return part, nil
}

var errNoLastGood = errors.New("there is no last good configuration for servers of this revision")

// recallConfig reads the last good configuration for a pod.
func recallConfig(files map[string][]byte, pod string) (*configPart, error) {
	if !raconfig.ReadLastGood(files).Fits(pod) {
		return nil, errNoLastGood
	}
	return readConfig(files, raconfig.LastGoodConfigFile)
}

func newSelection(templates []raconfig.Template) (*selection.Table, error) {
	var entries []selection.Entry
	for _, t := range templates {
		entries = append(entries, selection.Entry{Name: t.Name, Default: t.Default, KeyUsage: t.KeyUsage, Microsoft: t.Spec.Microsoft})
	}
	table, err := selection.New(entries)
	if err != nil {
		return nil, fmt.Errorf("templates: %w", err)
	}
	return table, nil
}

// hmacKeySize is the length of the endpoint's key in bytes.
const hmacKeySize = 32

func readStateKey(files map[string][]byte) ([]byte, error) {
	key := files[raconfig.HMACKeyFile]
	if len(key) < hmacKeySize {
		return nil, fmt.Errorf("%s holds %d bytes, %d are needed", raconfig.HMACKeyFile, len(key), hmacKeySize)
	}
	return key, nil
}

// Names of the files of a kubernetes.io/tls Secret.
const (
	tlsCertificateFile = "tls.crt"
	tlsKeyFile         = "tls.key"
)

func readTLS(files map[string][]byte) (*tls.Certificate, error) {
	pair, err := tls.X509KeyPair(files[tlsCertificateFile], files[tlsKeyFile])
	if err != nil {
		return nil, fmt.Errorf("%s and %s: %w", tlsCertificateFile, tlsKeyFile, err)
	}
	return &pair, nil
}

// newIdentity makes what the protocol works with from the keyring.
func newIdentity(k *raconfig.Keyring, active string, ca authorities) (*scep.Identity, error) {
	id := &scep.Identity{}
	for i := range k.Generations {
		g := &k.Generations[i]
		converted, err := newGeneration(g)
		if err != nil {
			return nil, fmt.Errorf("generation %s: %w", g.ID, err)
		}
		if g.ID != active {
			id.Others = append(id.Others, converted)
			continue
		}
		id.Active, id.CAChain = converted, ca.complete(g)
	}
	if id.Active == nil {
		return nil, fmt.Errorf("activeGeneration %s: the keyring lacks it", active)
	}
	id.NextCA = ca.nextAfter(id.CAChain)
	return id, nil
}

func newGeneration(g *raconfig.Generation) (*scep.Generation, error) {
	signing, encryption := g.ByRole(v1alpha1.RoleSigning), g.ByRole(v1alpha1.RoleEncryption)
	if signing == nil || encryption == nil {
		return nil, errors.New("it has no signing or no encryption certificate")
	}
	converted := &scep.Generation{Signing: newCredential(signing)}
	if converted.Encryption = converted.Signing; signing != encryption {
		converted.Encryption = newCredential(encryption)
	}
	return converted, nil
}

func newCredential(c *raconfig.Certificate) *scep.Credential {
	return &scep.Credential{Certificate: c.Certificate, Key: c.Key}
}

// chainShapes are the values of a configuration's caChain; empty is Full.
var chainShapes = map[v1alpha1.CAChain]scep.ChainShape{
	v1alpha1.CAChainFull:   scep.RAAndChain,
	v1alpha1.CAChainIssuer: scep.RAAndIssuer,
}

func newSettings(c *raconfig.Config, templates []Template) scep.Settings {
	renews := func(t Template) bool { return Renews(t.Policy) }
	return scep.Settings{
		AllowSHA1:      slices.Contains(c.LegacyAlgorithms, v1alpha1.SHA1),
		AllowTripleDES: slices.Contains(c.LegacyAlgorithms, v1alpha1.TripleDES),
		AllowDES:       slices.Contains(c.LegacyAlgorithms, v1alpha1.SingleDES),
		AllowMD5:       slices.Contains(c.LegacyAlgorithms, v1alpha1.MD5),
		Renewal:        slices.ContainsFunc(templates, renews),
		ChainShape:     chainShapes[c.CAChain],
		// Opened so that the pipeline can say, and record, why it refuses them.
		PasswordRecipient: true,
		GetCert:           true,
		GetCRL:            true,
	}
}

// Renews says whether certificates of a template may authenticate their renewal;
// left out means yes.
func Renews(p *policy.Policy) bool {
	allowed := p.Renewal().Allowed
	return allowed == nil || *allowed
}
