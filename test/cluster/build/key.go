package build

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"hash"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// platformVariables decide what the compiler makes, next to flags and sources.
var platformVariables = []string{"GOVERSION", "GOOS", "GOARCH", "GOAMD64", "GOARM64", "GOEXPERIMENT"}

// key is the content address of what building t would make.
func (t Target) key(ctx context.Context) (string, error) {
	platform, err := goEnv(ctx, t.Dir, platformVariables...)
	if err != nil {
		return "", err
	}
	files, err := sources(t.Dir)
	if err != nil {
		return "", err
	}
	sum := sha256.New()
	for _, part := range slices.Concat(platform, []string{t.Name, t.Package}, t.flags()) {
		sum.Write(fmt.Appendf(nil, "%q\n", part))
	}
	for _, name := range files {
		if err := hashFile(sum, t.Dir, name); err != nil {
			return "", err
		}
	}
	return t.Name + "-" + hex.EncodeToString(sum.Sum(nil))[:16], nil
}

// sources are the module's files that decide what is built, sorted.
func sources(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("sources: %w", err)
	}
	var files []string
	for _, e := range entries {
		name := e.Name()
		isSource := strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go")
		if isSource || name == "go.mod" || name == "go.sum" {
			files = append(files, name)
		}
	}
	return files, nil
}

func hashFile(h hash.Hash, dir, name string) error {
	content, err := os.ReadFile(filepath.Join(dir, name))
	if err != nil {
		return fmt.Errorf("sources: %w", err)
	}
	h.Write(fmt.Appendf(nil, "%q %x\n", name, sha256.Sum256(content)))
	return nil
}
