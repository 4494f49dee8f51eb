package load

import (
	"bytes"
	"crypto"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"
	corev1 "k8s.io/api/core/v1"

	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/cms"
)

const replays = 100

// testReplays sends one message 100 times, byte for byte, to all servers at once.
func testReplays(t *testing.T) {
	pods := mustHaveServers(t, 3)
	count := newTally()
	d := newDevice(t, "replay", challenge, shared.toPod(&pods[0]), count)
	d.client.CA = shared.ca
	r := &replayer{next: d.client.HTTP.Transport, pods: pods}
	d.client.HTTP.Transport = r
	started := time.Now()
	got, err := d.certificate(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	held := newHoldings()
	held.add(d.name, got)
	figures.add("replays", held.len(), count, time.Since(started))
	if len(r.answers) != replays {
		t.Fatalf("%d answers, want %d", len(r.answers), replays)
	}
	for i, answer := range r.answers {
		certificate, err := openAnswer(answer, d.request)
		if err != nil {
			t.Fatalf("answer %d: %v", i, err)
		}
		if !certificate.Equal(got) {
			t.Errorf("answer %d brings another certificate", i)
		}
	}
	mustHoldOne(t, "replay", held, 1)
}

// replayer is an http.RoundTripper that sends each PKIOperation many times at once, to each
// server in turn, and returns one of the answers.
type replayer struct {
	next    http.RoundTripper
	pods    []corev1.Pod
	answers [][]byte
}

func (r *replayer) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Method != http.MethodPost {
		return r.next.RoundTrip(request)
	}
	message, err := io.ReadAll(request.Body)
	if err != nil {
		return nil, err
	}
	r.answers = make([][]byte, replays)
	var group errgroup.Group
	for i := range r.answers {
		group.Go(func() (err error) {
			r.answers[i], err = r.send(request, message, &r.pods[i%len(r.pods)])
			return err
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	return &http.Response{
		StatusCode: http.StatusOK, Request: request, ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(r.answers[0])),
	}, nil
}

func (r *replayer) send(original *http.Request, message []byte, to *corev1.Pod) ([]byte, error) {
	request := original.Clone(original.Context())
	request.URL.Host = to.Status.PodIP + ":8080"
	request.Body = io.NopCloser(bytes.NewReader(message))
	response, err := r.next.RoundTrip(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s: HTTP status %d", to.Name, response.StatusCode)
	}
	return io.ReadAll(response.Body)
}

// openAnswer is the certificate for the request's key in a CertRep.
func openAnswer(answer []byte, to scep.EnrolRequest) (*x509.Certificate, error) {
	limits := cms.Limits{Nesting: 16, Certificates: 8, Attributes: 16}
	signed, err := cms.ParseSignedData(answer, limits)
	if err != nil {
		return nil, err
	}
	envelope, err := cms.ParseEnvelopedData(signed.Content)
	if err != nil {
		return nil, err
	}
	key, ok := to.Key.(crypto.Decrypter)
	if !ok || len(envelope.Recipients) != 1 {
		return nil, errors.New("it is for other recipients")
	}
	opened, err := envelope.Decrypt(envelope.Recipients[0], key)
	if err != nil {
		return nil, err
	}
	certificates, err := cms.ParseCertificates(opened.Bytes, limits)
	if err != nil {
		return nil, err
	}
	return certificates[0], nil
}
