package alerts

import (
	"slices"
	"testing"
	"time"

	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb/chunkenc"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/util/annotations"
)

// series is a metric over the last hour, with a sample a minute.
type series struct {
	metric string  // name{label="value"}
	value  float64 // at the present
	rise   float64 // a minute
}

const history = time.Hour

// memory is what Prometheus would have scraped.
func memory(t *testing.T, now time.Time, all []series) storage.Queryable {
	t.Helper()
	var scraped []storage.Series
	for _, s := range all {
		metric, err := parser.ParseMetric(s.metric)
		if err != nil {
			t.Fatal(err)
		}
		scraped = append(scraped, storage.NewListSeries(metric, s.samples(now)))
	}
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{
		SelectMockFunction: func(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
			return &seriesSet{rest: slices.DeleteFunc(slices.Clone(scraped), func(s storage.Series) bool {
				return slices.ContainsFunc(matchers, func(m *labels.Matcher) bool { return !m.Matches(s.Labels().Get(m.Name)) })
			})}
		},
	}}
}

func (s series) samples(now time.Time) []chunks.Sample {
	var out []chunks.Sample
	for ago := history; ago >= 0; ago -= time.Minute {
		out = append(out, sample{at: now.Add(-ago).UnixMilli(), value: s.value - s.rise*ago.Minutes()})
	}
	return out
}

// sample is a float at a time, in milliseconds since 1970.
type sample struct {
	at    int64
	value float64
}

func (s sample) T() int64                      { return s.at }
func (s sample) ST() int64                     { return 0 }
func (s sample) F() float64                    { return s.value }
func (s sample) H() *histogram.Histogram       { return nil }
func (s sample) FH() *histogram.FloatHistogram { return nil }
func (s sample) Type() chunkenc.ValueType      { return chunkenc.ValFloat }
func (s sample) Copy() chunks.Sample           { return s }

// seriesSet is a storage.SeriesSet.
type seriesSet struct {
	at   storage.Series
	rest []storage.Series
}

func (s *seriesSet) Next() bool {
	if len(s.rest) == 0 {
		return false
	}
	s.at, s.rest = s.rest[0], s.rest[1:]
	return true
}

func (s *seriesSet) At() storage.Series                { return s.at }
func (s *seriesSet) Err() error                        { return nil }
func (s *seriesSet) Warnings() annotations.Annotations { return nil }
