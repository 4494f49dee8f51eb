package cms

// IsAuthEnvelopedData says whether a ContentInfo in DER is an AuthEnvelopedData
// (RFC 5083). ParseEnvelopedData reads both, but who writes GCM into an
// EnvelopedData does not read this one.
func IsAuthEnvelopedData(der []byte) bool {
	_, _, err := openContentInfo(der, oidAuthEnvelopedData)
	return err == nil
}
