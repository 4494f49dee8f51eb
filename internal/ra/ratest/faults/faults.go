// Package faults are the ways in which an HTTP service can fail its callers.
package faults

import (
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// Fault answers a request in place of the service.
type Fault func(w http.ResponseWriter, r *http.Request)

// Leak is in the answers of all faults that have a body: it must be in no log.
const Leak = "answer-that-nobody-may-log"

// Status answers with a status and a body that says more than it should.
func Status(code int) Fault {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"error":{"code":"x","message":"`+Leak+`"}}`)
	}
}

// Throttled answers with a status and Retry-After.
func Throttled(code, seconds int) Fault {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Retry-After", strconv.Itoa(seconds))
		Status(code)(w, r)
	}
}

// Says answers 200 with a body of a content type.
func Says(contentType, body string) Fault {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		_, _ = io.WriteString(w, body)
	}
}

// JSON answers 200 with a body.
func JSON(body string) Fault { return Says("application/json", body) }

// Echo answers a status with what it received: body and headers.
func Echo(code int) Fault {
	return func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(code)
		_, _ = io.WriteString(w, `{"error":`+strconv.Quote(r.Header.Get("Authorization")+" "+string(body)+Leak)+`}`)
	}
}

// Slow does not answer until the caller gives up, and not then either: over TLS, one that
// says goodbye could still read an answer.
func Slow(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // else the server does not notice that the caller has gone
	<-r.Context().Done()
	panic(http.ErrAbortHandler)
}

// Closed ends the connection without an answer.
func Closed(w http.ResponseWriter, _ *http.Request) { hijack(w, "") }

// Torn ends the connection within the body.
func Torn(w http.ResponseWriter, _ *http.Request) {
	hijack(w, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{\"allow\":true,\"code\":\"Success\"")
}

// NotHTTP answers something that is not HTTP.
func NotHTTP(w http.ResponseWriter, _ *http.Request) { hijack(w, "+OK ready\r\n") }

// hijack writes raw bytes and ends the connection. It needs HTTP/1.1.
func hijack(w http.ResponseWriter, raw string) {
	connection, _, err := http.NewResponseController(w).Hijack()
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = io.WriteString(connection, raw)
	_ = connection.Close()
}

// Huge answers more than anybody should read: size bytes of JSON.
func Huge(size int) Fault {
	return JSON(`{"allow":true,"code":"Success","x":"` + strings.Repeat("x", size) + `"}`)
}

// Redirect sends the caller elsewhere.
func Redirect(code int, to string) Fault {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Location", to)
		w.WriteHeader(code)
	}
}

// Switch puts faults in front of a service. It is safe for concurrent use.
type Switch struct {
	mu    sync.Mutex
	fault Fault
	left  int // times that the fault still shows; negative: always
	count int
}

// Break shows a fault until Mend.
func (s *Switch) Break(f Fault) { s.set(f, -1) }

// BreakOnce shows a fault once.
func (s *Switch) BreakOnce(f Fault) { s.set(f, 1) }

// Mend ends the fault.
func (s *Switch) Mend() { s.set(nil, 0) }

func (s *Switch) set(f Fault, times int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fault, s.left = f, times
}

// Calls is how often the service was called, faults included.
func (s *Switch) Calls() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.count
}

// Wrap puts the switch in front of a handler.
func (s *Switch) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fault := s.take(); fault != nil {
			fault(w, r)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Switch) take() Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.count++
	if s.left == 0 {
		return nil
	}
	if s.left > 0 {
		s.left--
	}
	return s.fault
}
