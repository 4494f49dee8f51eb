package scep

import (
	"slices"
	"testing"
	"time"
)

func TestBackoff(t *testing.T) {
	t.Parallel()
	for first, want := range map[time.Duration][]time.Duration{
		0:           {10 * time.Second, 20 * time.Second, 40 * time.Second, 80 * time.Second, 80 * time.Second},
		time.Minute: {time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 8 * time.Minute},
	} {
		b := newBackoff(first)
		var got []time.Duration
		for range want {
			got = append(got, b.next())
		}
		if !slices.Equal(got, want) {
			t.Errorf("%v: %v", first, got)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	for header, want := range map[string]time.Duration{
		"": 0, "7": 7 * time.Second, "-1": 0, "soon": 0, "Wed, 21 Oct 2015 07:28:00 GMT": 0,
		"1000000": maxRetryAfter, "9999999999999999999": 0, "9223372036854775807": maxRetryAfter,
	} {
		if got := (&HTTPError{RetryAfter: header}).retryAfter(); got != want {
			t.Errorf("%q: %v, want %v", header, got, want)
		}
	}
}
