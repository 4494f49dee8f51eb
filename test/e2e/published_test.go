package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"sigs.k8s.io/controller-runtime/pkg/client"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/scep"
	"github.com/scepter-pki/scepter/test/rig"
)

// A published endpoint has a host of its own below example.net, whose DNS record a test
// changes, and may have a hop: a proxy of Debian's in front of the ingress, in a network
// namespace beside the cluster's.
type published struct {
	endpoint, host string
	// address is where the hop is.
	address string
	dir     string
	proxy   proxySoftware
	end     func() // ends the hop; nil while there is none
}

// hopNetwork makes a network namespace with an address of its own; $1 is its name, $2 its number.
const hopNetwork = `
ip netns add "$1"
ip link add "$1" type veth peer name eth0 netns "$1"
ip addr add "10.251.$2.1/30" dev "$1"
ip link set "$1" up
ip -n "$1" addr add "10.251.$2.2/30" dev eth0
ip -n "$1" link set eth0 up
ip -n "$1" link set lo up
ip -n "$1" route add default via "10.251.$2.1"
`

// publish makes an endpoint whose host leads to the ingress, or to a hop with a number,
// and enrols a device.
func publish(t *testing.T, name string, proxy proxySoftware, hop int) *published {
	t.Helper()
	p := appear(t, name, proxy, hop)
	mustWait(t, "a device to enrol through "+p.host, p.enrols(t))
	return p
}

// appear makes one where no device has been yet, with what is changed of its hop.
func appear(t *testing.T, name string, proxy proxySoftware, hop int, changes ...func(*proxySettings)) *published {
	t.Helper()
	p := &published{endpoint: name, host: name + ".example.net", dir: t.TempDir(), proxy: proxy}
	node, err := shared.rig.IngressAddress(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	p.address = node
	if hop > 0 {
		p.makeHop(t, hop)
		p.serve(t, changes...)
	}
	setRecord(t, p.host, p.address)
	p.apply(t)
	mustWait(t, "the URLs of "+name+" to pass", rig.Condition(shared.api, namespace, name, v1alpha1.ConditionLongURLs, metav1.ConditionTrue))
	return p
}

func (p *published) apply(t *testing.T) {
	t.Helper()
	manifest, err := os.ReadFile("testdata/hop.yaml")
	if err != nil {
		t.Fatal(err)
	}
	filled := os.Expand(string(manifest), func(name string) string {
		return map[string]string{"NAME": p.endpoint, "HOST": p.host}[name]
	})
	file := filepath.Join(p.dir, "hop.yaml")
	if err := os.WriteFile(file, []byte(filled), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := shared.rig.Kubectl(t.Context(), "apply", "--server-side", "-f", file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := shared.rig.Kubectl(context.WithoutCancel(t.Context()), "delete", "scependpoint", p.endpoint, "-n", namespace, "--wait=false"); err != nil {
			t.Error(err)
		}
	})
}

func (p *published) makeHop(t *testing.T, number int) {
	t.Helper()
	p.address = fmt.Sprintf("10.251.%d.2", number)
	inCluster := func(args ...string) error {
		out, err := shared.rig.Cluster.Exec(context.WithoutCancel(t.Context()), args...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%w: %s", err, bytes.TrimSpace(out))
		}
		return nil
	}
	if err := inCluster("sh", "-ec", hopNetwork, "sh", p.endpoint, fmt.Sprint(number)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		p.stop()
		if err := inCluster("ip", "netns", "delete", p.endpoint); err != nil {
			t.Error(err)
		}
	})
}

// client is a device that finds the endpoint where its DNS record should lead.
func (p *published) client() *scep.Client { return p.clientAt("/scep") }

// clientAt has another path in its profile.
func (p *published) clientAt(path string) *scep.Client {
	return newClient("http://"+p.host+path, func(ctx context.Context, network, address string) (net.Conn, error) {
		_, port, err := net.SplitHostPort(address)
		if err != nil {
			return nil, err
		}
		return shared.rig.Cluster.Dial(ctx, network, net.JoinHostPort(p.address, port))
	})
}

func (p *published) enrols(t *testing.T) rig.Check {
	t.Helper()
	return func(ctx context.Context) (bool, string, error) {
		result, err := p.client().Enrol(ctx, enrolment(t, newName()))
		return err == nil && result.Status == scep.StatusSuccess, outcome(result), err
	}
}

// mustHeal waits until the endpoint is Ready and serves a device, now that the cause is gone.
func (p *published) mustHeal(t *testing.T, row *failureProof) {
	t.Helper()
	row.Remedied()
	row.mustHeal(namespace, p.endpoint, p.enrols(t))
	row.Served()
}

// says waits until a condition has a reason, and text in its message.
func (p *published) says(t *testing.T, conditionType, reason string, parts ...string) {
	t.Helper()
	mustWait(t, conditionType+" to say "+reason+" "+strings.Join(parts, ", "), condition("ScepEndpoint", namespace, p.endpoint, conditionType,
		func(c *metav1.Condition) bool {
			for _, part := range parts {
				if !strings.Contains(c.Message, part) {
					return false
				}
			}
			return c.Reason == reason
		}))
}

// records are the DNS records below example.net; tests with names of their own change them
// at the same time.
var records = struct {
	sync.Mutex
	addresses map[string]string
}{addresses: map[string]string{}}

// setRecord has a name lead to an address, or nowhere.
func setRecord(t *testing.T, name, address string) {
	t.Helper()
	records.Lock()
	defer records.Unlock()
	records.addresses[name] = address
	var hosts strings.Builder
	for name, address := range records.addresses {
		if address != "" {
			fmt.Fprintf(&hosts, "%s %s\n", address, name)
		}
	}
	patch, err := json.Marshal(map[string]any{"data": map[string]string{"hosts": hosts.String()}})
	if err != nil {
		t.Fatal(err)
	}
	zone := &corev1.ConfigMap{ObjectMeta: metav1.ObjectMeta{Namespace: "kube-system", Name: "coredns"}}
	if err := shared.api.Patch(t.Context(), zone, client.RawPatch(types.MergePatchType, patch)); err != nil {
		t.Fatal(err)
	}
	// The kubelet brings what changed to a pod that changes at once.
	var pods corev1.PodList
	if err := shared.api.List(t.Context(), &pods, client.InNamespace("kube-system"), client.MatchingLabels{"k8s-app": "kube-dns"}); err != nil {
		t.Fatal(err)
	}
	touched := fmt.Appendf(nil, `{"metadata": {"annotations": {"touched": %q}}}`, time.Now().Format(time.RFC3339Nano))
	for i := range pods.Items {
		if err := shared.api.Patch(t.Context(), &pods.Items[i], client.RawPatch(types.MergePatchType, touched)); client.IgnoreNotFound(err) != nil {
			t.Fatal(err)
		}
	}
}
