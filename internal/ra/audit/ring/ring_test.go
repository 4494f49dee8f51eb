package ring

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
)

var start = time.Date(2026, 5, 1, 12, 0, 0, 0, time.UTC)

// entry is record number n, one a second.
func entry(n int) audit.Entry {
	at := start.Add(time.Duration(n) * time.Second)
	line := fmt.Sprintf(`{"time":%q,"code":"SCEP10%02d","transaction":"t%d"}`, at.Format(time.RFC3339Nano), n%2, n%3)
	return audit.Entry{Time: at, JSON: []byte(line)}
}

// clock stands where a test puts it.
type clock struct{ at time.Time }

func (c *clock) now() time.Time { return c.at }

func open(t *testing.T, o Options) *Ring {
	t.Helper()
	if o.Now == nil {
		o.Now = func() time.Time { return start.Add(time.Minute) }
	}
	return Open(o)
}

func ask(t *testing.T, r *Ring, q Query) Answer {
	t.Helper()
	answer, err := r.Ask(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return answer
}

// numbers are the seconds of the records in an answer.
func numbers(t *testing.T, a Answer) []int {
	t.Helper()
	var out []int
	for _, line := range a.Lines {
		var h head
		if err := json.Unmarshal(line, &h); err != nil {
			t.Fatalf("%s: %v", line, err)
		}
		out = append(out, int(h.Time.Sub(start)/time.Second))
	}
	return out
}

func want(t *testing.T, got []int, want string) {
	t.Helper()
	if fmt.Sprint(got) != want {
		t.Errorf("records %v, want %s", got, want)
	}
}

func TestQueries(t *testing.T) {
	t.Parallel()
	r := open(t, Options{Dir: filepath.Join(t.TempDir(), "made"), Lost: func(err error) { t.Errorf("lost: %v", err) }})
	defer r.Close()
	for n := range 6 {
		r.Keep(entry(n))
	}
	for _, c := range []struct {
		query Query
		want  string
	}{
		{Query{}, "[0 1 2 3 4 5]"},
		{Query{Limit: 2}, "[4 5]"},
		{Query{Limit: 4}, "[2 3 4 5]"},
		{Query{Since: start.Add(3 * time.Second)}, "[3 4 5]"},
		{Query{Transaction: "t1"}, "[1 4]"},
		{Query{Code: "SCEP1001"}, "[1 3 5]"},
		{Query{Transaction: "none"}, "[]"},
	} {
		answer := ask(t, r, c.query)
		want(t, numbers(t, answer), c.want)
		if !answer.CompleteSince.Equal(start) {
			t.Errorf("complete since %v, want %v", answer.CompleteSince, start)
		}
	}
}

// TestRestart goes on with the files of a process that was killed within a line.
func TestRestart(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	r := open(t, Options{Dir: dir})
	r.Keep(entry(0))
	r.Keep(entry(1))
	r.Close()
	files, err := filepath.Glob(filepath.Join(dir, "*"+suffix))
	if err != nil || len(files) != 1 {
		t.Fatalf("files %v (%v), want one", files, err)
	}
	appendTo(t, files[0], `{"time":"2026-05-01T12:00:0`)
	write(t, filepath.Join(dir, "README"), "none of ours")
	r = open(t, Options{Dir: dir})
	defer r.Close()
	r.Keep(entry(2))
	answer := ask(t, r, Query{})
	want(t, numbers(t, answer), "[0 1 2]")
	if !answer.CompleteSince.Equal(start) {
		t.Errorf("complete since %v, want %v", answer.CompleteSince, start)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
}

func appendTo(t *testing.T, path, content string) {
	t.Helper()
	have, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	write(t, path, string(have)+content)
}

func TestBounds(t *testing.T) {
	t.Parallel()
	size := int64(len(entry(0).JSON) + 1)
	dir := t.TempDir()
	at := &clock{start}
	r := &Ring{o: Options{Dir: dir, MaxBytes: 10 * size, MaxAge: time.Hour, Now: at.now}}
	w := newWriter(r)
	defer w.close()
	for n := range 25 {
		at.at = entry(n).Time
		w.write(entry(n))
	}
	answer := w.answer(Query{})
	want(t, numbers(t, answer), "[15 16 17 18 19 20 21 22 23 24]")
	if since := start.Add(15 * time.Second); !answer.CompleteSince.Equal(since) {
		t.Errorf("complete since %v, want %v", answer.CompleteSince, since)
	}
	at.at = entry(20).Time.Add(time.Hour)
	want(t, numbers(t, w.answer(Query{})), "[20 21 22 23 24]")
}

// TestDiskFull loses records and says so, in this process and the next.
func TestDiskFull(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	at := &clock{start}
	lost := 0
	r := &Ring{o: Options{Dir: dir, MaxBytes: 1 << 20, MaxAge: time.Hour, Now: at.now, Lost: func(error) { lost++ }}}
	w := newWriter(r)
	w.write(entry(0))
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	w.file = full
	w.write(entry(1))
	w.write(entry(2)) // the disk is left alone for a while
	if r.Lost() != 2 || lost != 1 {
		t.Errorf("%d lost, told %d times", r.Lost(), lost)
	}
	at.at = start.Add(5 * time.Second)
	if got := w.answer(Query{}).CompleteSince; !got.Equal(at.at) {
		t.Errorf("complete since %v while nothing is kept", got)
	}
	w.write(entry(5))
	w.close()
	for name, w := range map[string]*writer{"this process": w, "the next": newWriter(r)} {
		answer := w.answer(Query{})
		want(t, numbers(t, answer), "[0 5]")
		if since := start.Add(5 * time.Second); !answer.CompleteSince.Equal(since) {
			t.Errorf("%s: complete since %v, want %v", name, answer.CompleteSince, since)
		}
	}
}

// TestUnusableDirectory never fails a caller, and begins when the directory can be used.
func TestUnusableDirectory(t *testing.T) {
	t.Parallel()
	dir := filepath.Join(t.TempDir(), "audit")
	write(t, dir, "a file where the directory should be")
	at := &clock{start}
	r := &Ring{o: Options{Dir: dir, MaxBytes: 1 << 20, MaxAge: time.Hour, Now: at.now}}
	w := newWriter(r)
	defer w.close()
	at.at = start.Add(2 * time.Second)
	w.write(entry(2))
	want(t, numbers(t, w.answer(Query{})), "[]")
	if err := os.Remove(dir); err != nil {
		t.Fatal(err)
	}
	at.at = start.Add(4 * time.Second)
	w.write(entry(4))
	answer := w.answer(Query{})
	want(t, numbers(t, answer), "[4]")
	if !answer.CompleteSince.Equal(entry(4).Time) || r.Lost() != 1 {
		t.Errorf("complete since %v, %d lost", answer.CompleteSince, r.Lost())
	}
}

// TestFull counts what the writer had no time for.
func TestFull(t *testing.T) {
	t.Parallel()
	r := &Ring{o: Options{Dir: t.TempDir(), MaxBytes: 1 << 20, MaxAge: time.Hour, Now: func() time.Time { return start }}, entries: make(chan audit.Entry, 1)}
	w := newWriter(r)
	defer w.close()
	w.write(entry(0))
	r.Keep(entry(1))
	r.Keep(entry(2)) // no room
	r.drain(w)
	answer := w.answer(Query{})
	want(t, numbers(t, answer), "[0 1]")
	if !answer.CompleteSince.Equal(entry(1).Time) || r.Lost() != 1 {
		t.Errorf("complete since %v, %d lost", answer.CompleteSince, r.Lost())
	}
}

func TestHTTP(t *testing.T) {
	t.Parallel()
	r := open(t, Options{Dir: t.TempDir()})
	for n := range 3 {
		r.Keep(entry(n))
	}
	get := func(query string) (int, string) {
		w := httptest.NewRecorder()
		r.ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/audit?"+query, http.NoBody))
		return w.Code, w.Body.String()
	}
	first := `{"completeSince":"2026-05-01T12:00:00Z","lost":0}`
	for query, lines := range map[string][]int{
		"":                           {0, 1, 2},
		"limit=1":                    {2},
		"since=59s":                  {1, 2},
		"since=2026-05-01T12:00:02Z": {2},
		"transaction=t0&code=":       {0},
	} {
		expected := first + "\n"
		for _, n := range lines {
			expected += string(entry(n).JSON) + "\n"
		}
		if code, body := get(query); code != http.StatusOK || body != expected {
			t.Errorf("%s: %d\n%s\nwant\n%s", query, code, body, expected)
		}
	}
	for query, says := range map[string]string{
		"limit=0": "limit is a number", "limit=x": "limit is a number", "limit=10001": "limit is a number", "since=yesterday": "since is a time",
	} {
		if code, body := get(query); code != http.StatusBadRequest || !strings.HasPrefix(body, says) {
			t.Errorf("%s: %d %s", query, code, body)
		}
	}
	r.Close()
	if code, _ := get(""); code != http.StatusServiceUnavailable {
		t.Errorf("a closed ring answers %d", code)
	}
}

// FuzzSegment reads files that anybody may have written.
func FuzzSegment(f *testing.F) {
	f.Add(append(entry(0).JSON, '\n'))
	f.Add([]byte("{\"time\":1}\n\n{}\n\x00\xff\n{\"code\":\"torn"))
	f.Fuzz(func(t *testing.T, content []byte) {
		s := newSegment(t.TempDir(), start)
		if err := os.WriteFile(s.path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		err := s.eachLine(func(line []byte, _ head) {
			if bytes.ContainsRune(line, '\n') || !json.Valid(line) {
				t.Errorf("%q is no record", line)
			}
		})
		if err != nil {
			t.Error(err)
		}
	})
}
