package issue

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
)

// MaxAttempts is how often an issuer may fail one request.
const MaxAttempts = 3

const (
	// keepFor is how long an object is kept for retries and polls at least, from its
	// making or from the end of its challenge: a one-time challenge is used as long
	// as its object is there.
	keepFor = time.Hour
	// retryAfter is told to devices while the API server is away.
	retryAfter = 10 * time.Second
	// rereadEvery is for changes that the watch has missed.
	rereadEvery = 3 * time.Second
)

// Terms are the endpoint's.
type Terms struct {
	Issuer v1alpha1.IssuerReference
	// Username as which the servers create CertificateRequests: no other's count.
	Username string
	// PendingAfter is how long a device waits before it is told to poll.
	PendingAfter time.Duration
}

// CertManager issues by CertificateRequests.
type CertManager struct {
	Store *Store
	Names Names
	Terms Terms
	Now   func() time.Time
	// Ignored is told of objects under a right name or label that do not count; may be nil.
	Ignored func(ctx context.Context, name string, why error)
}

// Why an object does not count.
var (
	errForeign  = errors.New("it was made by somebody else")
	errTerms    = errors.New("it asks for another issuer, or for a CA")
	errAnother  = errors.New("it is another request")
	errUsages   = errors.New("it asks for other usages")
	errExpired  = errors.New("its certificate has expired")
	errNameUsed = errors.New("every name of the request is taken by objects that do not count")
)

// Recall implements Issuer.
func (c *CertManager) Recall(ctx context.Context, r Request) (*Record, error) {
	own := c.ownNames(r)
	var found []*Record
	for _, name := range c.Store.Known(v1alpha1.LabelTransaction, c.Names.Transaction(r.TransactionID, r.CSR)) {
		isOwn := slices.Contains(own, name)
		if !isOwn && !r.SelfSigned {
			continue
		}
		record, err := c.read(ctx, name, r)
		if err != nil {
			return nil, err
		}
		if record != nil && (isOwn || record.fresh(c.Now())) {
			found = append(found, record)
		}
	}
	return newest(slices.DeleteFunc(found, (*Record).retryable)), nil
}

// fresh says whether a record may answer a retry that another certificate signed.
func (r *Record) fresh(now time.Time) bool { return r.State == Waiting || now.Before(r.keepUntil) }

func (r *Record) retryable() bool { return r.State == Failed }

func newest(records []*Record) *Record {
	if len(records) == 0 {
		return nil
	}
	return slices.MaxFunc(records, func(a, b *Record) int { return a.created.Compare(b.created) })
}

func (c *CertManager) ownNames(r Request) []string {
	names := make([]string, MaxAttempts)
	for i := range names {
		names[i] = c.Names.Request(r.TransactionID, r.CSR, r.Signer, i+1)
	}
	return names
}

// read reads an object that the watch knows; nil if it is gone or does not count.
func (c *CertManager) read(ctx context.Context, name string, r Request) (*Record, error) {
	object, err := c.Store.Get(ctx, name)
	if err != nil {
		return nil, unavailable(err)
	}
	if object == nil {
		return nil, nil
	}
	record, why := c.count(object, r)
	if why != nil {
		c.ignore(ctx, name, why)
		return nil, nil
	}
	return record, nil
}

// count says whether an object is the record of a request, or why not.
func (c *CertManager) count(o *certmanagerv1.CertificateRequest, r Request) (*Record, error) {
	record, err := c.trust(o)
	if err != nil {
		return nil, err
	}
	if !sameRequest(record.CSR, r.CSR) {
		return nil, errAnother
	}
	if record.expired(c.Now()) {
		return nil, errExpired
	}
	return record, nil
}

// trust says whether this endpoint's servers made an object, on the present terms.
func (c *CertManager) trust(o *certmanagerv1.CertificateRequest) (*Record, error) {
	if o.Spec.Username != c.Terms.Username {
		return nil, errForeign
	}
	if o.Spec.IsCA || !sameIssuer(o.Spec.IssuerRef, c.Terms.Issuer) {
		return nil, errTerms
	}
	return newRecord(o)
}

func (c *CertManager) ignore(ctx context.Context, name string, why error) {
	if c.Ignored != nil {
		c.Ignored(ctx, name, why)
	}
}

// Collect implements Issuer.
func (c *CertManager) Collect(ctx context.Context, transactionID string, signer *x509.Certificate) (*Record, error) {
	label := c.Names.Signer(transactionID, signer)
	objects, err := c.labelled(ctx, label)
	if err != nil {
		return nil, unavailable(err)
	}
	var found []*Record
	for i := range objects {
		record, why := c.countPolled(&objects[i], transactionID)
		if why != nil {
			c.ignore(ctx, objects[i].Name, why)
			continue
		}
		found = append(found, record)
	}
	return newest(found), nil
}

// labelled reads the objects with a signer label: those the watch knows, else by a list.
func (c *CertManager) labelled(ctx context.Context, label string) ([]certmanagerv1.CertificateRequest, error) {
	var objects []certmanagerv1.CertificateRequest
	for _, name := range c.Store.Known(v1alpha1.LabelSigner, label) {
		o, err := c.Store.Get(ctx, name)
		if err != nil {
			return nil, err
		}
		if o != nil {
			objects = append(objects, *o)
		}
	}
	if len(objects) > 0 {
		return objects, nil
	}
	return c.Store.List(ctx, v1alpha1.LabelSigner, label)
}

