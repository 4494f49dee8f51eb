package serving_test

import (
	"errors"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/serving"
)

func TestLife(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	begun, finish := make(chan struct{}), make(chan struct{})
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-finish
		_, _ = io.WriteString(w, "answered")
	})}
	failed := make(chan error, 1)
	serving.Start(server, listener, failed)
	got := make(chan string, 1)
	go func() {
		response, err := http.Get("http://" + listener.Addr().String())
		if err != nil {
			got <- err.Error()
			return
		}
		defer func() { _ = response.Body.Close() }()
		body, _ := io.ReadAll(response.Body)
		got <- string(body)
	}()
	<-begun
	if err := serving.Drain(time.Millisecond, failed); err != nil {
		t.Errorf("drain: %v", err)
	}
	close(finish)
	serving.Shutdown(t.Context(), time.Minute, []*http.Server{server})
	if answer := <-got; answer != "answered" {
		t.Errorf("the last request got %q", answer)
	}
}

func TestFailures(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	failed := make(chan error, 1)
	serving.Start(&http.Server{ReadHeaderTimeout: time.Second}, listener, failed)
	if err := serving.Drain(time.Hour, failed); !errors.Is(err, net.ErrClosed) {
		t.Errorf("drain: %v, want the server's failure", err)
	}
}
