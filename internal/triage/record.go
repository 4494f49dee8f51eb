package triage

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"
)

// Record is an audit record, as far as triage reads it; docs/audit.md has all fields.
type Record struct {
	Time time.Time `json:"time"`
	// Pod is the server that wrote it.
	Pod         string `json:"pod"`
	Code        string `json:"code"`
	Message     string `json:"msg"`
	Transaction string `json:"transaction,omitempty"`
	Reason      string `json:"reason,omitempty"`
	// Error is what lies behind the reason.
	Error string `json:"error,omitempty"`
	// Subject is one distinguished name (RFC 4514), or, where a challenge was minted, the
	// attributes that the request must have, each as "commonName=d1".
	Subject          Names    `json:"subject,omitempty"`
	AlternativeNames []string `json:"alternativeNames,omitempty"`
	// Serial of the certificate that was issued, in hexadecimal digits.
	Serial   string    `json:"serial,omitempty"`
	NotAfter time.Time `json:"notAfter,omitzero"`
	// Expires is when a challenge that was minted ends.
	Expires            time.Time `json:"expires,omitzero"`
	CertificateRequest string    `json:"certificateRequest,omitempty"`
}

// Names are one name or several: a string or a list in JSON.
type Names []string

// UnmarshalJSON implements json.Unmarshaler.
func (n *Names) UnmarshalJSON(raw []byte) error {
	if !bytes.HasPrefix(raw, []byte(`"`)) {
		return json.Unmarshal(raw, (*[]string)(n)) //nolint:wrapcheck // json names the field
	}
	var one string
	err := json.Unmarshal(raw, &one)
	*n = Names{one}
	return err //nolint:wrapcheck // json names the field
}

// Trail is what one server's records say.
type Trail struct {
	Pod string
	// CompleteSince is the time from which no record is missing.
	CompleteSince time.Time
	// Lost is how many records are missing all the same.
	Lost    uint64
	Records []Record
	// Err is why the server could not be asked; nil if it answered.
	Err error
}

// maxLine bounds a record, in bytes.
const maxLine = 1 << 20

var errNoHead = errors.New("the first line does not say from when on the records are complete")

// ReadTrail reads the answer of a server's /audit: a line that says how complete it is,
// then one record a line, the oldest first. An answer with as many records as were asked
// for is complete only from its oldest on. A line that is no record counts as lost.
func ReadTrail(pod string, answer io.Reader, limit int) (Trail, error) {
	lines := bufio.NewScanner(answer)
	lines.Buffer(nil, maxLine)
	trail := Trail{Pod: pod}
	if err := trail.readHead(lines); err != nil {
		return trail, err
	}
	for lines.Scan() {
		trail.add(lines.Bytes())
	}
	if err := lines.Err(); err != nil {
		return trail, fmt.Errorf("read the records: %w", err)
	}
	if n := len(trail.Records); n >= limit && n > 0 {
		trail.CompleteSince = later(trail.CompleteSince, trail.Records[0].Time)
	}
	return trail, nil
}

func (t *Trail) readHead(lines *bufio.Scanner) error {
	var head struct {
		CompleteSince *time.Time `json:"completeSince"`
		Lost          uint64     `json:"lost"`
	}
	if !lines.Scan() || json.Unmarshal(lines.Bytes(), &head) != nil || head.CompleteSince == nil {
		return errors.Join(errNoHead, lines.Err())
	}
	t.CompleteSince, t.Lost = *head.CompleteSince, head.Lost
	return nil
}

func (t *Trail) add(line []byte) {
	var r Record
	if json.Unmarshal(line, &r) != nil || r.Code == "" {
		t.Lost++
		return
	}
	r.Pod = t.Pod
	t.Records = append(t.Records, r)
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}
