package raconfig

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"sigs.k8s.io/json"
	"sigs.k8s.io/yaml"
)

// Restricting are the paths below which each field may keep somebody from getting a
// certificate: a server that does not know one of them would grant too much. The
// operator writes them as Requires.
var Restricting = []string{"endpoint", "issuance", "templates", "challenges", "trustedProxies", "recording.sink", "ca"}

// Decode reads a configuration. A field that is not known, because a newer operator
// wrote it, is listed in Unknown; one below a path that the file requires is an error,
// as are another version and missing parts. The errors wrap ErrInvalid: a server
// keeps what it had.
func Decode(in []byte) (*Config, error) {
	c := &Config{}
	if err := c.decode(in); err != nil {
		return nil, fmt.Errorf("%w: %w", ErrInvalid, err)
	}
	return c, nil
}

func (c *Config) decode(in []byte) error {
	if err := c.unmarshal(in); err != nil {
		return err
	}
	if err := c.validate(); err != nil {
		return err
	}
	for _, path := range c.Unknown {
		if by, required := c.requires(path); required {
			return fmt.Errorf("the field %s is not known to this version, and the file requires %s to be: run the server that goes with the operator", path, by)
		}
	}
	return nil
}

func (c *Config) unmarshal(in []byte) error {
	raw, err := yaml.YAMLToJSONStrict(in)
	if err != nil {
		return fmt.Errorf("read YAML: %w", err)
	}
	unknown, err := json.UnmarshalStrict(raw, c, json.DisallowUnknownFields)
	if err != nil {
		return fmt.Errorf("read fields: %w", err)
	}
	for _, each := range unknown {
		var field json.FieldError
		if !errors.As(each, &field) {
			return fmt.Errorf("read fields: %w", each)
		}
		c.Unknown = append(c.Unknown, field.FieldPath())
	}
	return nil
}

// requires says which of Requires, if any, a field is below.
func (c *Config) requires(path string) (by string, required bool) {
	i := slices.IndexFunc(c.Requires, func(required string) bool {
		rest, below := strings.CutPrefix(path, required)
		return below && (rest == "" || strings.ContainsAny(rest[:1], ".["))
	})
	if i < 0 {
		return "", false
	}
	return c.Requires[i], true
}
