package peers

import (
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Keys of a Secret beside tls.crt, tls.key and raconfig.PeersFile, which pods read.
const (
	nextCertificate     = "next.crt"
	nextKey             = "next.key"
	previousCertificate = "previous.crt"
)

// Decode reads a Secret's data. What cannot be read is as good as absent: it is made anew.
func Decode(data map[string][]byte, changed time.Time) Side {
	s := Side{Trusted: readCertificates(data[raconfig.PeersFile]), Changed: changed}
	s.Active, _ = readPair(data[corev1.TLSCertKey], data[corev1.TLSPrivateKeyKey])
	s.Next, _ = readPair(data[nextCertificate], data[nextKey])
	if previous := readCertificates(data[previousCertificate]); len(previous) > 0 {
		s.Previous = previous[0]
	}
	return s
}

// Encode is the Secret's data: the same bytes for the same side.
func (s Side) Encode() (map[string][]byte, error) {
	data := map[string][]byte{raconfig.PeersFile: encodeCertificates(s.Trusted...)}
	for _, p := range []struct {
		pair             *Pair
		certificate, key string
	}{{s.Active, corev1.TLSCertKey, corev1.TLSPrivateKeyKey}, {s.Next, nextCertificate, nextKey}} {
		if p.pair == nil {
			continue
		}
		key, err := p.pair.encodeKey()
		if err != nil {
			return nil, err
		}
		data[p.certificate], data[p.key] = encodeCertificates(p.pair.Certificate), key
	}
	if s.Previous != nil {
		data[previousCertificate] = encodeCertificates(s.Previous)
	}
	return data, nil
}
