package rotation_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/rotation"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const (
	day         = 24 * time.Hour
	life        = 90 * day
	renewBefore = 30 * day
	overlap     = 7 * day
)

var start = time.Date(2031, 3, 4, 5, 6, 7, 0, time.UTC)

var usages = map[v1alpha1.CredentialRole]x509.KeyUsage{
	v1alpha1.RoleSigning:    x509.KeyUsageDigitalSignature,
	v1alpha1.RoleEncryption: x509.KeyUsageKeyEncipherment,
	v1alpha1.RoleCombined:   x509.KeyUsageDigitalSignature | x509.KeyUsageKeyEncipherment,
	v1alpha1.RoleClient:     x509.KeyUsageDigitalSignature,
}

// world is a credential through time. Its generations are called g1, g2, … in
// the order in which they came.
type world struct {
	t     *testing.T
	ca    *sceptest.CA
	in    rotation.Input
	plan  *rotation.Plan
	names map[string]string
}

func newWorld(t *testing.T, roles ...v1alpha1.CredentialRole) *world {
	w := &world{t: t, ca: sceptest.NewCA(t), names: map[string]string{}}
	w.in = rotation.Input{Overlap: overlap, RenewBefore: renewBefore, Now: start}
	for _, role := range roles {
		w.in.Sources = append(w.in.Sources, rotation.Source{Role: role})
	}
	return w
}

func newPair(t *testing.T) *world { return newWorld(t, v1alpha1.RoleSigning, v1alpha1.RoleEncryption) }

// issue gives a source a new certificate from now on.
func (w *world) issue(i int, changes ...func(*x509.Certificate)) {
	w.t.Helper()
	role := w.in.Sources[i].Role
	template := &x509.Certificate{NotBefore: w.in.Now, NotAfter: w.in.Now.Add(life), KeyUsage: usages[role]}
	if role == v1alpha1.RoleClient {
		template.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth}
	}
	for _, change := range changes {
		change(template)
	}
	key := sceptest.RSAKey(w.t, i+1)
	c, err := w.ca.Issue(template, key.Public())
	if err != nil {
		w.t.Fatal(err)
	}
	w.in.Sources[i].Certificate = &raconfig.Certificate{Role: role, Certificate: c, Chain: w.ca.Chain(), Key: key}
}

func (w *world) issueAll() {
	w.t.Helper()
	for i := range w.in.Sources {
		w.issue(i)
	}
}

// step plans at a time after the start and carries the plan out.
func (w *world) step(at time.Duration) {
	w.t.Helper()
	w.in.Now = start.Add(at)
	w.plan = rotation.Make(w.in)
	w.in.Keyring, w.in.Reissue = w.plan.Keyring, w.plan.Reissue
	for _, id := range w.plan.Added {
		if w.names[id] == "" {
			w.names[id] = "g" + string(rune('1'+len(w.names)))
		}
	}
}

// expect compares the names of the generations in the keyring, the newest first.
func (w *world) expect(want string) {
	w.t.Helper()
	if got := w.called(w.plan.Keyring.IDs()); got != want {
		w.t.Fatalf("at %s the keyring holds %q, not %q (findings %v)", w.in.Now.Sub(start), got, want, w.plan.Findings)
	}
}

func (w *world) expectNext(want time.Duration) {
	w.t.Helper()
	if got := w.plan.Next.Sub(start); w.plan.Next.IsZero() || got != want {
		w.t.Fatalf("at %s the next look is at %s, not at %s", w.in.Now.Sub(start), got, want)
	}
}

func (w *world) called(ids []string) string {
	var names []string
	for _, id := range ids {
		names = append(names, w.names[id])
	}
	return strings.Join(names, " ")
}

