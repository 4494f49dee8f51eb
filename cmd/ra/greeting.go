package main

import (
	"crypto/sha256"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"path/filepath"
	"strings"
	"text/template"

	"github.com/scepter-pki/scepter/internal/ra"
	"github.com/scepter-pki/scepter/internal/ra/dev"
)

// greeting is what "ra dev" tells the person who started it. The challenge is not in it.
type greeting struct {
	URL, Admin          string
	CAFile, Fingerprint string
	Challenge           string // how it is passed in the commands; "" if there is none
	Legacy              string
}

func newGreeting(o *devOptions, ca *x509.Certificate, l ra.Listeners) *greeting {
	caFile := filepath.Join(o.dir, dev.CAFile)
	if absolute, err := filepath.Abs(caFile); err == nil {
		caFile = absolute // the commands are for another directory
	}
	g := &greeting{
		URL:         "http://" + reachable(l.Device.Addr()) + "/scep",
		Admin:       "http://" + reachable(l.Admin.Addr()),
		CAFile:      caFile,
		Fingerprint: fingerprint(ca),
		Legacy:      strings.Join(o.legacy, ", "),
	}
	if !o.allowAnyone {
		g.Challenge = `"$CHALLENGE"`
	}
	return g
}

// reachable is an address that a client on this machine can use: a server that
// listens everywhere is on localhost too.
func reachable(a net.Addr) string {
	tcp, ok := a.(*net.TCPAddr)
	if !ok || !tcp.IP.IsUnspecified() {
		return a.String()
	}
	return net.JoinHostPort("localhost", fmt.Sprint(tcp.Port))
}

// fingerprint is written as openssl writes it.
func fingerprint(c *x509.Certificate) string {
	sum := sha256.Sum256(c.Raw)
	return strings.ReplaceAll(fmt.Sprintf("% X", sum[:]), " ", ":")
}

var greetingTemplate = template.Must(template.New("greeting").Parse(greetingText))

func (g *greeting) write(out io.Writer) error { return greetingTemplate.Execute(out, g) }

const greetingText = `A SCEP server to try things out and for conformance tests. Not for production: the
CA's key lies in a file.

  URL          {{.URL}}
  Admin        {{.Admin}}/healthz, /status, /metrics
  CA           {{.CAFile}}
  SHA-256      {{.Fingerprint}}
  Challenge    {{if .Challenge}}the one you gave, below as $CHALLENGE{{else}}none: everybody gets a certificate{{end}}
  Legacy       {{or .Legacy "none"}}

Three things to try, each on Debian, from another terminal and an empty directory:

# What it can do, and whose it is (curl, openssl).
curl "{{.URL}}?operation=GetCACaps"
openssl x509 -in {{.CAFile}} -noout -subject -fingerprint -sha256

# Enrol with strongSwan (strongswan-pki, libstrongswan-standard-plugins, -extra-plugins).
pki --gen --type rsa --size 2048 --outform pem > laptop1.key
pki --scepca --url {{.URL}} --caout ca.pem --raout ra.pem --outform pem
pki --scep --url {{.URL}} --in laptop1.key --dn "O=Example, CN=laptop1" --san laptop1.example.com \
  {{with .Challenge}}--password {{.}} {{end}}--cacert ca.pem --cacert-enc ra.pem --cacert-sig ra-2.pem \
  --interval 1 --outform pem > laptop1.pem

# Enrol with micromdm's scepclient (scep); Debian's wants a server with --legacy SHA-1,DES.
openssl genrsa -traditional -out laptop2.key 2048
scepclient -server-url {{.URL}} {{with .Challenge}}-challenge {{.}} {{end}}-cn laptop2 -organization Example \
  -private-key laptop2.key -certificate laptop2.pem
`
