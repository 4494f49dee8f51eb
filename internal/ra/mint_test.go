package ra_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode/utf16"

	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	rbacv1 "k8s.io/api/rbac/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

const (
	minterUser     = "fleet"
	minterPassword = "p4ss:word"
)

// newMintFixture has an admin exposure with a user.
func newMintFixture(t *testing.T, change func(*ratest.Files)) *oneTimeFixture {
	t.Helper()
	return newOneTimeFixture(t, func(f *ratest.Files) {
		f.Config.Admin = true
		f.Config.Challenges[0].OneTime.NDES.Encoding = v1alpha1.NDESUTF16
		f.Write(f.Dirs.AdminBasic, raconfig.UsernameFile, []byte(minterUser))
		f.Write(f.Dirs.AdminBasic, raconfig.PasswordFile, []byte(minterPassword+"\n"))
		if change != nil {
			change(f)
		}
	})
}

// answer is what a test looks at beside the body.
type answer struct {
	StatusCode int
	Header     http.Header
}

// ask sends a request and returns the answer with its body.
func ask(t *testing.T, method, url, body string, prepare func(*http.Request)) (answer, string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Content-Type", "application/json")
	if prepare != nil {
		prepare(request)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = response.Body.Close() }()
	read, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return answer{response.StatusCode, response.Header}, string(read)
}

func basic(r *http.Request) { r.SetBasicAuth(minterUser, minterPassword) }

func bearer(token string) func(*http.Request) {
	return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
}

func wantReply(t *testing.T, body string) raconfig.ChallengeReply {
	t.Helper()
	var reply raconfig.ChallengeReply
	if err := json.Unmarshal([]byte(body), &reply); err != nil || reply.Challenge == "" {
		t.Fatalf("reply %s (%v)", body, err)
	}
	return reply
}

func TestMintByBasic(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	url := f.server.MintURL + raconfig.ChallengesPath
	for asked, form := range map[string]string{
		`{}`:              "Standard",
		`{"form":"NDES"}`: "NDES",
		`{"form":"Long","data":{"site":"north"},"template":"device","challenge":"helpdesk"}`:                          "Long",
		`{"validity":"5m","subject":["commonName=` + deviceName + `"],"alternativeNames":["dns:` + deviceName + `"]}`: "Standard",
	} {
		response, body := ask(t, http.MethodPost, url, asked, basic)
		if response.StatusCode != http.StatusOK || response.Header.Get("Cache-Control") != "no-store" {
			t.Fatalf("%s: status %d, %s", asked, response.StatusCode, body)
		}
		reply := wantReply(t, body)
		if reply.Form != form || reply.Template != "device" || reply.Name != "helpdesk" || !reply.Expires.After(time.Now()) {
			t.Errorf("%s: reply %+v", asked, reply)
		}
		request := with(t, reply.Challenge, 1)
		wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
		f.server.WantNoSecret(reply.Challenge)
	}
	f.wantRequests(t, 4)
	f.server.WantLogged(audit.ChallengeMinted, `"caller":"basic:fleet"`)
	f.server.WantNoSecret(minterPassword)
}

