package load

import (
	"context"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base32"
	"encoding/pem"
	"fmt"
	"strings"
	"testing"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/ra/issue"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
	"github.com/scepter-pki/scepter/internal/scep"
)

// testForeignObjects has somebody with edit rights, who even knows the endpoint's key,
// make the objects that servers look for, before the device comes: with a certificate
// for a key of his own, with one for the device's, and under the name that uses up a
// one-time challenge. None is believed.
func testForeignObjects(t *testing.T) {
	mallory, names := asMallory(t), stateNames(t)
	for _, c := range []struct {
		what     string
		password string
		csr      func(*device) []byte
		name     func(*device) string
	}{
		{"hiskey", challenge, malloryCSR(t), names.ofRequest},
		{"devicekey", challenge, deviceCSR, names.ofRequest},
		{"ticket", mint(t, 1)[0], malloryCSR(t), names.ofTicket},
	} {
		t.Run(c.what, func(t *testing.T) {
			d := newDevice(t, "foreign"+c.what, c.password, shared.through(host), newTally())
			planted := plant(t, mallory, names.object(d, c.name(d), c.csr(d)))
			got, err := d.certificate(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if public, ok := got.PublicKey.(*rsa.PublicKey); !ok || !public.Equal(d.request.Key.Public()) {
				t.Fatal("the device got a certificate for another key")
			}
			mustBeItsOwn(t, d, got, planted)
			mustBeAudited(t, planted, "it was made by somebody else")
		})
	}
}

// asMallory is a client of the user that may edit in the namespace.
func asMallory(t *testing.T) client.Client {
	t.Helper()
	config, err := shared.rig.Cluster.RESTConfig()
	if err != nil {
		t.Fatal(err)
	}
	config.Impersonate.UserName = "mallory"
	c, err := client.New(config, client.Options{Scheme: shared.api.Scheme()})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// stolenNames are what somebody makes who has read the endpoint's key.
type stolenNames struct{ issue.Names }

func stateNames(t *testing.T) stolenNames {
	t.Helper()
	var state corev1.Secret
	key := types.NamespacedName{Namespace: namespace, Name: render.StateSecretName(endpoint)}
	if err := shared.api.Get(t.Context(), key, &state); err != nil {
		t.Fatal(err)
	}
	return stolenNames{issue.Names{Key: state.Data[raconfig.HMACKeyFile], Endpoint: endpoint}}
}

func (n stolenNames) ofRequest(d *device) string {
	r := issue.Request{TransactionID: d.request.TransactionID, CSR: d.csr, Signer: d.request.Certificate, Template: "device"}
	return n.Request(r, 1)
}

// ticketAlphabet and ticketID are of one-time challenges in their standard form: the
// id that names objects is what comes before the MAC.
var ticketAlphabet = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

const ticketID = 10

func (n stolenNames) ofTicket(d *device) string {
	password, err := scep.ChallengePassword(d.csr)
	if err != nil {
		return err.Error()
	}
	raw, err := ticketAlphabet.DecodeString(password)
	if err != nil {
		return err.Error()
	}
	return n.OneTime(raw[:ticketID], 1)
}

// object is the CertificateRequest of a device as its endpoint's servers would make it.
func (n stolenNames) object(d *device, name string, csr []byte) *certmanagerv1.CertificateRequest {
	return &certmanagerv1.CertificateRequest{
		ObjectMeta: metav1.ObjectMeta{
			Namespace: namespace, Name: name,
			Labels: map[string]string{
				v1alpha1.LabelEndpoint:    endpoint,
				v1alpha1.LabelTransaction: n.Transaction(d.request.TransactionID, d.csr),
				v1alpha1.LabelSigner:      n.Signer(d.request.TransactionID, d.request.Certificate),
			},
		},
		Spec: certmanagerv1.CertificateRequestSpec{
			Request:   pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE REQUEST", Bytes: csr}),
			Duration:  &metav1.Duration{Duration: 2160 * time.Hour},
			Usages:    []certmanagerv1.KeyUsage{certmanagerv1.UsageDigitalSignature, certmanagerv1.UsageKeyEncipherment, certmanagerv1.UsageClientAuth},
			IssuerRef: cmmeta.IssuerReference{Group: "cert-manager.io", Kind: "Issuer", Name: issuer},
		},
	}
}

func deviceCSR(d *device) []byte { return d.request.CSR }

// malloryCSR asks for a device's name and a key of mallory's.
func malloryCSR(t *testing.T) func(*device) []byte {
	t.Helper()
	key, err := shared.keys.next()
	if err != nil {
		t.Fatal(err)
	}
	return func(d *device) []byte {
		csr, err := scep.NewCSR(&x509.CertificateRequest{Subject: d.csr.Subject}, key, "")
		if err != nil {
			t.Fatal(err)
		}
		return csr
	}
}

// plant makes an object and waits until cert-manager has issued for it.
func plant(t *testing.T, mallory client.Client, planted *certmanagerv1.CertificateRequest) *certmanagerv1.CertificateRequest {
	t.Helper()
	if err := mallory.Create(t.Context(), planted); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "a certificate for mallory", func(ctx context.Context) (bool, string, error) {
		err := shared.api.Get(ctx, client.ObjectKeyFromObject(planted), planted)
		return len(planted.Status.Certificate) > 0, fmt.Sprint(planted.Status.Conditions), err
	})
	return planted
}

// mustBeItsOwn checks that the device's certificate comes from another object, which
// the endpoint's servers made.
func mustBeItsOwn(t *testing.T, d *device, got *x509.Certificate, planted *certmanagerv1.CertificateRequest) {
	t.Helper()
	own := 0
	for _, request := range requestsOf(t, d.name)[d.name] {
		block, _ := pem.Decode(request.Status.Certificate)
		same := block != nil && string(block.Bytes) == string(got.Raw)
		if same && request.Name == planted.Name {
			t.Error("the device was given mallory's certificate")
		}
		if same && request.Spec.Username == "system:serviceaccount:"+namespace+":"+endpoint+"-ra" {
			own++
		}
	}
	if own != 1 {
		t.Errorf("%d objects of the servers hold the device's certificate, want 1", own)
	}
}

// mustBeAudited looks for a server's record that an object does not count, and why.
func mustBeAudited(t *testing.T, object *certmanagerv1.CertificateRequest, why string) {
	t.Helper()
	pods, err := servers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, pod := range pods {
		log, err := shared.pods.CoreV1().Pods(namespace).GetLogs(pod.Name, &corev1.PodLogOptions{}).DoRaw(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(log)) {
			if strings.Contains(line, object.Name) && strings.Contains(line, why) {
				return
			}
		}
	}
	t.Errorf("no audit record names %s and says %q", object.Name, why)
}
