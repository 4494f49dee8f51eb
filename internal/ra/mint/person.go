package mint

import (
	"html/template"
	"net/http"
)

// Pages for a person whom NDES's page cannot be shown to. No management system
// looks into them: it sees the status.

// advice is what a person is told of a status, beside the reason.
type advice struct{ title, remedy string }

var advices = map[int]advice{
	http.StatusUnauthorized:       {"You are not signed in", "Reload this page and enter the user name and password that your administrator gave you."},
	http.StatusTooManyRequests:    {"Too many requests", "Wait a minute, then reload this page."},
	http.StatusServiceUnavailable: {"Not available at present", "Wait a minute, then reload this page. If it lasts, tell your administrator."},
	http.StatusNotFound:           {"There is no challenge password to be had here", "Ask your administrator for the right address."},
}

// otherAdvice is for all other statuses: the address itself is wrong.
var otherAdvice = advice{"This request is not understood", "Open this page without anything behind its address."}

// personPage fits a phone: its width is the screen's.
var personPage = template.Must(template.New("person").Parse(`<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}}</title>
</head>
<body>
<h1>{{.Title}}</h1>
<p>{{.Remedy}}</p>
<p><small>{{.Status}}: {{.Text}}</small></p>
</body>
</html>
`))

func servePersonPage(w http.ResponseWriter, status int, text string) {
	told, ok := advices[status]
	if !ok {
		told = otherAdvice
	}
	w.Header().Set("Content-Security-Policy", "default-src 'none'")
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	_ = personPage.Execute(w, struct { // a reader who has gone needs no answer
		Title, Remedy, Text string
		Status              int
	}{told.title, told.remedy, text, status})
}
