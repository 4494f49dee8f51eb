package node

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"os"
	"time"
)

// A test cluster lives for hours; its certificates begin early for clocks that
// differ and end when nobody cares any more.
const (
	backdate = time.Hour
	lifetime = 365 * 24 * time.Hour
)

// pkiFiles is a cluster's PKI: file contents by name, "ca.crt" and "ca.key".
type pkiFiles map[string][]byte

// leafSpec describes a certificate of the cluster's PKI.
type leafSpec struct {
	file   string
	ca     string
	name   string
	groups []string
	sans   []string
}

// leafSpecs are the servers' and components' certificates; users' are in
// kubeconfigs.
func leafSpecs(hostname string) []leafSpec {
	return []leafSpec{
		{file: "apiserver", ca: "ca", name: "kube-apiserver", sans: []string{
			"localhost", "127.0.0.1", IP, kubernetesIP, "kubernetes", "kubernetes.default",
			"kubernetes.default.svc", "kubernetes.default.svc.cluster.local",
		}},
		{file: "kubelet-server", ca: "ca", name: hostname, sans: []string{hostname, IP, "127.0.0.1"}},
		{file: "apiserver-kubelet-client", ca: "ca", name: "kube-apiserver-kubelet-client", groups: []string{"system:masters"}},
		{file: "front-proxy-client", ca: "front-proxy-ca", name: "front-proxy-client"},
	}
}

// users get a kubeconfig each.
func users(hostname string) []leafSpec {
	return []leafSpec{
		{file: "admin", ca: "ca", name: "admin", groups: []string{"system:masters"}},
		{file: "controller-manager", ca: "ca", name: "system:kube-controller-manager"},
		{file: "scheduler", ca: "ca", name: "system:kube-scheduler"},
		{file: "kubelet", ca: "ca", name: "system:node:" + hostname, groups: []string{"system:nodes"}},
		{file: "proxy", ca: "ca", name: "system:kube-proxy"},
	}
}

// newPKI makes everything that a cluster's components trust and hold. outside
// is the API server's URL for clients outside the cluster's namespaces.
func newPKI(hostname, outside string, now time.Time) (pkiFiles, error) {
	files := pkiFiles{}
	cas := map[string]*authority{}
	for _, name := range []string{"ca", "front-proxy-ca"} {
		ca, err := newAuthority(name, now)
		if err != nil {
			return nil, err
		}
		cas[name] = ca
		files[name+".crt"], files[name+".key"] = ca.certPEM, ca.keyPEM
	}
	for _, spec := range leafSpecs(hostname) {
		cert, key, err := cas[spec.ca].issue(spec, now)
		if err != nil {
			return nil, err
		}
		files[spec.file+".crt"], files[spec.file+".key"] = cert, key
	}
	for _, user := range users(hostname) {
		if err := files.addUser(cas[user.ca], user, apiInside, now); err != nil {
			return nil, err
		}
	}
	if err := files.addUser(cas["ca"], leafSpec{file: "outside", name: "admin", groups: []string{"system:masters"}}, outside, now); err != nil {
		return nil, err
	}
	return files, files.addServiceAccountKey()
}

func (f pkiFiles) addUser(ca *authority, user leafSpec, server string, now time.Time) error {
	cert, key, err := ca.issue(user, now)
	if err != nil {
		return err
	}
	content, err := kubeconfig(server, user.name, ca.certPEM, cert, key)
	if err != nil {
		return err
	}
	f[user.file+".kubeconfig"] = content
	return nil
}

// addServiceAccountKey adds the key that signs service accounts' tokens; the
// API server wants RSA or ECDSA, and everything understands RS256.
func (f pkiFiles) addServiceAccountKey() error {
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		return fmt.Errorf("service account key: %w", err)
	}
	private, err := encodeKey(key)
	if err != nil {
		return err
	}
	public, err := x509.MarshalPKIXPublicKey(key.Public())
	if err != nil {
		return fmt.Errorf("service account key: %w", err)
	}
	f["sa.key"] = private
	f["sa.pub"] = pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})
	return nil
}

// write puts the files where the layout has them. All are for root only.
func (f pkiFiles) write(l layout) error {
	for name, content := range f {
		if err := os.WriteFile(l.pki(name), content, 0o600); err != nil {
			return fmt.Errorf("write the cluster's PKI: %w", err)
		}
	}
	return nil
}

// authority is a certification authority of the cluster.
type authority struct {
	cert            *x509.Certificate
	key             crypto.Signer
	certPEM, keyPEM []byte
}

func newAuthority(name string, now time.Time) (*authority, error) {
	template, err := newTemplate(name, nil, now)
	if err != nil {
		return nil, err
	}
	template.IsCA = true
	template.BasicConstraintsValid = true
	template.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("key of %s: %w", name, err)
	}
	a := &authority{cert: template, key: key}
	if a.certPEM, err = a.sign(template, key); err != nil {
		return nil, err
	}
	a.keyPEM, err = encodeKey(key)
	return a, err
}

// issue makes a key and a certificate for it, good for clients and servers.
func (a *authority) issue(spec leafSpec, now time.Time) (cert, keyPEM []byte, err error) {
	template, err := newTemplate(spec.name, spec.groups, now)
	if err != nil {
		return nil, nil, err
	}
	template.KeyUsage = x509.KeyUsageDigitalSignature
	template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth}
	for _, san := range spec.sans {
		if ip := net.ParseIP(san); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, san)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, fmt.Errorf("key of %s: %w", spec.name, err)
	}
	if cert, err = a.sign(template, key); err != nil {
		return nil, nil, err
	}
	keyPEM, err = encodeKey(key)
	return cert, keyPEM, err
}

func (a *authority) sign(template *x509.Certificate, key crypto.Signer) ([]byte, error) {
	der, err := x509.CreateCertificate(rand.Reader, template, a.cert, key.Public(), a.key)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", template.Subject.CommonName, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}

func newTemplate(name string, groups []string, now time.Time) (*x509.Certificate, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("serial number: %w", err)
	}
	return &x509.Certificate{
		SerialNumber: serial,
		Subject:      pkix.Name{CommonName: name, Organization: groups},
		NotBefore:    now.Add(-backdate),
		NotAfter:     now.Add(lifetime),
	}, nil
}

func encodeKey(key crypto.Signer) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, fmt.Errorf("encode key: %w", err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der}), nil
}