func TestRequestsThatMintNothing(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	for name, tc := range map[string]struct {
		method, path, body string
		prepare            func(*http.Request)
		status             int
		text               string
	}{
		"nobody":          {http.MethodPost, raconfig.ChallengesPath, "{}", nil, 401, "a token or a user"},
		"another user":    {http.MethodPost, raconfig.ChallengesPath, "{}", func(r *http.Request) { r.SetBasicAuth("mallory", minterPassword) }, 401, "a token or a user"},
		"a wrong word":    {http.MethodPost, raconfig.ChallengesPath, "{}", func(r *http.Request) { r.SetBasicAuth(minterUser, "p4ss") }, 401, "a token or a user"},
		"a wrong token":   {http.MethodPost, raconfig.ChallengesPath, "{}", bearer("nonsense"), 401, "a token or a user"},
		"by GET":          {http.MethodGet, raconfig.ChallengesPath, "", basic, 405, "the method is POST"},
		"another path":    {http.MethodGet, "/", "", basic, 404, "there is nothing here"},
		"from a web page": {http.MethodPost, raconfig.ChallengesPath, "{}", func(r *http.Request) { basic(r); r.Header.Set("Content-Type", "text/plain") }, 400, "Content-Type"},
		"no JSON":         {http.MethodPost, raconfig.ChallengesPath, "{", basic, 400, "cannot be read"},
		"two requests":    {http.MethodPost, raconfig.ChallengesPath, "{}{}", basic, 400, "behind its end"},
		"unknown field":   {http.MethodPost, raconfig.ChallengesPath, `{"vaildity":"1m"}`, basic, 400, "unknown field"},
		"another entry":   {http.MethodPost, raconfig.ChallengesPath, `{"challenge":"x"}`, basic, 400, `no challenge \"x\"`},
		"a bad name":      {http.MethodPost, raconfig.ChallengesPath, `{"alternativeNames":["x"]}`, basic, 400, "it must be of the form dns:"},
		"a bad subject":   {http.MethodPost, raconfig.ChallengesPath, `{"subject":["CN=x"]}`, basic, 400, "is not known; commonName is one"},
		"a bad validity":  {http.MethodPost, raconfig.ChallengesPath, `{"validity":"soon"}`, basic, 400, "validity: "},
		"too long":        {http.MethodPost, raconfig.ChallengesPath, `{"validity":"2h"}`, basic, 400, "validity must be between"},
		"too large":       {http.MethodPost, raconfig.ChallengesPath, `{"rule":"` + strings.Repeat("x", 70000) + `"}`, basic, 400, "too large"},
		"NDES, unknown":   {http.MethodGet, "/certsrv/mscep_admin/?operation=x", "", basic, 400, "operation is neither"},
		"NDES by POST":    {http.MethodPost, "/certsrv/mscep_admin/", "", basic, 405, "the method is GET"},
	} {
		response, body := ask(t, tc.method, f.server.MintURL+tc.path, tc.body, tc.prepare)
		if response.StatusCode != tc.status || !strings.Contains(body, tc.text) {
			t.Errorf("%s: status %d, %s; want %d with %s", name, response.StatusCode, body, tc.status, tc.text)
		}
		if tc.status == http.StatusUnauthorized && !strings.HasPrefix(response.Header.Get("WWW-Authenticate"), "Basic ") {
			t.Errorf("%s: WWW-Authenticate %q", name, response.Header.Values("WWW-Authenticate"))
		}
	}
	f.server.WantLogged(audit.MintingRefused, "nobody is known")
}

// TestProbesOfThePage: the endpoint's own probes are answered as strangers are, with a
// receipt, and neither limited nor recorded; a mark opens nothing.
func TestProbesOfThePage(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	key := probemark.NewKey(f.files.StateKey())
	mark := key.Mark(time.Now(), [16]byte{1})
	marked := func(r *http.Request) { r.Header.Set(probemark.Header, mark) }
	for range 50 {
		response, body := ask(t, http.MethodGet, f.server.MintURL+raconfig.ChallengePagePath, "", marked)
		receipt, err := key.Verify(mark, response.Header.Get(probemark.Header))
		if response.StatusCode != http.StatusUnauthorized || err != nil || receipt.Answer != probemark.SumOf([]byte(body)) {
			t.Fatalf("HTTP status %d, receipt %v", response.StatusCode, err)
		}
	}
	if f.server.Logged(audit.MintingRefused, "") == nil {
		t.Error("probes are in the audit record")
	}
	response, body := ask(t, http.MethodGet, f.server.MintURL+raconfig.ChallengePagePath, "", func(r *http.Request) { marked(r); basic(r) })
	if response.StatusCode != http.StatusUnauthorized {
		t.Errorf("with a mark and a password: HTTP status %d: %s", response.StatusCode, body)
	}
	mark = probemark.NewKey(f.files.ChallengeKey()).Mark(time.Now(), [16]byte{1})
	response, _ = ask(t, http.MethodGet, f.server.MintURL+raconfig.ChallengePagePath, "", marked)
	if response.StatusCode != http.StatusUnauthorized || response.Header.Get(probemark.Header) != "" {
		t.Errorf("a stranger's mark: HTTP status %d, receipt %q", response.StatusCode, response.Header.Get(probemark.Header))
	}
	f.server.WantLogged(audit.MintingRefused, "nobody is known")
}

