package probe

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/scepter-pki/scepter/internal/probemark"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// historicalPaths are what profiles name (see scep.HistoricalPaths), with what clients
// append and what administrators add by mistake.
var historicalPaths = []string{
	"/scep/", "/certsrv/mscep/mscep.dll", "/certsrv/mscep/mscep.dll/pkiclient.exe", "/cgi-bin/pkiclient.exe",
}

const (
	// postBytes is more than any device sends, and less than any sensible limit.
	postBytes = 16 << 10
	// shortPostBytes is for what has to do with paths, not with lengths.
	shortPostBytes = 256
)

// Shape tries which shapes of requests pass a URL whose Exchange passed; known is what
// that gave.
func (p *Prober) Shape(ctx context.Context, t Target, known Known) *raconfig.ProbeShape {
	out := &raconfig.ProbeShape{At: p.now().UTC().Truncate(time.Second)}
	v, failed := p.arrive(ctx, t)
	if failed != nil {
		out.Target = failed
		return out
	}
	out.MaxTargetBytes, out.Target = v.longest(ctx, known)
	out.Query = twice(func() *raconfig.ProbeFailure { return v.query(ctx, known) })
	out.Path = twice(func() *raconfig.ProbeFailure { return v.paths(ctx, known) })
	out.Post = twice(func() *raconfig.ProbeFailure { return v.post(ctx, v.target.path, postBytes) })
	if out.Post == nil {
		out.PostPath = twice(func() *raconfig.ProbeFailure { return v.postPaths(ctx) })
	}
	out.HTTP10 = twice(func() *raconfig.ProbeFailure { return v.http10(ctx, known) })
	return out
}

// twice tries again what failed: what is lost once is no property of the way.
func twice(try func() *raconfig.ProbeFailure) *raconfig.ProbeFailure {
	if try() == nil {
		return nil
	}
	return try()
}

// longest finds the largest of the sizes that passes, and why the next one does not.
// Most often all do, so the largest is tried first; what follows is a binary search.
func (v *visit) longest(ctx context.Context, known Known) (int, *raconfig.ProbeFailure) {
	sizes := raconfig.ProbeSizes
	last := v.size(ctx, sizes[len(sizes)-1], known)
	if last == nil {
		return sizes[len(sizes)-1], nil
	}
	low, high := 0, len(sizes)-1 // below low all pass; high does not
	for low < high {
		middle := (low + high) / 2
		if failed := v.size(ctx, sizes[middle], known); failed != nil {
			high, last = middle, failed
			continue
		}
		low = middle + 1
	}
	if high == 0 {
		return 0, last
	}
	return sizes[high-1], last
}

// size tries a request target of exactly n bytes.
func (v *visit) size(ctx context.Context, n int, known Known) *raconfig.ProbeFailure {
	failed := twice(func() *raconfig.ProbeFailure {
		target := v.target.path + operationCaps + "&message="
		target += filler(n - len(target))
		f := v.judged(ctx, request{method: http.MethodGet, target: target}, known.Capabilities)
		if f.failure == nil && f.proved && f.receipt.TargetBytes < n {
			return f.answer.failure(raconfig.FailureAltered, fmt.Sprintf("cut to %d bytes", f.receipt.TargetBytes))
		}
		return f.failure
	})
	if failed != nil {
		failed.Bytes = n
	}
	return failed
}

// alphabet is that of base64; most clients send it as it is.
const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"

// filler looks like a message, and is another each time, so that nothing on the way
// answers from memory.
func filler(n int) string {
	random := make([]byte, max(n, 0))
	_, _ = rand.Read(random) // never fails
	for i, b := range random {
		random[i] = alphabet[int(b)%len(alphabet)]
	}
	return string(random)
}

