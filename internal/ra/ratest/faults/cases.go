package faults

import "net/http"

// Case is a fault that any JSON service can show its callers.
type Case struct {
	Name  string
	Fault Fault
	// Says is what an error of package outbound says of it.
	Says string
	// Passes is true where a second try at once gets past a fault that shows once.
	Passes bool
}

// success holds every word of success that the simulated services know.
const success = `{"allow":true,"code":"Success","access_token":"x","token_type":"Bearer","expires_in":3599,"value":[]}`

// hugeSize is more than any client reads.
const hugeSize = 2 << 20

// Cases are the faults that all services share. None of them may pass for a yes.
var Cases = []Case{
	{"throttled", Throttled(http.StatusTooManyRequests, 17), "HTTP 429", false},
	{"throttled without a time", Status(http.StatusTooManyRequests), "HTTP 429", false},
	{"internal error", Status(http.StatusInternalServerError), "HTTP 500", true},
	{"bad gateway", Status(http.StatusBadGateway), "HTTP 502", true},
	{"unavailable, come again", Throttled(http.StatusServiceUnavailable, 17), "HTTP 503", false},
	{"gateway timeout", Status(http.StatusGatewayTimeout), "HTTP 504", true},
	{"bad request with an echo", Echo(http.StatusBadRequest), "HTTP 400", false},
	{"forbidden", Status(http.StatusForbidden), "HTTP 403", false},
	{"slow", Slow, "no answer in time", false},
	{"closed", Closed, "not reachable", true},
	{"torn", Torn, "the answer broke off", true},
	{"not HTTP", NotHTTP, "not reachable", true},
	{"not JSON", JSON("<html>" + Leak), "cannot be read", false},
	{"a list", JSON(`["` + Leak + `"]`), "cannot be read", false},
	{"several values", JSON(success + success), "cannot be read", false},
	{"wrong content type", Says("text/html", success), "cannot be read", false},
	{"huge", Huge(hugeSize), "too large", false},
	{"empty", JSON(""), "cannot be read", false},
	{"see other", Redirect(http.StatusSeeOther, "https://elsewhere.invalid/"), "HTTP 303", false},
}
