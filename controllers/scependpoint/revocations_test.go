package scependpoint

import (
	"context"
	"errors"
	"math/big"
	"testing"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/testenv"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// wish has a server say what Intune wants revoked, and the operator look.
func (f *fixture) wish(i int, how string, serials ...string) {
	f.t.Helper()
	file, config := f.config()
	f.servers.say(podIP(i), raconfig.ReplicaStatus{
		ConfigHash: raconfig.Hash(file), ConfigGeneration: config.Endpoint.Generation,
		ActiveGeneration: config.ActiveGeneration, HeldGenerations: []string{"gen1"}, RevocationsWanted: serials,
	})
	f.change(func(ep *v1alpha1.ScepEndpoint) { ep.Annotations = map[string]string{v1alpha1.AnnotationReconcile: how} })
}

var errNotListed = errors.New("not all are on the list")

func (f *fixture) waitRevoked(serials ...int64) *raconfig.Revocations {
	f.t.Helper()
	var list *raconfig.Revocations
	testenv.Eventually(f.t, "the certificates to be on the list", func(context.Context) error {
		list = f.revocations()
		for _, n := range serials {
			if list.Find(big.NewInt(n)) == nil {
				return errNotListed
			}
		}
		return nil
	})
	return list
}

// What Intune wants revoked comes onto the list, beside what others put there, once.
func TestRevocationsThatIntuneWants(t *testing.T) {
	f := newFixture(t)
	f.makeDirect()
	f.wish(0, "one", "a", "b", "no number")
	if list := f.waitRevoked(10, 11); len(list.Revoked) != 2 || list.Revoked[0].Reason != raconfig.Unspecified {
		t.Errorf("list %+v", list)
	}
	f.wish(1, "two", "b", "c") // another server has been asked, too
	if list := f.waitRevoked(10, 11, 12); len(list.Revoked) != 3 {
		t.Errorf("list %+v", list)
	}
}

func TestRevocationsWantedAreBounded(t *testing.T) {
	serials := make([]string, maxRevokedAtOnce+5)
	for i := range serials {
		serials[i] = raconfig.SerialText(big.NewInt(int64(i + 1)))
	}
	status := &raconfig.ReplicaStatus{RevocationsWanted: serials}
	seen := &observation{replicas: read[[]replica]{value: &[]replica{{status: status}, {status: status}, {}}}}
	if got := len(revocationsWanted(seen)); got != maxRevokedAtOnce {
		t.Errorf("%d at once, want %d", got, maxRevokedAtOnce)
	}
	if got := revocationsWanted(&observation{}); got != nil {
		t.Errorf("%v of servers that are not known", got)
	}
}