func TestAPairFromFirstIssueToTheRetirementOfTheFirst(t *testing.T) {
	w := newPair(t)
	w.step(0)
	w.expect("")
	w.issue(0)
	w.step(time.Minute)
	w.expect("") // half a pair is no generation
	w.issue(1)
	w.step(2 * time.Minute)
	w.expect("g1")
	w.expectNext(life - renewBefore)

	w.step(life - renewBefore)
	w.expect("g1")
	if !w.plan.RenewalDue || w.plan.Broken != nil {
		t.Fatalf("due %t, broken %v", w.plan.RenewalDue, w.plan.Broken)
	}
	w.issueAll()
	w.step(life - renewBefore + time.Minute)
	w.expect("g2 g1")
	w.expectNext(life + time.Second) // g1's signing certificate, issued at 0, ends first
	w.step(life)
	w.expect("g2 g1")
	w.step(life + time.Second)
	w.expect("g2")
	w.step(life + day)
	w.expect("g2")
}

func TestNothingIsDoneTwice(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	first := w.plan.Keyring
	for range 3 {
		w.step(time.Hour)
		if len(w.plan.Added)+len(w.plan.Retired) != 0 {
			t.Fatalf("at rest: added %v, retired %v", w.plan.Added, w.plan.Retired)
		}
	}
	if diff := cmp.Diff(first.Generations[0].AddedAt, w.plan.Keyring.Generations[0].AddedAt); diff != "" {
		t.Error(diff)
	}
}

func TestCrashBeforeThePlanIsCarriedOut(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.in.Now = start.Add(life - renewBefore)
	w.issueAll()
	lost := rotation.Make(w.in) // the operator ended before it wrote
	w.step(life - renewBefore + time.Hour)
	w.expect("g2 g1")
	if diff := cmp.Diff(lost.Keyring.IDs(), w.plan.Keyring.IDs()); diff != "" {
		t.Error(diff)
	}
}

// TestOneRenewedHalfHasTheOtherIssued: only when the end is near, a half will do.
func TestOneRenewedHalfHasTheOtherIssued(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.in.Now = start.Add(day)
	w.issue(1)
	w.step(day)
	w.expect("g1")
	for _, roles := range [][]v1alpha1.CredentialRole{w.plan.IssueNow, w.plan.Following} {
		if diff := cmp.Diff([]v1alpha1.CredentialRole{v1alpha1.RoleSigning}, roles); diff != "" {
			t.Error(diff)
		}
	}
	w.in.Sources[0].Issuing = true
	w.step(day + time.Minute)
	w.expect("g1")
	if len(w.plan.IssueNow) > 0 {
		t.Errorf("asked again for %v, which is being issued", w.plan.IssueNow)
	}
	w.in.Sources[0].Issuing, w.in.Sources[0].Failed = false, w.in.Now
	w.step(life - rotation.Settle - time.Second)
	w.expect("g1")
	w.step(life - rotation.Settle)
	w.expect("g2 g1")
	signing := w.plan.Keyring.Generations[0].ByRole(v1alpha1.RoleSigning)
	if signing.Certificate != w.plan.Keyring.Generations[1].ByRole(v1alpha1.RoleSigning).Certificate {
		t.Error("the half that was not renewed changed")
	}
}

func TestBothHalvesRenewedOneAfterTheOther(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	for _, half := range []int{1, 0} {
		w.expect("g1")
		w.in.Now = start.Add(day)
		w.issue(half)
		w.step(day)
	}
	w.expect("g2 g1")
	for _, c := range w.plan.Keyring.Generations[0].Certificates {
		if c.Certificate.Equal(w.plan.Keyring.Generations[1].ByRole(c.Role).Certificate) {
			t.Errorf("both generations have the same certificate for %s", c.Role)
		}
	}
}

