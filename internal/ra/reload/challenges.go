package reload

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// challenges are those of a configuration that can be verified. One without its
// file lets nobody in. Services are asked after what can be told here. Anyone comes
// last, so that a one-time challenge is spent even where none is needed.
func (p *parts) challenges(c *configPart) challenge.List {
	var list challenge.List
	for _, entry := range c.config.Challenges {
		if v := p.verifier(c, entry); v != nil {
			list = append(list, v)
		}
	}
	slices.SortStableFunc(list, func(a, b challenge.Verifier) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

func rank(v challenge.Verifier) int {
	switch v.(type) {
	case challenge.Anyone:
		return 2
	case challenge.Outcome:
		return 1
	}
	return 0
}

// verifier is nil for an entry that cannot be verified.
func (p *parts) verifier(c *configPart, entry raconfig.Challenge) challenge.Verifier {
	switch entry.Type {
	case v1alpha1.ChallengeStatic:
		if static, ok := p.static[entry.Name]; ok {
			return static
		}
	case v1alpha1.ChallengeOneTime:
		if oneTime, err := p.oneTime(c, entry); err == nil {
			return oneTime
		}
	case v1alpha1.ChallengeWebhook, v1alpha1.ChallengeIntune:
		return p.outside[entry.Name].verifier
	case v1alpha1.ChallengeAnyone:
		return challenge.Anyone(entry.Name)
	}
	return nil
}

// oneTime makes an entry from the configuration and the endpoint's keys.
func (p *parts) oneTime(c *configPart, entry raconfig.Challenge) (*onetime.OneTime, error) {
	settings := entry.OneTime
	if settings == nil {
		return nil, fmt.Errorf("challenge %s has no oneTime", entry.Name)
	}
	templates := map[string][]string{}
	for _, t := range c.templates {
		templates[t.Name] = t.Policy.NamedRules()
	}
	if p.guards[entry.Name] == nil {
		p.guards[entry.Name] = onetime.NewGuard()
	}
	made, err := onetime.New(onetime.Config{
		Name:      entry.Name,
		Endpoint:  string(c.config.Endpoint.UID),
		Keys:      p.challengeKeys,
		Validity:  time.Duration(settings.ValiditySeconds) * time.Second,
		Rekey:     time.Duration(settings.RekeySeconds) * time.Second,
		NDES:      settings.NDES != nil,
		Templates: templates,
		Guard:     p.guards[entry.Name],
		Now:       p.now,
	})
	if err != nil {
		return nil, fmt.Errorf("challenge %s: %w", entry.Name, err)
	}
	return made, nil
}

// OneTime finds a challenge of type OneTime by its name; "" is the first. It is nil
// if there is none.
func (s *Snapshot) OneTime(name string) *onetime.OneTime {
	for _, v := range s.Challenges {
		if o, ok := v.(*onetime.OneTime); ok && (name == "" || name == o.Name()) {
			return o
		}
	}
	return nil
}

// updateChallengeKeys takes over the key that mints one-time challenges and those that
// only verify. Without the first the keys stay as they were: no other may mint in its place.
func (p *parts) updateChallengeKeys(files map[string][]byte, found *problems) {
	active := files[raconfig.ChallengeKeyFile]
	if len(active) < onetime.KeyBytes {
		if len(active) > 0 {
			found.add("state/"+raconfig.ChallengeKeyFile, errShort(active))
		}
		return
	}
	keys := [][]byte{active}
	for _, name := range []string{raconfig.PreviousChallengeKeyFile, raconfig.NextChallengeKeyFile} {
		key := files[name]
		switch {
		case len(key) == 0 || isAmong(keys, key):
		case len(key) < onetime.KeyBytes:
			found.add("state/"+name, errShort(key))
		case len(keys) == onetime.MaxKeys:
			found.add("state/"+name, fmt.Errorf("%d keys are valid at once; it is taken in when %s is gone", onetime.MaxKeys, raconfig.PreviousChallengeKeyFile))
		default:
			keys = append(keys, key)
		}
	}
	p.challengeKeys = keys
}

func errShort(key []byte) error {
	return fmt.Errorf("it holds %d bytes, %d are needed", len(key), onetime.KeyBytes)
}

func isAmong(keys [][]byte, key []byte) bool {
	return slices.ContainsFunc(keys, func(k []byte) bool { return bytes.Equal(k, key) })
}
