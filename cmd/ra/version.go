package main

import (
	"cmp"
	"runtime/debug"
)

// release is set by the linker (-X main.release=v1.2.3).
var release string

// version is the release, else the version control's revision.
func version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return cmp.Or(release, "unknown")
	}
	revision := ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = s.Value
		}
	}
	return cmp.Or(release, revision, info.Main.Version)
}
