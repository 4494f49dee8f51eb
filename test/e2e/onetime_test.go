package e2e

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"unicode/utf16"

	corev1 "k8s.io/api/core/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/test/rig"
	"github.com/scepter-pki/scepter/test/stock"
)

// Names in testdata/onetime.yaml.
const (
	ticketURL   = "http://ticket.example.com/scep"
	ticketAdmin = "ticket-admin.example.com"
)

// TestOneTimeChallenges mints challenges in every way there is, and has devices
// use them: each lets in one device, once.
func TestOneTimeChallenges(t *testing.T) {
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", "testdata/onetime.yaml"); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the endpoint with one-time challenges to be Ready", rig.Ready(shared.api, namespace, "ticket"))
	plugin, err := shared.rig.Program(t.Context(), "kubectl-scep")
	if err != nil {
		t.Fatal(err)
	}
	kubectl := kubectlScep{plugin}
	t.Run("stock clients", kubectl.servesStockClients)
	t.Run("EC keys", kubectl.servesECKeys)
	t.Run("who may mint", kubectl.asksWhoMayMint)
	t.Run("the page of NDES", readsThePageOfNDES)
	t.Run("the device port", hidesMinting)
	if err := shared.rig.Kubectl(t.Context(), "delete", "-f", "testdata/onetime.yaml", "--wait"); err != nil {
		t.Fatal(err)
	}
}

// kubectlScep is the path of the plugin.
type kubectlScep struct{ path string }

func (k kubectlScep) challenge(ctx context.Context, flags ...string) (string, error) {
	return k.run(ctx, append([]string{"challenge", "ticket"}, flags...)...)
}

// run is the plugin with arguments, in the tests' namespace; its error has what it complains of.
func (k kubectlScep) run(ctx context.Context, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, k.path, append(args, "--namespace", namespace)...)
	cmd.Env = os.Environ()
	if file := shared.rig.Cluster.Kubeconfig(); file != "" {
		cmd.Env = append(cmd.Env, "KUBECONFIG="+file)
	}
	var complaint strings.Builder
	cmd.Stderr = &complaint
	out, err := cmd.Output()
	if err != nil {
		return "", errors.Join(err, errors.New(complaint.String()))
	}
	return strings.TrimSpace(string(out)), nil
}

func (k kubectlScep) mint(t *testing.T, flags ...string) string {
	t.Helper()
	minted, err := k.challenge(within(t, enrolLimit), flags...)
	if err != nil {
		t.Fatal(err)
	}
	return minted
}

func (k kubectlScep) servesStockClients(t *testing.T) {
	device, err := shared.rig.Device(t.Context(), shared.ca, host, "ticket.example.com")
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range stock.All(device) {
		t.Run(c.Name(), func(t *testing.T) {
			r := request("http")
			r.URL, r.Challenge = ticketURL, k.mint(t)
			got, err := c.Enrol(within(t, enrolLimit), t.TempDir(), r)
			if err != nil {
				t.Fatal(err)
			}
			mustBeOurs(t, got.Certificate)
			second := r
			second.CommonName = newName()
			var refused *stock.ClientError
			if _, err := c.Enrol(within(t, enrolLimit), t.TempDir(), second); !errors.As(err, &refused) {
				t.Errorf("a second device with the same challenge: %v, want a refusal", err)
			}
		})
	}
	answered := enrolment(t, newName())
	answered.ChallengePassword = k.mint(t)
	c := newClient(ticketURL, shared.rig.Dial)
	mustEnrol(t, c, answered)
	answered.Key, answered.Template = newKey(t), enrolment(t, newName()).Template
	result, err := c.Enrol(within(t, enrolLimit), answered)
	mustRefuse(t, result, err, "challenge already used")
}

// servesECKeys: the answer to a key that cannot decrypt is encrypted with the challenge.
func (k kubectlScep) servesECKeys(t *testing.T) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	r := enrolment(t, newName())
	r.Key, r.ChallengePassword = key, k.mint(t, "--form", "Long", "--validity", "5m")
	mustEnrol(t, newClient(ticketURL, shared.rig.Dial), r)
}

func (k kubectlScep) asksWhoMayMint(t *testing.T) {
	r := enrolment(t, newName())
	r.ChallengePassword = k.mint(t, "--service-account", "helpdesk")
	mustEnrol(t, newClient(ticketURL, shared.rig.Dial), r)
	if _, err := k.challenge(within(t, enrolLimit), "--service-account", "janitor"); err == nil || !strings.Contains(err.Error(), "403") {
		t.Errorf("a service account without the role: %v, want HTTP status 403", err)
	}
}

// password is how management systems find it on the page.
var password = regexp.MustCompile(`(?i)The enrollment challenge password is: <B> (\S*)`)

// readsThePageOfNDES mints as a management system does that knows NDES only.
func readsThePageOfNDES(t *testing.T) {
	status, body := getAdmin(t, "mdm", "let-me-mint")
	if status != http.StatusOK {
		t.Fatalf("HTTP status %d", status)
	}
	found := password.FindStringSubmatch(body)
	if found == nil || len(found[1]) != 16 {
		t.Fatalf("no challenge of 16 digits on the page:\n%s", body)
	}
	r := enrolment(t, newName())
	r.ChallengePassword = found[1]
	mustEnrol(t, newClient(ticketURL, shared.rig.Dial), r)
	if status, _ := getAdmin(t, "mdm", "wrong"); status != http.StatusUnauthorized {
		t.Errorf("a wrong password: HTTP status %d, want 401", status)
	}
}

// getAdmin reads the page over TLS from the admin Service, whose certificate it verifies.
func getAdmin(t *testing.T, user, secret string) (status int, body string) {
	t.Helper()
	service := named(&corev1.Service{}, "ticket-ra-admin")
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(service), service); err != nil {
		t.Fatal(err)
	}
	return getPage(t, "https://"+ticketAdmin+"/certsrv/mscep_admin/", net.JoinHostPort(service.Spec.ClusterIP, "443"), user, secret)
}

// getPage reads a page of challenges at an address.
func getPage(t *testing.T, url, address, user, secret string) (status int, body string) {
	t.Helper()
	dial := func(ctx context.Context, network, _ string) (net.Conn, error) {
		return shared.rig.Cluster.Dial(ctx, network, address)
	}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	request.SetBasicAuth(user, secret)
	response, err := newClient("", dial).HTTP.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	raw, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return response.StatusCode, decodeUTF16(raw)
}

// decodeUTF16 reads what is little-endian, as NDES writes.
func decodeUTF16(raw []byte) string {
	units := make([]uint16, len(raw)/2)
	for i := range units {
		units[i] = binary.LittleEndian.Uint16(raw[2*i:])
	}
	return string(utf16.Decode(units))
}

// hidesMinting: what mints is not there for devices.
func hidesMinting(t *testing.T) {
	for _, path := range []string{"/certsrv/mscep_admin/", "/v1/challenges"} {
		response, err := newClient("", shared.rig.Dial).HTTP.Get("http://ticket.example.com" + path) //nolint:noctx // the client has a time limit
		if err != nil {
			t.Fatal(err)
		}
		_ = response.Body.Close()
		if response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: HTTP status %d, want 404", path, response.StatusCode)
		}
	}
}
