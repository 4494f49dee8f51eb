package reload

import (
	"crypto/sha256"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
	"github.com/scepter-pki/scepter/internal/ra/challenge/webhook"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Recording is where records and traces are sent, with what that needs.
type Recording struct {
	// Sink is nil where records stay with the server.
	Sink *Sink
	// Tracing is nil where there are no traces.
	Tracing *Tracing
}

// Sink is where records are sent.
type Sink struct {
	raconfig.Sink
	// Roots are nil for the system's.
	Roots *x509.CertPool
	Proxy *raconfig.Proxy
	// SigningKey signs what a webhook gets.
	SigningKey []byte
	// Token is for a collector; "": none.
	Token string
	// MadeFrom differs between two sinks that do.
	MadeFrom [sha256.Size]byte
	// Err is why it cannot be used; nil if it can.
	Err error
}

// Tracing is where traces are sent.
type Tracing struct {
	raconfig.Tracing
	Share    float64
	Roots    *x509.CertPool
	Proxy    *raconfig.Proxy
	MadeFrom [sha256.Size]byte
}

// updateRecording reads what recording needs. A sink that cannot be used is there all
// the same: it may be that nothing is to be issued without it.
func (p *parts) updateRecording(config *configPart, f *files, found *problems) {
	p.recording = Recording{}
	r := config.config.Recording
	if r == nil {
		return
	}
	if r.Sink != nil {
		p.recording.Sink = newSink(*r.Sink, config.config.Proxy, f.ofChallenge(raconfig.SinkDir))
		if err := p.recording.Sink.Err; err != nil {
			*found = append(*found, "challenges/"+raconfig.SinkDir+": "+err.Error()+"; no records are sent until this is corrected")
		}
	}
	if r.Tracing != nil {
		tracing, err := newTracing(*r.Tracing, config.config.Proxy, f.ofChallenge(raconfig.TracingDir))
		if err != nil {
			*found = append(*found, "challenges/"+raconfig.TracingDir+": "+err.Error()+"; no traces are sent until this is corrected")
			return
		}
		p.recording.Tracing = tracing
	}
}

func newSink(c raconfig.Sink, proxy *raconfig.Proxy, content map[string][]byte) *Sink {
	s := &Sink{Sink: c, Proxy: proxy, MadeFrom: madeFrom(c, proxy, content)}
	s.Err = s.read(content)
	return s
}

var errSinkKind = errors.New("this kind of sink is not known")

var errWithheld = errors.New("its Secret lacks the label " + v1alpha1.LabelChallengeCredentials + "=true")

func (s *Sink) read(content map[string][]byte) error {
	if s.Withheld {
		return errWithheld
	}
	var err error
	if s.Roots, err = (sources{files: content}).roots(s.CABundle); err != nil {
		return err
	}
	own := credentials{files: content}
	switch s.Kind {
	case raconfig.SinkWebhook:
		return s.readWebhook(own)
	case raconfig.SinkOTLP:
		if s.Sink.Token {
			s.Token, err = own.word(raconfig.BearerTokenFile)
		}
		return err
	}
	return errSinkKind
}

func (s *Sink) readWebhook(own credentials) error {
	if err := outbound.CheckURL(s.URL); err != nil {
		return fmt.Errorf("url: %w", err)
	}
	secret, err := own.word(raconfig.SigningSecretFile)
	if err != nil {
		return err
	}
	s.SigningKey, err = webhook.DecodeSigningKey(secret)
	return err //nolint:wrapcheck // it says what is wrong with the secret, and the caller where it is
}

func newTracing(c raconfig.Tracing, proxy *raconfig.Proxy, content map[string][]byte) (*Tracing, error) {
	share, err := strconv.ParseFloat(c.Ratio, 64)
	if err != nil || share < 0 || share > 1 {
		return nil, fmt.Errorf("ratio %q is no number from 0 to 1", c.Ratio)
	}
	roots, err := (sources{files: content}).roots(c.CABundle)
	if err != nil {
		return nil, err
	}
	return &Tracing{Tracing: c, Share: share, Roots: roots, Proxy: proxy, MadeFrom: madeFrom(c, proxy, content)}, nil
}

func madeFrom(config any, proxy *raconfig.Proxy, content map[string][]byte) [sha256.Size]byte {
	h := sha256.New()
	_ = json.NewEncoder(h).Encode(config) // plain values, and a hash does not fail
	_ = json.NewEncoder(h).Encode(proxy)
	for _, name := range slices.Sorted(maps.Keys(content)) {
		_, _ = fmt.Fprintf(h, "%q %x\n", name, sha256.Sum256(content[name]))
	}
	return [sha256.Size]byte(h.Sum(nil))
}
