package e2e

import (
	"bytes"
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	appsv1 "k8s.io/api/apps/v1"
	coordinationv1 "k8s.io/api/coordination/v1"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
	"github.com/scepter-pki/scepter/test/stock"
)

// Names in testdata/direct.yaml.
const (
	directEndpoint = "direct"
	directHost     = "direct.example.com"
	directURL      = "http://" + directHost + "/scep"
	directServers  = 3
	directSigners  = 2
)

// TestDirect has signers issue in the place of cert-manager: two of them, behind
// three servers.
func TestDirect(t *testing.T) {
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", "testdata/direct.yaml"); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the endpoint with signers to be Ready", rig.Ready(shared.api, namespace, directEndpoint))
	plugin, err := shared.rig.Program(t.Context(), "kubectl-scep")
	if err != nil {
		t.Fatal(err)
	}
	kubectl := kubectlScep{plugin}
	t.Run("stock clients", directServesStockClients)
	t.Run("same bytes after kill -9", kubectl.directAnswersAlike)
	t.Run("one challenge, twenty devices", kubectl.directRaces)
	t.Run("revocation", kubectl.directRevokes)
	t.Run("cage", directCage)
	t.Run("no records", directKeepsNoRecords)
	t.Run("back to CertificateRequests", directGoesBack)
	if err := shared.rig.Kubectl(t.Context(), "delete", "-f", "testdata/direct.yaml", "--wait"); err != nil {
		t.Fatal(err)
	}
}

func directServesStockClients(t *testing.T) {
	device, err := shared.rig.Device(t.Context(), shared.ca, host, directHost)
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range stock.All(device) {
		t.Run(c.Name(), func(t *testing.T) {
			r := request("http")
			r.URL = directURL
			got, err := c.Enrol(within(t, enrolLimit), t.TempDir(), r)
			if err != nil {
				t.Fatal(err)
			}
			mustBeOurs(t, got.Certificate)
		})
	}
}

func (k kubectlScep) ticket(t *testing.T) string {
	t.Helper()
	minted, err := k.run(within(t, enrolLimit), "challenge", directEndpoint)
	if err != nil {
		t.Fatal(err)
	}
	return minted
}

// directAnswersAlike repeats a request at every server, after the signers and the
// servers that had answered it were killed: nothing is written down but who has used
// the challenge, and each of them answers with the same certificate.
func (k kubectlScep) directAnswersAlike(t *testing.T) {
	r := enrolment(t, newName())
	r.ChallengePassword = k.ticket(t)
	r.TransactionID = "direct-" + r.Template.Subject.CommonName
	pods := readyPods(t, "scepter-ra", directEndpoint)
	first := mustEnrol(t, toPod(&pods[0]), r)
	if !slices.Equal(first.CRLDistributionPoints, []string{"http://" + directHost + "/crl"}) {
		t.Errorf("the certificate's CRL is at %v", first.CRLDistributionPoints)
	}
	signers := readyPods(t, "scepter-signer", directEndpoint)
	for i := range signers {
		kill(t, &signers[i])
	}
	kill(t, &pods[0])
	evict(t, &pods[1])
	mustWait(t, "all servers and signers again", replacedBy(t, append(signers, pods[0], pods[1])))
	mustWait(t, "the endpoint to be Ready again", rig.Ready(shared.api, namespace, directEndpoint))
	pods = readyPods(t, "scepter-ra", directEndpoint)
	for i := range pods {
		if again := comesAgain(t, &pods[i], r); !bytes.Equal(again.Raw, first.Raw) {
			t.Errorf("%s answers the same request with another certificate", pods[i].Name)
		}
	}
}

// comesAgain enrols as devices do: again after HTTP 503, which a server answers until
// the cluster's network leads to signers that have just started.
func comesAgain(t *testing.T, pod *corev1.Pod, r scep.EnrolRequest) *x509.Certificate {
	t.Helper()
	var result *scep.Result
	var err error
	mustWait(t, "a server to find a signer", func(ctx context.Context) (bool, string, error) {
		result, err = toPod(pod).Enrol(ctx, r)
		var status *scep.HTTPError
		away := errors.As(err, &status) && status.StatusCode == http.StatusServiceUnavailable
		return !away, fmt.Sprint(err), nil
	})
	return granted(t, r.Key, result, err)
}

