package main

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/render"
)

// access is how the cluster is reached: as kubectl reaches it.
type access struct {
	loading   clientcmd.ClientConfigLoadingRules
	overrides clientcmd.ConfigOverrides
}

func (a *access) addFlags(f *pflag.FlagSet) {
	a.loading = *clientcmd.NewDefaultClientConfigLoadingRules()
	f.StringVar(&a.loading.ExplicitPath, "kubeconfig", "", "file with the cluster's address and your credentials; empty: as kubectl finds it")
	f.StringVar(&a.overrides.CurrentContext, "context", "", "context of the kubeconfig")
	f.StringVarP(&a.overrides.Context.Namespace, "namespace", "n", "", "namespace of the ScepEndpoint or RACredential; empty: that of the context")
}

// cluster is a cluster that was found, and the namespace in it.
type cluster struct {
	config    *rest.Config
	client    kubernetes.Interface
	namespace string
}

func (a *access) connect() (*cluster, error) {
	found := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(&a.loading, &a.overrides)
	config, err := found.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("find the cluster: %w", err)
	}
	namespace, _, err := found.Namespace()
	if err != nil {
		return nil, fmt.Errorf("find the namespace: %w", err)
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect: %w", err)
	}
	return &cluster{config: config, client: client, namespace: namespace}, nil
}

// endpoint reads a ScepEndpoint.
func (c *cluster) endpoint(ctx context.Context, name string) (*v1alpha1.ScepEndpoint, error) {
	ep := &v1alpha1.ScepEndpoint{}
	return ep, c.read(ctx, "ScepEndpoint", "scependpoints", name, ep)
}

// read reads an object of one of our kinds.
func (c *cluster) read(ctx context.Context, kind, resource, name string, into any) error {
	client, err := dynamic.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	found, err := client.Resource(v1alpha1.GroupVersion.WithResource(resource)).Namespace(c.namespace).Get(ctx, name, metav1.GetOptions{})
	if err != nil {
		return fmt.Errorf("read %s %s in namespace %s: %w", kind, name, c.namespace, err)
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(found.Object, into); err != nil {
		return fmt.Errorf("read %s %s: %w", kind, name, err)
	}
	return nil
}

// tokenSeconds is how long a token is good, which is the least that there is.
const tokenSeconds int64 = 600

// token gets a token of a service account, for one endpoint's challenges and nothing else.
func (c *cluster) token(ctx context.Context, account, audience string) (string, error) {
	seconds := tokenSeconds
	request := &authenticationv1.TokenRequest{
		Spec: authenticationv1.TokenRequestSpec{Audiences: []string{audience}, ExpirationSeconds: &seconds},
	}
	got, err := c.client.CoreV1().ServiceAccounts(c.namespace).CreateToken(ctx, account, request, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("get a token of service account %s: %w", account, err)
	}
	return got.Status.Token, nil
}

var errNoServer = errors.New("no server of it is ready: look at the ScepEndpoint's conditions")

// server names a pod of an endpoint that is ready.
func (c *cluster) server(ctx context.Context, endpoint string) (string, error) {
	pods, err := c.pods(ctx, endpoint)
	if err != nil {
		return "", err
	}
	i := slices.IndexFunc(pods, isReady)
	if i < 0 {
		return "", fmt.Errorf("ScepEndpoint %s in namespace %s: %w", endpoint, c.namespace, errNoServer)
	}
	return pods[i].Name, nil
}

// servers names all pods of an endpoint, ready or not; there is at least one.
func (c *cluster) servers(ctx context.Context, endpoint string) ([]string, error) {
	pods, err := c.pods(ctx, endpoint)
	if err != nil {
		return nil, err
	}
	if len(pods) == 0 {
		return nil, fmt.Errorf("ScepEndpoint %s in namespace %s: %w", endpoint, c.namespace, errNoServer)
	}
	var names []string
	for i := range pods {
		names = append(names, pods[i].Name)
	}
	return names, nil
}

func (c *cluster) pods(ctx context.Context, endpoint string) ([]corev1.Pod, error) {
	pods, err := c.client.CoreV1().Pods(c.namespace).List(ctx, metav1.ListOptions{LabelSelector: render.SelectorString(endpoint)})
	if err != nil {
		return nil, fmt.Errorf("find a server of %s: %w", endpoint, err)
	}
	return pods.Items, nil
}

func isReady(p corev1.Pod) bool {
	return p.DeletionTimestamp == nil && slices.ContainsFunc(p.Status.Conditions, func(c corev1.PodCondition) bool {
		return c.Type == corev1.PodReady && c.Status == corev1.ConditionTrue
	})
}