func TestWaitsForTheOtherHalfThatIsBeingIssued(t *testing.T) {
	for name, tc := range map[string]struct {
		at   time.Duration
		want string
	}{
		"while there is time":     {life - renewBefore, "g1"},
		"until it is loaded":      {life - rotation.Settle - time.Second, "g1"},
		"not when the end nears":  {life - rotation.Settle, "g2 g1"},
		"not after it has passed": {life + day, "g2 g1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPair(t)
			w.issueAll()
			w.step(0)
			w.in.Now = start.Add(tc.at)
			w.issue(0)
			w.issue(1, func(c *x509.Certificate) { c.NotBefore = start }) // as fit as the clock allows
			w.in.Sources[1].Issuing = true
			w.step(tc.at)
			w.expect(tc.want)
			w.in.Sources[1].Issuing = false
			w.step(tc.at)
			w.expect("g2 g1") // both halves are new
		})
	}
}

func TestTheFirstGenerationWaitsForNobody(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.in.Sources[0].Issuing = true
	w.step(0)
	w.expect("g1")
}

func TestUnfitCertificatesNeverComeIn(t *testing.T) {
	ec, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	for name, tc := range map[string]struct {
		spoil func(w *world)
		check rotation.Check
		role  v1alpha1.CredentialRole
	}{
		"not issued": {func(w *world) { w.in.Sources[1].Certificate = nil }, rotation.CheckIssued, v1alpha1.RoleEncryption},
		"wrong usages": {func(w *world) {
			w.issue(0, func(c *x509.Certificate) { c.KeyUsage = x509.KeyUsageKeyEncipherment })
		}, rotation.CheckUsages, v1alpha1.RoleSigning},
		"another key": {func(w *world) { w.in.Sources[0].Certificate.Key = sceptest.RSAKey(t, 9) }, rotation.CheckKey, v1alpha1.RoleSigning},
		"an EC key": {func(w *world) {
			c := w.in.Sources[1].Certificate
			made, err := w.ca.Issue(&x509.Certificate{NotBefore: start, NotAfter: start.Add(life), KeyUsage: x509.KeyUsageKeyEncipherment}, ec.Public())
			if err != nil {
				t.Fatal(err)
			}
			c.Certificate, c.Key = made, ec
		}, rotation.CheckAlgorithm, v1alpha1.RoleEncryption},
		"a CA": {func(w *world) {
			w.issue(0, func(c *x509.Certificate) { c.IsCA, c.BasicConstraintsValid = true, true })
		}, rotation.CheckEndEntity, v1alpha1.RoleSigning},
		"no chain": {func(w *world) { w.in.Sources[1].Certificate.Chain = nil }, rotation.CheckChain, v1alpha1.RoleEncryption},
		"of two CAs": {func(w *world) {
			w.ca = sceptest.NewCA(t)
			w.issue(1)
		}, rotation.CheckPair, v1alpha1.RoleSigning},
		"not begun": {func(w *world) {
			w.issue(0, func(c *x509.Certificate) { c.NotBefore = w.in.Now.Add(10 * time.Minute) })
		}, rotation.CheckBegun, v1alpha1.RoleSigning},
		"expired when first seen": {func(w *world) {
			w.issue(0, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = start.Add(-day), start.Add(-time.Hour) })
		}, rotation.CheckNotExpired, v1alpha1.RoleSigning},
		"distrusted": {func(w *world) {
			w.in.Distrusted = []string{raconfig.Fingerprint(w.in.Sources[1].Certificate.Certificate)}
		}, rotation.CheckTrusted, v1alpha1.RoleEncryption},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPair(t)
			w.issueAll()
			tc.spoil(w)
			w.step(0)
			w.expect("")
			if len(w.plan.Findings) != 1 || w.plan.Findings[0].Check != tc.check || w.plan.Findings[0].Role != tc.role {
				t.Errorf("findings: %v", w.plan.Findings)
			}
		})
	}
}

func TestAnUnfitRenewalLeavesTheOldOneInPlace(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.in.Now = start.Add(life - renewBefore)
	w.issue(0)
	w.issue(1, func(c *x509.Certificate) { c.KeyUsage |= x509.KeyUsageDigitalSignature })
	w.step(life - renewBefore)
	w.expect("g1")
	w.issue(1)
	w.step(life - renewBefore + time.Hour)
	w.expect("g2 g1")
}

