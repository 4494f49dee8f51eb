package node

import (
	"errors"
	"os"
	"path/filepath"

	"github.com/scepter-pki/scepter/test/cluster/node/agent"
)

// component returns a program whose executable is a link to the one binary that
// holds all of Kubernetes.
func (l layout) component(name string, flags ...string) agent.Program {
	return agent.Program{Name: name, Args: append([]string{l.program(name)}, flags...)}
}

// kubeComponents are the names that the Kubernetes binary answers to.
var kubeComponents = []string{
	"etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kube-proxy", "kubectl",
}

// LinkComponents makes the names of the Kubernetes components in dir links to
// the binary kube. Links that are there stay.
func LinkComponents(kube, dir string) error {
	for _, name := range kubeComponents {
		err := os.Symlink(kube, filepath.Join(dir, name))
		if err != nil && !errors.Is(err, os.ErrExist) {
			return err
		}
	}
	return nil
}

// apiPrograms are all that an API needs.
func (l layout) apiPrograms() []agent.Program {
	return []agent.Program{
		l.component("etcd",
			"--data-dir="+l.path("etcd"),
			"--unsafe-no-fsync",
			"--listen-client-urls=http://127.0.0.1:2379",
			"--advertise-client-urls=http://127.0.0.1:2379",
			"--listen-peer-urls=http://127.0.0.1:2380",
			"--initial-advertise-peer-urls=http://127.0.0.1:2380",
			"--initial-cluster=default=http://127.0.0.1:2380",
			"--log-level=warn",
		),
		l.component("kube-apiserver",
			"--advertise-address="+IP,
			"--bind-address=0.0.0.0", // pods come by the Service's address
			"--secure-port="+apiPort,
			"--etcd-servers=http://127.0.0.1:2379",
			"--service-cluster-ip-range="+serviceRange,
			"--tls-cert-file="+l.pki("apiserver.crt"),
			"--tls-private-key-file="+l.pki("apiserver.key"),
			"--client-ca-file="+l.pki("ca.crt"),
			"--service-account-issuer=https://kubernetes.default.svc.cluster.local",
			"--service-account-key-file="+l.pki("sa.pub"),
			"--service-account-signing-key-file="+l.pki("sa.key"),
			"--kubelet-client-certificate="+l.pki("apiserver-kubelet-client.crt"),
			"--kubelet-client-key="+l.pki("apiserver-kubelet-client.key"),
			"--kubelet-certificate-authority="+l.pki("ca.crt"),
			"--kubelet-preferred-address-types=InternalIP",
			"--requestheader-client-ca-file="+l.pki("front-proxy-ca.crt"),
			"--requestheader-allowed-names=front-proxy-client",
			"--requestheader-extra-headers-prefix=X-Remote-Extra-",
			"--requestheader-group-headers=X-Remote-Group",
			"--requestheader-username-headers=X-Remote-User",
			"--proxy-client-cert-file="+l.pki("front-proxy-client.crt"),
			"--proxy-client-key-file="+l.pki("front-proxy-client.key"),
			"--authorization-mode=Node,RBAC",
			"--enable-admission-plugins=NodeRestriction",
			"--allow-privileged=true",
			"--audit-policy-file="+l.config("audit.yaml"),
			"--audit-log-path="+l.log(AuditLog),
			"--profiling=false",
			"--v=1",
		),
	}
}

// AuditLog is the log of what is written to the API, beside those of the components.
const AuditLog = "audit"

// controlPrograms turn objects into other objects. They start when the API
// serves: they would back off otherwise.
func (l layout) controlPrograms() []agent.Program {
	manager, scheduler := l.kubeconfig("controller-manager"), l.kubeconfig("scheduler")
	return []agent.Program{
		l.component("kube-controller-manager",
			"--kubeconfig="+manager,
			"--authentication-kubeconfig="+manager,
			"--authorization-kubeconfig="+manager,
			"--service-account-private-key-file="+l.pki("sa.key"),
			"--root-ca-file="+l.pki("ca.crt"),
			"--use-service-account-credentials=true",
			"--cluster-signing-cert-file="+l.pki("ca.crt"),
			"--cluster-signing-key-file="+l.pki("ca.key"),
			"--requestheader-client-ca-file="+l.pki("front-proxy-ca.crt"),
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
			// Where there is more than one, it ends when it cannot reach the API server, and
			// the next one gives nodes their time anew. This one lives on, and would hold an
			// API server that was away against the node and all its pods.
			"--node-monitor-grace-period=10m",
			"--profiling=false",
			"--v=1",
		),
		l.component("kube-scheduler",
			"--kubeconfig="+scheduler,
			"--authentication-kubeconfig="+scheduler,
			"--authorization-kubeconfig="+scheduler,
			"--bind-address=127.0.0.1",
			"--leader-elect=false",
			"--profiling=false",
			"--v=1",
		),
	}
}

// runtimeProgram runs containers.
func (l layout) runtimeProgram() agent.Program {
	return agent.Program{Name: "containerd", Args: []string{"/usr/bin/containerd", "--config", l.config("containerd.toml")}}
}

// nodePrograms make a node of the machine. They start when the container
// runtime answers.
func (l layout) nodePrograms(hostname string) []agent.Program {
	return []agent.Program{
		l.component("kubelet",
			"--config="+l.config("kubelet.yaml"),
			"--kubeconfig="+l.kubeconfig("kubelet"),
			"--root-dir="+l.path("kubelet"),
			"--hostname-override="+hostname,
			"--node-ip="+IP,
			"--v=2",
		),
		l.component("kube-proxy",
			"--config="+l.config("kube-proxy.yaml"),
			"--hostname-override="+hostname,
			"--v=1",
		),
	}
}
