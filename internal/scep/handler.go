package scep

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/internal/scep/cms"
)

// Backend decides about requests. *UnavailableError becomes HTTP 503 with
// Retry-After; any other error HTTP 500 without detail.
type Backend interface {
	PKIOperation(ctx context.Context, req *Request) (*Reply, error)
}

// HandlerConfig is what a Handler needs.
type HandlerConfig struct {
	Identity func() *Identity // called once a request; nil means that no RA credential is loaded: 503
	Settings func() Settings  // called once a request
	Backend  Backend
	Observer Observer     // may be nil
	BareURL  http.Handler // answers a GET without operation; nil: 404
	Logger   *slog.Logger // nil: slog.Default
	Paths    []string     // prefixes of the paths served, in any letter case; none: every path

	// Guard runs the cryptography of one exchange (once to open a message, once to
	// make the answer; never while the Backend decides), to bound how much of it
	// runs at a time. An error means that it was not run, and becomes HTTP 503.
	// Nil runs it at once.
	Guard func(ctx context.Context, work func()) error
}

// HistoricalPaths are the prefixes clients and their administrators expect a
// SCEP server under (RFC 8894, section 4.1, and Microsoft's NDES).
var HistoricalPaths = []string{"/scep", "/certsrv/mscep", "/cgi-bin/pkiclient.exe"}

// The media types of RFC 8894, section 6.
const (
	typeCACert     = "application/x-x509-ca-cert"
	typeCARACert   = "application/x-x509-ca-ra-cert"
	typeNextCACert = "application/x-x509-next-ca-cert"
	typeMessage    = "application/x-pki-message"
	typeText       = "text/plain"
)

const (
	operationGetCACaps     = "GetCACaps"
	operationGetCACert     = "GetCACert"
	operationGetNextCACert = "GetNextCACert"
	operationPKIOperation  = "PKIOperation"
)

var errNoIdentity = &UnavailableError{
	RetryAfter: 10 * time.Second,
	Err:        errors.New("no RA credential is loaded"),
}

// Handler answers SCEP over HTTP (RFC 8894, section 4). It never redirects, and
// must not be behind something that does, as http.ServeMux with its cleaned
// paths.
type Handler struct {
	HandlerConfig
	operations map[string]operation // by lower-case name
}

type operation struct {
	step Step
	run  func(h *Handler, ctx context.Context, x *exchange)
}

// exchange is one HTTP request and its answer.
type exchange struct {
	w        http.ResponseWriter
	r        *http.Request
	identity *Identity
	settings Settings
	event    Event
}

// NewHandler returns the handler for one endpoint.
func NewHandler(c HandlerConfig) http.Handler {
	if c.Observer == nil {
		c.Observer = noObserver{}
	}
	if c.Guard == nil {
		c.Guard = func(_ context.Context, work func()) error { work(); return nil }
	}
	if c.BareURL == nil {
		c.BareURL = http.NotFoundHandler()
	}
	c.Logger = cmp.Or(c.Logger, slog.Default())
	return &Handler{HandlerConfig: c, operations: map[string]operation{
		strings.ToLower(operationGetCACaps):     {StepGetCACaps, (*Handler).getCACaps},
		strings.ToLower(operationGetCACert):     {StepGetCACert, (*Handler).getCACert},
		strings.ToLower(operationGetNextCACert): {StepGetNextCACert, (*Handler).getNextCACert},
		strings.ToLower(operationPKIOperation):  {StepPKIOperation, (*Handler).pkiOperation},
	}}
}

// ServeHTTP implements http.Handler.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !h.servesPath(r.URL.Path) {
		http.NotFound(w, r)
		return
	}
	name := operationName(r)
	op, known := h.operations[strings.ToLower(name)]
	if methods := methodsOf(op); !slices.Contains(methods, r.Method) {
		w.Header().Set("Allow", strings.Join(methods, ", "))
		http.Error(w, "method not allowed", http.StatusMethodNotAllowed)
		return
	}
	w.Header().Set("Cache-Control", "no-store")
	x := newExchange(w, r)
	x.event.Step = cmp.Or(op.step, StepOther)
	h.Observer.Observe(r.Context(), x.event)
	switch {
	case known:
		h.run(r.Context(), op, x)
	case name == "":
		h.BareURL.ServeHTTP(w, r)
	default:
		http.Error(w, "unknown operation", http.StatusBadRequest)
	}
}

// methodsOf leaves HEAD out where it would enrol.
func methodsOf(op operation) []string {
	if op.step == StepPKIOperation {
		return []string{http.MethodGet, http.MethodPost}
	}
	return []string{http.MethodGet, http.MethodHead, http.MethodPost}
}

