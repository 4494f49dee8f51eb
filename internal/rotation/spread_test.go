package rotation_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/rotation"
)

func TestAThousandCredentialsRenewAtDifferentTimes(t *testing.T) {
	const credentials, hours = 1000, 24
	inHour := [hours]int{}
	for i := range credentials {
		uid := fmt.Sprintf("0b7e5c1e-9a4d-4f5a-8a43-%012d", i)
		early := rotation.Spread(uid, life, renewBefore)
		if again := rotation.Spread(uid, life, renewBefore); early != again {
			t.Fatalf("%s is renewed %s earlier, or %s", uid, early, again)
		}
		inHour[early/time.Hour]++
	}
	for hour, renewed := range inHour {
		if renewed < credentials/hours/2 || renewed > credentials/hours*2 {
			t.Errorf("%d of %d renew in hour %d: %v", renewed, credentials, hour, inHour)
		}
	}
}

func TestTheSpreadFitsTheLife(t *testing.T) {
	for name, tc := range map[string]struct{ duration, renewBefore, most time.Duration }{
		"a quarter":            {life, renewBefore, day},
		"ten years":            {3650 * day, renewBefore, day},
		"an hour, half used":   {time.Hour, 30 * time.Minute, 3 * time.Minute},
		"five minutes":         {time.Hour, 55 * time.Minute, 30 * time.Second},
		"a second":             {time.Hour, time.Hour - time.Second, 0},
		"renewed at the start": {time.Hour, time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			for i := range 100 {
				early := rotation.Spread(fmt.Sprint(i), tc.duration, tc.renewBefore)
				if early < 0 || early > tc.most || early%time.Second != 0 {
					t.Fatalf("%s earlier, of %s at most", early, tc.most)
				}
			}
		})
	}
}
