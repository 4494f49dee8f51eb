package challenge

import (
	"bytes"
	"strings"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/ratest/faults"
	"github.com/scepter-pki/scepter/internal/ra/ratest/intunesim"
)

// The simulated services can fail in at least thirty ways, each of which the tests of
// their clients go through: every code of Intune's, and every fault of HTTP.
func TestSimulatorsHaveThirtyFaults(t *testing.T) {
	t.Parallel()
	kinds := map[string]bool{}
	for code := range verdicts {
		kinds["code "+string(code)] = true
	}
	for _, c := range faults.Cases {
		kinds["HTTP "+c.Name] = true
	}
	tenant := intunesim.Start(t)
	for name, inject := range map[string]func(){
		"token expired": tenant.RevokeTokens, "endpoint moved": tenant.Move, "no service listed": func() { tenant.List(`{"value":[]}`) },
	} {
		inject()
		kinds[name] = true
	}
	if want := len(verdicts) + len(faults.Cases) + 3; len(kinds) != want || want < 30 {
		t.Errorf("%d faults, %d of them different; want thirty at least, and no name twice", want, len(kinds))
	}
	for _, needed := range []string{
		"HTTP throttled", "HTTP slow", "HTTP torn", "HTTP not JSON", "HTTP wrong content type", "token expired", "endpoint moved", "code Unknown",
	} {
		if !kinds[needed] {
			t.Errorf("no fault is called %s", needed)
		}
	}
}

// FuzzStatic reads files of passwords: none of an empty file, and each line lets in
// by itself and not by a part of it.
func FuzzStatic(f *testing.F) {
	for _, seed := range []string{"", "\n\n", "one", "one\r\ntwo\n", " blank \n", "a\x00b\n", strings.Repeat("x", 300)} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		static, err := NewStatic("mdm", file)
		if err != nil {
			return
		}
		accepts := func(password string) bool {
			admission, err := static.Verify(t.Context(), Attempt{Password: password})
			return err == nil && admission != nil
		}
		if accepts("") {
			t.Error("nothing lets in")
		}
		if len(file) > 1 && bytes.Contains(file, []byte("\n")) && accepts(string(file)) && !bytes.HasSuffix(file, []byte("\n")) {
			t.Errorf("the file itself is a password: %q", file)
		}
		if accepts(strings.Repeat("y", 400)) && !bytes.Contains(file, []byte("yyyy")) {
			t.Error("a password that is not in the file lets in")
		}
	})
}