// operationName is the operation as asked for. A POST without one can only be a
// PKIOperation.
func operationName(r *http.Request) string {
	name, _ := QueryParameter(r.URL.RawQuery, "operation")
	if name == "" && r.Method == http.MethodPost {
		return operationPKIOperation
	}
	return name
}

func newExchange(w http.ResponseWriter, r *http.Request) *exchange {
	return &exchange{w: w, r: r, event: Event{
		HTTPMethod:  r.Method,
		Path:        r.URL.Path,
		TargetBytes: len(r.RequestURI),
		UserAgent:   r.UserAgent(),
		RemoteAddr:  r.RemoteAddr,
	}}
}

func (h *Handler) servesPath(path string) bool {
	lower := strings.ToLower(path)
	served := func(prefix string) bool { return strings.HasPrefix(lower, strings.ToLower(prefix)) }
	return len(h.Paths) == 0 || slices.ContainsFunc(h.Paths, served)
}

// run takes the snapshot an exchange works with.
func (h *Handler) run(ctx context.Context, op operation, x *exchange) {
	x.identity, x.settings = h.Identity(), h.Settings()
	if x.identity == nil {
		h.busy(ctx, x, errNoIdentity)
		return
	}
	op.run(h, ctx, x)
}

func (h *Handler) getCACaps(_ context.Context, x *exchange) {
	x.write(typeText, []byte(strings.Join(x.settings.Capabilities(x.identity), "\n")+"\n"))
}

// getCACert sends one certificate as it is, several as certs-only SignedData
// (RFC 8894, section 4.2.1).
func (h *Handler) getCACert(ctx context.Context, x *exchange) {
	certificates := x.identity.CertificatesFor(x.settings.ChainShape)
	if len(certificates) == 1 {
		x.write(typeCACert, certificates[0].Raw)
		return
	}
	der, err := cms.MarshalCertificates(certificates)
	if err != nil {
		h.internalError(ctx, x, err)
		return
	}
	x.write(typeCARACert, der)
}

func (h *Handler) pkiOperation(ctx context.Context, x *exchange) {
	message, err := x.readMessage()
	if err != nil {
		h.refuseHTTP(ctx, x, err)
		return
	}
	var request *Request
	busy := h.Guard(ctx, func() { request, err = Open(message, x.identity, x.settings) })
	if busy != nil {
		h.busy(ctx, x, busy)
		return
	}
	if err != nil {
		h.refuse(ctx, x, err)
		return
	}
	x.event.TransactionID, x.event.MessageType = request.TransactionID, request.MessageType
	x.event.Digest, x.event.Cipher = request.Digest, request.Cipher
	h.Observer.Observe(ctx, x.at(StepOpened))
	h.decide(ctx, x, request)
}

// decide asks the Backend and answers.
func (h *Handler) decide(ctx context.Context, x *exchange, request *Request) {
	reply, err := h.Backend.PKIOperation(ctx, request)
	var unavailable *UnavailableError
	if errors.As(err, &unavailable) {
		h.busy(ctx, x, err)
		return
	}
	if err == nil && reply == nil {
		err = errors.New("scep: backend gave no reply")
	}
	if err != nil {
		h.internalError(ctx, x, err)
		return
	}
	x.event.Status, x.event.FailInfo = reply.Status, reply.FailInfo
	reply.tellSent(h.answer(ctx, x, StepAnswered, func() ([]byte, error) { return request.Respond(x.identity, reply) }))
}

var errNoAnswer = errors.New("scep: no answer could be made")

// answer makes a CertRep and sends it. It says what was in the way.
func (h *Handler) answer(ctx context.Context, x *exchange, step Step, respond func() ([]byte, error)) error {
	der, ok := h.guarded(ctx, x, respond)
	if !ok {
		return errNoAnswer
	}
	h.Observer.Observe(ctx, x.at(step))
	return x.deliver(ctx, typeMessage, der)
}

// guarded makes an answer inside Guard; if it is false, the device was told why
// there is none.
func (h *Handler) guarded(ctx context.Context, x *exchange, respond func() ([]byte, error)) ([]byte, bool) {
	var der []byte
	var err error
	if busy := h.Guard(ctx, func() { der, err = respond() }); busy != nil {
		h.busy(ctx, x, busy)
		return nil, false
	}
	if err != nil {
		h.internalError(ctx, x, err)
		return nil, false
	}
	return der, true
}

