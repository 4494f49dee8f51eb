package raconfig

import (
	"log/slog"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// logLevels are those of the API.
var logLevels = map[v1alpha1.LogLevel]slog.Level{
	v1alpha1.LogDebug: slog.LevelDebug,
	v1alpha1.LogInfo:  slog.LevelInfo,
	v1alpha1.LogWarn:  slog.LevelWarn,
	v1alpha1.LogError: slog.LevelError,
}

// SetLogLevel sets a logger's level to that of the configuration. Without one, or
// with one that this version does not know, the level stays as it is; so it does
// where there is nothing to set.
func (c *Config) SetLogLevel(level *slog.LevelVar) {
	if wanted, known := logLevels[c.LogLevel]; known && level != nil {
		level.Set(wanted)
	}
}
