package route

import (
	"slices"
	"strconv"
	"strings"
)

// GlobalKey is the one key of a controller's ConfigMap that raises the limit of all
// its Ingresses.
type GlobalKey struct {
	// Key of the ConfigMap.
	Key string
	// Line is the whole value, or one line of it where Directive says so.
	Line string
	// Directive is the first word of the line, in a value of many lines; empty where
	// the line is the whole value.
	Directive string
	// AtLeast is the size, in bytes, that suffices: whoever set more keeps it. It is the line's last word.
	AtLeast int64
}

// Raised is a value of the key with which 64 KiB pass: the one that is there if it
// suffices, and otherwise with nothing but our line added or replaced.
func (g GlobalKey) Raised(have string) string {
	if g.Directive == "" {
		if sizeAtEnd(have) >= g.AtLeast {
			return have
		}
		return g.Line
	}
	lines := strings.Split(strings.TrimRight(have, "\n"), "\n")
	at := slices.IndexFunc(lines, func(line string) bool {
		words := strings.Fields(line)
		return len(words) > 0 && words[0] == g.Directive
	})
	switch {
	case strings.TrimSpace(have) == "":
		return g.Line
	case at < 0:
		return strings.Join(append(lines, g.Line), "\n")
	case sizeAtEnd(lines[at]) >= g.AtLeast:
		return have
	}
	lines[at] = g.Line
	return strings.Join(lines, "\n")
}

// sizeAtEnd reads the last word of a line as a number of bytes, with nginx's suffixes
// k and m; 0 if it is none.
func sizeAtEnd(line string) int64 {
	words := strings.Fields(strings.TrimRight(strings.TrimSpace(line), ";"))
	if len(words) == 0 {
		return 0
	}
	word, unit := strings.ToLower(words[len(words)-1]), int64(1)
	for suffix, bytes := range map[string]int64{"k": 1 << 10, "m": 1 << 20} {
		if number, has := strings.CutSuffix(word, suffix); has {
			word, unit = number, bytes
		}
	}
	number, err := strconv.ParseInt(word, 10, 32)
	if err != nil {
		return 0
	}
	return number * unit
}