// busy tells the device to come again.
func (h *Handler) busy(ctx context.Context, x *exchange, err error) {
	x.event.Err = err
	h.Observer.Observe(ctx, x.at(StepRefused))
	var unavailable *UnavailableError
	if !errors.As(err, &unavailable) {
		unavailable = &UnavailableError{}
	}
	x.unavailable(unavailable)
}

// refuse answers a message that could not be opened.
func (h *Handler) refuse(ctx context.Context, x *exchange, err error) {
	var message *MessageError
	if !errors.As(err, &message) {
		h.internalError(ctx, x, err)
		return
	}
	x.event.TransactionID, x.event.MessageType = message.TransactionID, message.MessageType
	x.event.FailInfo, x.event.Err = message.FailInfo, err
	h.Logger.InfoContext(ctx, "message refused",
		"transactionID", message.TransactionID, "remote", x.r.RemoteAddr, "error", err)
	if !message.Answerable() {
		h.Observer.Observe(ctx, x.at(StepRefused))
		http.Error(x.w, message.Text, http.StatusBadRequest)
		return
	}
	x.event.Status = StatusFailure
	_ = h.answer(ctx, x, StepRefused, func() ([]byte, error) { return message.Respond(x.identity) }) // nothing is lost with a refusal
}

// refuseHTTP answers a request of which no message could be read.
func (h *Handler) refuseHTTP(ctx context.Context, x *exchange, err error) {
	x.event.Err, x.event.FailInfo = fmt.Errorf("%w: %w", ErrNotDecoded, err), BadRequest
	h.Observer.Observe(ctx, x.at(StepRefused))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		http.Error(x.w, "message too large", http.StatusRequestEntityTooLarge)
	case errors.Is(err, errMessageParameter):
		http.Error(x.w, "the message parameter is not base64", http.StatusBadRequest)
	default:
		http.Error(x.w, "the message could not be read", http.StatusBadRequest)
	}
}

func (h *Handler) internalError(ctx context.Context, x *exchange, err error) {
	x.event.Err = err
	h.Logger.ErrorContext(ctx, "request failed", "transactionID", x.event.TransactionID, "error", err)
	h.Observer.Observe(ctx, x.at(StepRefused))
	http.Error(x.w, "internal error", http.StatusInternalServerError)
}

// at is the exchange's event at another step.
func (x *exchange) at(step Step) Event {
	x.event.Step = step
	return x.event
}

// readMessage returns the pkiMessage of a POST or GET, of at most the size the
// settings allow (*http.MaxBytesError). What a POST calls its content is not
// looked at: clients call it all sorts of things.
func (x *exchange) readMessage() ([]byte, error) {
	limit := x.settings.Limits.withDefaults().MaxMessageBytes
	if x.r.Method == http.MethodPost {
		return io.ReadAll(http.MaxBytesReader(x.w, x.r.Body, int64(limit)))
	}
	raw, _ := QueryParameter(x.r.URL.RawQuery, "message")
	message, err := decodeMessage(raw)
	if err == nil && len(message) > limit {
		return nil, &http.MaxBytesError{Limit: int64(limit)}
	}
	return message, err
}

// write sends a whole body; a length is given for clients of HTTP/1.0.
func (x *exchange) write(mediaType string, body []byte) {
	_ = x.send(mediaType, body) // a client that has gone needs no answer
}

func (x *exchange) send(mediaType string, body []byte) error {
	x.w.Header().Set("Content-Type", mediaType)
	x.w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	_, err := x.w.Write(body)
	return err //nolint:wrapcheck // says it all
}

// deliver is write for an answer that must not get lost unnoticed: the server lets go of
// it at once, and says if the client had gone before. One that goes as soon as it has the
// answer ends the context as well, so that is not looked at any more.
func (x *exchange) deliver(ctx context.Context, mediaType string, body []byte) error {
	gone := ctx.Err()
	if err := x.send(mediaType, body); err != nil {
		return err
	}
	if err := http.NewResponseController(x.w).Flush(); err != nil && !errors.Is(err, http.ErrNotSupported) {
		return err //nolint:wrapcheck // says it all
	}
	return gone //nolint:wrapcheck // says it all
}

func (x *exchange) unavailable(why *UnavailableError) {
	seconds := max(1, int(math.Ceil(why.RetryAfter.Seconds())))
	x.w.Header().Set("Retry-After", strconv.Itoa(seconds))
	status := http.StatusServiceUnavailable
	if why.TooMany {
		status = http.StatusTooManyRequests
	}
	http.Error(x.w, "try again later", status)
}