// countPolled ties an object to the transaction by its other label.
func (c *CertManager) countPolled(o *certmanagerv1.CertificateRequest, transactionID string) (*Record, error) {
	record, err := c.trust(o)
	if err != nil {
		return nil, err
	}
	if o.Labels[v1alpha1.LabelTransaction] != c.Names.Transaction(transactionID, record.CSR) {
		return nil, errAnother
	}
	return record, nil
}

// Record implements Issuer: it writes an order down, or finds it written: by another replica, or before
// a crash. A failed attempt is followed by the next; after the last, its record is
// returned.
func (c *CertManager) Record(ctx context.Context, o Order) (*Record, error) {
	if o.Admission != nil && o.Admission.ID != nil {
		return c.recordOneTime(ctx, o)
	}
	var failed *Record
	for _, name := range c.ownNames(o.Request) {
		object, err := c.createOrGet(ctx, c.build(name, o))
		if err != nil {
			return nil, err
		}
		record, why := c.countOrder(object, o)
		switch {
		case why != nil:
			c.ignore(ctx, name, why)
		case record.retryable():
			failed = record
		default:
			return record, nil
		}
	}
	if failed == nil {
		return nil, &scep.UnavailableError{RetryAfter: retryAfter, Err: errNameUsed}
	}
	return failed, nil
}

func (c *CertManager) countOrder(object *certmanagerv1.CertificateRequest, o Order) (*Record, error) {
	record, err := c.count(object, o.Request)
	if err != nil {
		return nil, err
	}
	if !SameUsages(record.Usages, o.Grant.Usages) {
		return nil, errUsages
	}
	return record, nil
}

func (c *CertManager) build(name string, o Order) *certmanagerv1.CertificateRequest {
	return &certmanagerv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Name: name,
			Labels: map[string]string{
				v1alpha1.LabelEndpoint:    c.Names.Endpoint,
				v1alpha1.LabelTransaction: c.Names.Transaction(o.TransactionID, o.CSR),
				v1alpha1.LabelSigner:      c.Names.Signer(o.TransactionID, o.Signer),
			},
			Annotations: c.annotations(o),
		},
		Spec: certmanagerv1.CertificateRequestSpec{
			Request:   encodeCSR(o.CSR),
			Duration:  &metav1.Duration{Duration: o.Grant.Duration},
			Usages:    o.Grant.Usages,
			IssuerRef: cmmeta.IssuerReference{Group: c.Terms.Issuer.Group, Kind: c.Terms.Issuer.Kind, Name: c.Terms.Issuer.Name},
		},
	}
}

func (c *CertManager) annotations(o Order) map[string]string {
	keep := c.Now()
	annotations := map[string]string{v1alpha1.AnnotationTemplate: o.Template}
	if o.Admission != nil {
		annotations[v1alpha1.AnnotationChallenge] = o.Admission.Challenge
		keep = latest(keep, o.Admission.Expires)
		if o.Admission.Notify {
			annotations[v1alpha1.AnnotationNotify] = v1alpha1.NotifyRequired
		}
	}
	annotations[v1alpha1.AnnotationKeepUntil] = keep.Add(keepFor).UTC().Format(time.RFC3339)
	return annotations
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// createOrGet makes an object, or reads the one that has its name.
func (c *CertManager) createOrGet(ctx context.Context, want *certmanagerv1.CertificateRequest) (*certmanagerv1.CertificateRequest, error) {
	object, err := c.Store.Create(ctx, want)
	if err == nil {
		return object, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, judgeCreateError(err)
	}
	object, err = c.Store.Get(ctx, want.Name)
	if err == nil && object == nil {
		err = fmt.Errorf("CertificateRequest %s was deleted", want.Name)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return object, nil
}

// judgeCreateError tells a request that admission refuses from an API server that
// cannot be used. Admission webhooks and policies answer Forbidden as missing
// rights do; only their text tells them apart.
func judgeCreateError(err error) error {
	denied := apierrors.IsForbidden(err) && strings.Contains(err.Error(), "denied")
	if apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || denied {
		return refusal.New(refusal.InvalidRequest, "request refused by the issuer's rules").Because(err)
	}
	return unavailable(err)
}

func unavailable(err error) error {
	return &scep.UnavailableError{RetryAfter: retryAfter, Err: err}
}

// Await implements Issuer: it waits as long as the terms say. Once recorded, a
// request is not lost: if the API server goes away meanwhile, the record is
// returned as it was.
func (c *CertManager) Await(ctx context.Context, r *Record) *Record {
	ctx, cancel := context.WithTimeout(ctx, c.Terms.PendingAfter)
	defer cancel()
	changes, stop := c.Store.Changes(r.Name)
	defer stop()
	ticker := time.NewTicker(rereadEvery)
	defer ticker.Stop()
	for r.State == Waiting {
		r = c.reread(ctx, r)
		if r.State != Waiting {
			break
		}
		select {
		case <-changes:
		case <-ticker.C:
		case <-ctx.Done():
			return r
		}
	}
	return r
}

// reread returns what has become of a record.
func (c *CertManager) reread(ctx context.Context, r *Record) *Record {
	object, err := c.Store.Get(ctx, r.Name)
	if err != nil || object == nil {
		return r
	}
	now, err := c.trust(object)
	if err != nil {
		return r
	}
	return now
}
