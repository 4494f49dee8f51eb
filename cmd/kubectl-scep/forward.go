package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"

	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/portforward"
	"k8s.io/client-go/transport/spdy"
	"k8s.io/streaming/pkg/httpstream"
)

// forwardPort opens a port on this machine's loopback interface that leads to one on
// a pod's, as "kubectl port-forward" does. Stop ends it.
func forwardPort(ctx context.Context, c *cluster, pod string, port int) (address string, stop func(), err error) {
	dialer, err := c.dialer(pod)
	if err != nil {
		return "", nil, err
	}
	ended, ready := make(chan struct{}), make(chan struct{})
	forwarder, err := portforward.NewOnAddressesForStreaming(dialer, []string{"127.0.0.1"}, []string{":" + strconv.Itoa(port)}, ended, ready, io.Discard, io.Discard)
	if err != nil {
		return "", nil, fmt.Errorf("forward a port to %s: %w", pod, err)
	}
	failed := make(chan error, 1)
	go func() { failed <- forwarder.ForwardPorts() }()
	select {
	case <-ready:
	case err := <-failed:
		return "", nil, fmt.Errorf("forward a port to %s: %w", pod, err)
	case <-ctx.Done():
		close(ended)
		return "", nil, fmt.Errorf("forward a port to %s: %w", pod, ctx.Err())
	}
	ports, err := forwarder.GetPorts()
	if err != nil {
		close(ended)
		return "", nil, fmt.Errorf("forward a port to %s: %w", pod, err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(int(ports[0].Local))), func() { close(ended) }, nil
}

// dialer speaks WebSocket, and SPDY with API servers that do not know that.
func (c *cluster) dialer(pod string) (httpstream.Dialer, error) {
	transport, upgrader, err := spdy.RoundTripperFor(c.config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	url := c.client.CoreV1().RESTClient().Post().Resource("pods").Namespace(c.namespace).Name(pod).SubResource("portforward").URL()
	old := spdy.NewDialerForStreaming(upgrader, &http.Client{Transport: transport}, http.MethodPost, url)
	websocket, err := portforward.NewSPDYOverWebsocketDialerForStreaming(url, rest.CopyConfig(c.config))
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return portforward.NewFallbackDialerForStreaming(websocket, old, func(err error) bool {
		return httpstream.IsUpgradeFailure(err) || httpstream.IsHTTPSProxyError(err)
	}), nil
}
