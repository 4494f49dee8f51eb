package reload

import (
	"maps"
	"slices"
	"strings"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// updateKeyring reads the keyring, and those of earlier RA credentials, whose generations
// devices may still use. One that is not mounted any more, or empty, is gone; one that
// cannot be read stays as it was.
func (p *parts) updateKeyring(f *files, found *problems) {
	p.readKeyring("", "keyring", f.keyring, found)
	names := credentialNames(f.keyrings)
	for _, name := range names {
		p.readKeyring(name, "keyrings/"+name, within(f.keyrings, name), found)
	}
	if f.failed["keyrings"] == nil {
		maps.DeleteFunc(p.keyrings, func(name string, _ *raconfig.Keyring) bool { return name != "" && !slices.Contains(names, name) })
	}
	p.keyring = mergedKeyring(p.keyrings)
}

func (p *parts) readKeyring(name, what string, files map[string][]byte, found *problems) {
	keyring, err := raconfig.DecodeKeyring(files)
	if err != nil {
		found.add(what, err)
		return
	}
	p.keyrings[name] = keyring
}

func credentialNames(files map[string][]byte) []string {
	names := map[string]bool{}
	for path := range files {
		name, _, _ := strings.Cut(path, "/")
		names[name] = true
	}
	return slices.Sorted(maps.Keys(names))
}

// mergedKeyring has the generations of all, those of "" first; nil if there is none of "".
func mergedKeyring(keyrings map[string]*raconfig.Keyring) *raconfig.Keyring {
	if keyrings[""] == nil {
		return nil
	}
	out := &raconfig.Keyring{}
	for _, name := range slices.Sorted(maps.Keys(keyrings)) {
		for _, g := range keyrings[name].Generations {
			if out.Find(g.ID) == nil {
				out.Generations = append(out.Generations, g)
			}
		}
	}
	return out
}
