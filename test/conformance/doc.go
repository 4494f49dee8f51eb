// Package conformance runs SCEP clients written elsewhere against the engine of
// internal/scep, over loopback. It installs them from Debian if it may.
package conformance