// kill sends SIGKILL to a pod's processes, or, in a cluster that is not the tests'
// own, does what comes closest.
func kill(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if rig.Current() {
		evict(t, pod)
		return
	}
	if err := shared.rig.Cluster.SignalContainer(t.Context(), pod.Status.ContainerStatuses[0].ContainerID, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// evict deletes a pod without grace.
func evict(t *testing.T, pod *corev1.Pod) {
	t.Helper()
	if err := shared.api.Delete(t.Context(), pod, client.GracePeriodSeconds(0)); err != nil {
		t.Fatal(err)
	}
}

// replacedBy checks that all servers and signers are ready, and that none of the
// containers that were killed is among them.
func replacedBy(t *testing.T, killed []corev1.Pod) rig.Check {
	t.Helper()
	gone := map[string]bool{}
	for _, pod := range killed {
		gone[pod.Status.ContainerStatuses[0].ContainerID] = true
	}
	return func(context.Context) (bool, string, error) {
		all := append(readyPods(t, "scepter-ra", directEndpoint), readyPods(t, "scepter-signer", directEndpoint)...)
		anew := 0
		for _, pod := range all {
			if !gone[pod.Status.ContainerStatuses[0].ContainerID] {
				anew++
			}
		}
		return anew == directServers+directSigners, fmt.Sprintf("%d of %d ready pods run other containers", anew, len(all)), nil
	}
}

// directRaces: of twenty devices with one challenge one gets a certificate.
func (k kubectlScep) directRaces(t *testing.T) {
	const devices = 20
	ticket := k.ticket(t)
	pods := readyPods(t, "scepter-ra", directEndpoint)
	requests := make([]scep.EnrolRequest, devices)
	for i := range requests {
		requests[i] = enrolment(t, newName())
		requests[i].ChallengePassword = ticket
	}
	type ending struct {
		result *scep.Result
		err    error
	}
	endings := make(chan ending, devices)
	ctx := within(t, enrolLimit)
	for i := range requests {
		go func() {
			result, err := toPod(&pods[i%len(pods)]).Enrol(ctx, requests[i])
			endings <- ending{result, err}
		}()
	}
	won := 0
	for range requests {
		e := <-endings
		switch {
		case e.err == nil && e.result.Status == scep.StatusSuccess:
			won++
		case e.err != nil:
			t.Errorf("a device got no answer: %v", e.err)
		default:
			mustRefuse(t, e.result, e.err, "challenge already used")
		}
	}
	if won != 1 {
		t.Errorf("%d devices got a certificate, want 1", won)
	}
}

// directRevokes: the list shows it, and the certificate is of no use any more.
func (k kubectlScep) directRevokes(t *testing.T) {
	r := enrolment(t, newName())
	c := newClient(directURL, shared.rig.Dial)
	revoked := mustEnrol(t, c, r)
	kept := enrolment(t, newName())
	other := mustEnrol(t, c, kept)
	file := filepath.Join(t.TempDir(), "device.der")
	if err := os.WriteFile(file, revoked.Raw, 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := k.run(within(t, enrolLimit), "revoke", directEndpoint, file, "--reason", "keyCompromise"); err != nil {
		t.Fatalf("%q, %v", out, err)
	}
	const keyCompromise = 1 // RFC 5280, section 5.3.1
	mustWait(t, "the CRL to show it", func(ctx context.Context) (bool, string, error) {
		list, err := readCRL(ctx)
		if err != nil {
			return false, "", err
		}
		i := slices.IndexFunc(list.RevokedCertificateEntries, func(e x509.RevocationListEntry) bool {
			return e.SerialNumber.Cmp(revoked.SerialNumber) == 0 && e.ReasonCode == keyCompromise
		})
		return i >= 0, fmt.Sprintf("CRL number %s with %d entries", list.Number, len(list.RevokedCertificateEntries)), nil
	})
	list, err := readCRL(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := list.CheckSignatureFrom(pemCertificate(t, shared.ca)); err != nil {
		t.Errorf("the CRL is not the CA's: %v", err)
	}
	mustWait(t, "the renewal to be refused", func(context.Context) (bool, string, error) {
		result, err := c.Renew(within(t, enrolLimit), renewal(t, revoked, r.Key))
		if err != nil {
			return false, "", err
		}
		return result.Status == scep.StatusFailure, result.Status.String() + " " + result.FailInfoText, nil
	})
	again := renewal(t, other, kept.Key)
	result, err := c.Renew(within(t, enrolLimit), again)
	granted(t, again.Key, result, err)
	if _, err := k.run(within(t, enrolLimit), "revoke", endpoint, "4f2a"); err == nil || !strings.Contains(err.Error(), "cert-manager, which cannot revoke") {
		t.Errorf("revoking where cert-manager issues: %v", err)
	}
}

func readCRL(ctx context.Context) (*x509.RevocationList, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+directHost+"/crl", http.NoBody)
	if err != nil {
		return nil, err
	}
	response, err := newClient("", shared.rig.Dial).HTTP.Do(request)
	if err != nil {
		return nil, err
	}
	defer func() { _ = response.Body.Close() }()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, err
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("HTTP status %d: %s", response.StatusCode, body)
	}
	return x509.ParseRevocationList(body)
}

// directCage tries, with a server's token, what a server must not do; a signer's pod
// has no token at all.
func directCage(t *testing.T) {
	server := asPod(t, &readyPods(t, "scepter-ra", directEndpoint)[0])
	asked := decent(t)
	asked.Labels[v1alpha1.LabelEndpoint] = directEndpoint
	leader := &coordinationv1.Lease{ObjectMeta: metav1.ObjectMeta{Namespace: namespace, Name: "direct-leader"}}
	for what, err := range map[string]error{
		"make a CertificateRequest": server.Create(t.Context(), asked),
		"become a leader":           server.Create(t.Context(), leader),
		"list claims":               server.List(t.Context(), &coordinationv1.LeaseList{}, client.InNamespace(namespace)),
		"read the CA's key":         server.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "fleet-ca"}, &corev1.Secret{}),
	} {
		if !apierrors.IsForbidden(err) {
			t.Errorf("a server can %s: %v", what, err)
		}
	}
	for _, pod := range readyPods(t, "scepter-signer", directEndpoint) {
		for _, v := range pod.Spec.Volumes {
			if v.Projected != nil {
				t.Errorf("%s has the volume %s, which may hold a token", pod.Name, v.Name)
			}
		}
	}
}

