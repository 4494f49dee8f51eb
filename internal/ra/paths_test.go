package ra_test

import (
	"maps"
	"net/http"
	"strings"
	"testing"
)

// TestPathsAreCountedByTheirForm: what strangers write into a path is in the audit
// record alone.
func TestPathsAreCountedByTheirForm(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	root := strings.TrimSuffix(f.server.URL, "/scep")
	for path, status := range map[string]int{
		"/scep?operation=GetCACaps":                    http.StatusOK,
		"/certsrv/mscep?operation=GetCACaps":           http.StatusOK,
		"/certsrv/mscep/mscep.dll?operation=GetCACaps": http.StatusOK,
		"/scep%20?operation=GetCACaps":                 http.StatusOK,
		"/scep/nonsense?operation=GetCACaps":           http.StatusNotFound,
		"/certsrv/mscep_admin/":                        http.StatusNotFound,
		"/.env":                                        http.StatusOK, // the page for people
	} {
		if _, got := get(t, http.DefaultClient, root+path); got != status {
			t.Errorf("%s: status %d, want %d", path, got, status)
		}
	}
	want := map[string]uint64{"SCEP": 1, "NDESFolder": 1, "NDES": 1, "Space": 1, "UnknownTemplate": 1, "AdminPage": 1, "Foreign": 1}
	status := f.server.Status()
	if want := map[string]uint64{"Go-http-client/1": 7}; !maps.Equal(status.UserAgents, want) {
		t.Errorf("user agents %v, want %v", status.UserAgents, want)
	}
	if !maps.Equal(status.Paths, want) {
		t.Errorf("paths %v, want %v", status.Paths, want)
	}
	if status.LastIssued != nil {
		t.Errorf("nothing was issued, and %s is when", status.LastIssued)
	}
	request := enrolment(t, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	if status := f.server.Status(); status.LastIssued == nil || status.Paths["SCEP"] < 2 {
		t.Errorf("after an enrolment: issued last %v, paths %v", status.LastIssued, status.Paths)
	}
}
