// Package build makes the programs of the test cluster from source: etcd and
// Kubernetes, cert-manager, CoreDNS, Helm and Traefik from the Go modules below
// modules/, and programs of this repository.
//
// Programs from modules are kept by the content of what they are made of: the
// module's files, the Go version, platform and flags. A cache entry appears by
// one rename, so an interrupted build leaves nothing that could be believed,
// and a file lock makes concurrent processes build once.
package build