func TestACertificateOfTheFutureComesInWhenItBegins(t *testing.T) {
	w := newWorld(t, v1alpha1.RoleCombined)
	w.issue(0, func(c *x509.Certificate) { c.NotBefore = start.Add(time.Hour) })
	w.step(0)
	w.expect("")
	w.expectNext(time.Hour)
	w.step(time.Hour)
	w.expect("g1")
}

func TestTheOperatorWasAwayPastTheEnd(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.step(life + 10*day)
	w.expect("g1") // the only one stays, expired as it is
	if w.plan.Broken == nil || w.plan.Broken.Check != rotation.CheckNotExpired {
		t.Fatalf("broken: %v", w.plan.Broken)
	}
	w.issueAll() // cert-manager renewed meanwhile
	w.step(life + 10*day + time.Minute)
	w.expect("g2 g1") // within the overlap
	w.step(life + 10*day + time.Minute + overlap)
	w.expect("g2")
	if w.plan.Broken != nil {
		t.Errorf("broken: %v", w.plan.Broken)
	}
}

func TestTheIssuerIsDownForDays(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	for at := life - renewBefore; at < life; at += day {
		w.in.Sources[0].Issuing, w.in.Sources[1].Issuing = true, true
		w.step(at)
		w.expect("g1")
		if !w.plan.RenewalDue || w.plan.Broken != nil {
			t.Fatalf("at %s: due %t, broken %v", at, w.plan.RenewalDue, w.plan.Broken)
		}
	}
	w.expectNext(life - rotation.Settle)
	w.step(life - rotation.Settle)
	w.expectNext(life + time.Second)
}

func TestSourcesThatVanishTakeNothingAlong(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.in.Sources[0].Certificate, w.in.Sources[1].Certificate = nil, nil
	w.step(day)
	w.expect("g1")
	w.in.Sources = nil
	w.step(2 * day)
	w.expect("g1")
}

func TestALostKeyringIsMadeAgain(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.in.Keyring = nil
	w.step(day)
	w.expect("g1")
}

func TestAtMostFourGenerations(t *testing.T) {
	for name, tc := range map[string]struct {
		shown []int // places in the keyring, the newest first, before the fifth comes
		want  string
	}{
		"the oldest goes":                   {nil, "g5 g4 g3 g2"},
		"but not one that is shown":         {[]int{0, 3}, "g5 g4 g3 g1"},
		"unless all are":                    {[]int{0, 1, 2, 3}, "g5 g4 g3 g2"},
		"the newest has to be shown before": {[]int{1, 2, 3}, "g4 g3 g2 g1"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, v1alpha1.RoleCombined)
			for i := range 4 {
				w.in.Now = start.Add(time.Duration(i) * time.Hour)
				w.issue(0)
				w.step(time.Duration(i) * time.Hour)
			}
			w.expect("g4 g3 g2 g1")
			for _, i := range tc.shown {
				w.in.Shown = append(w.in.Shown, w.plan.Keyring.Generations[i].ID)
			}
			w.issue(0)
			w.step(4 * time.Hour)
			w.expect(tc.want)
		})
	}
}

func TestTheBoundSparesWhatDevicesWereShown(t *testing.T) {
	w := newWorld(t, v1alpha1.RoleCombined)
	w.in.KeptUntil = map[string]time.Time{}
	for i := range 4 {
		w.in.Now = start.Add(time.Duration(i) * time.Hour)
		w.issue(0)
		w.step(time.Duration(i) * time.Hour)
		if i == 0 {
			w.in.KeptUntil[w.plan.Keyring.IDs()[0]] = start.Add(life)
		}
	}
	w.in.Shown = w.plan.Keyring.IDs()[2:3] // g2; nobody ever showed g3 and g4
	w.issue(0)
	w.step(4 * time.Hour)
	w.expect("g4 g3 g2 g1") // g4 may be about to be shown
	newestEnds := 3*time.Hour + life
	w.step(newestEnds - rotation.Settle)
	w.expect("g5 g4 g2 g1")
}

