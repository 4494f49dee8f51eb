package reload

import (
	"context"
	"log/slog"
	"time"

	"github.com/fsnotify/fsnotify"
)

// ReadDir reads the files of a mounted directory by name, all of one moment: it never
// mixes old and new ones. A directory that is not there is empty.
func ReadDir(dir string) (map[string][]byte, error) { return readDir(dir) }

const (
	// settle is how long files have to be quiet before they are read.
	settle = 50 * time.Millisecond
	// pollEvery is for changes that the watch has missed.
	pollEvery = 3 * time.Second
)

// Watch calls read at once, and again after each change in the directories and every
// few seconds, until the context ends.
func Watch(ctx context.Context, logger *slog.Logger, dirs []string, read func()) {
	events, stop := watch(logger, dirs)
	defer stop()
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		read()
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
func watch(logger *slog.Logger, dirs []string) (events <-chan struct{}, stop func()) {
	watcher, err := fsnotify.NewWatcher()
	if err != nil {
		logger.Warn("files are not watched, only polled", "error", err)
		return nil, func() {}
	}
	for _, dir := range dirs {
		if err := watcher.Add(dir); err != nil {
			logger.Debug("directory is not watched, only polled", "directory", dir, "error", err)
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
