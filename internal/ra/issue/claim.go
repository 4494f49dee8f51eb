package issue

import (
	"context"
	"crypto/hmac"
	"errors"
	"fmt"
	"strings"
	"time"

	coordinationv1 "k8s.io/api/coordination/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	coordinationclient "k8s.io/client-go/kubernetes/typed/coordination/v1"
	"k8s.io/client-go/rest"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/policy"
	"github.com/scepter-pki/scepter/internal/scep"
)

// Claim says which request has used a one-time challenge. Direct issuance, which
// records nothing else, writes it as a Lease.
type Claim struct {
	// Name of the Lease.
	Name string
	// Time when it was claimed, in whole seconds: the slot of the certificate.
	Time time.Time
	// request and names are keyed hashes of what claimed it.
	request, names string
}

// holds says whether a request has the claim.
func (c *Claim) holds(request string) bool { return hmac.Equal([]byte(c.request), []byte(request)) }

// newClaim is the claim that an order makes under a name.
func (n Names) newClaim(name string, o Order, now time.Time) (*Claim, error) {
	names, err := policy.RequestNames(o.CSR)
	if err != nil {
		return nil, fmt.Errorf("claim a one-time challenge: %w", err)
	}
	return &Claim{
		Name:    name,
		Time:    now.UTC().Truncate(time.Second),
		request: n.hash("claim-request", requestParts(o.CSR)...)[:labelDigits],
		names:   n.hash("claim-names", list(names.Subject), list(names.AlternativeNames))[:labelDigits],
	}, nil
}

func (n Names) claimMAC(c *Claim) string {
	return n.hash("claim", []byte(c.Name), []byte(c.request), []byte(c.names), seconds(c.Time))[:labelDigits]
}

// holderSeparator is between the parts of a Lease's holderIdentity.
const holderSeparator = "."

func (n Names) encodeClaim(c *Claim, o Order) *coordinationv1.Lease {
	holder := strings.Join([]string{c.request, c.names, n.claimMAC(c)}, holderSeparator)
	return &coordinationv1.Lease{
		ObjectMeta: metav1.ObjectMeta{
			Name:   c.Name,
			Labels: map[string]string{v1alpha1.LabelEndpoint: n.Endpoint, v1alpha1.LabelClaim: v1alpha1.ClaimOneTime},
			Annotations: map[string]string{
				v1alpha1.AnnotationTemplate:  o.Template,
				v1alpha1.AnnotationChallenge: o.Admission.Challenge,
				v1alpha1.AnnotationKeepUntil: latest(c.Time, o.Admission.Expires).Add(keepFor).UTC().Format(time.RFC3339),
			},
		},
		Spec: coordinationv1.LeaseSpec{HolderIdentity: &holder, AcquireTime: &metav1.MicroTime{Time: c.Time}},
	}
}

// decodeClaim reads a claim that this endpoint's servers made: errForeign for anything else.
func (n Names) decodeClaim(lease *coordinationv1.Lease) (*Claim, error) {
	if lease.Spec.HolderIdentity == nil || lease.Spec.AcquireTime == nil {
		return nil, errForeign
	}
	parts := strings.Split(*lease.Spec.HolderIdentity, holderSeparator)
	if len(parts) != 3 {
		return nil, errForeign
	}
	c := &Claim{Name: lease.Name, Time: lease.Spec.AcquireTime.UTC(), request: parts[0], names: parts[1]}
	if !hmac.Equal([]byte(n.claimMAC(c)), []byte(parts[2])) {
		return nil, errForeign
	}
	return c, nil
}

// Claims are the Leases of one namespace.
type Claims struct {
	client coordinationclient.LeaseInterface
}

// NewClaims makes a client.
func NewClaims(config *rest.Config, namespace string) (*Claims, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = clientQPS, clientBurst
	client, err := coordinationclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client for claims: %w", err)
	}
	return &Claims{client.Leases(namespace)}, nil
}

// get reads a Lease; nil if there is none.
func (c *Claims) get(ctx context.Context, name string) (*coordinationv1.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	lease, err := c.client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read Lease %s: %w", name, err)
	}
	return lease, nil
}

// createOrGet makes a Lease, or reads the one of that name.
func (c *Claims) createOrGet(ctx context.Context, want *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	made, err := c.create(ctx, want)
	if err == nil || !apierrors.IsAlreadyExists(err) {
		return made, err
	}
	lease, err := c.get(ctx, want.Name)
	if err == nil && lease == nil {
		err = fmt.Errorf("the Lease %s was deleted", want.Name)
	}
	return lease, err
}

func (c *Claims) create(ctx context.Context, want *coordinationv1.Lease) (*coordinationv1.Lease, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	lease, err := c.client.Create(ctx, want, metav1.CreateOptions{})
	if err != nil {
		return nil, fmt.Errorf("create Lease %s: %w", want.Name, err)
	}
	return lease, nil
}

var errNoClaims = errors.New("there is no API server to claim one-time challenges at")

// claim takes a one-time challenge for an order, or finds that the order has it. Of
// all requests that bring the challenge, to any server, the first has it.
func (r *Remote) claim(ctx context.Context, o Order) (*Claim, error) {
	if r.Claims == nil {
		return nil, unavailable(errNoClaims)
	}
	used, free := false, true // free: a name that nobody has may be taken
	for attempt := 1; attempt <= MaxAttempts; attempt++ {
		want, err := r.Names.newClaim(r.Names.OneTime(o.Admission.ID, attempt), o, r.Now())
		if err != nil {
			return nil, err
		}
		have, err := r.takeOrRead(ctx, want, o, free)
		switch {
		case errors.Is(err, errForeign):
			r.ignore(ctx, want.Name, err)
			continue
		case err != nil:
			return nil, unavailable(err)
		case have == nil:
			return nil, errUsed
		case have.holds(want.request):
			return have, nil
		}
		used, free = true, free && have.mayRekey(want, o.Admission.Rekey)
	}
	if used {
		return nil, errUsed
	}
	return nil, &scep.UnavailableError{RetryAfter: retryAfter, Err: errNameUsed}
}

// takeOrRead makes a claim, or reads the one of its name; nil if there is none and none may be made.
func (r *Remote) takeOrRead(ctx context.Context, want *Claim, o Order, free bool) (*Claim, error) {
	read := r.Claims.get
	if free {
		read = func(ctx context.Context, _ string) (*coordinationv1.Lease, error) {
			return r.Claims.createOrGet(ctx, r.Names.encodeClaim(want, o))
		}
	}
	lease, err := read(ctx, want.Name)
	if err != nil || lease == nil {
		return nil, err
	}
	return r.Names.decodeClaim(lease)
}

// mayRekey says whether another request may take the next name: for the same
// names, and soon.
func (c *Claim) mayRekey(want *Claim, window time.Duration) bool {
	return want.Time.Before(c.Time.Add(window)) && hmac.Equal([]byte(c.names), []byte(want.names))
}
