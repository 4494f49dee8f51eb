package rig

import (
	"context"
	"fmt"
	"time"

	certmanagerv1 "github.com/cert-manager/cert-manager/pkg/apis/certmanager/v1"
	cmmeta "github.com/cert-manager/cert-manager/pkg/apis/meta/v1"
	"github.com/go-logr/logr"
	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/util/wait"
	clientgoscheme "k8s.io/client-go/kubernetes/scheme"
	"sigs.k8s.io/controller-runtime/pkg/client"
	"sigs.k8s.io/controller-runtime/pkg/log"
	gatewayv1 "sigs.k8s.io/gateway-api/apis/v1"

	"github.com/scepter-pki/scepter/api/v1alpha1"
)

// pollEvery is how often Wait looks.
const pollEvery = 300 * time.Millisecond

// Client talks to the cluster's API server; it knows Scepter's, cert-manager's
// and the Gateway API's kinds.
func (r *Rig) Client() (client.Client, error) {
	log.SetLogger(logr.Discard()) // controller-runtime complains without one
	scheme := runtime.NewScheme()
	for _, add := range []func(*runtime.Scheme) error{
		clientgoscheme.AddToScheme, certmanagerv1.AddToScheme, gatewayv1.Install, v1alpha1.AddToScheme,
	} {
		if err := add(scheme); err != nil {
			return nil, fmt.Errorf("register kinds: %w", err)
		}
	}
	config, err := r.Cluster.RESTConfig()
	if err != nil {
		return nil, err
	}
	config.QPS = -1 // no limit: one client of a cluster that has nothing else to do
	c, err := client.New(config, client.Options{Scheme: scheme})
	if err != nil {
		return nil, fmt.Errorf("connect to the cluster: %w", err)
	}
	return c, nil
}

// Check looks once at what is awaited: whether it is there, and if not, what was
// seen instead. Its errors are no reason to give up.
type Check func(ctx context.Context) (done bool, seen string, err error)

// Wait looks until check is done or limit has passed; its error says what was
// awaited and what was seen last.
func Wait(ctx context.Context, what string, limit time.Duration, check Check) error {
	var seen string
	err := wait.PollUntilContextTimeout(ctx, pollEvery, limit, true, func(ctx context.Context) (bool, error) {
		done, saw, err := check(ctx)
		switch {
		case err == nil:
			seen = saw
		case ctx.Err() == nil: // an error of the end itself says nothing
			seen = err.Error()
		}
		return done && err == nil, nil
	})
	if err == nil {
		return nil
	}
	return fmt.Errorf("waited %s for %s: %w; last seen: %s", limit, what, err, seen)
}

// Ready checks that an endpoint is Ready for its present spec.
func Ready(c client.Client, namespace, name string) Check {
	return Condition(c, namespace, name, v1alpha1.ConditionReady, metav1.ConditionTrue)
}

// Condition checks that an endpoint's condition has a status, for its present spec.
func Condition(c client.Client, namespace, name, conditionType string, status metav1.ConditionStatus) Check {
	return func(ctx context.Context) (bool, string, error) {
		var ep v1alpha1.ScepEndpoint
		if err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &ep); err != nil {
			return false, "", fmt.Errorf("get the endpoint: %w", err)
		}
		have := meta.FindStatusCondition(ep.Status.Conditions, conditionType)
		if have == nil {
			return false, "no condition " + conditionType, nil
		}
		seen := fmt.Sprintf("%s=%s %s: %s", have.Type, have.Status, have.Reason, have.Message)
		return have.Status == status && have.ObservedGeneration == ep.Generation, seen, nil
	}
}

// PodReady says whether a pod takes part in its Services.
func PodReady(pod *corev1.Pod) bool {
	for _, c := range pod.Status.Conditions {
		if c.Type == corev1.PodReady {
			return c.Status == corev1.ConditionTrue
		}
	}
	return false
}

// RenewCertificate asks cert-manager to issue a Certificate anew, in the way of "cmctl renew".
func RenewCertificate(ctx context.Context, c client.Client, namespace, name string) error {
	var certificate certmanagerv1.Certificate
	if err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &certificate); err != nil {
		return fmt.Errorf("get Certificate %s: %w", name, err)
	}
	issuing := certmanagerv1.CertificateCondition{
		Type: certmanagerv1.CertificateConditionIssuing, Status: cmmeta.ConditionTrue,
		Reason: "ManuallyTriggered", Message: "Certificate re-issuance manually triggered",
		ObservedGeneration: certificate.Generation, LastTransitionTime: new(metav1.Now()),
	}
	certificate.Status.Conditions = append(certificate.Status.Conditions, issuing)
	if err := c.Status().Update(ctx, &certificate); err != nil {
		return fmt.Errorf("ask for Certificate %s anew: %w", name, err)
	}
	return nil
}

// CA returns, as PEM, the CA certificate in a cert-manager Secret.
func CA(ctx context.Context, c client.Client, namespace, name string) ([]byte, error) {
	secret, err := getSecret(ctx, c, namespace, name)
	if err != nil {
		return nil, err
	}
	if len(secret["ca.crt"]) == 0 {
		return nil, fmt.Errorf("the Secret %s has no ca.crt", name)
	}
	return secret["ca.crt"], nil
}

func getSecret(ctx context.Context, c client.Client, namespace, name string) (map[string][]byte, error) {
	var secret corev1.Secret
	if err := c.Get(ctx, types.NamespacedName{Namespace: namespace, Name: name}, &secret); err != nil {
		return nil, fmt.Errorf("get Secret %s: %w", name, err)
	}
	return secret.Data, nil
}