// query asks with what clients have in a message, escaped and not, and looks whether it
// arrived so. Without a receipt nobody knows.
func (v *visit) query(ctx context.Context, known Known) *raconfig.ProbeFailure {
	target := v.target.path + operationCaps + "&message=MII+/A" + filler(8) + "+%2B%2F%0A==%3D%3D"
	f := v.judged(ctx, request{method: http.MethodGet, target: target}, known.Capabilities)
	switch {
	case f.failure != nil:
		return f.failure
	case !f.proved || f.receipt.Target == probemark.SumOf([]byte(target)):
		return nil
	}
	return f.answer.failure(raconfig.FailureAltered, describeChange(target, f.receipt.Target))
}

// changes are what hops are known to do to a query.
var changes = []struct {
	old, new string
	says     string
}{
	{"+", "%20", "plus signs arrive as spaces"},
	{"+", "%2B", "plus signs arrive escaped"},
	{"%2B", "+", "%2B arrives as a plus sign"},
	{"%2F", "/", "%2F arrives as a slash"},
	{"%3D", "=", "%3D arrives as an equals sign"},
	{"%0A", "", "%0A is dropped"},
	{"=", "%3D", "equals signs arrive escaped"},
}

// describeChange names a change that makes what was sent into what arrived.
func describeChange(sent string, arrived probemark.Sum) string {
	for _, c := range changes {
		operation, message, _ := strings.Cut(sent, "&message=")
		changed := operation + "&message=" + strings.ReplaceAll(message, c.old, c.new)
		if probemark.SumOf([]byte(changed)) == arrived {
			return c.says
		}
	}
	path, _, _ := strings.Cut(sent, "?")
	if probemark.SumOf([]byte(path)) == arrived {
		return "the query is dropped"
	}
	return "the URL does not arrive as it was sent"
}

// paths are tried with the shortest question; the failure names the first that does not pass.
func (v *visit) paths(ctx context.Context, known Known) *raconfig.ProbeFailure {
	for _, path := range historicalPaths {
		if path == v.target.path {
			continue
		}
		target := path + operationCaps
		f := v.judged(ctx, request{method: http.MethodGet, target: target}, known.Capabilities)
		if f.failure == nil && f.proved && f.receipt.Target != probemark.SumOf([]byte(target)) {
			f.failure = f.answer.failure(raconfig.FailureAltered, "")
		}
		if f.failure != nil {
			f.failure.Detail = strings.TrimSpace(path + " " + f.failure.Detail)
			return f.failure
		}
	}
	return nil
}

func (v *visit) http10(ctx context.Context, known Known) *raconfig.ProbeFailure {
	return v.judged(ctx, request{method: http.MethodGet, target: v.target.path + operationCaps, http10: true}, known.Capabilities).failure
}

// unread are the statuses by which a server says that what it was sent by POST is no
// message: without a mark that is all that it can say, and it has come through.
var unread = []int{http.StatusOK, http.StatusBadRequest}

// post sends what only a server that knows the mark answers well.
func (v *visit) post(ctx context.Context, path string, bytes int) *raconfig.ProbeFailure {
	body := []byte(filler(bytes))
	f := v.judged(ctx, request{method: http.MethodPost, target: path + operationPost, body: body}, nil)
	switch {
	case f.answer != nil && !f.proved && slices.Contains(unread, f.answer.status):
		return nil
	case f.failure == nil && f.receipt.Body != probemark.SumOf(body):
		return f.answer.failure(raconfig.FailureAltered, "the message does not arrive as it was sent")
	}
	return f.failure
}

// postPaths tries the historical paths; the failure names the first that does not pass. A
// folder of files, such as NDES has, answers GET and refuses POST.
func (v *visit) postPaths(ctx context.Context) *raconfig.ProbeFailure {
	for _, path := range historicalPaths {
		if path == v.target.path {
			continue
		}
		if failed := v.post(ctx, path, shortPostBytes); failed != nil {
			failed.Detail = strings.TrimSpace(path + " " + failed.Detail)
			return failed
		}
	}
	return nil
}
