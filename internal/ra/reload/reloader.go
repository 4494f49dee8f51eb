package reload

import (
	"context"
	"crypto/sha256"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/fsnotify/fsnotify"
)

// Dirs are the mounted directories; see package raconfig.
type Dirs struct {
	Config, Keyring, Challenges, State, TLS, AdminTLS, AdminBasic string
}

func (d Dirs) all() []string {
	return []string{d.Config, d.Keyring, d.Challenges, d.State, d.TLS, d.AdminTLS, d.AdminBasic}
}

// Status is what there is to say about the files.
type Status struct {
	// Snapshot in use; nil before the first good one.
	Snapshot *Snapshot
	// Held are the keyring's generations, the newest first.
	Held []string
	// Problems keep newer files from use: each names the file and what to do.
	Problems []string
}

// Reloader keeps the last good state of the files. It is safe for concurrent use.
type Reloader struct {
	dirs   Dirs
	logger *slog.Logger
	status atomic.Pointer[Status]
	first  chan struct{}
	once   sync.Once
	// Changed is called after each change of the status, by one goroutine; may be nil.
	Changed func(*Status)

	mu   sync.Mutex // guards what follows: what was read last
	seen [sha256.Size]byte
	last parts
}

// New makes a reloader that has read nothing yet. The clock is for what challenges
// are verified by.
func New(dirs Dirs, logger *slog.Logger, now func() time.Time) *Reloader {
	r := &Reloader{dirs: dirs, logger: logger, first: make(chan struct{}), last: newParts(now)}
	r.status.Store(&Status{Problems: []string{"the files have not been read yet: wait"}})
	return r
}

// Status is the present one; never nil.
func (r *Reloader) Status() *Status { return r.status.Load() }

// Current is the snapshot in use; nil before the first good one.
func (r *Reloader) Current() *Snapshot { return r.Status().Snapshot }

// First is closed when there is a snapshot.
func (r *Reloader) First() <-chan struct{} { return r.first }

const (
	// settle is how long files have to be quiet before they are read.
	settle = 50 * time.Millisecond
	// pollEvery is for changes that the watch has missed.
	pollEvery = 5 * time.Second
)

// Run reads the files, and again after each change, until the context ends.
func (r *Reloader) Run(ctx context.Context) {
	events, stop := r.watch()
	defer stop()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		r.Reload()
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		case <-events:
			settled := time.NewTimer(settle)
			select {
			case <-ctx.Done():
			case <-settled.C:
			}
			settled.Stop()
		}
	}
}

// watch signals changes in the directories. Without it there is still the poll.
func (r *Reloader) watch() (events <-chan struct{}, stop func()) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		r.logger.Warn("files are not watched, only polled", "error", err)
		return nil, func() {}
	}
	for _, dir := range r.dirs.all() {
		if err := watcher.Add(dir); err != nil {
			r.logger.Debug("directory is not watched, only polled", "directory", dir, "error", err)
		}
	}
	out := make(chan struct{}, 1)
	go func() {
		for range watcher.Events {
			select {
			case out <- struct{}{}:
			default:
			}
		}
	}()
	return out, func() { _ = watcher.Close() }
}

// Reload reads the files once. Nothing happens if they are as they were.
func (r *Reloader) Reload() {
	r.mu.Lock()
	defer r.mu.Unlock()
	files := readFiles(r.dirs)
	sum := files.sum()
	if sum == r.seen {
		return
	}
	r.seen = sum
	r.publish(r.digest(files))
}

func (r *Reloader) publish(s *Status) {
	r.status.Store(s)
	if s.Snapshot != nil {
		r.once.Do(func() { close(r.first) })
	}
	if r.Changed != nil {
		r.Changed(s)
	}
}

// digest takes over what is good of the files and makes a status of it.
func (r *Reloader) digest(f *files) *Status {
	found := &problems{}
	candidate := r.last.update(f, found)
	status := &Status{Snapshot: r.assemble(candidate, found)}
	if r.last.keyring != nil {
		status.Held = r.last.keyring.IDs()
	}
	status.Problems = *found
	return status
}

// assemble makes a snapshot with the new configuration, else with the one before,
// else keeps the present one.
func (r *Reloader) assemble(candidate *configPart, found *problems) *Snapshot {
	for _, config := range []*configPart{candidate, r.last.config} {
		if config == nil {
			continue
		}
		snapshot, err := r.last.snapshot(config)
		if err == nil {
			r.last.config = config
			return snapshot
		}
		found.add("config", err)
	}
	return r.Current()
}
