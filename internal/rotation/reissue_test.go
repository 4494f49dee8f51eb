package rotation_test

import (
	"crypto/x509"
	"slices"
	"testing"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/rotation"
	"github.com/scepter-pki/scepter/internal/scep/sceptest"
)

const maxBackoff = time.Hour

// begins says that the issuer works on what was asked for.
func (w *world) begins() {
	for i := range w.in.Sources {
		if slices.Contains(w.plan.IssueNow, w.in.Sources[i].Role) {
			w.in.Sources[i].Issuing, w.in.Sources[i].Failed = true, time.Time{}
		}
	}
}

// answer has the issuer answer with a certificate.
func (w *world) answer(i int, changes ...func(*x509.Certificate)) {
	w.t.Helper()
	w.in.Sources[i].Issuing, w.in.Sources[i].Failed = false, time.Time{}
	w.issue(i, changes...)
}

// refuse has the issuer fail.
func (w *world) refuse(i int) {
	w.in.Sources[i].Issuing, w.in.Sources[i].Failed = false, w.in.Now
}

func (w *world) expectIssueNow(want ...v1alpha1.CredentialRole) {
	w.t.Helper()
	if !slices.Equal(w.plan.IssueNow, want) {
		w.t.Fatalf("at %s it asks for %v, not for %v (memory %+v, findings %v)",
			w.in.Now.Sub(start), w.plan.IssueNow, want, w.plan.Reissue, w.plan.Findings)
	}
}

func without(usage x509.KeyUsage) func(*x509.Certificate) {
	return func(c *x509.Certificate) { c.KeyUsage &^= usage }
}

func noClientAuth(c *x509.Certificate) {
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
}

func TestAPolicyModulesCertificateWithoutClientAuthIsIssuedAnewUntilItIsRight(t *testing.T) {
	w := newWorld(t, v1alpha1.RoleClient)
	w.issue(0, noClientAuth)
	now, wait := time.Duration(0), 30*time.Second
	for attempt := 1; attempt <= 10; attempt++ {
		w.step(now)
		w.expect("") // never used
		w.expectIssueNow(v1alpha1.RoleClient)
		if r := w.plan.Reissue; r.Check != rotation.CheckUsages || r.Attempts != attempt || r.Next.Sub(r.Last) != wait {
			t.Fatalf("attempt %d: %+v", attempt, r)
		}
		w.begins()
		w.step(now + time.Second)
		w.expectIssueNow()
		w.answer(0, noClientAuth)
		w.step(now + wait - time.Second)
		w.expectIssueNow()
		w.expectNext(now + wait)
		now, wait = now+wait, min(2*wait, maxBackoff)
	}
	w.step(now)
	w.begins()
	w.answer(0)
	w.step(now + time.Second)
	w.expect("g1")
	if w.plan.Reissue != nil {
		t.Errorf("it still remembers %+v", w.plan.Reissue)
	}
}

