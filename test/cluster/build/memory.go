package build

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"regexp"
	"strconv"
	"strings"
)

var memAvailable = regexp.MustCompile(`(?m)^MemAvailable:\s+(\d+) kB$`)

// availableMemory is what the kernel believes could be used now, in bytes.
func availableMemory() (int64, error) {
	content, err := os.ReadFile("/proc/meminfo")
	if err != nil {
		return 0, fmt.Errorf("free memory: %w", err)
	}
	return parseMemAvailable(content)
}

func parseMemAvailable(meminfo []byte) (int64, error) {
	match := memAvailable.FindSubmatch(meminfo)
	if match == nil {
		return 0, fmt.Errorf("free memory: no MemAvailable in /proc/meminfo")
	}
	kib, err := strconv.ParseInt(string(match[1]), 10, 64)
	if err != nil {
		return 0, fmt.Errorf("free memory: %w", err)
	}
	return kib << 10, nil
}

func shortHash(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:8])
}
