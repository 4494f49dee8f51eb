package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	appsv1 "k8s.io/api/apps/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/test/cluster/lab"
	"github.com/scepter-pki/scepter/test/rig"
	"github.com/scepter-pki/scepter/test/stock"
)

const (
	clusterName  = "demo"
	organization = "Example Corp"
	readyLimit   = 3 * time.Minute
	enrolLimit   = time.Minute
)

// demo holds what one step leaves for the next.
type demo struct {
	show    *show
	dir     string
	rig     *rig.Rig
	client  client.Client
	device  stock.Runner
	clients []stock.Client
	last    *stock.Identity
	serial  int
}

func up(ctx context.Context) error {
	dir, err := freshDir()
	if err != nil {
		return err
	}
	s, err := newShow(dir)
	if err != nil {
		return err
	}
	d := &demo{show: s, dir: dir}
	if err := s.play(ctx, d.steps()); err != nil {
		return err
	}
	return d.lookAround(ctx)
}

func down(ctx context.Context) error {
	if rig.Current() {
		return errors.New("CLUSTER=current: the demo leaves your cluster alone; remove it with: helm uninstall -n scepter-system scepter && kubectl delete namespace pki")
	}
	if err := lab.Remove(ctx, clusterName); err != nil {
		return fmt.Errorf("take the demo's cluster down: %w", err)
	}
	if err := os.RemoveAll(demoDir()); err != nil {
		return fmt.Errorf("remove the demo's files: %w", err)
	}
	fmt.Println("The demo's cluster is gone.")
	return nil
}

func demoDir() string { return filepath.Join(os.TempDir(), "scepter-demo") }

func freshDir() (string, error) {
	dir := demoDir()
	if err := os.RemoveAll(dir); err != nil {
		return "", fmt.Errorf("clear %s: %w", dir, err)
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return "", fmt.Errorf("make %s: %w", dir, err)
	}
	return dir, nil
}

func (d *demo) steps() []step {
	return []step{
		{"SCEP clients from Debian", d.installClients},
		{"cluster, cert-manager, Traefik", d.cluster},
		{"Scepter from its Helm chart", d.install},
		{"apply YAML, endpoint Ready", d.samples},
		{"strongSwan enrols over http", d.enrol(0, "http")},
		{"strongSwan enrols over https", d.enrol(0, "https")},
		{"scepclient enrols over http", d.enrol(1, "http")},
		{"scepclient enrols over https", d.enrol(1, "https")},
		{"openssl verifies the certificate", d.verify},
		{"RA renewed while devices enrol", d.rollover},
		{"Deployment deleted and healed", d.heal},
	}
}

func (d *demo) installClients(ctx context.Context) (string, error) {
	if err := stock.Install(ctx); err != nil {
		return "", err
	}
	return strings.Join(stock.Packages, ", "), nil
}

func (d *demo) cluster(ctx context.Context) (string, error) {
	var err error
	d.rig, err = rig.Up(ctx, rig.Options{Name: clusterName, Dir: d.dir, Log: d.show.log, Detach: true})
	if err != nil {
		return "", err
	}
	if d.client, err = d.rig.Client(); err != nil {
		return "", err
	}
	return d.rig.Describe(ctx)
}

func (d *demo) install(ctx context.Context) (string, error) {
	return "operator in " + rig.SystemNamespace, d.rig.Install(ctx)
}

func (d *demo) samples(ctx context.Context) (string, error) {
	if err := d.rig.Kubectl(ctx, "apply", "--server-side", "-k", d.rig.Path("hack", "demo", "manifests")); err != nil {
		return "", err
	}
	ready := rig.Ready(d.client, rig.SampleNamespace, rig.SampleEndpoint)
	if err := rig.Wait(ctx, "the endpoint to be Ready", readyLimit, ready); err != nil {
		return "", err
	}
	return "hack/demo/manifests", d.becomeDevice(ctx)
}

func (d *demo) becomeDevice(ctx context.Context) error {
	ca, err := rig.CA(ctx, d.client, rig.SampleNamespace, "corp-ca")
	if err != nil {
		return err
	}
	if err := os.WriteFile(d.caFile(), ca, 0o600); err != nil {
		return fmt.Errorf("keep the CA's certificate: %w", err)
	}
	d.device, err = d.rig.Device(ctx, ca, rig.SampleHost)
	d.clients = stock.All(d.device)
	return err
}

func (d *demo) caFile() string { return filepath.Join(d.dir, "corp-ca.pem") }

func (d *demo) enrol(which int, scheme string) func(context.Context) (string, error) {
	return func(ctx context.Context) (string, error) {
		identity, err := d.enrolOnce(ctx, d.clients[which], scheme)
		if err != nil {
			return "", err
		}
		c := identity.Certificate
		return fmt.Sprintf("%s, until %s", c.Subject, c.NotAfter.Format(time.DateOnly)), nil
	}
}

func (d *demo) enrolOnce(ctx context.Context, with stock.Client, scheme string) (*stock.Identity, error) {
	ctx, cancel := context.WithTimeout(ctx, enrolLimit)
	defer cancel()
	d.serial++
	name := fmt.Sprintf("device-%02d", d.serial)
	dir := filepath.Join(d.dir, name)
	if err := os.Mkdir(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make a device's directory: %w", err)
	}
	identity, err := with.Enrol(ctx, dir, stock.Request{
		URL: scheme + "://" + rig.SampleHost + "/scep", Challenge: rig.SampleChallenge,
		CommonName: name + ".devices.example.com", Organization: organization,
	})
	d.last = identity
	return identity, err
}

