package main

import (
	"bytes"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"

	"github.com/scepter-pki/scepter/internal/raconfig"
)

// readCertificate takes a serial number, or the name of a file with a certificate.
// Where a file has a name that is a serial number too, it asks for a path.
func readCertificate(name string) (raconfig.Revocation, error) {
	serial, notSerial := raconfig.ParseSerial(name)
	content, err := os.ReadFile(name)
	switch {
	case err == nil && notSerial == nil:
		return raconfig.Revocation{}, fmt.Errorf("%q is a serial number and the name of a file: write ./%s for the file", name, name)
	case err == nil:
		return fromFile(name, content)
	case notSerial == nil:
		return raconfig.Revocation{Serial: raconfig.SerialText(serial)}, nil
	case errors.Is(err, fs.ErrNotExist):
		return raconfig.Revocation{}, fmt.Errorf("there is no file %q, and %w", name, notSerial)
	}
	return raconfig.Revocation{}, fmt.Errorf("read the certificate: %w", err)
}

func fromFile(name string, content []byte) (raconfig.Revocation, error) {
	c, err := parseCertificate(content)
	switch {
	case err != nil:
		return raconfig.Revocation{}, fmt.Errorf("%s: %w", name, err)
	case c.IsCA:
		return raconfig.Revocation{}, fmt.Errorf("%s: the first certificate is a CA's, which its own list cannot revoke: name a device's", name)
	}
	return raconfig.Revocation{Serial: raconfig.SerialText(c.SerialNumber), Expires: c.NotAfter}, nil
}

// parseCertificate reads the first certificate, in PEM or DER.
func parseCertificate(content []byte) (*x509.Certificate, error) {
	for rest := content; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		if block.Type == "CERTIFICATE" {
			content = block.Bytes
			break
		}
	}
	c, err := x509.ParseCertificate(content)
	if err != nil && bytes.Contains(content, []byte("-----BEGIN")) {
		return nil, errors.New("there is no certificate in it")
	}
	return c, err
}
