package rig

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/scepter-pki/scepter/test/stock"
)

// asDevice shows a program the world as a device sees it: the sample's host name
// resolves to the ingress, and the sample's CA is trusted for TLS. It does so in a
// mount namespace of its own; the machine's files stay as they are.
const asDevice = `mount --bind "$1" /etc/hosts && mount --bind "$2" /etc/ssl/certs/ca-certificates.crt && shift 2 && exec "$@"`

// Device prepares the files that asDevice shows, and returns a Runner for
// clients. names are host names of endpoints; trusted is PEM with the CA of
// their TLS certificates.
func (r *Rig) Device(ctx context.Context, trusted []byte, names ...string) (stock.Runner, error) {
	address, err := r.IngressAddress(ctx)
	if err != nil {
		return nil, err
	}
	hosts := "127.0.0.1 localhost\n"
	for _, name := range names {
		hosts += address + " " + name + "\n"
	}
	dir, err := os.MkdirTemp(r.Dir, "device-")
	if err != nil {
		return nil, fmt.Errorf("prepare a device: %w", err)
	}
	hostsFile, bundle := filepath.Join(dir, "hosts"), filepath.Join(dir, "trusted.pem")
	for file, content := range map[string][]byte{hostsFile: []byte(hosts), bundle: trusted} {
		if err := os.WriteFile(file, content, 0o600); err != nil {
			return nil, fmt.Errorf("prepare a device: %w", err)
		}
	}
	return func(ctx context.Context, program string, args ...string) *exec.Cmd {
		whole := []string{"unshare", "--mount", "--propagation", "private", "sh", "-c", asDevice, "sh", hostsFile, bundle, program}
		return r.Cluster.Exec(ctx, append(whole, args...)...)
	}, nil
}

// IngressAddress is where devices reach the ingress: the environment variable
// INGRESS_ADDRESS, or the node of the rig's own cluster.
func (r *Rig) IngressAddress(ctx context.Context) (string, error) {
	if address := os.Getenv("INGRESS_ADDRESS"); address != "" {
		return address, nil
	}
	if Current() {
		return "", fmt.Errorf("CLUSTER=current needs INGRESS_ADDRESS: set it to the address of the cluster's ingress controller")
	}
	r.ingress.Lock()
	defer r.ingress.Unlock()
	if r.ingress.address != "" {
		return r.ingress.address, nil
	}
	var err error
	r.ingress.address, err = r.KubectlOutput(ctx, "get", "nodes", "-o", `jsonpath={.items[0].status.addresses[?(@.type=="InternalIP")].address}`)
	return r.ingress.address, err
}

// Dial connects to the ingress, whatever host is asked for, from where devices are.
func (r *Rig) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	_, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("dial %s: %w", address, err)
	}
	ingress, err := r.IngressAddress(ctx)
	if err != nil {
		return nil, err
	}
	return r.Cluster.Dial(ctx, network, net.JoinHostPort(ingress, port))
}
