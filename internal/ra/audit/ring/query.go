package ring

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"time"
)

// Limits of a query's answer, in records.
const (
	DefaultLimit = 1000
	MaxLimit     = 10000
)

// Query says which records are wanted; the zero value: the newest.
type Query struct {
	// Since leaves out what is older.
	Since time.Time
	// Transaction and Code leave out all others; "": any.
	Transaction, Code string
	// Limit is how many at most, the newest; 0: DefaultLimit.
	Limit int
}

// Answer to a query.
type Answer struct {
	// CompleteSince is the time from which no record of this server is missing.
	CompleteSince time.Time
	// Lines are records as in the log, the oldest first.
	Lines [][]byte
}

// ErrBusy says that the disk does not answer.
var ErrBusy = errors.New("the records are not readable now")

// Ask answers a query with all that was recorded before it.
func (r *Ring) Ask(ctx context.Context, q Query) (Answer, error) {
	question := question{query: q, answer: make(chan Answer, 1)}
	select {
	case r.asked <- question:
	case <-r.done:
		return Answer{}, ErrBusy
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
	select {
	case answer := <-question.answer:
		return answer, nil
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("%w: %w", ErrBusy, ctx.Err())
	}
}

func (w *writer) answer(q Query) Answer {
	w.trim(0)
	out := Answer{CompleteSince: w.completeSince()}
	newest := newestLines{limit: q.limit()}
	for _, s := range w.segments {
		if s.newest.Before(q.Since) {
			continue
		}
		// A file that cannot be read is as good as lost.
		if err := s.eachLine(func(line []byte, h head) {
			if q.wants(h) {
				newest.add(line)
			}
		}); err != nil {
			s.torn = true
			out.CompleteSince = w.completeSince()
		}
	}
	out.Lines = newest.sorted()
	return out
}

// completeSince is the begin of the first file after which none is torn.
func (w *writer) completeSince() time.Time {
	since := w.r.o.Now()
	if !w.brokenAt.IsZero() {
		return since
	}
	for i := len(w.segments) - 1; i >= 0 && !w.segments[i].torn; i-- {
		since = w.segments[i].begun
	}
	return since
}

func (q Query) limit() int {
	if q.Limit <= 0 {
		return DefaultLimit
	}
	return min(q.Limit, MaxLimit)
}

func (q Query) wants(h head) bool {
	return !h.Time.Before(q.Since) &&
		(q.Transaction == "" || q.Transaction == h.Transaction) &&
		(q.Code == "" || q.Code == h.Code)
}

// newestLines keeps the last lines that were added.
type newestLines struct {
	limit, next int
	lines       [][]byte
}

func (n *newestLines) add(line []byte) {
	if len(n.lines) < n.limit {
		n.lines = append(n.lines, line)
		return
	}
	n.lines[n.next] = line
	n.next = (n.next + 1) % n.limit
}

func (n *newestLines) sorted() [][]byte {
	return append(n.lines[n.next:len(n.lines):len(n.lines)], n.lines[:n.next]...)
}

// queryTimeout bounds how long a disk may take for an answer.
const queryTimeout = 10 * time.Second

// ServeHTTP answers GET ?since=…&transaction=…&code=…&limit=… with JSON lines: first one
// with the time from which the answer is complete, then the records, the oldest first.
// since is a time of RFC 3339, or how long ago, such as 15m.
func (r *Ring) ServeHTTP(w http.ResponseWriter, request *http.Request) {
	q, err := r.parse(request.URL.Query())
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	ctx, cancel := context.WithTimeout(request.Context(), queryTimeout)
	defer cancel()
	answer, err := r.Ask(ctx, q)
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.Header().Set("Content-Type", "application/jsonl")
	w.Header().Set("Cache-Control", "no-store")
	first := struct {
		CompleteSince time.Time `json:"completeSince"`
		Lost          uint64    `json:"lost"`
	}{answer.CompleteSince.UTC(), r.Lost()}
	_ = json.NewEncoder(w).Encode(first) // a reader who has gone needs no answer
	for _, line := range answer.Lines {
		_, _ = w.Write(append(line, '\n'))
	}
}

func (r *Ring) parse(values url.Values) (Query, error) {
	q := Query{Transaction: values.Get("transaction"), Code: values.Get("code")}
	if limit := values.Get("limit"); limit != "" {
		n, err := strconv.Atoi(limit)
		if err != nil || n < 1 || n > MaxLimit {
			return q, fmt.Errorf("limit is a number from 1 to %d", MaxLimit)
		}
		q.Limit = n
	}
	since := values.Get("since")
	if since == "" {
		return q, nil
	}
	if ago, err := time.ParseDuration(since); err == nil {
		q.Since = r.o.Now().Add(-ago)
		return q, nil
	}
	t, err := time.Parse(time.RFC3339, since)
	if err != nil {
		return q, errors.New("since is a time such as 2026-01-31T12:00:00Z, or how long ago, such as 15m")
	}
	q.Since = t
	return q, nil
}
