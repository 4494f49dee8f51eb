package reload

import (
	"crypto/tls"
	"errors"
	"fmt"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
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
	keyring *raconfig.Keyring
	key     []byte
	static  map[string]*challenge.Static
	tls     *tls.Certificate
}

// update takes over every part that can be read, but for the configuration: that
// is returned, for the keyring has the last word on it.
func (p *parts) update(f *files, found *problems) *configPart {
	for dir, err := range f.failed {
		found.add(dir, err)
	}
	if keyring, err := raconfig.DecodeKeyring(f.keyring); err != nil {
		found.add("keyring", err)
	} else {
		p.keyring = keyring
	}
	if key, err := readStateKey(f.state); err != nil {
		found.add("state", err)
	} else {
		p.key = key
	}
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
	config, err := readConfig(f.config)
	if err != nil || p.config == nil {
		return config, err
	}
	have, now := p.config.config.Endpoint, config.config.Endpoint
	if have.Namespace != now.Namespace || have.Name != now.Name {
		return nil, errOtherEndpoint
	}
	return config, nil
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
		p.updateChallenge(c, f, found)
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

func (p *parts) updateChallenge(c raconfig.Challenge, f *files, found *problems) {
	if c.Type != v1alpha1.ChallengeStatic {
		return
	}
	static, err := challenge.NewStatic(c.Name, f.challenges[c.Name])
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
	identity, err := newIdentity(p.keyring, c.config.ActiveGeneration)
	if err != nil {
		return nil, err
	}
	s := &Snapshot{
		Config:         c.config,
		ConfigHash:     c.hash,
		Keyring:        p.keyring,
		Identity:       identity,
		Settings:       newSettings(c.config, c.templates),
		Templates:      c.templates,
		Challenges:     p.challenges(c.config),
		StateKey:       p.key,
		TrustedProxies: c.proxies,
	}
	if c.config.TLS {
		s.TLS = p.tls
	}
	return s, nil
}

// challenges are those of a configuration that can be verified. One without its
// file lets nobody in.
func (p *parts) challenges(c *raconfig.Config) challenge.List {
	var list challenge.List
	for _, entry := range c.Challenges {
		if entry.Type == raconfig.ChallengeAnyone {
			list = append(list, challenge.NewAnyone(entry.Name))
		} else if static, ok := p.static[entry.Name]; ok {
			list = append(list, static)
		}
	}
	return list
}