func TestWhatIsIssuedAnewAndWhatIsNot(t *testing.T) {
	signing, encryption := v1alpha1.RoleSigning, v1alpha1.RoleEncryption
	for name, tc := range map[string]struct {
		spoil func(w *world)
		roles []v1alpha1.CredentialRole
		check rotation.Check
	}{
		"all is well":    {func(*world) {}, nil, ""},
		"wrong usages":   {func(w *world) { w.issue(1, without(x509.KeyUsageKeyEncipherment)) }, []v1alpha1.CredentialRole{encryption}, rotation.CheckUsages},
		"another's key":  {func(w *world) { w.in.Sources[0].Certificate.Key = sceptest.RSAKey(t, 9) }, []v1alpha1.CredentialRole{signing}, rotation.CheckKey},
		"both":           {func(w *world) { w.issue(0, noUsages); w.issue(1, noUsages) }, []v1alpha1.CredentialRole{signing, encryption}, rotation.CheckUsages},
		"already issued": {func(w *world) { w.issue(0, noUsages); w.in.Sources[0].Issuing = true }, nil, ""},
		"expired": {func(w *world) {
			w.issue(0, func(c *x509.Certificate) { c.NotBefore, c.NotAfter = start.Add(-day), start.Add(-time.Hour) })
		}, []v1alpha1.CredentialRole{signing}, rotation.CheckNotExpired},
		"of two CAs, the older half": {func(w *world) {
			w.issue(1, func(c *x509.Certificate) { c.NotBefore = start.Add(-day) })
			w.ca = sceptest.NewCA(t)
			w.issue(0)
		}, []v1alpha1.CredentialRole{encryption}, rotation.CheckPair},
		"not issued yet": {func(w *world) { w.in.Sources[0].Certificate = nil }, nil, ""},
		"not valid yet":  {func(w *world) { w.issue(0, func(c *x509.Certificate) { c.NotBefore = start.Add(day) }) }, nil, ""},
		"failed just now, for the first time": {func(w *world) {
			w.in.Sources[0].Certificate, w.in.Sources[0].Failed = nil, start.Add(-time.Second)
		}, nil, rotation.CheckIssued},
		"failed a minute ago, for the first time": {func(w *world) {
			w.in.Sources[0].Certificate, w.in.Sources[0].Failed = nil, start.Add(-time.Minute)
		}, []v1alpha1.CredentialRole{signing}, rotation.CheckIssued},
		"suspended": {func(w *world) { w.in.Suspended = true; w.issue(0, noUsages) }, nil, rotation.CheckUsages},
		"suspended, half of a pair": {func(w *world) {
			w.in.Suspended = true
			w.in.Now = start.Add(-time.Second)
			w.issue(0)
		}, nil, ""},
		"from outside": {func(w *world) { w.in.External = true; w.issue(0, noUsages) }, nil, ""},
	} {
		t.Run(name, func(t *testing.T) {
			w := newPair(t)
			w.issueAll()
			tc.spoil(w)
			w.step(0)
			w.expectIssueNow(tc.roles...)
			if got := remembered(w.plan); got != tc.check {
				t.Errorf("it remembers check %q, not %q", got, tc.check)
			}
		})
	}
}

func noUsages(c *x509.Certificate) { c.KeyUsage = 0 }

func remembered(p *rotation.Plan) rotation.Check {
	if p.Reissue == nil {
		return ""
	}
	return p.Reissue.Check
}

func TestAFailedRenewalIsLeftToCertManagerWhileThereIsTime(t *testing.T) {
	for name, tc := range map[string]struct {
		at   time.Duration
		want []v1alpha1.CredentialRole
	}{
		"at first":               {life - renewBefore + time.Hour, nil},
		"with half the time":     {life - renewBefore/2, []v1alpha1.CredentialRole{v1alpha1.RoleCombined}},
		"after the end":          {life + time.Hour, []v1alpha1.CredentialRole{v1alpha1.RoleCombined}},
		"a moment before halves": {life - renewBefore/2 - time.Second, nil},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, v1alpha1.RoleCombined)
			w.issue(0)
			w.step(0)
			w.in.Sources[0].Failed = start.Add(life - renewBefore)
			w.step(tc.at)
			w.expectIssueNow(tc.want...)
			w.expect("g1")
		})
	}
}

func TestTheIssuerIsDownForDaysAfterTheEnd(t *testing.T) {
	w := newWorld(t, v1alpha1.RoleCombined)
	w.issue(0)
	w.step(0)
	attempts, last := 0, time.Duration(0)
	for at := life + time.Minute; at < life+3*day; at += 10 * time.Second {
		w.step(at)
		w.expect("g1")
		if len(w.plan.IssueNow) == 0 {
			continue
		}
		attempts, last = attempts+1, at
		w.begins()
		w.step(at + time.Second)
		w.refuse(0)
	}
	if attempts < 72 || attempts > 72+10 {
		t.Errorf("%d attempts in three days", attempts)
	}
	w.step(last + maxBackoff) // the issuer is back
	w.expectIssueNow(v1alpha1.RoleCombined)
	w.begins()
	w.answer(0)
	w.step(last + maxBackoff + time.Second)
	w.expect("g2 g1")
	if w.plan.Broken != nil || w.plan.Reissue != nil {
		t.Errorf("broken %v, memory %+v", w.plan.Broken, w.plan.Reissue)
	}
}

func TestACrashBetweenTheRequestAndItsRecord(t *testing.T) {
	w := newWorld(t, v1alpha1.RoleCombined)
	w.issue(0, noUsages)
	w.step(0)
	w.expectIssueNow(v1alpha1.RoleCombined)
	w.begins()
	w.in.Reissue = nil // the operator ended before it wrote the status
	w.step(time.Second)
	w.expectIssueNow()
	w.answer(0)
	w.step(2 * time.Second)
	w.expect("g1")
}

