package ra_test

import (
	"crypto/x509/pkix"
	"encoding/asn1"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/challenge/onetime"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

// offerTemplates adds to the template "device" one for each way of selection.
func offerTemplates(f *ratest.Files) {
	laptop := ratest.DeviceTemplate()
	laptop.Microsoft = &v1alpha1.MicrosoftTemplate{Name: "Workstation"}
	laptop.Context = v1alpha1.ContextUser
	f.Config.Templates = append(f.Config.Templates,
		raconfig.Template{Name: "router", Spec: ratest.DeviceTemplate()},
		raconfig.Template{Name: "signing", KeyUsage: v1alpha1.KeyUsageSignature, Spec: ratest.DeviceTemplate()},
		raconfig.Template{Name: "laptop", Spec: laptop})
}

func newTemplatesFixture(t *testing.T) *fixture {
	t.Helper()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	offerTemplates(files)
	files.WriteConfig()
	return &fixture{cluster, files, ratest.NewServer(t, cluster, files)}
}

var (
	workstation = pkix.Extension{
		Id:    asn1.ObjectIdentifier{1, 3, 6, 1, 4, 1, 311, 20, 2},
		Value: []byte{30, 22, 0, 'W', 0, 'o', 0, 'r', 0, 'k', 0, 's', 0, 't', 0, 'a', 0, 't', 0, 'i', 0, 'o', 0, 'n'},
	}
	onlySignature = pkix.Extension{Id: asn1.ObjectIdentifier{2, 5, 29, 15}, Value: []byte{3, 2, 7, 0x80}}
)

func TestTemplatesAreSelected(t *testing.T) {
	t.Parallel()
	f := newTemplatesFixture(t)
	for key, tc := range []struct {
		path       string
		extensions []pkix.Extension
		template   string
		by         string
	}{
		{"", nil, "device", "default"},
		{"/router", nil, "router", "path"},
		{"/router/pkiclient.exe", []pkix.Extension{workstation}, "router", "path"},
		{"", []pkix.Extension{workstation}, "laptop", "microsoft"},
		{"", []pkix.Extension{onlySignature}, "signing", "keyUsage"},
	} {
		request := enrolment(t, key+1)
		request.TransactionID = "selects-" + tc.template + tc.by
		request.Template.ExtraExtensions = tc.extensions
		wantCertificate(t, enrol(t, f.server.URL+tc.path, request), request.Key)
		f.server.WantLogged(audit.AnsweredSuccess, `"template":"`+tc.template+`","templateBy":"`+tc.by+`"`)
	}
	f.server.WantLogged(audit.AnsweredSuccess, `"templateBy":"microsoft","context":"User"`)
	recorded := map[string]int{}
	for _, o := range f.List(t) {
		recorded[o.Annotations[v1alpha1.AnnotationTemplate]]++
	}
	if recorded["device"] != 1 || recorded["router"] != 2 || recorded["laptop"] != 1 || recorded["signing"] != 1 {
		t.Errorf("requests by template: %v", recorded)
	}
}

// TestATemplateThatIsNotThere: whatever is asked, it is not found, and nothing is decrypted.
func TestATemplateThatIsNotThere(t *testing.T) {
	t.Parallel()
	f := newTemplatesFixture(t)
	for path, want := range map[string]int{
		"?operation=GetCACaps":                      http.StatusOK,
		"/router?operation=GetCACaps":               http.StatusOK,
		"/Router/pkiclient.exe?operation=GetCACert": http.StatusOK,
		"/router":                     http.StatusOK,
		"/nobody":                     http.StatusNotFound,
		"/nobody?operation=GetCACaps": http.StatusNotFound,
		"/nobody/pkiclient.exe?operation=GetCACert":   http.StatusNotFound,
		"/nobody?operation=PKIOperation&message=MIIB": http.StatusNotFound,
		"/router/more?operation=GetCACaps":            http.StatusNotFound,
	} {
		if got, body := ask(t, http.MethodGet, f.server.URL+path, "", nil); got.StatusCode != want {
			t.Errorf("GET %s: %d %s, want %d", path, got.StatusCode, body, want)
		}
	}
	if got, _ := ask(t, http.MethodPost, f.server.URL+"/nobody?operation=PKIOperation", "rubbish", nil); got.StatusCode != http.StatusNotFound {
		t.Errorf("POST: %d", got.StatusCode)
	}
	if strings.Contains(f.server.Log.String(), string(audit.MessageRefused)) {
		t.Error("a message was looked at")
	}
}

// TestOneRequestForTwoTemplates: the same key, names and transaction are two requests.
func TestOneRequestForTwoTemplates(t *testing.T) {
	t.Parallel()
	f := newTemplatesFixture(t)
	request := enrolment(t, 1)
	request.TransactionID = "twice"
	request.Certificate = sceptest.SelfSigned(t, nil, request.Key)
	first := wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	second := wantCertificate(t, enrol(t, f.server.URL+"/router", request), request.Key)
	if second.Equal(first) {
		t.Error("one certificate was handed out for two templates")
	}
	for url, want := range map[string]string{f.server.URL: "device", f.server.URL + "/router": "router"} {
		again := wantCertificate(t, enrol(t, url, request), request.Key)
		if want == "device" != again.Equal(first) || want == "router" != again.Equal(second) {
			t.Errorf("%s: the retry got another template's certificate", want)
		}
	}
	f.wantRequests(t, 2)
}

// TestOneTimeChallengesAreForOneTemplate: that for which it was minted.
func TestOneTimeChallengesAreForOneTemplate(t *testing.T) {
	t.Parallel()
	f := newOneTimeFixture(t, offerTemplates)
	for key, form := range []onetime.Form{onetime.Standard, onetime.Long, onetime.NDES} {
		for _, wrong := range []string{"", "/signing"} {
			request := enrolment(t, 2*key+1)
			request.ChallengePassword = mintFrom(t, f.minter, onetime.Order{Form: form, Binding: onetime.Binding{Template: "router"}})
			wantFailure(t, enrol(t, f.server.URL+wrong, request), refusedText)
			if wrong == "" {
				wantCertificate(t, enrol(t, f.server.URL+"/router", request), request.Key)
			}
		}
	}
	byName := enrolment(t, 8)
	byName.Template.ExtraExtensions = []pkix.Extension{workstation}
	byName.ChallengePassword = mintFrom(t, f.minter, onetime.Order{Binding: onetime.Binding{Template: "device"}})
	wantFailure(t, enrol(t, f.server.URL, byName), refusedText)
	f.wantRequests(t, 3)
}

// detour sends all but the first PKIOperation to another path.
type detour struct {
	path  string
	posts atomic.Int64
}

func (d *detour) RoundTrip(r *http.Request) (*http.Response, error) {
	if r.Method == http.MethodPost && d.posts.Add(1) > 1 {
		r = r.Clone(r.Context())
		r.URL.Path = d.path
	}
	return http.DefaultTransport.RoundTrip(r)
}

// TestPollsAreOfTheRecordsTemplate: a poll has no request to select by, but its path
// may name a template, and then that of the record.
func TestPollsAreOfTheRecordsTemplate(t *testing.T) {
	t.Parallel()
	f := newTemplatesFixture(t)
	f.impatient(t)
	f.Issuer.Set(ratest.Holds)
	for key, tc := range []struct {
		path, refused string
	}{
		{"/scep", ""},
		{"/scep/router", ""},
		{"/scep/device", "no such transaction of this signer"},
	} {
		request := enrolment(t, key+1)
		client := device(f.server.URL + "/router")
		client.PollLimit = 1
		client.HTTP = &http.Client{Transport: &detour{path: tc.path}}
		result, err := client.Enrol(limited(t), request)
		if err != nil {
			t.Fatal(err)
		}
		if tc.refused != "" {
			wantFailure(t, result, tc.refused)
			continue
		}
		if result.Status != scep.StatusPending {
			t.Errorf("poll at %s: %v %q", tc.path, result.Status, result.FailInfoText)
		}
	}
	for line := range strings.Lines(f.server.Log.String()) {
		if strings.Contains(line, `"messageType":"CertPoll"`) && strings.Contains(line, string(audit.AnsweredPending)) &&
			!strings.Contains(line, `"template":"router"`) {
			t.Errorf("a poll was recorded for another template: %s", line)
		}
	}
}

// TestATemplateThatIsTakenAway: what waits for it is not handed out by another's rules.
func TestATemplateThatIsTakenAway(t *testing.T) {
	t.Parallel()
	f := newTemplatesFixture(t)
	f.impatient(t)
	f.Issuer.Set(ratest.Holds)
	request := enrolment(t, 1)
	client := device(f.server.URL + "/router")
	client.PollLimit = -1
	client.HTTP = &http.Client{Transport: &detour{path: "/scep"}}
	done := make(chan *scep.Result, 1)
	go func() {
		result, err := client.Enrol(limited(t), request)
		if err != nil {
			t.Errorf("enrol: %v", err)
		}
		done <- result
	}()
	ratest.Eventually(t, "the device to poll", func() error { return f.server.Logged(audit.AnsweredPending, `"messageType":"CertPoll"`) })
	f.files.Config.Templates = f.files.Config.Templates[:1]
	f.reconfigure(t)
	if result := <-done; result != nil {
		wantFailure(t, result, "no such transaction of this signer")
	}
}

func TestAmbiguousTemplatesAreNotLoaded(t *testing.T) {
	t.Parallel()
	f := newTemplatesFixture(t)
	f.files.Config.Endpoint.Generation++
	f.files.Config.Templates[0].Spec.Microsoft = &v1alpha1.MicrosoftTemplate{Name: "WORKSTATION"}
	f.files.Config.Templates[0].Spec.Usages = []certmanagerv1.KeyUsage{certmanagerv1.UsageClientAuth}
	f.files.WriteConfig()
	f.wantStatus(t, "the problem to be named", func(s raconfig.ReplicaStatus) bool {
		return strings.Contains(strings.Join(s.Problems, "\n"), `templates device and laptop both have the Microsoft template "Workstation"`)
	})
	request := enrolment(t, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
}
