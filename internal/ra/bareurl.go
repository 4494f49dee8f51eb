package ra

import (
	"io"
	"net/http"
	"slices"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
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

// newBareURL answers a GET without operation. Where a policy module guards the endpoint
// it is 403, as administrators of NDES expect: there the information page is a sign that
// the module is not active.
func newBareURL(current func() *reload.Snapshot) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		if s := current(); s != nil && slices.ContainsFunc(s.Config.Challenges, isPolicyModule) {
			http.Error(w, "a policy module guards this address: it is for devices only", http.StatusForbidden)
			return
		}
		serveBarePage(w)
	})
}

// isPolicyModule says whether another service judges what devices bring.
func isPolicyModule(c raconfig.Challenge) bool {
	return c.Type == v1alpha1.ChallengeWebhook || c.Type == v1alpha1.ChallengeIntune
}

func serveBarePage(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, barePage) // a reader who has gone needs no answer
}
