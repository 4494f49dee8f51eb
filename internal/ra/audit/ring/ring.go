// Package ring keeps the newest audit records on disk, within bounds of bytes and
// age, and answers questions about them. It survives a restart of the process, and
// whatever the disk does, it never holds an enrolment up.
//
// The records lie in files, one line each, named after the time they were begun. Each
// start of the process begins another, so a line that was torn stays the last of its
// file and is passed over. When the files get too large or too old, the oldest goes.
// A file after which records are missing is renamed to say so.
package ring

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync/atomic"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Options of a ring.
type Options struct {
	// Dir holds the files, and nothing else.
	Dir string
	// MaxBytes bounds all files together; 0: DefaultMaxBytes.
	MaxBytes int64
	// MaxAge bounds how old records get; 0: DefaultMaxAge.
	MaxAge time.Duration
	Now    func() time.Time
	// Lost is told, by one goroutine, when records begin to be lost; may be nil.
	Lost func(err error)
}

// The bounds where Options have none.
const (
	DefaultMaxBytes = raconfig.AuditMaxBytes
	DefaultMaxAge   = 7 * 24 * time.Hour
)

const (
	// segments is into how many files a full ring is divided.
	segments = 16
	// queued is how many records wait for the disk; more are lost.
	queued = 4096
	// retryAfter is how long a disk that failed is left alone.
	retryAfter = time.Second
)

// Ring keeps records. It is safe for concurrent use.
type Ring struct {
	o       Options
	entries chan audit.Entry
	asked   chan question
	stop    chan struct{}
	done    chan struct{}
	lost    atomic.Uint64
	// gap is set where records were lost before they came to the writer.
	gap atomic.Bool
}

// Open begins to keep records. A directory that cannot be used is no error: the ring
// tries again with each record.
func Open(o Options) *Ring {
	if o.MaxBytes == 0 {
		o.MaxBytes = DefaultMaxBytes
	}
	if o.MaxAge == 0 {
		o.MaxAge = DefaultMaxAge
	}
	r := &Ring{
		o:       o,
		entries: make(chan audit.Entry, queued),
		asked:   make(chan question),
		stop:    make(chan struct{}),
		done:    make(chan struct{}),
	}
	go r.run()
	return r
}

// Keep implements audit.Keeper: it hands a record to the writer, or counts it as lost.
func (r *Ring) Keep(e audit.Entry) {
	select {
	case r.entries <- e:
	default:
		r.lost.Add(1)
		r.gap.Store(true)
	}
}

// Lost is how many records could not be kept since the process started.
func (r *Ring) Lost() uint64 { return r.lost.Load() }

// Close writes what is waiting and ends the writer.
func (r *Ring) Close() {
	close(r.stop)
	<-r.done
}

// question is answered by the writer, who alone knows the files.
type question struct {
	query  Query
	answer chan Answer
}

func (r *Ring) run() {
	defer close(r.done)
	w := newWriter(r)
	defer w.close()
	for {
		select {
		case e := <-r.entries:
			w.write(e)
		case q := <-r.asked:
			r.drain(w)
			q.answer <- w.answer(q.query)
		case <-r.stop:
			r.drain(w)
			return
		}
	}
}

// drain writes what has arrived so far.
func (r *Ring) drain(w *writer) {
	for range len(r.entries) {
		w.write(<-r.entries)
	}
}

// writer owns the files.
type writer struct {
	r        *Ring
	segments []*segment // the oldest first; the last may be open
	file     *os.File   // of the last segment; nil: none is open
	brokenAt time.Time  // last failure; zero: all is well
}

func newWriter(r *Ring) *writer {
	w := &writer{r: r}
	if err := os.MkdirAll(r.o.Dir, 0o700); err != nil {
		w.fail(err)
		return w
	}
	found, err := readDir(r.o.Dir)
	if err != nil {
		w.fail(err)
		return w
	}
	w.segments = found
	w.trim(0)
	return w
}