func TestCertManagerRenewsSeveralTimesWhileTheOperatorIsAway(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	for i := 1; i <= 3; i++ {
		w.in.Now = start.Add(time.Duration(i) * (life - renewBefore))
		w.issueAll() // nobody looks
	}
	w.step(3*(life-renewBefore) + day)
	w.expect("g2 g1") // what nobody saw is gone; g1 has ended and stays for the overlap
	w.step(3*(life-renewBefore) + day + overlap)
	w.expect("g2")
}

func TestTwoEndpointsOnOneCredential(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	first := w.plan.Keyring.IDs()[0]
	w.in.Now = start.Add(life - renewBefore)
	w.issueAll()
	w.step(life - renewBefore)
	second := w.plan.Keyring.IDs()[0]
	w.in.Shown = []string{second, first} // one has switched, the other cannot
	w.step(life + renewBefore)
	w.expect("g2 g1")
	w.in.Shown = []string{second, second}
	w.in.KeptUntil = map[string]time.Time{first: start.Add(life + renewBefore + overlap)}
	w.step(life + renewBefore + overlap - time.Second)
	w.step(life + renewBefore + overlap)
	w.expect("g2 g1")
	w.in.KeptUntil = nil // the endpoint lists it no more
	w.step(life + renewBefore + overlap)
	w.expect("g2")
}

func TestAChangeOfIssuerIsARollover(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.ca = sceptest.NewCA(t)
	w.in.Now = start.Add(day)
	w.in.Sources[0].Certificate = nil // its Certificate's spec changed, and so did the other's
	w.in.Sources[1].Certificate = nil
	w.step(day)
	w.expect("g1")
	w.issue(0)
	w.step(day + time.Minute)
	w.expect("g1") // one half of each would not do
	w.issue(1)
	w.step(day + time.Hour)
	w.expect("g2 g1")
}

func TestTheBoundTakesWhatCannotServeFirst(t *testing.T) {
	w := newWorld(t, v1alpha1.RoleCombined)
	w.issue(0)
	w.step(0)
	w.issue(0, func(c *x509.Certificate) { c.NotAfter = start.Add(day) })
	w.step(time.Hour) // g2 ends early
	for i := range 3 {
		w.in.Now = start.Add(2 * day)
		w.issue(0)
		w.step(2*day + time.Duration(i)*time.Hour)
	}
	w.expect("g5 g4 g3 g1")
}

func TestAGenerationInUseStaysPastItsTime(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.in.Shown = w.plan.Keyring.IDs()
	w.in.Now = start.Add(life - renewBefore)
	w.issueAll()
	w.step(life - renewBefore)
	w.step(life + 30*day - time.Hour)
	w.expect("g2 g1")
	w.in.Shown = w.plan.Keyring.IDs()[:1]
	w.step(life + 30*day)
	w.expect("g2")
}

func TestDistrustRetiresAtOnceAndForGood(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	old := w.in.Sources[0].Certificate
	w.in.Shown = w.plan.Keyring.IDs()
	w.in.Distrusted = []string{raconfig.Fingerprint(old.Certificate)}
	w.step(time.Hour)
	w.expect("")
	w.step(2 * time.Hour)
	w.expect("") // the source still holds it
	w.issue(0)
	w.step(3 * time.Hour)
	w.expect("g2")
	w.in.Sources[0].Certificate = old
	w.step(4 * time.Hour)
	w.expect("g2")
}