// directKeepsNoRecords: there is no object for a certificate, and one for a challenge that was used.
func directKeepsNoRecords(t *testing.T) {
	labelled := client.MatchingLabels{v1alpha1.LabelEndpoint: directEndpoint}
	var requests certmanagerv1.CertificateRequestList
	if err := shared.api.List(t.Context(), &requests, client.InNamespace(namespace), labelled); err != nil {
		t.Fatal(err)
	}
	if n := len(requests.Items); n != 0 {
		t.Errorf("%d CertificateRequests", n)
	}
	var claims coordinationv1.LeaseList
	if err := shared.api.List(t.Context(), &claims, client.InNamespace(namespace), labelled); err != nil {
		t.Fatal(err)
	}
	if n := len(claims.Items); n != 2 {
		t.Errorf("%d claims, want one for each of the two challenges that were used", n)
	}
}

// directGoesBack changes the mode: the signers go, with the Secrets that they were
// known by, and the list of what is revoked stays.
func directGoesBack(t *testing.T) {
	patch := `{"spec":{"issuance":{"mode":"CertificateRequest","direct":null},"challenges":[{"name":"ticket","type":"OneTime"}]}}`
	if err := shared.rig.Kubectl(t.Context(), "patch", "scependpoint", directEndpoint, "-n", namespace, "--type=merge", "-p", patch); err != nil {
		t.Fatal(err)
	}
	mustWait(t, "the signers to be gone", func(ctx context.Context) (bool, string, error) {
		for _, o := range []client.Object{
			named(&appsv1.Deployment{}, "direct-signer"), named(&corev1.Service{}, "direct-signer"),
			named(&corev1.Secret{}, "direct-signer-server"), named(&corev1.Secret{}, "direct-signer-client"),
		} {
			err := shared.api.Get(ctx, client.ObjectKeyFromObject(o), o)
			if err == nil {
				err = errors.New("it is there")
			}
			if !apierrors.IsNotFound(err) {
				return false, fmt.Sprintf("%T %s: %v", o, o.GetName(), err), nil
			}
		}
		return true, "", nil
	})
	mustWait(t, "the endpoint to be Ready", rig.Ready(shared.api, namespace, directEndpoint))
	if err := shared.api.Get(t.Context(), types.NamespacedName{Namespace: namespace, Name: "direct-revoked"}, &corev1.ConfigMap{}); err != nil {
		t.Errorf("the list of revoked certificates: %v", err)
	}
}
