package scependpoint

import (
	"bytes"
	"context"
	"crypto/x509"
	"slices"
	"strings"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/controllers/internal/certsource"
	"github.com/scepter-pki/scepter/controllers/internal/issuer"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

const (
	// maxSourced is how many certificates are taken from a part of spec.ca.
	maxSourced = 8
	// maxFormer is how many CAs are remembered that issued before.
	maxFormer = 6
)

// caFacts is what was read about the CA behind an endpoint. Of Secrets only the
// certificates are kept.
type caFacts struct {
	chain, next certsource.Fact
	// newest is the newest generation of the RACredential that the endpoint refers to, and
	// generations are all of those that it has to do with; without their keys.
	newest      *raconfig.Generation
	generations []raconfig.Generation
	// own is the CA certificate of an Issuer of type CA in the endpoint's namespace.
	own read[x509.Certificate]
}

func (r *Reconciler) observeAuthorities(ctx context.Context, ep *v1alpha1.ScepEndpoint, i issuer.Fact, credentials []credentialFact) caFacts {
	facts := caFacts{own: r.observeIssuersCA(ctx, ep, i)}
	for n, c := range credentials {
		generations := r.observeChains(ctx, ep.Namespace, c.name)
		if n == 0 && len(generations) > 0 {
			facts.newest = &generations[0]
		}
		facts.generations = append(facts.generations, generations...)
	}
	if wanted := ep.Spec.CA; wanted != nil {
		facts.chain = certsource.Observe(ctx, r.live, ep.Namespace, "spec.ca.chain", wanted.Chain)
		facts.next = certsource.Observe(ctx, r.live, ep.Namespace, "spec.ca.next", wanted.Next)
	}
	return facts
}

// observeChains reads the certificates of a keyring. One that cannot be read or is not
// understood is as good as absent here: other conditions tell of it.
func (r *Reconciler) observeChains(ctx context.Context, namespace, credential string) []raconfig.Generation {
	seen := get(ctx, r.live, namespace, render.KeyringName(credential), &corev1.Secret{})
	if seen.value == nil {
		return nil
	}
	keyring, err := raconfig.DecodeChains(seen.value.Data)
	if err != nil {
		return nil
	}
	return keyring.Generations
}

// observeIssuersCA reads the certificate of an issuer whose Secret lies in the
// endpoint's namespace. No other issuer shows what it issues with.
func (r *Reconciler) observeIssuersCA(ctx context.Context, ep *v1alpha1.ScepEndpoint, i issuer.Fact) read[x509.Certificate] {
	name := caSecret(ep, i)
	if name == "" {
		return read[x509.Certificate]{}
	}
	seen := get(ctx, r.live, ep.Namespace, name, &corev1.Secret{})
	if seen.value == nil {
		return read[x509.Certificate]{err: seen.err}
	}
	certificates, err := raconfig.ParseCertificates(seen.value.Data[corev1.TLSCertKey])
	if err != nil || len(certificates) == 0 {
		return read[x509.Certificate]{}
	}
	return read[x509.Certificate]{value: certificates[0]}
}

// looksAtCA says whether there is something about the CA that no watch tells of.
func (f *caFacts) looksAtCA() bool { return f.chain.Wanted || f.next.Wanted || f.own.value != nil }

func (f *caFacts) problem() string {
	for _, source := range []certsource.Fact{f.chain, f.next} {
		if source.Problem != "" {
			return source.Problem
		}
	}
	return ""
}

// issuingCA is the CA that the issuer issues with, as far as anything tells: its own
// Secret, or the newest of what the servers saw it issue, what it issued for the RA,
// and what was known before.
func issuingCA(ep *v1alpha1.ScepEndpoint, seen *observation, now time.Time) *v1alpha1.IssuingCAStatus {
	found := newestSight(ep, seen)
	if own := seen.ca.own.value; own != nil {
		found = sight{raconfig.Fingerprint(own), pkifacts.SubjectOf(own), now}
	}
	known := ep.Status.IssuingCA
	if found.fingerprint == "" || known != nil && known.Fingerprint == found.fingerprint {
		return known
	}
	return &v1alpha1.IssuingCAStatus{
		Fingerprint: found.fingerprint, Subject: found.subject, Since: metav1.NewTime(now.UTC().Truncate(time.Second)),
	}
}

// sight is a CA that was seen to issue.
type sight struct {
	fingerprint, subject string
	at                   time.Time
}

func newestSight(ep *v1alpha1.ScepEndpoint, seen *observation) sight {
	var newest sight
	see := func(s sight) {
		if s.at.After(newest.at) {
			newest = s
		}
	}
	if known := ep.Status.IssuingCA; known != nil {
		see(sight{known.Fingerprint, known.Subject, known.Since.Time})
	}
	if own := seen.ca.newest; own != nil && len(own.Chain()) > 0 && !issuersDiffer(ep, seen) {
		ca := own.Chain()[0]
		see(sight{raconfig.Fingerprint(ca), pkifacts.SubjectOf(ca), own.AddedAt})
	}
	if seen.replicas.value == nil {
		return newest
	}
	for _, r := range *seen.replicas.value {
		if r.status != nil && r.status.IssuingCA != nil {
			ca := r.status.IssuingCA
			see(sight{ca.Fingerprint, ca.Subject, ca.Last})
		}
	}
	return newest
}

// plannedCA is what the servers are to know of the CA beyond the keyring. A source that
// has nothing to use leaves what they have been given last.
func plannedCA(ep *v1alpha1.ScepEndpoint, seen *observation, now time.Time) *raconfig.CA {
	last := &raconfig.CA{}
	if seen.config.value != nil && seen.config.value.CA != nil {
		last = seen.config.value.CA
	}
	ca := &raconfig.CA{Chain: sourced(ep, seen.ca.chain, last.Chain), Next: sourced(ep, seen.ca.next, last.Next)}
	if ep.Spec.CA != nil && ep.Spec.CA.Former == v1alpha1.FormerCAsRefuse {
		ca.RefuseFormer = true
	} else {
		ca.Former = inPEM(formerCAs(ep, seen, remembered(ep, last.Former), now))
	}
	if *ca == (raconfig.CA{}) {
		return nil
	}
	return ca
}

func sourced(ep *v1alpha1.ScepEndpoint, f certsource.Fact, last string) string {
	switch {
	case !f.Wanted:
		return ""
	case !f.Usable():
		return inPEM(remembered(ep, last))
	}
	all := pkifacts.LowestFirst(f.Bundle.All())
	return inPEM(all[:min(maxSourced, len(all))])
}

func inPEM(certificates []*x509.Certificate) string {
	return string(raconfig.EncodeCertificates(certificates))
}

// remembered are certificates of the servers' configuration that the endpoint's status
// names too: who may edit ConfigMaps must not be able to have a CA trusted.
func remembered(ep *v1alpha1.ScepEndpoint, in string) []*x509.Certificate {
	return slices.DeleteFunc(fromPEM(in), func(c *x509.Certificate) bool {
		print := raconfig.Fingerprint(c)
		return !slices.ContainsFunc(ep.Status.CA, func(known v1alpha1.CACertificateStatus) bool {
			return known.Role != v1alpha1.CARoleRA && known.Fingerprints.SHA256 == print
		})
	})
}

// fromPEM reads what inPEM wrote, or nothing.
func fromPEM(in string) []*x509.Certificate {
	certificates, err := raconfig.ParseCertificates([]byte(in))
	if err != nil {
		return nil
	}
	return certificates
}

// formerCAs are those that issued before and have not ended. The servers' configuration
// is their memory, for the keyring forgets a generation after some time. What only a
// server claims to have seen never comes here: these CAs are trusted.
func formerCAs(ep *v1alpha1.ScepEndpoint, seen *observation, candidates []*x509.Certificate, now time.Time) []*x509.Certificate {
	for i := range seen.ca.generations {
		if chain := seen.ca.generations[i].Chain(); len(chain) > 0 {
			candidates = append(candidates, chain[0])
		}
	}
	present := issuingCA(ep, seen, now)
	var former []*x509.Certificate
	for _, c := range candidates {
		current := present == nil || raconfig.Fingerprint(c) == present.Fingerprint
		if !current && !now.After(c.NotAfter) && !slices.ContainsFunc(former, c.Equal) {
			former = append(former, c)
		}
	}
	slices.SortFunc(former, func(a, b *x509.Certificate) int {
		if byEnd := b.NotAfter.Compare(a.NotAfter); byEnd != 0 {
			return byEnd
		}
		return bytes.Compare(a.Raw, b.Raw)
	})
	return former[:min(maxFormer, len(former))]
}

// authorities are the CA certificates that matter to an endpoint's devices.
type authorities struct {
	// ra are the RA's certificates that GetCACert shows.
	ra []*x509.Certificate
	// chain above them, as the servers complete it; the issuing CA first.
	chain []*x509.Certificate
	// next is announced; former ones, and what else spec.ca.chain names, still
	// authenticate renewals.
	next, former []*x509.Certificate
	// issuing is the CA that issues at present; nil if it or its certificate is not known.
	issuing *x509.Certificate
}

// authoritiesOf puts together what the servers have and what they have been told.
func authoritiesOf(seen *observation, config *raconfig.Config, issuing *v1alpha1.IssuingCAStatus) authorities {
	var a authorities
	if config == nil {
		return a
	}
	told := config.CA
	if told == nil {
		told = &raconfig.CA{}
	}
	further := fromPEM(told.Chain)
	a.next, a.former = fromPEM(told.Next), append(fromPEM(told.Former), further...)
	var all []*x509.Certificate
	for i := range seen.ca.generations {
		g := &seen.ca.generations[i]
		all = append(all, g.Chain()...)
		if g.ID == config.ActiveGeneration {
			a.show(g, further)
		}
	}
	if own := seen.ca.own.value; own != nil {
		all = append(all, own)
	}
	a.issuing = withFingerprint(issuing, slices.Concat(all, a.chain, a.next, a.former))
	return a
}

// show takes the generation that GetCACert shows.
func (a *authorities) show(g *raconfig.Generation, further []*x509.Certificate) {
	a.ra = nil
	for i := range g.Certificates {
		a.ra = append(a.ra, g.Certificates[i].Certificate)
	}
	a.chain = pkifacts.CompleteChain(a.ra[0], g.Chain(), further)
}

func withFingerprint(issuing *v1alpha1.IssuingCAStatus, all []*x509.Certificate) *x509.Certificate {
	if issuing == nil {
		return nil
	}
	for _, c := range all {
		if raconfig.Fingerprint(c) == issuing.Fingerprint {
			return c
		}
	}
	return nil
}

// maxCAStatus is how many certificates the status lists.
const maxCAStatus = 32

// caStatus lists what devices are asked to trust. While it is not known what the
// servers show, what was known last stays.
func caStatus(ep *v1alpha1.ScepEndpoint, a authorities) []v1alpha1.CACertificateStatus {
	if len(a.ra) == 0 {
		return ep.Status.CA
	}
	var out []v1alpha1.CACertificateStatus
	listed := map[string]bool{}
	add := func(role v1alpha1.CACertificateRole, certificates ...*x509.Certificate) {
		for _, c := range certificates {
			if print := raconfig.Fingerprint(c); !listed[print] && len(out) < maxCAStatus {
				listed[print] = true
				out = append(out, describeCA(c, role))
			}
		}
	}
	add(v1alpha1.CARoleRA, a.ra...)
	for i, c := range a.chain {
		add(pkifacts.RoleInChain(i, c), c)
	}
	add(v1alpha1.CARoleNext, a.next...)
	add(v1alpha1.CARoleFormer, a.former...)
	return out
}

func describeCA(c *x509.Certificate, role v1alpha1.CACertificateRole) v1alpha1.CACertificateStatus {
	return v1alpha1.CACertificateStatus{
		Subject:      strings.ToValidUTF8(pkifacts.SubjectOf(c), "?"),
		Role:         role,
		Fingerprints: pkifacts.Fingerprints(c),
		NotBefore:    metav1.NewTime(c.NotBefore),
		NotAfter:     metav1.NewTime(c.NotAfter),
	}
}
