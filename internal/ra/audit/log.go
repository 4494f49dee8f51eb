package audit

import (
	"context"
	"log/slog"
)

// Log writes audit records.
type Log struct {
	logger *slog.Logger
}

// NewLog writes to a logger, which should write JSON.
func NewLog(logger *slog.Logger) *Log { return &Log{logger: logger} }

// Record writes one record; attributes hold no secrets.
func (l *Log) Record(ctx context.Context, code Code, attributes ...slog.Attr) {
	all := append([]slog.Attr{slog.String("code", string(code))}, attributes...)
	l.logger.LogAttrs(ctx, levels[code], code.String(), all...)
}

// levels of the codes that are not merely informative.
var levels = map[Code]slog.Level{
	ConfigurationProblem: slog.LevelWarn,
	ObjectIgnored:        slog.LevelWarn,
	ChallengeGuessing:    slog.LevelError,
	MintingRefused:       slog.LevelWarn,
	OutcomeNotTold:       slog.LevelWarn,
	Unavailable:          slog.LevelWarn,
	InternalError:        slog.LevelError,
}