func TestManyWrongPasswordsAreNotLookedAt(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	url := f.server.MintURL + raconfig.ChallengesPath
	for range 10 {
		ask(t, http.MethodPost, url, "{}", nil)
	}
	if response, _ := ask(t, http.MethodPost, url, "{}", basic); response.StatusCode != http.StatusTooManyRequests || response.Header.Get("Retry-After") == "" {
		t.Errorf("status %d after ten failures", response.StatusCode)
	}
}

func TestACallerIsLimited(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	url := f.server.MintURL + raconfig.ChallengesPath
	statuses := map[int]int{}
	for range 400 {
		response, _ := ask(t, http.MethodPost, url, "{}", basic)
		statuses[response.StatusCode]++
	}
	if statuses[http.StatusOK] < 200 || statuses[http.StatusTooManyRequests] == 0 {
		t.Errorf("statuses %v", statuses)
	}
}

// account makes a service account that may mint, or may not, and a token for an audience.
func account(t *testing.T, f *oneTimeFixture, name string, may bool, audience string) string {
	t.Helper()
	client := f.Admin(t)
	if _, err := client.CoreV1().ServiceAccounts(f.Namespace).Create(t.Context(), &corev1.ServiceAccount{ObjectMeta: metav1.ObjectMeta{Name: name}}, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	if may {
		allow(t, f, name)
	}
	token, err := client.CoreV1().ServiceAccounts(f.Namespace).CreateToken(t.Context(), name, &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}},
	}, metav1.CreateOptions{})
	if err != nil {
		t.Fatal(err)
	}
	return token.Status.Token
}

