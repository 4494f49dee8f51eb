package ra

import (
	"io"
	"net/http"
)

// barePage is for a person who opens the URL; devices always name an operation.
const barePage = `<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>SCEP</title></head>
<body>
<h1>SCEP</h1>
<p>This is the address of a certificate enrolment service for devices
(Simple Certificate Enrolment Protocol, RFC 8894). It is working.</p>
<p>There is nothing to do here in a browser: enter this address in the settings
of your device or of your device management.</p>
</body>
</html>
`

// serveBareURL answers a GET without operation.
func serveBareURL(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, barePage) // a reader who has gone needs no answer
}
