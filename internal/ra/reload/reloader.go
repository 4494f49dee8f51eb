package reload

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"
)

// Dirs are the mounted directories; see package raconfig.
type Dirs struct {
	Config, Keyring, Challenges, State, TLS, AdminTLS, AdminBasic, AdminClients string
	// Clients has a mounted directory for each client credential.
	Clients string
	// Keyrings has a mounted directory for each further RA credential.
	Keyrings string
	// Signer has the certificate to reach the signers with, where there are any.
	Signer string
}

func (d Dirs) all() []string {
	all := []string{d.Config, d.Keyring, d.Challenges, d.State, d.TLS, d.AdminTLS, d.AdminBasic, d.AdminClients, d.Signer}
	for _, dir := range []string{d.Clients, d.Keyrings} {
		names, err := volumesIn(dir)
		if err != nil {
			continue // the poll says why
		}
		for _, name := range names {
			all = append(all, filepath.Join(dir, name))
		}
	}
	return all
}

// Status is what there is to say about the files.
type Status struct {
	// Snapshot in use; nil before the first good one.
	Snapshot *Snapshot
	// Held are the keyring's generations, the newest first.
	Held []string
	// Problems keep newer files from use: each names the file and what to do.
	Problems []string
	// Warnings are about what is in use all the same.
	Warnings []string
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

// New makes a reloader that has read nothing yet, for the server of this name: empty
// outside a cluster. The clock is for what challenges are verified by.
func New(dirs Dirs, pod string, logger *slog.Logger, now func() time.Time) *Reloader {
	r := &Reloader{dirs: dirs, logger: logger, first: make(chan struct{}), last: newParts(now)}
	r.last.pod = pod
	r.status.Store(&Status{Problems: []string{"the files have not been read yet: wait"}})
	return r
}

// Status is the present one; never nil.
func (r *Reloader) Status() *Status { return r.status.Load() }

// Current is the snapshot in use; nil before the first good one.
func (r *Reloader) Current() *Snapshot { return r.Status().Snapshot }

// First is closed when there is a snapshot.
func (r *Reloader) First() <-chan struct{} { return r.first }

// Run reads the files, and again after each change, until the context ends.
func (r *Reloader) Run(ctx context.Context) { Watch(ctx, r.logger, r.dirs.all(), r.Reload) }

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
	if status.Snapshot != nil {
		status.Warnings = warnings(status.Snapshot)
	}
	return status
}

// warnings are about fields that a newer operator wrote and this version ignores, and
// about client credentials of which another generation is shown than was said.
func warnings(s *Snapshot) []string {
	var out []string
	for _, path := range s.Config.Unknown {
		out = append(out, fmt.Sprintf("config: the field %s is not known to this version and is ignored: run the server that goes with the operator", path))
	}
	for _, c := range s.Clients {
		if warning, other := c.warning(); other {
			out = append(out, warning)
		}
	}
	return out
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
