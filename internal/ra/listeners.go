package ra

import (
	"log/slog"
	"net/http"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/reload"
)

// Time limits of connections. Answers may take as long as a device waits for the
// issuer, which is a minute at most.
const (
	readHeaderTimeout = 10 * time.Second
	readTimeout       = 30 * time.Second
	writeTimeout      = 120 * time.Second
	idleTimeout       = 60 * time.Second
)

const (
	// maxTarget bounds path and query, in bytes; NDES takes 65,534. More is HTTP 414.
	maxTarget = 128 << 10
	// maxHeaderBytes bounds the target and the header fields together; more is HTTP
	// 431. It leaves 16 KiB for fields beside the longest target, and, for targets
	// that are too long, room to be answered 414.
	maxHeaderBytes = 256 << 10
	// maxStreams bounds the requests at a time on one connection of HTTP/2.
	maxStreams = 100
)

// newHTTPServer serves HTTP/1.0, 1.1 and 2; the latter over TLS, or with prior
// knowledge, as some proxies have it.
func (s *Server) newHTTPServer(handler http.Handler) *http.Server {
	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Server{
		Handler:           handler,
		Protocols:         protocols,
		HTTP2:             &http.HTTP2Config{MaxConcurrentStreams: maxStreams},
		ReadHeaderTimeout: readHeaderTimeout,
		ReadTimeout:       readTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.options.Logger.Handler(), slog.LevelDebug),
	}
}

// limitTarget refuses targets that are too long for any message.
func limitTarget(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if len(r.RequestURI) > maxTarget {
			http.Error(w, "the request target is too long: send the message by POST", http.StatusRequestURITooLong)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// setLogLevel takes the level of the configuration, if that names one.
func (s *Server) setLogLevel(snapshot *reload.Snapshot) {
	if snapshot != nil {
		snapshot.Config.SetLogLevel(s.options.LogLevel)
	}
}
