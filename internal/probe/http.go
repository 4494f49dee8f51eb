package probe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// request is what is sent, byte for byte.
type request struct {
	method, target string
	http10         bool
	body           []byte
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

const (
	userAgent = "scepter-probe"
	// maxAnswer bounds an answer, with its header: certificates of a CA and those above it.
	maxAnswer = 256 << 10
	// maxInterim bounds the answers of status 1xx before the real one.
	maxInterim = 4
)

// errNotHTTP is for answers that cannot be read as HTTP.
var errNotHTTP = errors.New("the answer is not HTTP, or too large")

// bytes are the request as it goes over the wire, with about as many header fields as
// devices send.
func (r request) bytes(host, mark string) []byte {
	var out bytes.Buffer
	version := "1.1"
	if r.http10 {
		version = "1.0"
	}
	line := func(s ...string) {
		for _, part := range s {
			out.WriteString(part)
		}
		out.WriteString("\r\n")
	}
	line(r.method, " ", r.target, " HTTP/", version)
	line("Host: ", host)
	line("User-Agent: ", userAgent)
	line("Accept: */*")
	line("Cache-Control: no-cache")
	if mark != "" {
		line(probemark.Header, ": ", mark)
	}
	if r.body != nil {
		line("Content-Type: application/x-pki-message")
		line("Content-Length: ", strconv.Itoa(len(r.body)))
	}
	line("Connection: close")
	line()
	out.Write(r.body)
	return out.Bytes()
}

// ask makes one exchange, over a connection of its own.
func (v *visit) ask(ctx context.Context, r request, mark string) (*answer, *raconfig.ProbeFailure) {
	ctx, cancel := context.WithTimeout(ctx, v.timeout())
	defer cancel()
	plain, failed := v.connect(ctx)
	if failed != nil {
		return nil, failed
	}
	defer func() { _ = plain.Close() }()
	stop := context.AfterFunc(ctx, func() { _ = plain.SetDeadline(time.Unix(1, 0)) })
	defer stop()
	connection, failed := v.secure(ctx, plain)
	if failed != nil {
		return nil, failed
	}
	a, err := exchange(connection, r.bytes(v.target.host, mark), r.method)
	if err != nil {
		return nil, failureOf(err)
	}
	return a, nil
}

// exchange writes and reads. A server that refuses a request may answer before it has
// read it whole, and end the connection: so an answer counts although writing failed.
func exchange(connection net.Conn, raw []byte, method string) (*answer, error) {
	_, written := connection.Write(raw)
	a, err := readAnswer(connection, method)
	if err != nil && written != nil {
		return nil, fmt.Errorf("send: %w", written)
	}
	return a, err
}

// readAnswer reads one answer, and not more than maxAnswer bytes.
func readAnswer(from io.Reader, method string) (*answer, error) {
	limited := &io.LimitedReader{R: from, N: maxAnswer}
	reader := bufio.NewReader(limited)
	response, err := readFinal(reader, method)
	if err != nil {
		return nil, readError(err, limited)
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, readError(err, limited)
	}
	return &answer{status: response.StatusCode, header: response.Header, body: body}, nil
}

// readFinal skips answers of status 1xx.
func readFinal(reader *bufio.Reader, method string) (*http.Response, error) {
	for range maxInterim {
		response, err := http.ReadResponse(reader, &http.Request{Method: method})
		if err != nil || response.StatusCode >= http.StatusOK {
			return response, err //nolint:wrapcheck // readError does
		}
		_ = response.Body.Close()
	}
	return nil, errNotHTTP
}

// readError tells a connection that failed from an answer that makes no sense.
func readError(err error, limited *io.LimitedReader) error {
	var network net.Error
	ended := errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF)
	if limited.N > 0 && (ended || errors.As(err, &network)) {
		return fmt.Errorf("read: %w", err)
	}
	return fmt.Errorf("%w: %w", errNotHTTP, err)
}
