// Package racredential reconciles RACredentials: it has cert-manager issue the
// source certificates, checks each, and copies every generation of them into the
// keyring Secret, from which registration-authority servers read.
//
// The keys come first: nothing that could make cert-manager replace a key is
// written before the keyring holds what the sources hold. When which generation
// comes and goes is planned by internal/rotation.
//
// Secrets are read by name from the API server, never listed; the watch on them
// is for metadata only, of Secrets with the label scepter.dev/racredential.
package racredential
