package issue

import (
	"bytes"
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
	"github.com/scepter-pki/scepter/internal/enrolrecord"
	"github.com/scepter-pki/scepter/internal/ra/refusal"
	"github.com/scepter-pki/scepter/internal/scep"
)

// MaxAttempts is how often an issuer may fail one request.
const MaxAttempts = 3

const (
	keepFor = enrolrecord.KeepFor
	// retryAfter is told to devices while the API server is away.
	retryAfter = 10 * time.Second
	// fullRetryAfter is told to devices while there is no room for their requests.
	fullRetryAfter = time.Minute
	// rereadEvery is for changes that the watch has missed.
	rereadEvery = 3 * time.Second
)

// Terms are the endpoint's.
type Terms struct {
	Issuer v1alpha1.IssuerReference
	// Username as which the servers create CertificateRequests: no other's count.
	Username string
	// Wait is how long a device waits before it is told to poll.
	Wait time.Duration
	// PendingDeadline is how long a request may wait for an answer.
	PendingDeadline time.Duration
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

// Why a request cannot be recorded.
var (
	// ErrAPIServer is wrapped by errors about an API server that cannot be used.
	ErrAPIServer = errors.New("the API server cannot be used")
	// ErrWebhook is wrapped by errors about an admission webhook that cannot be reached.
	ErrWebhook = errors.New("an admission webhook cannot be reached")
	// ErrFull is wrapped by errors about a quota that leaves no room.
	ErrFull = errors.New("no further CertificateRequest may be stored")
	// ErrRefused is wrapped by errors about a request that admission refuses.
	ErrRefused = errors.New("admission refuses the CertificateRequest")
)

// Why an object does not count.
var (
	errForeign  = errors.New("it was made by somebody else")
	errTerms    = errors.New("it asks for another issuer, or for a CA")
	errAnother  = errors.New("it is another request")
	errUsages   = errors.New("it asks for other usages")
	errExpired  = errors.New("its certificate has expired")
	errNameUsed = errors.New("every name of the request is taken by objects that do not count")
)

// errNotSynced says that the watch does not know yet what there is.
var errNotSynced = errors.New("the records of enrolments are being read")

// Recall implements Issuer: a request is known by its transaction.
func (c *CertManager) Recall(ctx context.Context, r Request) (*Record, error) {
	if !c.Store.Synced() {
		return nil, unavailable(errNotSynced)
	}
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

// recallKey finds what the same sender has asked for the same key in another
// transaction: a device that has forgotten its transaction begins anew, and goes on
// waiting, or gets again what it was given lately. Other outcomes do not bind a new
// transaction, and a challenge that is good for one enrolment is good for a new one.
// Unlike a known transaction, this has to be authenticated.
func (c *CertManager) recallKey(ctx context.Context, o Order) (*Record, error) {
	if o.SelfSigned && !bytes.Equal(o.CSR.RawSubjectPublicKeyInfo, o.Signer.RawSubjectPublicKeyInfo) {
		return nil, nil // its polls would not find what it has asked for
	}
	sender := c.Names.Sender(o.Signer, o.SelfSigned)
	var found []*Record
	for _, name := range c.Store.Known(v1alpha1.LabelKey, c.Names.PublicKey(o.CSR.RawSubjectPublicKeyInfo)) {
		record, err := c.read(ctx, name, o.Request)
		if err != nil {
			return nil, err
		}
		if record == nil || record.sender != sender || !SameUsages(record.Usages, o.Grant.Usages) {
			continue
		}
		if record.State == Waiting || !o.oneTime() && record.answersAnew(c.Now()) {
			found = append(found, record)
		}
	}
	return newest(found), nil
}

func (o Order) oneTime() bool { return o.Admission != nil && o.Admission.ID != nil }

// answersAnew says whether a record answers another transaction of its sender too.
func (r *Record) answersAnew(now time.Time) bool {
	return r.State == Waiting || r.State == Issued && r.fresh(now)
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
		names[i] = c.Names.Request(r, i+1)
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
	if record.Template != r.Template || !sameRequest(record.CSR, r.CSR) {
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
	record, err := newRecord(o)
	if err != nil {
		return nil, err
	}
	record.Altered = !c.Names.sealed(&o.ObjectMeta)
	record.keepUntil = enrolrecord.KeepUntil(o, c.Terms.PendingDeadline)
	if enrolrecord.PastDeadline(o, c.Terms.PendingDeadline, c.Now()) {
		record.State = Expired
	}
	return record, nil
}

func (c *CertManager) ignore(ctx context.Context, name string, why error) {
	if c.Ignored != nil {
		c.Ignored(ctx, name, why)
	}
}

// Collect implements Issuer.
func (c *CertManager) Collect(ctx context.Context, transactionID string, signer *x509.Certificate) (*Record, error) {
	record, err := c.collect(ctx, v1alpha1.LabelSigner, c.Names.Signer(transactionID, signer), func(o *certmanagerv1.CertificateRequest) (*Record, error) {
		return c.countPolled(o, transactionID)
	})
	if record != nil || err != nil {
		return record, err
	}
	label, value := v1alpha1.LabelKey, c.Names.PublicKey(signer.RawSubjectPublicKeyInfo)
	if sender := c.Names.Sender(signer, SelfSigned(signer)); sender != "" {
		label, value = v1alpha1.LabelSender, sender
	}
	return c.collect(ctx, label, value, c.countAnew)
}

// collect finds the newest object with a label that counts.
func (c *CertManager) collect(
	ctx context.Context, label, value string, count func(*certmanagerv1.CertificateRequest) (*Record, error),
) (*Record, error) {
	objects, err := c.labelled(ctx, label, value)
	if err != nil {
		return nil, unavailable(err)
	}
	var found []*Record
	for i := range objects {
		record, why := count(&objects[i])
		if why != nil {
			c.ignore(ctx, objects[i].Name, why)
			continue
		}
		found = append(found, record)
	}
	return newest(found), nil
}

// labelled reads the objects with a label: those the watch knows, else by a list.
func (c *CertManager) labelled(ctx context.Context, label, value string) ([]certmanagerv1.CertificateRequest, error) {
	var objects []certmanagerv1.CertificateRequest
	for _, name := range c.Store.Known(label, value) {
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
	return c.Store.List(ctx, label, value)
}

// countAnew takes an object for a poll whose transaction is another: Recall has
// answered the sender's new request with what it had asked for before.
func (c *CertManager) countAnew(o *certmanagerv1.CertificateRequest) (*Record, error) {
	record, err := c.trust(o)
	if err != nil {
		return nil, err
	}
	if !record.answersAnew(c.Now()) {
		return nil, errAnother
	}
	return record, nil
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
	if o.Canary != nil {
		return c.recordCanary(ctx, o)
	}
	if record, err := c.recallKey(ctx, o); record != nil || err != nil {
		return record, err
	}
	if o.oneTime() {
		return c.recordOneTime(ctx, o)
	}
	var failed *Record
	for _, name := range c.ownNames(o.Request) {
		object, made, err := c.createOrGet(ctx, c.build(name, o))
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
			record.New = made
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
	object := &certmanagerv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Name:        name,
			Labels:      c.labels(o),
			Annotations: c.annotations(o),
		},
		Spec: c.spec(o.CSR, o.Grant.Usages, o.Grant.Duration),
	}
	object.Annotations[v1alpha1.AnnotationSeal] = c.Names.seal(&object.ObjectMeta)
	return object
}

// spec asks the endpoint's issuer.
func (c *CertManager) spec(csr *x509.CertificateRequest, usages []certmanagerv1.KeyUsage, duration time.Duration) certmanagerv1.CertificateRequestSpec {
	return certmanagerv1.CertificateRequestSpec{
		Request:   encodeCSR(csr),
		Duration:  &metav1.Duration{Duration: duration},
		Usages:    usages,
		IssuerRef: cmmeta.IssuerReference{Group: c.Terms.Issuer.Group, Kind: c.Terms.Issuer.Kind, Name: c.Terms.Issuer.Name},
	}
}

func (c *CertManager) labels(o Order) map[string]string {
	labels := map[string]string{
		v1alpha1.LabelEndpoint:    c.Names.Endpoint,
		v1alpha1.LabelTransaction: c.Names.Transaction(o.TransactionID, o.CSR),
		v1alpha1.LabelSigner:      c.Names.Signer(o.TransactionID, o.Signer),
		v1alpha1.LabelKey:         c.Names.PublicKey(o.CSR.RawSubjectPublicKeyInfo),
		v1alpha1.LabelSubject:     c.Names.Subject(o.Template, o.CSR),
	}
	if sender := c.Names.Sender(o.Signer, o.SelfSigned); sender != "" {
		labels[v1alpha1.LabelSender] = sender
	}
	return labels
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
func (c *CertManager) createOrGet(
	ctx context.Context, want *certmanagerv1.CertificateRequest,
) (object *certmanagerv1.CertificateRequest, made bool, err error) {
	object, err = c.Store.Create(ctx, want)
	if err == nil {
		return object, true, nil
	}
	if !apierrors.IsAlreadyExists(err) {
		return nil, false, judgeCreateError(err)
	}
	object, err = c.Store.Get(ctx, want.Name)
	if err == nil && object == nil {
		err = fmt.Errorf("CertificateRequest %s was deleted", want.Name)
	}
	if err != nil {
		return nil, false, unavailable(err)
	}
	return object, false, nil
}

// unevaluated is in what the API server says of a policy that it could not evaluate.
// After a start, while it does not know the kinds yet, it denies everything so.
const unevaluated = "failed to configure "

// judgeCreateError tells a request that admission refuses from an API server that
// cannot be used. Admission webhooks and policies answer Forbidden as missing
// rights do; only their text tells them apart.
func judgeCreateError(err error) error {
	says := func(text string) bool { return strings.Contains(err.Error(), text) }
	denied := apierrors.IsForbidden(err) && says("denied")
	switch {
	case apierrors.IsForbidden(err) && says("exceeded quota"):
		return &scep.UnavailableError{RetryAfter: fullRetryAfter, Err: fmt.Errorf("%w: %w", ErrFull, err)}
	case says("failed calling webhook"):
		return &scep.UnavailableError{RetryAfter: retryAfter, Err: fmt.Errorf("%w: %w", ErrWebhook, err)}
	case says(unevaluated):
	case apierrors.IsInvalid(err) || apierrors.IsBadRequest(err) || denied:
		return refusal.New(refusal.InvalidRequest, "request refused by the issuer's rules").Because(fmt.Errorf("%w: %w", ErrRefused, err))
	}
	return unavailable(err)
}

// unavailable is the answer to trouble with the API server, or to too many lookups.
func unavailable(err error) error {
	if !errors.Is(err, ErrBusy) {
		err = fmt.Errorf("%w: %w", ErrAPIServer, err)
	}
	return &scep.UnavailableError{RetryAfter: retryAfter, Err: err}
}

// Await implements Issuer: it waits as long as the terms say. Once recorded, a
// request is not lost: if the API server goes away meanwhile, the record is
// returned as it was.
func (c *CertManager) Await(ctx context.Context, r *Record) *Record {
	ctx, cancel := context.WithTimeout(ctx, c.Terms.Wait)
	defer cancel()
	changes, stop := c.Store.Changes(r.Name)
	defer stop()
	ticker := time.NewTicker(rereadEvery)
	defer ticker.Stop()
	for r.State == Waiting {
		select {
		case version := <-changes:
			if version == r.version {
				continue
			}
		case <-ticker.C:
		case <-ctx.Done():
			return r
		}
		r = c.reread(ctx, r)
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
	now.New = r.New
	return now
}
