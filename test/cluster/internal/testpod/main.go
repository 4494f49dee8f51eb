// Command testpod is what the cluster's own tests run in pods: a web server that
// says who it is, resolves names and shows files.
package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"
)

const address = ":8080"

func main() {
	if err := serve(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve() error {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	mux := http.NewServeMux()
	mux.HandleFunc("GET /hostname", hostname)
	mux.HandleFunc("GET /lookup/{name}", lookup)
	mux.HandleFunc("GET /file/{path...}", file)
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	context.AfterFunc(ctx, func() { _ = server.Close() })
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}

func hostname(w http.ResponseWriter, _ *http.Request) {
	name, err := os.Hostname()
	answer(w, name, err)
}

func lookup(w http.ResponseWriter, r *http.Request) {
	addresses, err := net.DefaultResolver.LookupHost(r.Context(), r.PathValue("name"))
	answer(w, strings.Join(addresses, " "), err)
}

func file(w http.ResponseWriter, r *http.Request) {
	content, err := os.ReadFile("/" + r.PathValue("path"))
	answer(w, string(content), err)
}

func answer(w http.ResponseWriter, text string, err error) {
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	_, _ = fmt.Fprint(w, text) // the client may be gone
}
