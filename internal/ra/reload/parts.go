package reload

import (
	"crypto/tls"
	"errors"
	"fmt"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// problems collects what keeps files from use.
type problems []string

func (p *problems) add(what string, err error) {
	*p = append(*p, fmt.Sprintf("%s: %v; what was there before stays in use until this is corrected", what, err))
}

// parts are the last good content of each kind of file.
type parts struct {
	config  *configPart
	keyring *raconfig.Keyring // of all RA credentials
	// keyrings of each of them; "" is the one in Dirs.Keyring.
	keyrings map[string]*raconfig.Keyring
	key      []byte
	static   map[string]*challenge.Static
	tls      *tls.Certificate
	admin    Admin
	signers  signers

	// outside are the challenges that ask a service, by name.
	outside map[string]outside

	recording     Recording
	challengeKeys [][]byte
	// guards of one-time challenges, by name: a change of the files does not forget
	// who has been guessing.
	guards map[string]*onetime.Guard
	now    func() time.Time
	// pod is the server's name.
	pod string
}

func newParts(now func() time.Time) parts {
	return parts{
		keyrings: map[string]*raconfig.Keyring{},

		static:  map[string]*challenge.Static{},
		outside: map[string]outside{},
		guards:  map[string]*onetime.Guard{},
		now:     now,
	}
}

// update takes over every part that can be read, but for the configuration: that
// is returned, for the keyring has the last word on it.
func (p *parts) update(f *files, found *problems) *configPart {
	for dir, err := range f.failed {
		found.add(dir, err)
	}
	p.updateKeyring(f, found)
	if key, err := readStateKey(f.state); err != nil {
		found.add("state", err)
	} else {
		p.key = key
	}
	p.updateChallengeKeys(f.state, found)
	p.recall(f)
	config, err := p.readConfig(f)
	if err != nil {
		found.add("config", err)
		config = nil
	}
	p.updateForConfig(config, f, found)
	return config
}

var errOtherEndpoint = errors.New("it belongs to another endpoint")

func (p *parts) readConfig(f *files) (*configPart, error) {
	config, err := readConfig(f.config, raconfig.ConfigFile)
	if err != nil || p.config == nil {
		return config, err
	}
	have, now := p.config.config.Endpoint, config.config.Endpoint
	if have.Namespace != now.Namespace || have.Name != now.Name {
		return nil, errOtherEndpoint
	}
	return config, nil
}

// recall gives a server that has just started what others have in memory: the last good
// configuration. It serves if the newest does not; whether it can shows later.
func (p *parts) recall(f *files) {
	if p.config != nil {
		return
	}
	config, err := recallConfig(f.config, p.pod)
	if err != nil {
		return // there is none for this server; that is no problem while the newest is good
	}
	p.config = config
	p.updateForConfig(config, f, &problems{}) // those of the newest are told
}

// updateForConfig reads what depends on the configuration, new or previous.
func (p *parts) updateForConfig(config *configPart, f *files, found *problems) {
	if config == nil {
		config = p.config
	}
	if config == nil {
		return
	}
	for _, c := range config.config.Challenges {
		p.updateChallenge(config, c, f, found)
	}
	p.updateRecording(config, f, found)
	if config.config.Admin {
		p.updateAdmin(config.config.AdminClients, f, found)
	}
	if config.config.Issuance.Signer != nil {
		p.updateSigners(f, found)
	}
	if !config.config.TLS {
		return
	}
	if pair, err := readTLS(f.tls); err != nil {
		found.add("tls", err)
	} else {
		p.tls = pair
	}
}

func (p *parts) updateChallenge(config *configPart, c raconfig.Challenge, f *files, found *problems) {
	switch c.Type {
	case v1alpha1.ChallengeOneTime:
		if _, err := p.oneTime(config, c); err != nil {
			found.add("state", err)
		}
	case v1alpha1.ChallengeStatic:
		p.updateStatic(c, f, found)
	case v1alpha1.ChallengeWebhook, v1alpha1.ChallengeIntune:
		p.updateOutside(config, c, f, found)
	}
}

func (p *parts) updateStatic(c raconfig.Challenge, f *files, found *problems) {
	static, err := challenge.NewStatic(c.Name, f.ofChallenge(c.Name)[raconfig.PasswordFile])
	if err != nil {
		found.add("challenges/"+c.Name+"/"+raconfig.PasswordFile, err)
		return
	}
	p.static[c.Name] = static
}

var (
	errNoKeyring = errors.New("there is no keyring yet")
	errNoKey     = errors.New("there is no endpoint key yet")
	errNoTLS     = errors.New("there is no TLS certificate yet")
)

// snapshot puts the parts together.
func (p *parts) snapshot(c *configPart) (*Snapshot, error) {
	switch {
	case p.keyring == nil:
		return nil, errNoKeyring
	case p.key == nil:
		return nil, errNoKey
	case c.config.TLS && p.tls == nil:
		return nil, errNoTLS
	}
	identity, err := newIdentity(p.keyring, c.config.ActiveGeneration, c.ca)
	if err != nil {
		return nil, err
	}
	signers, err := p.signers.clientOf(c)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{
		Config:         c.config,
		ConfigHash:     c.hash,
		Keyring:        p.keyring,
		Identity:       identity,
		RenewalCAs:     c.ca.forRenewals(p.keyring, identity),
		Settings:       newSettings(c.config, c.templates),
		Templates:      c.templates,
		Selection:      c.selection,
		Challenges:     p.challenges(c),
		StateKey:       p.key,
		ChallengeKeys:  p.challengeKeys,
		TrustedProxies: c.proxies,
		Recording:      p.recording,
		Signers:        signers,
	}
	s.Clients, s.Services = p.clients(c)
	s.Needs = p.needs(c)
	if c.config.TLS {
		s.TLS = p.tls
	}
	if c.config.Admin {
		s.Admin = p.admin
	}
	return s, nil
}
