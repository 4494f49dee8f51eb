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
	keyring *raconfig.Keyring
	key     []byte
	static  map[string]*challenge.Static
	tls     *tls.Certificate
	admin   Admin

	// outside are the challenges that ask a service, by name.
	outside map[string]outside

	challengeKeys [][]byte
	// guards of one-time challenges, by name: a change of the files does not forget
	// who has been guessing.
	guards map[string]*onetime.Guard
	now    func() time.Time
}

func newParts(now func() time.Time) parts {
	return parts{
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
	if keys := readChallengeKeys(f.state); len(keys) > 0 {
		p.challengeKeys = keys
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
		p.updateChallenge(config, c, f, found)
	}
	if config.config.Admin {
		p.updateAdmin(f, found)
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
		Challenges:     p.challenges(c),
		StateKey:       p.key,
		TrustedProxies: c.proxies,
	}
	if c.config.TLS {
		s.TLS = p.tls
	}
	if c.config.Admin {
		s.Admin = p.admin
	}
	return s, nil
}