func TestTheClockJumpsBack(t *testing.T) {
	w := newWorld(t, v1alpha1.RoleCombined)
	w.issue(0, func(c *x509.Certificate) { c.NotBefore = start.Add(-10 * day) })
	w.step(0)
	w.issue(0, func(c *x509.Certificate) { c.NotBefore = start.Add(-10 * day) })
	w.step(-5 * day)
	w.expect("g2 g1")
	if got := w.plan.Keyring.Generations[0].AddedAt; !got.Equal(start) {
		t.Errorf("g2 was added at %s, before the one it supersedes", got)
	}
	w.step(overlap)
	w.expect("g2 g1")
}

func TestAChangeOfLayoutIsARollover(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.in.Sources = []rotation.Source{{Role: v1alpha1.RoleCombined}}
	w.step(time.Hour)
	w.expect("g1")
	w.issue(0)
	w.step(2 * time.Hour)
	w.expect("g2 g1")
}

func TestARolloverInTheMiddleOfAnother(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.in.Shown = w.plan.Keyring.IDs() // servers have not loaded anything newer
	for i := 1; i <= 3; i++ {
		w.issueAll()
		w.step(time.Duration(i) * time.Minute)
	}
	w.expect("g4 g3 g2 g1")
	w.issueAll()
	w.step(time.Hour)
	w.expect("g4 g3 g2 g1") // the servers may show g4 at this moment
	w.in.KeptUntil = map[string]time.Time{w.in.Shown[0]: start.Add(life)}
	w.in.Shown = w.plan.Keyring.IDs()[:1]
	w.step(time.Hour)
	w.expect("g5 g4 g3 g1")
}

func TestAClientCredentialNeedsNoChain(t *testing.T) {
	w := newWorld(t, v1alpha1.RoleClient)
	w.issue(0)
	w.in.Sources[0].Certificate.Chain = nil
	w.step(0)
	w.expect("g1")
}

func TestWhatIsBrokenIsNeverOnlyDue(t *testing.T) {
	// "Is it broken?" and "should it be renewed?" are one list but for the last
	// check: whatever breaks a certificate also makes it due.
	w := newPair(t)
	w.issueAll()
	w.step(0)
	for at := time.Duration(0); at < life+10*day; at += 12 * time.Hour {
		w.step(at)
		if w.plan.Broken != nil && !w.plan.RenewalDue {
			t.Fatalf("at %s it is broken (%v) and not due", at, w.plan.Broken)
		}
	}
	if w.plan.Broken == nil || w.plan.Broken.Err.Error() != pkifacts.ErrExpired.Error() {
		t.Errorf("at the end: %v", w.plan.Broken)
	}
}

func TestARenewalThatIsLateIsTold(t *testing.T) {
	for name, tc := range map[string]struct {
		at           time.Duration
		due, overdue bool
	}{
		"not yet":        {life - renewBefore - time.Second, false, false},
		"due":            {life - renewBefore, true, false},
		"soon overdue":   {life - renewBefore/2 - time.Second, true, false},
		"half time over": {life - renewBefore/2, true, true},
		"ended":          {life + day, true, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPair(t)
			w.issueAll()
			w.step(0)
			w.step(tc.at)
			if w.plan.RenewalDue != tc.due || w.plan.RenewalOverdue != tc.overdue {
				t.Errorf("due %t, overdue %t", w.plan.RenewalDue, w.plan.RenewalOverdue)
			}
		})
	}
}

func TestTheNextLookIsAlwaysToCome(t *testing.T) {
	w := newPair(t)
	w.in.External = true // nobody to ask again for what has expired
	w.issueAll()
	w.step(0)
	looks := 0
	for w.plan.Next.After(w.in.Now) {
		if looks++; looks > 20 {
			t.Fatal("the planner wakes up for nothing")
		}
		w.step(w.plan.Next.Sub(start))
	}
	if !w.plan.Next.IsZero() || looks == 0 {
		t.Errorf("after %d looks the next is at %s", looks, w.plan.Next)
	}
}
