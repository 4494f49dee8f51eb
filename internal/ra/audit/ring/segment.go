package ring

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"
)

// segment is one file.
type segment struct {
	path  string
	begun time.Time
	// newest is no earlier than the newest record in it.
	newest time.Time
	size   int64
	// torn is true where records are missing after this file.
	torn bool
}

const (
	suffix     = ".jsonl"
	tornSuffix = ".torn" + suffix
)

func newSegment(dir string, begun time.Time) *segment {
	s := &segment{begun: begun, newest: begun}
	s.path = filepath.Join(dir, s.name())
	return s
}

// name is the time it was begun in nanoseconds, and whether records are missing after it.
func (s *segment) name() string {
	end := suffix
	if s.torn {
		end = tornSuffix
	}
	return fmt.Sprintf("%020d%s", s.begun.UnixNano(), end)
}

// parseName reads a file's name; false for a file that is none of ours.
func parseName(name string) (begun time.Time, torn, ok bool) {
	number, torn := strings.CutSuffix(name, tornSuffix)
	if !torn {
		if number, ok = strings.CutSuffix(name, suffix); !ok {
			return time.Time{}, false, false
		}
	}
	nanoseconds, err := strconv.ParseInt(number, 10, 64)
	return time.Unix(0, nanoseconds), torn, err == nil && nanoseconds >= 0
}

// readDir finds the files of former processes, the oldest first.
func readDir(dir string) ([]*segment, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("read directory: %w", err)
	}
	var out []*segment
	for _, e := range entries {
		begun, torn, ok := parseName(e.Name())
		info, err := e.Info()
		if !ok || err != nil || !info.Mode().IsRegular() {
			continue
		}
		out = append(out, &segment{
			path: filepath.Join(dir, e.Name()), begun: begun, torn: torn, size: info.Size(), newest: later(begun, info.ModTime()),
		})
	}
	slices.SortFunc(out, func(a, b *segment) int { return a.begun.Compare(b.begun) })
	return out, nil
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// maxLine bounds a record, in bytes; longer lines are not ours.
const maxLine = 1 << 20

// eachLine calls do with each whole line. A line that is torn, or no record, is passed over.
func (s *segment) eachLine(do func(line []byte, head head)) error {
	file, err := os.Open(s.path)
	if err != nil {
		return fmt.Errorf("open file: %w", err)
	}
	defer func() { _ = file.Close() }()
	in := bufio.NewReaderSize(file, 64<<10)
	for {
		line, err := readLine(in)
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("read file: %w", err)
		}
		var h head
		if json.Unmarshal(line, &h) == nil {
			do(line, h)
		}
	}
}

// readLine reads a line without its end; nil for one that is too long. A line without
// an end is torn: it counts as the end of the file.
func readLine(in *bufio.Reader) ([]byte, error) {
	var line []byte
	for {
		part, err := in.ReadSlice('\n')
		if len(line) <= maxLine {
			line = append(line, part...)
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if err != nil {
			return nil, err //nolint:wrapcheck // io.EOF, or an error of the file that the caller names
		}
		if len(line) > maxLine {
			return nil, nil
		}
		return bytes.TrimSuffix(line, []byte("\n")), nil
	}
}

// head is what queries look at of a record.
type head struct {
	Time        time.Time `json:"time"`
	Code        string    `json:"code"`
	Transaction string    `json:"transaction"`
}
