package browser

import (
	"context"
	"crypto/md5" //nolint:gosec // what NDES shows, and what people compare
	"encoding/hex"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	authenticationv1 "k8s.io/api/authentication/v1"
	authorizationv1 "k8s.io/api/authorization/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/mint"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/ra/reload"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
	"github.com/scepter-pki/scepter/test/debian"
)

// limit is for one test, Chromium's start included.
const limit = 2 * time.Minute

func TestMain(m *testing.M) {
	if err := install(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func install() error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	missing := debian.Missing(ctx, Packages...)
	if len(missing) == 0 {
		return nil
	}
	return debian.Install(ctx, missing...)
}

const (
	username = "fleet"
	password = "p4ss:word"
)

// bystander is what the API server says of every token: it is somebody's who may not mint.
type bystander struct{}

func (bystander) Authenticate(context.Context, string, string) (*authenticationv1.UserInfo, error) {
	return &authenticationv1.UserInfo{Username: "bystander"}, nil
}

func (bystander) Authorize(context.Context, *authenticationv1.UserInfo, authorizationv1.ResourceAttributes) (bool, error) {
	return false, nil
}

// startAdmin serves the admin exposure with a page in an encoding, over TLS.
func startAdmin(t *testing.T, ca *sceptest.CA, encoding v1alpha1.NDESEncoding) (page string) {
	t.Helper()
	files := ratest.NewFiles(t, &ratest.Cluster{Namespace: "pki", Issuer: &ratest.Issuer{CA: ca}})
	files.Config.Admin = true
	files.Config.Challenges = []raconfig.Challenge{{
		Name: "helpdesk", Type: v1alpha1.ChallengeOneTime,
		OneTime: &raconfig.OneTime{ValiditySeconds: 3600, NDES: &raconfig.NDES{Encoding: encoding}},
	}}
	files.Write(files.Dirs.AdminBasic, raconfig.UsernameFile, []byte(username))
	files.Write(files.Dirs.AdminBasic, raconfig.PasswordFile, []byte(password))
	files.WriteConfig()
	logger := slog.New(slog.DiscardHandler)
	reloader := reload.New(files.Dirs, "", logger, time.Now)
	reloader.Reload()
	minter := mint.New(mint.Config{Snapshot: reloader.Current, Reviewer: bystander{}, Log: audit.NewLog(logger, time.Now), Now: time.Now})
	server := httptest.NewTLSServer(minter.Admin())
	t.Cleanup(server.Close)
	return server.URL + "/certsrv/mscep_admin/"
}

func start(t *testing.T) *Browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	profile, err := os.MkdirTemp("", "chromium-")
	if err != nil {
		t.Fatal(err)
	}
	b, err := Start(ctx, profile)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(); err != nil {
			t.Error(err)
		}
		cancel()
		// Its helper processes end a moment later, and write until then.
		ratest.Eventually(t, "Chromium to leave its profile", func() error { return os.RemoveAll(profile) })
	})
	b.Username, b.Password = username, password
	return b
}

// read opens a page and returns what a person reads there.
func read(t *testing.T, b *Browser, page string, status int) string {
	t.Helper()
	got, err := b.Open(page)
	if err != nil {
		t.Fatal(err)
	}
	text, err := b.Text()
	if err != nil {
		t.Fatal(err)
	}
	if got != status {
		t.Errorf("status %d, want %d: %s", got, status, text)
	}
	return text
}

func want(t *testing.T, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("a person does not read %q in\n%s", part, text)
		}
	}
}

// wantToFit fails the test if something sticks out of the page, or its letters are
// less than ten pixels high.
func wantToFit(t *testing.T, b *Browser) {
	t.Helper()
	const smallest = 10
	for what, expression := range map[string]string{
		"the page is wider than the screen": "document.documentElement.scrollWidth <= window.innerWidth",
		"letters are too small": fmt.Sprintf(
			"[...document.querySelectorAll('p, b, h1, small, font')].every(e => parseFloat(getComputedStyle(e).fontSize) >= %d)", smallest),
		"letters have the colour of what is behind them": "getComputedStyle(document.body).color != getComputedStyle(document.body).backgroundColor",
		"nothing is drawn": "document.querySelector('p').getBoundingClientRect().height > 0",
	} {
		good, err := b.Evaluate(expression)
		if err != nil {
			t.Fatal(err)
		}
		if good != true {
			t.Error(what)
		}
	}
}