func (d *demo) verify(ctx context.Context) (string, error) {
	file := filepath.Join(d.last.Dir, "cert.pem")
	out, err := d.device(ctx, "openssl", "verify", "-purpose", "sslclient", "-CAfile", d.caFile(), file).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("openssl verify: %w: %s", err, out)
	}
	return strings.TrimSpace(strings.TrimPrefix(string(out), d.dir+"/")), nil
}

// rollover renews both RA certificates and goes on enrolling until the endpoint
// shows another generation; not one enrolment may fail.
func (d *demo) rollover(ctx context.Context) (string, error) {
	before, err := d.activeGeneration(ctx)
	if err != nil {
		return "", err
	}
	for _, name := range []string{"corp-ra-signing", "corp-ra-encryption"} {
		if err := rig.RenewCertificate(ctx, d.client, rig.SampleNamespace, name); err != nil {
			return "", err
		}
	}
	enrolled, after := 0, before
	for began := time.Now(); after == before; enrolled++ {
		if time.Since(began) > readyLimit {
			return "", fmt.Errorf("after %s GetCACert still shows generation %s", readyLimit, before)
		}
		if _, err := d.enrolOnce(ctx, d.clients[enrolled%len(d.clients)], "http"); err != nil {
			return "", err
		}
		if after, err = d.activeGeneration(ctx); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("generation %s -> %s, %d enrolments meanwhile, none failed", before[:6], after[:6], enrolled), nil
}

func (d *demo) activeGeneration(ctx context.Context) (string, error) {
	var ep v1alpha1.ScepEndpoint
	key := types.NamespacedName{Namespace: rig.SampleNamespace, Name: rig.SampleEndpoint}
	if err := d.client.Get(ctx, key, &ep); err != nil {
		return "", fmt.Errorf("get the endpoint: %w", err)
	}
	if ep.Status.RACredential == nil || len(ep.Status.RACredential.ActiveGeneration) < 6 {
		return "", errors.New("the endpoint's status names no active RA generation")
	}
	return ep.Status.RACredential.ActiveGeneration, nil
}

func (d *demo) heal(ctx context.Context) (string, error) {
	old := &appsv1.Deployment{ObjectMeta: metav1.ObjectMeta{Namespace: rig.SampleNamespace, Name: rig.SampleEndpoint + "-ra"}}
	if err := d.client.Get(ctx, client.ObjectKeyFromObject(old), old); err != nil {
		return "", fmt.Errorf("get the Deployment: %w", err)
	}
	if err := d.client.Delete(ctx, old); err != nil {
		return "", fmt.Errorf("delete the Deployment: %w", err)
	}
	if err := rig.Wait(ctx, "another Deployment with all its servers", readyLimit, d.replaced(old)); err != nil {
		return "", err
	}
	ready := rig.Ready(d.client, rig.SampleNamespace, rig.SampleEndpoint)
	if err := rig.Wait(ctx, "the endpoint to be Ready again", readyLimit, ready); err != nil {
		return "", err
	}
	// The ingress controller takes a moment to hear of the new servers.
	enrols := func(ctx context.Context) (bool, string, error) {
		_, err := d.enrolOnce(ctx, d.clients[0], "https")
		return err == nil, "", err
	}
	if err := rig.Wait(ctx, "a device to enrol", readyLimit, enrols); err != nil {
		return "", err
	}
	return "and a device enrolled afterwards", nil
}

func (d *demo) replaced(old *appsv1.Deployment) rig.Check {
	return func(ctx context.Context) (bool, string, error) {
		now := &appsv1.Deployment{}
		if err := d.client.Get(ctx, client.ObjectKeyFromObject(old), now); err != nil {
			return false, "", fmt.Errorf("get the Deployment: %w", err)
		}
		seen := fmt.Sprintf("%d of %d ready", now.Status.ReadyReplicas, *now.Spec.Replicas)
		return now.UID != old.UID && now.Status.ReadyReplicas == *now.Spec.Replicas, seen, nil
	}
}

// lookAround shows the endpoint as kubectl does, and what to try next.
func (d *demo) lookAround(ctx context.Context) error {
	table, err := d.rig.KubectlOutput(ctx, "get", "scependpoints,racredentials,certificatetemplates", "-n", rig.SampleNamespace)
	if err != nil {
		return err
	}
	d.show.print("\n$ kubectl get scependpoints,racredentials,certificatetemplates -n pki\n" + table)
	conditions, err := d.rig.KubectlOutput(ctx, "get", "scependpoint", rig.SampleEndpoint, "-n", rig.SampleNamespace, "-o",
		`jsonpath={range .status.conditions[*]}   {.type}={.status}  {.reason}: {.message}{"\n"}{end}`)
	if err != nil {
		return err
	}
	d.show.print("\nIts conditions:\n" + conditions)
	d.show.print(fmt.Sprintf(farewell, d.kubectl(), d.dir, d.show.log.Name()))
	return nil
}

const farewell = `
Look around:   %[1]s get pods,certificaterequests -n pki
               %[1]s logs -n pki deployment/corp-ra
Devices' keys and certificates are in %[2]s, details in %[3]s.
When you are done: make demo-down
`

func (d *demo) kubectl() string {
	if rig.Current() {
		return "kubectl"
	}
	return "go run ./test/cluster --name " + clusterName + " kubectl"
}
