// Package probe asks a SCEP URL what a device would ask, and returns facts: it judges
// nothing. It speaks HTTP/1.1 over connections of its own, because the exact length of
// a request's target matters and no HTTP library lets a caller choose its bytes, and
// it never follows a redirect, because SCEP clients do not.
//
// With the endpoint's key it marks its requests (package probemark), and a server of
// the endpoint signs for what it received and answered. Without one, as from outside,
// answers are compared with those of a server that is known.
//
// It connects to the hosts that it is given and to nothing that they name. Addresses
// that no device could reach (loopback, link-local and multicast ones) are not
// connected to: a name that leads there would have the cluster's own parts asked.
package probe
