// Package lab gives tests, the demo and people a Kubernetes cluster: one of
// their own on this machine (Up), or the one that kubectl uses now (Current).
// Both have the same methods.
package lab
