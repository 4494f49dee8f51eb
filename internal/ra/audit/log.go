package audit

import (
	"bytes"
	"context"
	"log/slog"
	"time"
)

// Entry is one record, as the ring and the sink keep it.
type Entry struct {
	Time  time.Time
	Code  Code
	Level slog.Level
	// JSON is the record as in the log: one line, without its end.
	JSON []byte
}

// Keeper is a place where records are kept beside the log. Keep returns at once.
type Keeper interface {
	Keep(e Entry)
}

// Deliverer is a Keeper that can say whether a record arrived.
type Deliverer interface {
	// Deliver returns nil once the record is where it has to be.
	Deliver(ctx context.Context, e Entry) error
}

// Log writes audit records.
type Log struct {
	logger  *slog.Logger
	now     func() time.Time
	keepers []Keeper
}

// NewLog writes to a logger, which should write JSON, and to further keepers.
func NewLog(logger *slog.Logger, now func() time.Time, keepers ...Keeper) *Log {
	return &Log{logger: logger, now: now, keepers: keepers}
}

// Record writes one record; attributes hold no secrets. The logger's level does not
// matter: what is audited is recorded.
func (l *Log) Record(ctx context.Context, code Code, attributes ...slog.Attr) {
	record := l.newRecord(code, attributes)
	_ = l.logger.Handler().Handle(ctx, record) // there is nowhere to say that the log fails
	if len(l.keepers) == 0 {
		return
	}
	entry := newEntry(ctx, code, record)
	for _, k := range l.keepers {
		k.Keep(entry)
	}
}

// Deliver writes one record, and waits until it is where it has to be. An error means
// that this is not known.
func (l *Log) Deliver(ctx context.Context, code Code, attributes ...slog.Attr) error {
	record := l.newRecord(code, attributes)
	_ = l.logger.Handler().Handle(ctx, record) // as in Record
	entry := newEntry(ctx, code, record)
	for _, k := range l.keepers {
		d, can := k.(Deliverer)
		if !can {
			k.Keep(entry)
			continue
		}
		if err := d.Deliver(ctx, entry); err != nil {
			return err //nolint:wrapcheck // it names the place
		}
	}
	return nil
}

// newRecord puts code and NDES event before the attributes.
func (l *Log) newRecord(code Code, attributes []slog.Attr) slog.Record {
	record := slog.NewRecord(l.now(), events[code].Level, code.String(), 0)
	record.AddAttrs(slog.String("code", string(code)))
	if n := NDES(code, reasonOf(attributes)); n != 0 {
		record.AddAttrs(slog.Int("ndesEvent", n))
	}
	record.AddAttrs(attributes...)
	return record
}

// reasonKey is the attribute with a stable reason.
const reasonKey = "reason"

func reasonOf(attributes []slog.Attr) string {
	for _, a := range attributes {
		if a.Key == reasonKey {
			return a.Value.String()
		}
	}
	return ""
}

func newEntry(ctx context.Context, code Code, record slog.Record) Entry {
	var line bytes.Buffer
	_ = slog.NewJSONHandler(&line, nil).Handle(ctx, record) // a buffer takes everything
	return Entry{Time: record.Time, Code: code, Level: record.Level, JSON: bytes.TrimRight(line.Bytes(), "\n")}
}
