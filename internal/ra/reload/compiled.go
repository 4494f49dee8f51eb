package reload

import "github.com/scepter-pki/scepter/internal/raconfig"

// Compiled is a configuration file whose templates are ready to judge: what a
// server and a signer have in common. It is never changed.
type Compiled struct {
	Config    *raconfig.Config
	Hash      string
	Templates []Template
}

// Compile reads and compiles the configuration file of raconfig.ConfigDir.
func Compile(files map[string][]byte) (*Compiled, error) {
	return compiled(readConfig(files, raconfig.ConfigFile))
}

// Recall reads and compiles the last good configuration, for a pod that has just started.
func Recall(files map[string][]byte, pod string) (*Compiled, error) {
	return compiled(recallConfig(files, pod))
}

func compiled(part *configPart, err error) (*Compiled, error) {
	if err != nil {
		return nil, err
	}
	return &Compiled{Config: part.config, Hash: part.hash, Templates: part.templates}, nil
}

// Template finds a template by its name within the endpoint; nil if there is none.
func (c *Compiled) Template(name string) *Template {
	for i := range c.Templates {
		if c.Templates[i].Name == name {
			return &c.Templates[i]
		}
	}
	return nil
}

// Challenge finds an entry by its name; nil if there is none.
func (c *Compiled) Challenge(name string) *raconfig.Challenge {
	for i := range c.Config.Challenges {
		if c.Config.Challenges[i].Name == name {
			return &c.Config.Challenges[i]
		}
	}
	return nil
}
