package ra_test

import (
	"testing"
	"time"

	"github.com/scepter-pki/scepter/internal/ra/ratest"
)

// The CA of these tests lasts for a day, the template's certificates for a year.
func TestRequestsEndWithTheCA(t *testing.T) {
	t.Parallel()
	cluster := ratest.NewCluster(t)
	files := ratest.NewFiles(t, cluster)
	files.Config.Templates[0].Spec.Validity.Duration = 8760 * time.Hour
	files.WriteConfig()
	server := ratest.NewServer(t, cluster, files)
	request := enrolment(t, 1)
	wantCertificate(t, enrol(t, server.URL, request), request.Key)
	for _, r := range cluster.List(t) {
		if got := r.Spec.Duration.Duration; got > 24*time.Hour || got < 23*time.Hour {
			t.Errorf("asked for %v, which is not until the end of the CA", got)
		}
	}
}
