// Package pathform says what kind of path a request came by: one of a few forms, so
// that paths can be counted without keeping what strangers write into them.
package pathform

import (
	"regexp"
	"strings"
	"unicode"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// Form is a kind of path. The values are API: metrics and the status carry them.
type Form string

// The forms. The first group is as it should be, or close enough to be served; of the
// second somebody made a mistake in a profile.
const (
	// SCEP is /scep, and below it the name of a template.
	SCEP Form = "SCEP"
	// NDES is /certsrv/mscep/mscep.dll, as Microsoft's server has it.
	NDES Form = "NDES"
	// CGI is /cgi-bin/pkiclient.exe, as routers have it.
	CGI Form = "CGI"
	// Root is a bare host.
	Root Form = "Root"
	// Other is any other path that something was asked of that looks like SCEP.
	Other Form = "Other"
	// Foreign is a path that nothing of SCEP was asked of: scanners, browsers.
	Foreign Form = "Foreign"

	// NDESFolder is /certsrv/mscep without mscep.dll. It is served here; NDES refuses POST.
	NDESFolder = Form(v1alpha1.MistakeNDESFolder)
	// AdminPage is /certsrv/mscep_admin, where NDES has its page of challenges.
	AdminPage = Form(v1alpha1.MistakeAdminPage)
	// DoubledSlash is a path with two slashes in a row.
	DoubledSlash = Form(v1alpha1.MistakeDoubledSlash)
	// Space is a path with a space, or another invisible character, such as %20 at its end.
	Space = Form(v1alpha1.MistakeSpace)
	// EncodedQuery is a path that holds the query, its question mark as %3F.
	EncodedQuery = Form(v1alpha1.MistakeEncodedQuery)
	// UnknownTemplate is a path below /scep that names no template of the endpoint. It is refused.
	UnknownTemplate = Form(v1alpha1.MistakeUnknownTemplate)
)

// All forms.
func All() []Form {
	return []Form{
		SCEP, NDES, CGI, Root, Other, Foreign,
		NDESFolder, AdminPage, DoubledSlash, Space, EncodedQuery, UnknownTemplate,
	}
}

// Request is what a form is told by.
type Request struct {
	// Path of the request, unescaped.
	Path string
	// Asks says whether it looks like SCEP: an operation is named, or something is posted.
	Asks bool
	// Served is false if the endpoint has no template of the name in the path.
	Served bool
}

// forms in the order in which they are looked for; paths are in lower case.
var forms = []struct {
	form Form
	is   *regexp.Regexp
}{
	{NDES, regexp.MustCompile(`^/certsrv/mscep/mscep\.dll(/|/pkiclient\.exe)?$`)},
	{NDESFolder, regexp.MustCompile(`^/certsrv/mscep(/|/pkiclient\.exe)?$`)},
	{AdminPage, regexp.MustCompile(`^/certsrv/mscep_admin(/.*)?$`)},
	{CGI, regexp.MustCompile(`^/cgi-bin/pkiclient\.exe/?$`)},
	{SCEP, regexp.MustCompile(`^/scep(/.*)?$`)},
	{Root, regexp.MustCompile(`^/?$`)},
}

// Of says what form the path of a request has.
func Of(r Request) Form {
	path := strings.ToLower(r.Path)
	switch {
	case strings.ContainsFunc(path, isInvisible):
		return Space
	case strings.Contains(path, "?"):
		return EncodedQuery
	case !r.Asks && !strings.Contains(path, "scep") && path != "/":
		return Foreign
	case strings.Contains(path, "//"):
		return DoubledSlash
	case !r.Served:
		return UnknownTemplate
	}
	for _, f := range forms {
		if f.is.MatchString(path) {
			return f.form
		}
	}
	return Other
}

func isInvisible(r rune) bool { return unicode.IsSpace(r) || !unicode.IsPrint(r) }