func TestDistrustIssuesAnewAtOnceWhateverWasRemembered(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.in.Reissue = &rotation.Reissue{Check: rotation.CheckUsages, Attempts: 9, Last: start, Next: start.Add(maxBackoff)}
	for _, source := range w.in.Sources {
		w.in.Distrusted = append(w.in.Distrusted, raconfig.Fingerprint(source.Certificate.Certificate))
	}
	w.step(time.Minute)
	w.expect("") // no overlap
	w.expectIssueNow(v1alpha1.RoleSigning, v1alpha1.RoleEncryption)
	w.begins()
	w.step(2 * time.Minute)
	w.expectIssueNow()
	w.answer(0)
	w.answer(1)
	w.step(3 * time.Minute)
	w.expect("g2")
}

func TestAClockThatWasSetBackDoesNotStopIt(t *testing.T) {
	w := newWorld(t, v1alpha1.RoleCombined)
	w.issue(0, noUsages)
	w.step(10 * day)
	w.step(time.Second)
	w.expectIssueNow(v1alpha1.RoleCombined)
}

func TestARotationThatSomebodyAskedFor(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	w.in.IssueAfter = start.Add(day)
	w.step(day)
	w.expectIssueNow(v1alpha1.RoleSigning, v1alpha1.RoleEncryption)
	w.begins()
	w.step(day + time.Second)
	w.expectIssueNow() // under way
	w.answer(0)
	w.answer(1)
	w.step(day + 2*time.Second)
	w.expectIssueNow() // done, even if nobody wrote down that it was asked for
	w.expect("g2 g1")
	if w.plan.Reissue != nil {
		t.Errorf("it remembers %+v", w.plan.Reissue)
	}
}

func TestANewCABehindTheSameIssuer(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.step(0)
	old := w.ca
	w.ca = sceptest.NewCA(t)
	w.in.Expected = []rotation.Authority{{Fingerprint: raconfig.Fingerprint(w.ca.Certificate), Since: start.Add(day)}}
	w.step(day)
	w.expect("g1") // the old one stays until then
	w.expectIssueNow(v1alpha1.RoleSigning, v1alpha1.RoleEncryption)
	if w.plan.OtherCA == nil || w.plan.Broken != nil || remembered(w.plan) != rotation.CheckCurrentCA {
		t.Fatalf("other CA %v, broken %v, memory %+v", w.plan.OtherCA, w.plan.Broken, w.plan.Reissue)
	}
	w.begins()
	w.step(day + time.Minute)
	w.expectIssueNow()
	w.answer(0)
	w.answer(1)
	w.step(day + 2*time.Minute)
	w.expect("g2 g1")
	if w.plan.OtherCA != nil || w.plan.Reissue != nil {
		t.Errorf("other CA %v, memory %+v", w.plan.OtherCA, w.plan.Reissue)
	}

	t.Log("an issuer with two CAs, which takes the old one again for us: what is newer than the sight of the new one counts")
	w.ca = old
	w.in.Now = start.Add(2 * day)
	w.issueAll()
	w.step(2 * day)
	w.expect("g3 g2 g1")
	w.expectIssueNow()
	if w.plan.OtherCA != nil {
		t.Errorf("other CA: %v", w.plan.OtherCA)
	}
}

func TestAnIssuerThatFailsWithANewCAIsAskedEverMoreRarely(t *testing.T) {
	w := newWorld(t, v1alpha1.RoleCombined)
	w.issue(0)
	w.step(0)
	w.in.Expected = []rotation.Authority{{Fingerprint: "another", Since: start.Add(time.Hour)}}
	attempts := 0
	for at := time.Hour; at < 2*time.Hour; at += time.Second {
		w.step(at)
		if len(w.plan.IssueNow) == 0 {
			continue
		}
		attempts++
		w.begins()
		w.step(at)
		w.refuse(0)
	}
	if attempts < 6 || attempts > 8 {
		t.Errorf("%d attempts in an hour", attempts)
	}
}

func TestTheOnlyGenerationOfAnotherCAComesIn(t *testing.T) {
	w := newPair(t)
	w.issueAll()
	w.in.Expected = []rotation.Authority{{Fingerprint: "another", Since: start.Add(time.Hour)}}
	w.step(2 * time.Hour)
	w.expect("g1")
	w.expectIssueNow(v1alpha1.RoleSigning, v1alpha1.RoleEncryption)
}
