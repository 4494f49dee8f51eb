package sink

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"net/http"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
)

// SignatureHeader holds the HMAC-SHA256 of a batch's body, in hexadecimal digits.
const SignatureHeader = "X-Scepter-Signature"

// Webhook posts batches as JSON.
type Webhook struct {
	URL string
	// Key signs each body.
	Key []byte
	// Pod says whose records they are.
	Pod    string
	Client *outbound.Client
}

// Batch is the body of a POST.
type Batch struct {
	// ID is the same when a batch is sent again.
	ID      string            `json:"id"`
	Pod     string            `json:"pod"`
	Records []json.RawMessage `json:"records"`
}

// Export implements Exporter.
func (w *Webhook) Export(ctx context.Context, id string, batch []audit.Entry) error {
	body := Batch{ID: id, Pod: w.Pod, Records: make([]json.RawMessage, len(batch))}
	for i := range batch {
		body.Records[i] = batch[i].JSON
	}
	content, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("audit webhook: encode: %w", err)
	}
	mac := hmac.New(sha256.New, w.Key)
	mac.Write(content)
	answer, err := w.Client.Call(ctx, outbound.Request{Method: http.MethodPost, URL: w.URL, Body: content, Header: http.Header{
		"Content-Type":  {"application/json"},
		SignatureHeader: {hex.EncodeToString(mac.Sum(nil))},
	}})
	if err != nil {
		return fmt.Errorf("audit webhook: %w", err)
	}
	if !answer.OK() {
		return fmt.Errorf("audit webhook: %w", answer.StatusError())
	}
	return nil
}

// Close implements Exporter.
func (w *Webhook) Close() { w.Client.Close() }
