package stock

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// CertmongerPackages are the Debian packages that hold certmonger. It speaks D-Bus,
// but on a socket of its own: no bus has to run.
var CertmongerPackages = []string{"certmonger"}

// Certmonger is certmonger's daemon with its "getcert" and its "scep-submit". Each
// enrolment has a daemon of its own, which lives as long as its script.
type Certmonger struct {
	Run Runner
	// Config is its certmonger.conf.
	Config string
	// Rekey has Renew make a new key.
	Rekey bool
}

// Name implements Client.
func (*Certmonger) Name() string { return "certmonger" }

// Enrol implements Client.
func (c *Certmonger) Enrol(ctx context.Context, dir string, r Request) (*Identity, error) {
	args := []string{"request", "-k", filepath.Join(dir, keyFile), "-g", strconv.Itoa(keyBits(r)), "-N", distinguishedName(r)}
	for _, name := range r.DNSNames {
		args = append(args, "-D", name)
	}
	if r.Challenge != "" {
		args = append(args, "-L", r.Challenge)
	}
	return c.session(ctx, dir, r, getcert(dir, args))
}

// Renew implements Client: certmonger tracks the certificate that is there and is told
// to "resubmit", as it does by itself when a certificate nears its end, or to "rekey".
func (c *Certmonger) Renew(ctx context.Context, dir string, old *Identity, r Request) (*Identity, error) {
	if err := copyIdentity(dir, old); err != nil {
		return nil, err
	}
	track := getcert(dir, []string{"start-tracking", "-w", "-k", filepath.Join(dir, keyFile)})
	renew := "resubmit"
	if c.Rekey {
		renew = "rekey"
	}
	return c.session(ctx, dir, r, track, `cp "$certificate" before.pem`, "getcert "+renew+" -i device")
}

// getcert is a command line of it for the request "device" and the CA "ca".
func getcert(dir string, args []string) string {
	args = slices.Concat([]string{"getcert"}, args, []string{"-c", "ca", "-I", "device", "-f", filepath.Join(dir, certFile)})
	for i := range args {
		args[i] = quote(args[i])
	}
	return strings.Join(args, " ")
}

// quote makes a word for a shell.
func quote(word string) string { return "'" + strings.ReplaceAll(word, "'", `'\''`) + "'" }

// settle waits until the request is served, with a certificate other than the one
// before, or refused. While it is PENDING, certmonger would come again after a week;
// "refresh" is how an administrator makes it come now.
const settle = `
while :; do
  state=$(getcert list -i device | sed -n 's/^\tstatus: //p')
  case "$state" in
    MONITORING) cmp -s before.pem "$certificate" || exit 0 ;;
    CA_WORKING) getcert refresh -i device ;;
    CA_REJECTED|CA_UNREACHABLE|CA_UNCONFIGURED|NEED_GUIDANCE|NEED_CA|"") getcert list -i device; exit 1 ;;
  esac
  sleep %g
done`

// session runs getcert commands in a daemon of their own and waits for the outcome.
// The daemon's exit says nothing about its command's, so the script leaves that, and
// all that it printed, in files.
func (c *Certmonger) session(ctx context.Context, dir string, r Request, commands ...string) (*Identity, error) {
	home := filepath.Join(dir, "certmonger")
	script := strings.Join(slices.Concat(
		[]string{
			"cd " + quote(home), "exec >output 2>&1", "set -e", "trap 'echo $? >exit' EXIT",
			"certificate=" + quote(filepath.Join(dir, certFile)),
			"getcert add-scep-ca -c ca -u " + quote(r.URL),
		},
		commands,
		[]string{fmt.Sprintf(settle, max(0.2, r.PollInterval.Seconds()))},
	), "\n")
	environment, err := certmongerHome(home, script, c.Config)
	if err != nil {
		return nil, err
	}
	daemon := []string{"/usr/lib/certmonger/certmonger-session", "-L", "-n", "-c", "sh " + filepath.Join(home, "script")}
	if _, err := output(c.Run(ctx, "env", append(environment, daemon...)...), c.Name()); err != nil {
		return nil, err
	}
	if exit := readText(filepath.Join(home, "exit")); exit != "0" {
		return nil, &ClientError{Client: c.Name(), Output: readText(filepath.Join(home, "output")), Err: errors.New("exit status " + exit)}
	}
	return ReadIdentity(dir)
}

// readText is the content of a file, "" if there is none.
func readText(path string) string {
	content, err := os.ReadFile(path)
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(content))
}

// certmongerHome makes the directories of a daemon, and the environment that names them.
func certmongerHome(home, script, config string) ([]string, error) {
	var environment []string
	for _, name := range []string{configDir, "CAS_DIR", "REQUESTS_DIR", "LOCAL_CA_DIR", "TMPDIR"} {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(path, 0o700); err != nil {
			return nil, fmt.Errorf("make a directory for certmonger: %w", err)
		}
		environment = append(environment, "CERTMONGER_"+name+"="+path)
	}
	for name, content := range map[string]string{"script": script, configDir + "/certmonger.conf": config} {
		if err := os.WriteFile(filepath.Join(home, name), []byte(content), 0o600); err != nil {
			return nil, fmt.Errorf("write a file for certmonger: %w", err)
		}
	}
	return environment, nil
}

const configDir = "CONFIG_DIR"
