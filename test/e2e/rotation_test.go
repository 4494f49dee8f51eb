package e2e

import (
	"context"
	"testing"

	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// TestRollover renews the RA certificates while devices enrol. A device that
// fetched GetCACert before the rollover still enrols after it.
func TestRollover(t *testing.T) {
	early := through("http")
	ca, err := early.GetCACert(within(t, enrolLimit))
	if err != nil {
		t.Fatal(err)
	}
	early.CA = ca
	before := active(t)
	for _, name := range []string{"fleet-ra-signing", "fleet-ra-encryption"} {
		if err := rig.RenewCertificate(t.Context(), shared.api, namespace, name); err != nil {
			t.Fatal(err)
		}
	}
	enrolled := 0
	mustWait(t, "another RA generation in GetCACert, of both certificates", func(ctx context.Context) (bool, string, error) {
		mustEnrol(t, through("http"), enrolment(t, newName()))
		enrolled++
		now, err := through("http").GetCACert(ctx)
		if err != nil {
			return false, "", err
		}
		return !now.Signing.Equal(ca.Signing) && !now.Encryption.Equal(ca.Encryption), active(t), nil
	})
	if active(t) == before {
		t.Error("the endpoint's status still names the old generation")
	}
	mustEnrol(t, early, enrolment(t, newName()))
	for _, pod := range servers(t) {
		c := toPod(&pod)
		c.CA = ca
		mustEnrol(t, c, enrolment(t, newName()))
	}
	t.Logf("%d devices enrolled during the rollover", enrolled)
	mustBeReady(t)
}

func active(t *testing.T) string {
	t.Helper()
	ep := named(&v1alpha1.ScepEndpoint{}, endpoint)
	if err := shared.api.Get(t.Context(), client.ObjectKeyFromObject(ep), ep); err != nil {
		t.Fatal(err)
	}
	if ep.Status.RACredential == nil {
		t.Fatal("the endpoint's status names no RA credential")
	}
	return ep.Status.RACredential.ActiveGeneration
}

// TestUnknownRecipient encrypts to a certificate that no server holds.
func TestUnknownRecipient(t *testing.T) {
	foreign := enrolment(t, newName())
	c := mustEnrol(t, through("http"), foreign)
	lost := through("http")
	ca, err := lost.GetCACert(within(t, enrolLimit))
	if err != nil {
		t.Fatal(err)
	}
	lost.CA = &scep.CACertificates{Signing: ca.Signing, Encryption: c, CA: ca.CA, All: ca.All}
	result, err := lost.Enrol(within(t, enrolLimit), enrolment(t, newName()))
	mustRefuse(t, result, err, "GetCACert")
}
