package load

import (
	"context"
	"crypto"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// device is one that keeps its key and its request, and goes on until it is answered.
type device struct {
	name    string
	client  *scep.Client
	request scep.EnrolRequest
	csr     *x509.CertificateRequest // what is in the request
	tally   *tally
}

// dialer connects a device with servers.
type dialer func(ctx context.Context, network, address string) (net.Conn, error)

func (t *tier) client(dial dialer, url string) *scep.Client {
	transport := &http.Transport{DialContext: dial, IdleConnTimeout: time.Second}
	return &scep.Client{
		URL: url, HTTP: &http.Client{Transport: transport, Timeout: time.Minute}, VerifyCA: scep.TrustAnyCA,
		Method: scep.MethodPOST, PollInterval: time.Second, PollLimit: -1,
	}
}

// through is a client behind the ingress.
func (t *tier) through(host string) *scep.Client {
	return t.client(t.rig.Dial, "http://"+host+"/scep")
}

// toPod is a client that speaks to one server past the ingress.
func (t *tier) toPod(pod *corev1.Pod) *scep.Client {
	return t.client(t.rig.Cluster.Dial, "http://"+net.JoinHostPort(pod.Status.PodIP, "8080")+"/scep")
}

// newDevice makes a device's request. All that follows from it is the same at each
// try: key, CSR, transactionID and the certificate that signs.
func newDevice(t *testing.T, name, password string, c *scep.Client, count *tally) *device {
	t.Helper()
	key, err := shared.keys.next()
	if err != nil {
		t.Fatal(err)
	}
	subject := pkix.Name{CommonName: name + domain, Organization: []string{organization}}
	der, err := scep.NewCSR(&x509.CertificateRequest{Subject: subject}, key, password)
	if err != nil {
		t.Fatal(err)
	}
	csr, err := x509.ParseCertificateRequest(der)
	if err != nil {
		t.Fatal(err)
	}
	id := sha256.Sum256(key.N.Bytes())
	return &device{
		name: subject.CommonName, client: c, csr: csr, tally: count,
		request: scep.EnrolRequest{
			Key: key, CSR: der, TransactionID: hex.EncodeToString(id[:16]),
			Certificate: sceptest.SelfSigned(t, &x509.Certificate{Subject: subject, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment}, key),
			Digest:      crypto.SHA256, Cipher: scep.AES128CBC,
		},
	}
}

// newDevices makes devices behind the ingress that bring the password.
func newDevices(t *testing.T, host, wave string, n int, count *tally) []*device {
	t.Helper()
	devices := make([]*device, n)
	for i := range devices {
		devices[i] = newDevice(t, fmt.Sprintf("%s%04d", wave, i), challenge, shared.through(host), count)
	}
	return devices
}

// enrol sends the request until there is an answer to it: the same request again
// after what passes, a poll while it is PENDING.
func (d *device) enrol(ctx context.Context) (*scep.Result, error) {
	defer d.client.HTTP.CloseIdleConnections()
	for {
		result, err := d.client.Enrol(ctx, d.request)
		if err == nil {
			d.tally.answered(result.Status)
			return result, nil
		}
		obstacle, wait := passes(err)
		if obstacle == "" {
			return nil, fmt.Errorf("%s: %w", d.name, err)
		}
		d.tally.met(obstacle)
		if err := pause(ctx, wait); err != nil {
			return nil, fmt.Errorf("%s is lost; it met %s last: %w", d.name, obstacle, err)
		}
	}
}

// certificate is what the device holds in the end; a refusal is an error.
func (d *device) certificate(ctx context.Context) (*x509.Certificate, error) {
	result, err := d.enrol(ctx)
	if err != nil {
		return nil, err
	}
	if result.Status != scep.StatusSuccess {
		return nil, fmt.Errorf("%s: %s %s: %s", d.name, result.Status, result.FailInfo, result.FailInfoText)
	}
	return result.Certificate, nil
}

const retryPause = time.Second

// passes says what kept a request from being answered if that may pass, and how long
// to wait: a proxy without a server (some say 404 then), a busy server, a broken connection.
func passes(err error) (obstacle string, wait time.Duration) {
	var status *scep.HTTPError
	var reply *scep.ReplyError
	var ca *scep.CACertificateError
	switch {
	case errors.As(err, &status):
		return passingStatus(status)
	case errors.As(err, &reply), errors.As(err, &ca):
		return "", 0
	default:
		return "network", retryPause
	}
}

func passingStatus(e *scep.HTTPError) (obstacle string, wait time.Duration) {
	switch e.StatusCode {
	case http.StatusNotFound, http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return "HTTP " + strconv.Itoa(e.StatusCode), max(retryPause, retryAfter(e))
	default:
		return "", 0
	}
}

func retryAfter(e *scep.HTTPError) time.Duration {
	seconds, err := strconv.Atoi(e.RetryAfter)
	if err != nil {
		return 0
	}
	return time.Duration(seconds) * time.Second
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// tally counts what devices met; it is for all devices of a test.
type tally struct {
	mu   sync.Mutex
	what map[string]int
	done int
}

func newTally() *tally { return &tally{what: map[string]int{}} }

func (c *tally) met(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.what[what]++
}

func (c *tally) answered(status scep.PKIStatus) {
	c.met(status.String())
	c.mu.Lock()
	defer c.mu.Unlock()
	c.done++
}

func (c *tally) count(what string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.what[what]
}

func (c *tally) served() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.done
}
