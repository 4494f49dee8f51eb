// Package node runs a real Kubernetes cluster on this machine: etcd, the control
// plane, containerd, the kubelet and kube-proxy, in namespaces, control groups
// and a directory of their own.
//
// A process outside the namespaces, the keeper, owns the cluster. It ends the
// cluster and removes all traces when it is told to or when the process that
// started it dies, however that happens. Inside the namespaces, the agent
// (package agent) is process 1.
package node
