package scep

import "crypto"

// KnownDigests, KnownCiphers and KnownTypes are what the tables of this package
// have, allowed or not, for tests that want all of it.
func KnownDigests() []crypto.Hash {
	var all []crypto.Hash
	for _, r := range digestRules {
		all = append(all, r.hash)
	}
	return all
}

// KnownCiphers see KnownDigests.
func KnownCiphers() []Cipher {
	var all []Cipher
	for _, r := range cipherRules {
		all = append(all, r.cipher)
	}
	return all
}

// KnownTypes see KnownDigests.
func KnownTypes() []MessageType {
	var all []MessageType
	for _, r := range requestRules {
		all = append(all, r.messageType)
	}
	return all
}
