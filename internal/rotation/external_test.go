package rotation_test

import (
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/rotation"
)

func newExternal(t *testing.T) *world {
	w := newWorld(t, v1alpha1.RoleCombined)
	w.in.External = true
	return w
}

func TestACertificateFromOutsideThatComesBackIsWantedAgain(t *testing.T) {
	w := newExternal(t)
	w.issue(0)
	first := w.in.Sources[0].Certificate
	w.step(0)
	w.issue(0)
	w.step(time.Hour)
	w.expect("g2 g1")
	w.in.Sources[0].Certificate = first
	w.step(2 * time.Hour)
	w.expect("g1 g2")
	w.step(3 * time.Hour)
	w.expect("g1 g2")
	if got := w.plan.Keyring.Generations[0].AddedAt; !got.Equal(start.Add(2 * time.Hour)) {
		t.Errorf("it came back at %s", got)
	}
}

func TestACertificateFromOutsideThatVanishesOrSpoilsStays(t *testing.T) {
	w := newExternal(t)
	w.issue(0)
	w.step(0)
	w.in.Sources[0].Certificate = nil
	w.step(time.Hour)
	w.expect("g1")
	w.issue(0, noUsages)
	w.step(2 * time.Hour)
	w.expect("g1")
	w.expectIssueNow() // nobody to ask
}

func TestTheKeyringOfAnotherClusterBringsItsEarlierGenerations(t *testing.T) {
	other := newWorld(t, v1alpha1.RoleCombined)
	for i := range 3 {
		other.in.Now = start.Add(time.Duration(i) * time.Hour)
		other.issue(0)
		other.step(time.Duration(i) * time.Hour)
	}
	other.expect("g3 g2 g1")
	theirs := other.plan.Keyring.Generations

	w := newExternal(t)
	w.names = other.names
	w.in.Sources[0].Certificate = &theirs[0].Certificates[0]
	w.in.Imported = theirs[1:]
	w.in.Distrusted = []string{raconfig.Fingerprint(theirs[2].Certificates[0].Certificate)}
	w.step(day)
	w.expect("g3 g2")
	w.step(2 * day)
	w.expect("g3 g2")
	w.step(life + 2*time.Hour) // g2 has ended: it goes, and does not come again
	w.expect("g3")
	w.step(life + 3*time.Hour)
	w.expect("g3")
}

func TestAGenerationStaysForAsLongAsAnEndpointNeedsIt(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	first := w.plan.Keyring.IDs()[0]
	w.in.Now = start.Add(life - day)
	w.issueAll()
	w.step(life - day)
	w.in.KeptUntil = map[string]time.Time{first: start.Add(life + 20*day)} // it was switched late
	w.step(life + 20*day - time.Second)
	w.expect("g2 g1")
	if got := w.plan.Retirement(first); !got.Equal(start.Add(life + 20*day)) {
		t.Errorf("it retires at %s", got)
	}
	w.step(life + 20*day)
	w.expect("g2 g1") // a server of its may still show it: it says when not
	w.in.KeptUntil = nil
	w.step(life + 20*day)
	w.expect("g2")
}

func TestACertificateFromOutsideOfAnotherCAIsTold(t *testing.T) {
	w := newExternal(t)
	w.in.Expected = []rotation.Authority{{Fingerprint: "of the devices", Since: start.Add(-life)}}
	w.issue(0)
	w.step(0)
	w.expect("g1")
	if w.plan.OtherCA == nil {
		t.Error("nobody is told")
	}
	w.in.Expected = append(w.in.Expected, rotation.Authority{Fingerprint: raconfig.Fingerprint(w.ca.Certificate), Since: start})
	w.step(time.Hour)
	if w.plan.OtherCA != nil {
		t.Errorf("other CA: %v", w.plan.OtherCA)
	}
}