func allow(t *testing.T, f *oneTimeFixture, account string) {
	t.Helper()
	rbac, meta := f.Admin(t).RbacV1(), metav1.ObjectMeta{Name: "minter-" + account}
	role := &rbacv1.Role{ObjectMeta: meta, Rules: []rbacv1.PolicyRule{{
		APIGroups: []string{v1alpha1.GroupName}, Resources: []string{"scependpoints/challenges"}, ResourceNames: []string{ratest.Endpoint}, Verbs: []string{"create"},
	}}}
	if _, err := rbac.Roles(f.Namespace).Create(t.Context(), role, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
	binding := &rbacv1.RoleBinding{
		ObjectMeta: meta,
		RoleRef:    rbacv1.RoleRef{APIGroup: rbacv1.GroupName, Kind: "Role", Name: meta.Name},
		Subjects:   []rbacv1.Subject{{Kind: rbacv1.ServiceAccountKind, Namespace: f.Namespace, Name: account}},
	}
	if _, err := rbac.RoleBindings(f.Namespace).Create(t.Context(), binding, metav1.CreateOptions{}); err != nil {
		t.Fatal(err)
	}
}

func TestMintByToken(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	audience := raconfig.Audience(f.Namespace, ratest.Endpoint)
	for name, tc := range map[string]struct {
		may      bool
		audience string
		status   int
	}{
		"minter":                {true, audience, http.StatusOK},
		"bystander":             {false, audience, http.StatusForbidden},
		"minter-of-another":     {true, raconfig.Audience(f.Namespace, "another"), http.StatusUnauthorized},
		"minter-for-the-api":    {true, "https://kubernetes.default.svc.cluster.local", http.StatusUnauthorized},
		ratest.Endpoint + "-ra": {false, audience, http.StatusOK},
	} {
		token := account(t, f, name, tc.may, tc.audience)
		for _, url := range []string{f.server.MintURL, f.server.LocalMintURL} {
			var status int
			var body string
			ratest.Eventually(t, "rights to have taken effect", func() error {
				response, read := ask(t, http.MethodPost, url+raconfig.ChallengesPath, "{}", bearer(token))
				status, body = response.StatusCode, read
				if tc.may && tc.status == http.StatusOK && status == http.StatusForbidden {
					return io.ErrNoProgress
				}
				return nil
			})
			if status != tc.status {
				t.Errorf("%s at %s: status %d, %s; want %d", name, url, status, body, tc.status)
			}
			if status == http.StatusOK {
				wantReply(t, body)
			}
		}
		f.server.WantNoSecret(token)
	}
	f.server.WantLogged(audit.ChallengeMinted, `"caller":"system:serviceaccount:`+f.Namespace+`:minter"`)
}

func TestTokensCannotBeJudgedWithoutTheAPIServer(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	f.server.SetClusterAway(true)
	response, _ := ask(t, http.MethodPost, f.server.MintURL+raconfig.ChallengesPath, "{}", bearer("some"))
	if response.StatusCode != http.StatusServiceUnavailable || response.Header.Get("Retry-After") == "" {
		t.Errorf("status %d, want 503 with Retry-After", response.StatusCode)
	}
	if response, body := ask(t, http.MethodPost, f.server.MintURL+raconfig.ChallengesPath, "{}", basic); response.StatusCode != http.StatusOK {
		t.Errorf("by Basic: status %d, %s", response.StatusCode, body)
	}
	f.server.SetClusterAway(false)
}

func TestTheLocalListenerTakesTokensOnly(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	response, _ := ask(t, http.MethodPost, f.server.LocalMintURL+raconfig.ChallengesPath, "{}", basic)
	if response.StatusCode != http.StatusUnauthorized || strings.Contains(strings.Join(response.Header.Values("WWW-Authenticate"), ","), "Basic") {
		t.Errorf("status %d, %q", response.StatusCode, response.Header.Values("WWW-Authenticate"))
	}
	if response, _ := ask(t, http.MethodGet, f.server.LocalMintURL+"/certsrv/mscep_admin/", "", basic); response.StatusCode != http.StatusNotFound {
		t.Errorf("NDES's page: status %d", response.StatusCode)
	}
}

func TestDevicesDoNotReachAdminPaths(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	base := strings.TrimSuffix(f.server.URL, "/scep")
	for _, path := range []string{
		"/certsrv/mscep_admin", "/certsrv/mscep_admin/", "/CertSrv/MSCEP_admin/", "/certsrv/mscep_admin/?operation=NDESGenerateChallenge",
		raconfig.ChallengesPath, "/livez", "/readyz", "/status", "/metrics",
	} {
		if response, _ := ask(t, http.MethodGet, base+path, "", basic); response.StatusCode != http.StatusNotFound {
			t.Errorf("%s: status %d, want 404", path, response.StatusCode)
		}
	}
	if response, _ := ask(t, http.MethodGet, base+"/certsrv/mscep/mscep.dll?operation=GetCACaps", "", nil); response.StatusCode != http.StatusOK {
		t.Errorf("mscep.dll: status %d", response.StatusCode)
	}
}

func TestWithoutAOneTimeChallengeNothingIsMinted(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	if response, _ := ask(t, http.MethodPost, f.server.MintURL+raconfig.ChallengesPath, "{}", basic); response.StatusCode != http.StatusNotFound {
		t.Errorf("status %d, want 404", response.StatusCode)
	}
}

// decodeUTF16 reads the page as a management system does.
func decodeUTF16(t *testing.T, body string) string {
	t.Helper()
	raw := []byte(body)
	if !bytes.HasPrefix(raw, []byte{0xff, 0xfe}) || len(raw)%2 != 0 {
		t.Fatalf("no byte order mark, or half a character: % x…", raw[:min(len(raw), 8)])
	}
	var units []uint16
	for i := 2; i < len(raw); i += 2 {
		units = append(units, uint16(raw[i])|uint16(raw[i+1])<<8)
	}
	return string(utf16.Decode(units))
}

// scrapers are expressions by which management systems find the challenge.
var scrapers = []*regexp.Regexp{
	regexp.MustCompile(`(?i)The enrollment challenge password is: <B> (\S*)`),
	regexp.MustCompile(`(?i)The enrollment challenge password is: <b> ([A-Z0-9]+) `),
	regexp.MustCompile(`(?is)challenge password.*?([0-9A-F]{8,64})`),
	regexp.MustCompile(`<B> ([A-F0-9]{16}) </B>`),
}

func TestNDESPage(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	want, err := os.ReadFile("testdata/mscep_admin.html")
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"/certsrv/mscep_admin/", "/certsrv/mscep_admin", "/CertSrv/mscep_admin/"} {
		response, body := ask(t, http.MethodGet, f.server.MintURL+path, "", basic)
		if response.StatusCode != http.StatusOK || response.Header.Get("Content-Type") != "text/html" || response.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("%s: status %d, headers %v", path, response.StatusCode, response.Header)
		}
		page := decodeUTF16(t, body)
		for _, scraper := range scrapers {
			found := scraper.FindStringSubmatch(page)
			if len(found) != 2 || !regexp.MustCompile(`^[0-9A-F]{16}$`).MatchString(found[1]) {
				t.Fatalf("%s finds %q", scraper, found)
			}
		}
		challenge := scrapers[0].FindStringSubmatch(page)[1]
		thumbprint := regexp.MustCompile(`is: <B> ((?:[0-9A-F]{8} ){3}[0-9A-F]{8}) </B>`).FindStringSubmatch(page)
		if thumbprint == nil {
			t.Fatalf("no thumbprint in %s", page)
		}
		page = strings.NewReplacer(challenge, "8CE317021F690069", thumbprint[1], "A656FA66 AB12B433 A2DA5CF7 CC153D9A").Replace(page)
		if page != strings.TrimSuffix(string(want), "\n")+"\x00" {
			t.Errorf("page is\n%q\nwant\n%q", page, want)
		}
		request := with(t, challenge, 1)
		wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	}
}

