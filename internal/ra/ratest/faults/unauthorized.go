package faults

import "net/http"

// Wants answers 401 and names schemes of authentication.
func Wants(schemes ...string) Fault {
	return func(w http.ResponseWriter, r *http.Request) {
		for _, scheme := range schemes {
			w.Header().Add("WWW-Authenticate", scheme)
		}
		Status(http.StatusUnauthorized)(w, r)
	}
}
