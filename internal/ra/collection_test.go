package ra_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/scepter-pki/scepter/internal/ra/audit"
	"github.com/scepter-pki/scepter/internal/ra/ratest"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/scep"
)

// wantCollection compares what a server says of the only request.
func (f *fixture) wantCollection(t *testing.T, s *ratest.Server, owed, collected bool) {
	t.Helper()
	ratest.Eventually(t, "what is owed and what was collected", func() error {
		objects := f.List(t)
		if len(objects) != 1 {
			return fmt.Errorf("%d CertificateRequests", len(objects))
		}
		have := s.Status().Collection
		if have == nil {
			have = &raconfig.Collection{}
		}
		name := objects[0].Name
		if slices.Contains(have.Owed, name) != owed || slices.Contains(have.Collected, name) != collected {
			return fmt.Errorf("%s: owed %v, collected %v", name, have.Owed, have.Collected)
		}
		return nil
	})
}

// TestWhatIsOwedIsKnown: a request that was answered PENDING is owed its certificate until
// a server hands it out, here another one than the one that owes it.
func TestWhatIsOwedIsKnown(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.files.Config.Issuance.WaitSeconds = 1
	f.files.WriteConfig()
	second := ratest.NewServer(t, f.Cluster, f.files)
	f.Issuer.Set(ratest.Holds)
	request := enrolment(t, 1)
	client := device(f.server.URL)
	client.PollLimit = 0
	if told, err := client.Enrol(limited(t), request); err != nil || told.Status != scep.StatusPending {
		t.Fatalf("got %+v, %v; want PENDING", told, err)
	}
	f.wantCollection(t, f.server, true, false)
	f.Issuer.Set(ratest.Signs)
	wantCertificate(t, enrol(t, second.URL, request), request.Key)
	f.wantCollection(t, second, false, true)
	f.wantCollection(t, f.server, true, false) // it cannot know
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	f.wantCollection(t, f.server, false, true)
}

// TestALostAnswerIsOwed: the device has gone before its certificate is sent; its retry
// collects the same one.
func TestALostAnswerIsOwed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	f.Issuer.Set(ratest.Holds)
	request := enrolment(t, 1)
	ctx, hangUp := context.WithCancel(limited(t))
	gone := make(chan error, 1)
	go func() {
		_, err := device(f.server.URL).Enrol(ctx, request)
		gone <- err
	}()
	ratest.Eventually(t, "the request to be recorded", func() error { return f.server.Logged(audit.RequestRecorded, "") })
	hangUp()
	if err := <-gone; !errors.Is(err, context.Canceled) {
		t.Fatalf("the device ended with %v", err)
	}
	f.wantCollection(t, f.server, true, false)
	f.Issuer.Set(ratest.Signs)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	f.wantCollection(t, f.server, false, true)
	f.wantRequests(t, 1)
}

// TestACollectedCertificateIsNotListed where the device got it at once: nobody was owed it.
func TestACollectedCertificateIsNotListed(t *testing.T) {
	t.Parallel()
	f := newFixture(t)
	request := enrolment(t, 1)
	wantCertificate(t, enrol(t, f.server.URL, request), request.Key)
	f.wantCollection(t, f.server, false, false)
	f.server.WantMetric("scepter_ra_answers_lost_total 0")
}
