package issue

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	certmanagerclient "github.com/cert-manager/cert-manager/pkg/client/clientset/versioned/typed/certmanager/v1"
	"golang.org/x/time/rate"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/labels"
	"k8s.io/client-go/metadata"
	"k8s.io/client-go/metadata/metadatainformer"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// Limits of what a server asks of the API server.
const (
	clientQPS   = 100
	clientBurst = 200
	// callTimeout bounds one call: a device waits behind it.
	callTimeout = 5 * time.Second
	// listsPerSecond bounds the lists that polls for unknown transactions cause;
	// nobody has authenticated those.
	listsPerSecond = 10
	listsBurst     = 20
)

// ErrBusy says that too many polls for unknown transactions are being looked up.
var ErrBusy = errors.New("too many lookups of unknown transactions")

// Store reads and writes the CertificateRequests of one endpoint. What it knows
// from its watch is metadata only; objects are read live.
type Store struct {
	client    certmanagerclient.CertificateRequestInterface
	informer  cache.SharedIndexInformer
	namespace string
	endpoint  string
	lists     *rate.Limiter

	mu      sync.Mutex
	waiting map[string][]chan string // by name
}

// NewStore makes a store; Run starts its watch.
func NewStore(config *rest.Config, namespace, endpoint string) (*Store, error) {
	config = rest.CopyConfig(config)
	config.QPS, config.Burst = clientQPS, clientBurst
	typed, err := certmanagerclient.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("client of cert-manager: %w", err)
	}
	meta, err := metadata.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("metadata client: %w", err)
	}
	s := &Store{
		client:    typed.CertificateRequests(namespace),
		namespace: namespace,
		endpoint:  endpoint,
		lists:     rate.NewLimiter(listsPerSecond, listsBurst),
		waiting:   map[string][]chan string{},
	}
	return s, s.watch(meta, namespace)
}

// watch sets the informer up.
func (s *Store) watch(client metadata.Interface, namespace string) error {
	selector := labels.Set{v1alpha1.LabelEndpoint: s.endpoint}.String()
	s.informer = metadatainformer.NewFilteredMetadataInformer(
		client, certmanagerv1.SchemeGroupVersion.WithResource("certificaterequests"), namespace, 0,
		cache.Indexers{
			v1alpha1.LabelTransaction: indexLabel(v1alpha1.LabelTransaction),
			v1alpha1.LabelSigner:      indexLabel(v1alpha1.LabelSigner),
			v1alpha1.LabelKey:         indexLabel(v1alpha1.LabelKey),
			v1alpha1.LabelSender:      indexLabel(v1alpha1.LabelSender),
			v1alpha1.LabelSubject:     indexLabel(v1alpha1.LabelSubject),
			v1alpha1.LabelCanary:      indexLabel(v1alpha1.LabelCanary),
		},
		func(o *metav1.ListOptions) { o.LabelSelector = selector },
	).Informer()
	if err := s.informer.SetTransform(dropManagedFields); err != nil {
		return fmt.Errorf("watch of CertificateRequests: %w", err)
	}
	_, err := s.informer.AddEventHandler(cache.ResourceEventHandlerFuncs{
		AddFunc:    s.notify,
		UpdateFunc: func(_, object any) { s.notify(object) },
		DeleteFunc: s.notify,
	})
	if err != nil {
		return fmt.Errorf("watch of CertificateRequests: %w", err)
	}
	return nil
}

func indexLabel(label string) cache.IndexFunc {
	return func(object any) ([]string, error) {
		m, ok := object.(*metav1.PartialObjectMetadata)
		if !ok || m.Labels[label] == "" {
			return nil, nil
		}
		return []string{m.Labels[label]}, nil
	}
}

func dropManagedFields(object any) (any, error) {
	if m, ok := object.(*metav1.PartialObjectMetadata); ok {
		m.ManagedFields = nil
	}
	return object, nil
}

// Run watches until the context ends.
func (s *Store) Run(ctx context.Context) { s.informer.RunWithContext(ctx) }

// Synced says whether the watch has seen what there is.
func (s *Store) Synced() bool { return s.informer.HasSynced() }

// Known are the names of the objects with a label, as far as the watch knows.
func (s *Store) Known(label, value string) []string {
	objects, err := s.informer.GetIndexer().ByIndex(label, value)
	if err != nil { // no such index
		return nil
	}
	var names []string
	for _, o := range objects {
		if m, ok := o.(*metav1.PartialObjectMetadata); ok {
			names = append(names, m.Name)
		}
	}
	return names
}

// Get reads an object; nil if there is none.
func (s *Store) Get(ctx context.Context, name string) (*certmanagerv1.CertificateRequest, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	object, err := s.client.Get(ctx, name, metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read CertificateRequest %s: %w", name, err)
	}
	return object, nil
}

// List reads the objects with a label, or fails with ErrBusy.
func (s *Store) List(ctx context.Context, label, value string) ([]certmanagerv1.CertificateRequest, error) {
	if !s.lists.Allow() {
		return nil, ErrBusy
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	selector := labels.Set{v1alpha1.LabelEndpoint: s.endpoint, label: value}.String()
	list, err := s.client.List(ctx, metav1.ListOptions{LabelSelector: selector})
	if err != nil {
		return nil, fmt.Errorf("list CertificateRequests: %w", err)
	}
	return list.Items, nil
}

// Create makes an object. The error of a name that is taken satisfies apierrors.IsAlreadyExists.
func (s *Store) Create(ctx context.Context, object *certmanagerv1.CertificateRequest) (*certmanagerv1.CertificateRequest, error) {
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	made, err := s.client.Create(ctx, object, metav1.CreateOptions{})
	if err != nil {
		return nil, &redactedError{fmt.Errorf("create CertificateRequest %s: %w", object.Name, err)}
	}
	return made, nil
}

// Changes says which version of the object the watch has seen last, and each later
// one, until stop is called. One that nobody has taken gives way to the next.
func (s *Store) Changes(name string) (versions <-chan string, stop func()) {
	c := make(chan string, 1)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waiting[name] = append(s.waiting[name], c)
	if known, ok, err := s.informer.GetStore().GetByKey(s.namespace + "/" + name); ok && err == nil {
		tell(c, known)
	}
	return c, func() { s.forget(name, c) }
}

func (s *Store) forget(name string, c chan string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var others []chan string
	for _, other := range s.waiting[name] {
		if other != c {
			others = append(others, other)
		}
	}
	if s.waiting[name] = others; len(others) == 0 {
		delete(s.waiting, name)
	}
}

func (s *Store) notify(object any) {
	if gone, ok := object.(cache.DeletedFinalStateUnknown); ok {
		object = gone.Obj
	}
	m, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.waiting[m.Name] {
		tell(c, m)
	}
}

// tell puts an object's version in the place of the one before; only holders of the lock send.
func tell(c chan string, object any) {
	m, ok := object.(*metav1.PartialObjectMetadata)
	if !ok {
		return
	}
	select {
	case <-c:
	default:
	}
	c <- m.ResourceVersion
}