func TestNDESPageInUTF8(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, func(f *ratest.Files) { f.Config.Challenges[0].OneTime.NDES.Encoding = v1alpha1.NDESUTF8 })
	response, body := ask(t, http.MethodGet, f.server.MintURL+"/certsrv/mscep_admin/", "", basic)
	if response.Header.Get("Content-Type") != "text/html; charset=utf-8" || !strings.HasPrefix(body, "<HTML>") || !strings.HasSuffix(body, "</HTML>") {
		t.Errorf("headers %v, page %q", response.Header, body)
	}
}

func TestNDESOperations(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	_, challenge := ask(t, http.MethodGet, f.server.MintURL+"/certsrv/mscep_admin?operation=NDESGenerateChallenge&keyUsage=0xa0&Params=", "", basic)
	request := with(t, challenge, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	_, thumbprint := ask(t, http.MethodGet, f.server.MintURL+"/certsrv/mscep_admin?operation=NDESGetCACertThumbprint", "", basic)
	if !regexp.MustCompile(`^([0-9A-F]{8} ){3}[0-9A-F]{8}$`).MatchString(thumbprint) {
		t.Errorf("thumbprint %q", thumbprint)
	}
}

func TestNDESPageWithoutPermission(t *testing.T) {
	t.Parallel()
	f := newMintFixture(t, nil)
	token := account(t, f, "bystander", false, raconfig.Audience(f.Namespace, ratest.Endpoint))
	response, body := ask(t, http.MethodGet, f.server.MintURL+"/certsrv/mscep_admin/", "", bearer(token))
	if page := decodeUTF16(t, body); response.StatusCode != http.StatusOK || !strings.Contains(page, "You do not have sufficient permission to enroll with SCEP.") {
		t.Errorf("status %d, %s", response.StatusCode, page)
	}
}