func thumbprint(ca *sceptest.CA) string {
	sum := md5.Sum(ca.Certificate.Raw) //nolint:gosec // see the import
	digits := strings.ToUpper(hex.EncodeToString(sum[:]))
	return strings.Join([]string{digits[:8], digits[8:16], digits[16:24], digits[24:]}, " ")
}

var challengeWord = regexp.MustCompile(`The enrollment challenge password is: ([0-9A-F]{16})(?:\s|$)`)

// A person signs in and reads what she needs, on a desk and on a phone.
func TestNDESPage(t *testing.T) {
	ca := sceptest.NewCA(t)
	for _, encoding := range []v1alpha1.NDESEncoding{v1alpha1.NDESUTF16, v1alpha1.NDESUTF8} {
		t.Run(string(encoding), func(t *testing.T) {
			page, b := startAdmin(t, ca, encoding), start(t)
			seen := map[string]bool{}
			for _, width := range []int{1280, 390} {
				seen[readChallenge(t, b, page, ca, width)] = true
			}
			if len(seen) != 2 {
				t.Error("reloading the page gives the same challenge")
			}
			if title, err := b.Evaluate("document.title"); err != nil || title != "Network Device Enrollment Service" {
				t.Errorf("title %v (%v)", title, err)
			}
			// A phone asks for pages of a desk's width and shows them whole.
			if err := b.Resize(390, 844, true); err != nil {
				t.Fatal(err)
			}
			want(t, read(t, b, page, http.StatusOK), thumbprint(ca))
			wantToFit(t, b)
		})
	}
}

// readChallenge reads the page on a screen of a width, and returns its challenge.
func readChallenge(t *testing.T, b *Browser, page string, ca *sceptest.CA, width int) string {
	t.Helper()
	if err := b.Resize(width, 844, false); err != nil {
		t.Fatal(err)
	}
	text := read(t, b, page, http.StatusOK)
	want(t, text, "Network Device Enrollment Service", thumbprint(ca),
		"This password can be used only once and will expire within 60 minutes.",
		"You can refresh this web page to obtain a new challenge password.")
	if strings.ContainsAny(text, "\x00\uFEFF\uFFFD") {
		t.Errorf("the page holds what is no letter: %q", text)
	}
	found := challengeWord.FindStringSubmatch(text)
	if found == nil {
		t.Fatalf("a person reads no challenge in\n%s", text)
	}
	wantToFit(t, b)
	return found[1]
}

// Who is turned away reads why, and what to do.
func TestPagesOfRefusals(t *testing.T) {
	page, known := startAdmin(t, sceptest.NewCA(t), v1alpha1.NDESUTF16), start(t)
	if err := known.Resize(390, 844, true); err != nil {
		t.Fatal(err)
	}
	want(t, read(t, known, page+"?operation=x", http.StatusBadRequest), "This request is not understood", "operation is neither")
	wantToFit(t, known)

	stranger := start(t) // which has not signed in before
	stranger.Password = "wrong"
	if err := stranger.Resize(390, 844, true); err != nil {
		t.Fatal(err)
	}
	want(t, read(t, stranger, page, http.StatusUnauthorized), "You are not signed in", "Reload this page and enter the user name and password")
	wantToFit(t, stranger)

	if err := stranger.SetHeader("Authorization", "Bearer somebodys"); err != nil {
		t.Fatal(err)
	}
	want(t, read(t, stranger, page, http.StatusOK), "You do not have sufficient permission to enroll with SCEP.", "Please contact your system administrator.")
	wantToFit(t, stranger)

	var text string
	for range 20 { // ten failures are forgiven
		if text = readAny(t, stranger, page); strings.Contains(text, "Too many") {
			break
		}
	}
	want(t, text, "Too many requests", "Wait a minute, then reload this page.")
	wantToFit(t, stranger)
}

func readAny(t *testing.T, b *Browser, page string) string {
	t.Helper()
	if _, err := b.Open(page); err != nil {
		t.Fatal(err)
	}
	text, err := b.Text()
	if err != nil {
		t.Fatal(err)
	}
	return text
}
