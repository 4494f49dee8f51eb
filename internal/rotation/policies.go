package rotation

import (
	"errors"
	"time"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/pkifacts"
	"github.com/scepter-pki/scepter/internal/raconfig"
)

// Check names what a certificate was checked for.
type Check string

// The checks, in the order in which they are made.
const (
	// CheckIssued fails while there is no certificate.
	CheckIssued Check = "Issued"
	// CheckTrusted fails for a certificate that was declared distrusted.
	CheckTrusted Check = "Trusted"
	// CheckKey fails where the private key is not the certificate's.
	CheckKey Check = "Key"
	// CheckAlgorithm fails where the key cannot do what the role asks.
	CheckAlgorithm Check = "Algorithm"
	// CheckEndEntity fails for a CA certificate.
	CheckEndEntity Check = "EndEntity"
	// CheckUsages fails where the key usages are not exactly the role's.
	CheckUsages Check = "Usages"
	// CheckChain fails where the issuing CA's certificate is not known, which devices need.
	CheckChain Check = "Chain"
	// CheckPair fails where the two of a pair come from different CA certificates.
	CheckPair Check = "Pair"
	// CheckCurrentCA fails where the issuer signs with another CA certificate by now.
	CheckCurrentCA Check = "CurrentCA"
	// CheckBegun fails for a certificate that is not valid yet.
	CheckBegun Check = "Begun"
	// CheckNotExpired fails for a certificate that has expired.
	CheckNotExpired Check = "NotExpired"
	// CheckNotDue fails for a certificate that should have been renewed by now.
	CheckNotDue Check = "NotDue"
)

// Finding is a check that failed.
type Finding struct {
	Role  v1alpha1.CredentialRole
	Check Check
	// Err is the cause, in words for a person.
	Err error
}

// subject is a certificate under examination.
type subject struct {
	*raconfig.Certificate
	distrusted  map[string]bool
	expected    []Authority
	external    bool
	renewBefore time.Duration
	now         time.Time
}

// policy makes one check.
type policy struct {
	check  Check
	passes func(subject) error
}

var (
	errDistrusted = errors.New("the certificate was declared distrusted")
	errNoChain    = errors.New("the issuer does not give the certificate of its CA, which devices need")
	errOtherCA    = errors.New("the issuer signs with another CA certificate by now")
	errDue        = errors.New("the certificate is due for renewal")
)

// sound are the checks that "is it broken?" and "should it be renewed?" share, so
// that the two cannot drift apart: each is this list with one more at its end.
var sound = []policy{
	{CheckTrusted, func(s subject) error {
		if s.distrusted[raconfig.Fingerprint(s.Certificate.Certificate)] {
			return errDistrusted
		}
		return nil
	}},
	{CheckKey, func(s subject) error { return pkifacts.CheckKeyMatch(s.Certificate.Certificate, s.Key) }},
	{CheckAlgorithm, func(s subject) error { return pkifacts.CheckAlgorithm(s.Certificate.Certificate, s.Role) }},
	{CheckEndEntity, func(s subject) error { return pkifacts.CheckEndEntity(s.Certificate.Certificate) }},
	{CheckUsages, func(s subject) error { return pkifacts.CheckUsages(s.Certificate.Certificate, s.Role) }},
	{CheckChain, func(s subject) error {
		if s.Role != v1alpha1.RoleClient && len(s.Chain) == 0 {
			return errNoChain
		}
		return nil
	}},
	{CheckBegun, func(s subject) error {
		if err := pkifacts.CheckValidity(s.Certificate.Certificate, s.now); errors.Is(err, pkifacts.ErrNotYetValid) {
			return err
		}
		return nil
	}},
}

var (
	broken = with(policy{CheckNotExpired, func(s subject) error {
		return pkifacts.CheckValidity(s.Certificate.Certificate, s.now)
	}})
	dueForRenewal = with(policy{CheckNotDue, func(s subject) error {
		if s.now.Before(s.Certificate.Certificate.NotAfter.Add(-s.renewBefore)) {
			return nil
		}
		return errDue
	}})
)

// current says whether a certificate that serves comes from the CA that devices get
// theirs from now. What an issuer issued after that CA was first seen counts as current:
// to ask again would bring the same.
var current = []policy{{CheckCurrentCA, func(s subject) error {
	if s.Role == v1alpha1.RoleClient || len(s.Chain) == 0 {
		return nil
	}
	issuer, changed := raconfig.Fingerprint(s.Chain[0]), false
	for _, authority := range s.expected {
		if authority.Fingerprint == issuer {
			return nil
		}
		changed = changed || s.external || authority.Since.After(s.Certificate.Certificate.NotBefore)
	}
	if changed {
		return errOtherCA
	}
	return nil
}}}

func with(last policy) []policy {
	return append(append([]policy{}, sound...), last)
}

// examine returns the first check that fails, or nil.
func examine(policies []policy, s subject) *Finding {
	for _, p := range policies {
		if err := p.passes(s); err != nil {
			return &Finding{Role: s.Role, Check: p.check, Err: err}
		}
	}
	return nil
}

func (p *planner) subject(c *raconfig.Certificate) subject {
	return subject{
		Certificate: c, distrusted: p.distrusted, expected: p.Expected, external: p.External, renewBefore: p.RenewBefore, now: p.Now,
	}
}

// breaks says why a generation cannot serve, or nil.
func (p *planner) breaks(g *raconfig.Generation) *Finding {
	return p.examineGeneration(broken, g)
}

func (p *planner) examineGeneration(policies []policy, g *raconfig.Generation) *Finding {
	for i := range g.Certificates {
		if finding := examine(policies, p.subject(&g.Certificates[i])); finding != nil {
			return finding
		}
	}
	return nil
}
