// Package conformance runs SCEP clients written elsewhere against the engine of
// internal/scep, over loopback: each through the same cases, and through every
// algorithm it has. It installs them from Debian, and builds those from Go modules.
// What it sees goes into docs/interop.md (flag -update), and must be what is there.
//
// Devices that cannot be run are imitated (families_test.go); what openssl and the
// engine's CMS make of each other is in cms_openssl_test.go.
package conformance
