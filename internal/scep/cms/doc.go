// Package cms reads and writes the SignedData, EnvelopedData and
// AuthEnvelopedData of RFC 5652 and RFC 5083 that SCEP is made of.
//
// Everything works on one message at a time and is safe for concurrent use;
// there are no package-wide settings. Messages pass Normalize first, so that
// the rest of the package sees DER only. What an algorithm is allowed to be is
// the caller's decision: the package knows what it can do, not what it should.
//
// Whatever depends on a secret is answered by implicit rejection: a wrong key,
// password, padding or MAC yields as many bytes as the right one, after the same
// work, and Plaintext.Sound is to be looked at last.
//
// Certs-only bundles are made by github.com/smallstep/pkcs7. The rest is here
// because that library cannot express it: linear-time BER, attributes verified
// as received, rsaEncryption as signature algorithm, an empty but present
// eContent, AES-192, AES-GCM as in RFC 5084, RSASSA-PSS, key identifiers, password
// recipients, CRLs, signers with a wrong clock, and a cipher chosen per message.
package cms
