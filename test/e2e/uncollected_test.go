package e2e

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/pem"
	"fmt"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// TestF37NeverCollected has the issuer answer when one device was told to poll and another
// has hung up: their certificates are counted until the devices come, and each gets its own.
func TestF37NeverCollected(t *testing.T) {
	t.Parallel()
	row := failureRow(t, "F37")
	o := newOwnTier(t, "collect", life{lasts: time.Hour})
	o.change(t, func(ep *v1alpha1.ScepEndpoint) {
		ep.Spec.Issuance.CollectWithin = &metav1.Duration{Duration: 10 * time.Second}
	})
	o.issuer.hush()
	polls := pending(t, o.client())
	hungUp := o.hangUp(t)
	mustStayPending(t, o.client(), polls) // by then no server waits for the issuer on behalf of the one that has gone
	o.issuer.speak()
	mustWait(t, "two certificates to be missed", o.uncollected(2))

	o.mustCollect(t, polls)
	row.Used("an answer PENDING")
	o.mustCollect(t, hungUp)
	row.Used("a device that hung up")
	mustWait(t, "no certificate to be missed", o.uncollected(0))
}

// change changes the tier's endpoint.
func (o *ownTier) change(t *testing.T, mod func(*v1alpha1.ScepEndpoint)) {
	t.Helper()
	ep := &v1alpha1.ScepEndpoint{}
	if err := shared.api.Get(t.Context(), client.ObjectKey{Namespace: o.namespace, Name: ownEndpoint}, ep); err != nil {
		t.Fatal(err)
	}
	before := ep.DeepCopy()
	mod(ep)
	if err := shared.api.Patch(t.Context(), ep, client.MergeFrom(before)); err != nil {
		t.Fatal(err)
	}
}

// hangUp has a device ask, and go as soon as its request is on record.
func (o *ownTier) hangUp(t *testing.T) scep.EnrolRequest {
	t.Helper()
	r := enrolment(t, newName())
	r.TransactionID = "gone-" + r.Template.Subject.CommonName
	ctx, gone := context.WithCancel(within(t, enrolLimit))
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, _ = o.client().Enrol(ctx, r) // whatever it gets: it does not keep it
	}()
	mustWait(t, "the request to be on record", func(ctx context.Context) (bool, string, error) {
		all, err := o.requestsOf(ctx, r.Template.Subject.CommonName)
		return len(all) == 1, fmt.Sprintf("%d requests", len(all)), err
	})
	gone()
	<-ended
	return r
}

// requestsOf are the tier's CertificateRequests for a name.
func (o *ownTier) requestsOf(ctx context.Context, commonName string) ([]certmanagerv1.CertificateRequest, error) {
	var all certmanagerv1.CertificateRequestList
	if err := shared.api.List(ctx, &all, client.InNamespace(o.namespace), client.MatchingLabels{v1alpha1.LabelEndpoint: ownEndpoint}); err != nil {
		return nil, err
	}
	var out []certmanagerv1.CertificateRequest
	for i := range all.Items {
		block, _ := pem.Decode(all.Items[i].Spec.Request)
		csr, err := x509.ParseCertificateRequest(block.Bytes)
		if err != nil {
			return nil, err
		}
		if csr.Subject.CommonName == commonName {
			out = append(out, all.Items[i])
		}
	}
	return out, nil
}

// mustCollect has a device get what the only request for its name was issued.
func (o *ownTier) mustCollect(t *testing.T, r scep.EnrolRequest) {
	t.Helper()
	result, err := o.client().Enrol(within(t, enrolLimit), r)
	if err := o.granted(result, err); err != nil {
		t.Fatal(err)
	}
	all, err := o.requestsOf(t.Context(), r.Template.Subject.CommonName)
	if err != nil {
		t.Fatal(err)
	}
	if len(all) != 1 {
		t.Fatalf("%d CertificateRequests for %s, want 1", len(all), r.Template.Subject.CommonName)
	}
	if block, _ := pem.Decode(all[0].Status.Certificate); !bytes.Equal(block.Bytes, result.Certificate.Raw) {
		t.Error("the device got another certificate than was issued for it first")
	}
}

// uncollected checks how many certificates nobody has come for.
func (o *ownTier) uncollected(want int64) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		var ep v1alpha1.ScepEndpoint
		if err := shared.api.Get(ctx, client.ObjectKey{Namespace: o.namespace, Name: ownEndpoint}, &ep); err != nil {
			return false, "", err
		}
		have := v1alpha1.UncollectedCertificates{}
		if ep.Status.Uncollected != nil {
			have = *ep.Status.Uncollected
		}
		return have.Count == want && len(have.Requests) == int(want), fmt.Sprintf("%+v", have), nil
	}
}
