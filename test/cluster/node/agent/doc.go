// Package agent is the first process inside a cluster's namespaces: it sets
// mounts and network up, starts the cluster's programs, reaps what dies, and
// dials on behalf of callers outside. When it ends, the kernel ends everything
// else in the PID namespace.
//
// Callers reach it through a unix socket in the cluster's state directory. A
// call is one JSON document each way on a connection of its own; a dialled
// connection comes back as a file descriptor, so that callers hold a real
// network connection, not a relayed one.
package agent
