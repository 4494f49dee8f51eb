package main

import (
	"bytes"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra"
	"github.com/scepter-pki/scepter/internal/ra/dev"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

func TestDevSaysWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "dir")
	good := []string{"--dir", dir, "--challenge", "secret"}
	for name, tc := range map[string]struct {
		args []string
		want error
		text string
	}{
		"nothing":           {args: nil, want: errNoDir},
		"no challenge":      {args: []string{"--dir", dir}, want: errNoChallenge},
		"empty challenge":   {args: []string{"--dir", dir, "--challenge", ""}, want: errNoChallenge},
		"both":              {args: append(good, "--allow-anyone"), want: errBoth},
		"two lines":         {args: []string{"--dir", dir, "--challenge", "a\nb"}, want: errChallenge},
		"delay":             {args: append(good, "--issue-delay", "-1s"), want: errDelay},
		"delay of what":     {args: append(good, "--issue-delay", "5"), text: "--issue-delay"},
		"legacy":            {args: append(good, "--legacy", "SHA-1,RC4"), text: `flag --legacy: "RC4" is none of SHA-1, 3DES, MD5, DES`},
		"template":          {args: append(good, "--template", filepath.Join(dir, "none")), want: os.ErrNotExist, text: "flag --template: "},
		"log level":         {args: append(good, "--log-level", "loud"), text: "flag --log-level: "},
		"an argument":       {args: append(good, "more"), text: `unknown command "more"`},
		"an unknown flag":   {args: append(good, "--tls"), text: "unknown flag: --tls"},
		"dir below nothing": {args: []string{"--dir", "/proc/none/dir", "--challenge", "x"}, text: "flag --dir: directory /proc/none/dir: "},
	} {
		command := newCommand()
		var out bytes.Buffer
		command.SetOut(&out)
		command.SetErr(&out)
		command.SetArgs(append([]string{"dev"}, tc.args...))
		err := command.ExecuteContext(t.Context())
		if err == nil || tc.want != nil && !errors.Is(err, tc.want) || !strings.Contains(err.Error(), tc.text) {
			t.Errorf("%s: %v, want %v with %q", name, err, tc.want, tc.text)
		}
		if out.Len() > 0 {
			t.Errorf("%s: printed %s", name, out.String())
		}
	}
	if _, err := os.Stat(dir); !os.IsNotExist(err) {
		t.Error("the directory was made")
	}
}

func TestParseLegacy(t *testing.T) {
	t.Parallel()
	got, err := parseLegacy([]string{"sha-1", " 3DES", "md5", "DES"})
	want := []v1alpha1.LegacyAlgorithm{v1alpha1.SHA1, v1alpha1.TripleDES, v1alpha1.MD5, v1alpha1.SingleDES}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestDevSettings(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "template.yaml")
	const file = "{apiVersion: scepter.dev/v1alpha1, kind: CertificateTemplate, spec: {usages: [client auth]}}"
	if err := os.WriteFile(path, []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	o := devOptions{dir: "d", allowAnyone: true, template: path}
	settings, err := o.settings()
	if err != nil || len(settings.Template.Usages) != 1 || settings.Challenge != "" {
		t.Errorf("%+v (%v)", settings, err)
	}
	o.template = ""
	settings, err = o.settings()
	if diff := cmp.Diff(dev.DefaultTemplate(), settings.Template); err != nil || diff != "" {
		t.Error(err, diff)
	}
}

func TestGreeting(t *testing.T) {
	t.Parallel()
	ca := sceptest.NewCA(t).Certificate
	o := &devOptions{dir: "/d", challenge: "correct horse", legacy: []string{"SHA-1", "DES"}}
	l := ra.Listeners{Device: at("0.0.0.0", 8080), Admin: at("127.0.0.1", 8081)}
	with := newGreeting(o, ca, l)
	o.allowAnyone, o.challenge, o.legacy = true, "", nil
	without := newGreeting(o, ca, l)
	for want, in := range map[string]*greeting{
		"URL          http://localhost:8080/scep": with,
		"http://127.0.0.1:8081/healthz":           with,
		"SHA-256      " + with.Fingerprint:        with,
		"Legacy       SHA-1, DES":                 with,
		`--password "$CHALLENGE" --cacert`:        with,
		`-challenge "$CHALLENGE" -cn`:             with,
		"Not for production":                      with,
		"Legacy       none":                       without,
		"Challenge    none: everybody":            without,
		"  --cacert ca.pem":                       without,
		"/scep -cn laptop2":                       without,
	} {
		var out bytes.Buffer
		if err := in.write(&out); err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(out.String(), want) {
			t.Errorf("no %q in\n%s", want, out.String())
		}
		if strings.Contains(out.String(), "correct horse") {
			t.Error("the challenge is shown")
		}
	}
	if len(with.Fingerprint) != 32*3-1 {
		t.Errorf("fingerprint %s", with.Fingerprint)
	}
}

// address is a listener that does not listen.
type address struct {
	net.Listener
	tcp *net.TCPAddr
}

func at(ip string, port int) address {
	return address{tcp: &net.TCPAddr{IP: net.ParseIP(ip), Port: port}}
}

func (a address) Addr() net.Addr { return a.tcp }

func TestReachable(t *testing.T) {
	t.Parallel()
	for want, a := range map[string]net.Addr{
		"localhost:80": &net.TCPAddr{IP: net.IPv6unspecified, Port: 80},
		"[::1]:80":     &net.TCPAddr{IP: net.IPv6loopback, Port: 80},
		"10.0.0.1:80":  &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1), Port: 80},
		"socket":       &net.UnixAddr{Name: "socket"},
	} {
		if got := reachable(a); got != want {
			t.Errorf("%v: %s, want %s", a, got, want)
		}
	}
}
