package raconfig

import (
	"log/slog"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

func TestSetLogLevel(t *testing.T) {
	for name, want := range map[v1alpha1.LogLevel]slog.Level{
		v1alpha1.LogDebug: slog.LevelDebug,
		v1alpha1.LogInfo:  slog.LevelInfo,
		v1alpha1.LogWarn:  slog.LevelWarn,
		v1alpha1.LogError: slog.LevelError,
		"":                slog.Level(2),
		"Chatty":          slog.Level(2),
	} {
		level := &slog.LevelVar{}
		level.Set(slog.Level(2))
		c := &Config{LogLevel: name}
		c.SetLogLevel(level)
		if level.Level() != want {
			t.Errorf("%q: %s, want %s", name, level.Level(), want)
		}
		c.SetLogLevel(nil)
	}
}