func (w *writer) close() {
	if w.file != nil {
		_ = w.file.Close() // each record was written by itself
	}
}

// write appends a record. What cannot be written is counted, and the file before it marked.
func (w *writer) write(e audit.Entry) {
	if w.r.gap.Swap(false) {
		w.mark()
	}
	if !w.brokenAt.IsZero() && w.r.o.Now().Sub(w.brokenAt) < retryAfter {
		w.r.lost.Add(1)
		return
	}
	err := w.append(e)
	if err != nil && w.makeRoom() {
		err = w.append(e)
	}
	if err != nil {
		w.r.lost.Add(1)
		w.fail(err)
		return
	}
	w.brokenAt = time.Time{}
}

// append writes to the file that is open, or to another where that is full.
func (w *writer) append(e audit.Entry) error {
	if w.file != nil && w.full(w.last()) {
		_ = w.file.Close()
		w.file = nil
	}
	w.trim(int64(len(e.JSON) + 1))
	if w.file == nil {
		if err := w.begin(e.Time); err != nil {
			return err
		}
	}
	n, err := w.file.Write(append(e.JSON[:len(e.JSON):len(e.JSON)], '\n'))
	w.last().size += int64(n)
	if err != nil {
		_ = w.file.Close() // its last line is torn: nothing is to come after it
		w.file = nil
		return fmt.Errorf("write record: %w", err)
	}
	w.last().newest = e.Time
	return nil
}

func (w *writer) last() *segment { return w.segments[len(w.segments)-1] }

func (w *writer) full(s *segment) bool {
	return s.size >= w.r.o.MaxBytes/segments || w.r.o.Now().Sub(s.begun) >= w.r.o.MaxAge/segments
}

// begin makes the next file.
func (w *writer) begin(at time.Time) error {
	if err := os.MkdirAll(w.r.o.Dir, 0o700); err != nil {
		return fmt.Errorf("make directory: %w", err)
	}
	for try := range 100 {
		s := newSegment(w.r.o.Dir, at.Add(time.Duration(try)))
		file, err := os.OpenFile(s.path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		if errors.Is(err, os.ErrExist) {
			continue // two starts within one tick of the clock
		}
		if err != nil {
			return fmt.Errorf("make file: %w", err)
		}
		w.file, w.segments = file, append(w.segments, s)
		return nil
	}
	return errors.New("make file: its names are taken")
}

// trim removes the oldest files while there is no room for more bytes, or they are too old.
func (w *writer) trim(more int64) {
	total := more
	for _, s := range w.segments {
		total += s.size
	}
	oldest := w.r.o.Now().Add(-w.r.o.MaxAge)
	for len(w.segments) > 0 && (total > w.r.o.MaxBytes || w.segments[0].newest.Before(oldest)) {
		if w.file != nil && len(w.segments) == 1 {
			return
		}
		total -= w.segments[0].size
		w.drop()
	}
}

// drop removes the oldest file. One that cannot be removed is forgotten: it is found
// again at the next start.
func (w *writer) drop() {
	_ = os.Remove(w.segments[0].path)
	w.segments = w.segments[1:]
}

// makeRoom removes the oldest file where the disk is full.
func (w *writer) makeRoom() bool {
	if len(w.segments) < 2 {
		return false
	}
	w.drop()
	return true
}

// fail marks that records are missing from here on.
func (w *writer) fail(err error) {
	first := w.brokenAt.IsZero()
	w.brokenAt = w.r.o.Now()
	w.mark()
	if first && w.r.o.Lost != nil {
		w.r.o.Lost(err)
	}
}

// mark says in the name of the last file that records are missing after it.
func (w *writer) mark() {
	if w.file != nil {
		_ = w.file.Close()
		w.file = nil
	}
	if len(w.segments) == 0 || w.last().torn {
		return
	}
	s := w.last()
	s.torn = true
	path := filepath.Join(filepath.Dir(s.path), s.name())
	if os.Rename(s.path, path) == nil {
		s.path = path
	}
}
