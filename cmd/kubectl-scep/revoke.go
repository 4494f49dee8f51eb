package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	corev1 "k8s.io/api/core/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/util/wait"
	"k8s.io/client-go/util/retry"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// revokeOptions are the flags of "kubectl scep revoke".
type revokeOptions struct {
	access *access
	reason string
	now    func() time.Time
}

const revokeExample = `  # A certificate by its serial number, as a console or openssl shows it
  kubectl scep revoke corp 4F:2A:00:9C

  # By its file (PEM or DER), with the reason
  kubectl scep revoke corp device.pem --reason keyCompromise`

const revokeLong = `Put certificates on the revocation list of a ScepEndpoint in mode Direct.

The list is the ConfigMap ENDPOINT-revoked, which is written with your own rights. Its signers
publish it within seconds. What is revoked stays so: there is no way back.`

func newRevokeCommand(a *access) *cobra.Command {
	o := revokeOptions{access: a, now: time.Now}
	cmd := &cobra.Command{
		Use:     "revoke ENDPOINT CERTIFICATE...",
		Short:   "Revoke certificates, by serial number or file",
		Long:    revokeLong,
		Example: revokeExample,
		Args:    cobra.MinimumNArgs(2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args[0], args[1:], cmd.OutOrStdout())
		},
	}
	cmd.Flags().StringVar(&o.reason, "reason", string(raconfig.Unspecified), "why: "+reasonNames())
	return cmd
}

func reasonNames() string {
	var names []string
	for _, r := range raconfig.RevocationReasons() {
		names = append(names, string(r))
	}
	return strings.Join(names, ", ")
}

// parseReason finds a reason whatever its case.
func parseReason(name string) (raconfig.RevocationReason, error) {
	reasons := raconfig.RevocationReasons()
	i := slices.IndexFunc(reasons, func(r raconfig.RevocationReason) bool { return strings.EqualFold(string(r), name) })
	if i < 0 {
		return "", fmt.Errorf("flag --reason: %q is none of %s", name, reasonNames())
	}
	return reasons[i], nil
}

func (o *revokeOptions) run(ctx context.Context, endpoint string, certificates []string, out io.Writer) error {
	reason, err := parseReason(o.reason)
	if err != nil {
		return err
	}
	var revocations []raconfig.Revocation
	for _, name := range certificates {
		r, err := readCertificate(name)
		if err != nil {
			return err
		}
		r.Reason, r.Time = reason, o.now()
		revocations = append(revocations, r)
	}
	c, err := o.access.connect()
	if err != nil {
		return err
	}
	if err := c.checkRevokes(ctx, endpoint); err != nil {
		return err
	}
	before, err := c.addRevocations(ctx, endpoint, o.now, revocations)
	if err != nil {
		return err
	}
	return printRevocations(out, before, revocations)
}

// checkRevokes says whether an endpoint has signers, who alone can revoke.
func (c *cluster) checkRevokes(ctx context.Context, endpoint string) error {
	ep, err := c.endpoint(ctx, endpoint)
	if err != nil {
		return err
	}
	if render.IsDirect(ep) {
		return nil
	}
	return fmt.Errorf("ScepEndpoint %s has mode %s: its certificates come from cert-manager, which cannot revoke; revoke at the CA behind %s %s",
		endpoint, v1alpha1.IssuanceCertificateRequest, ep.Spec.Issuance.IssuerRef.Kind, ep.Spec.Issuance.IssuerRef.Name)
}

// forgetAfter is how long after its end a certificate stays listed: every CRL that
// was good at its end has ended.
const forgetAfter = 31 * 24 * time.Hour

// patience is for others who revoke at the same time: some ten seconds.
var patience = wait.Backoff{Steps: 12, Duration: 20 * time.Millisecond, Factor: 1.6, Jitter: 0.5}

// addRevocations writes the list with more, and returns the list before. Whoever
// changes it at the same time loses nothing: then it is read and written anew.
func (c *cluster) addRevocations(
	ctx context.Context, endpoint string, now func() time.Time, more []raconfig.Revocation,
) (before *raconfig.Revocations, err error) {
	err = retry.OnError(patience, isRace, func() error {
		object, err := c.revoked(ctx, endpoint)
		if err != nil {
			return err
		}
		if before, err = decodeRevoked(object, now()); err != nil {
			return err
		}
		next, changed, err := before.With(now(), more...)
		if err != nil || !changed {
			return err
		}
		return c.writeRevoked(ctx, endpoint, object, next.Without(now(), now().Add(-forgetAfter)))
	})
	if err != nil {
		return nil, fmt.Errorf("revoke: %w", err)
	}
	return before, nil
}

func isRace(err error) bool { return apierrors.IsConflict(err) || apierrors.IsAlreadyExists(err) }

// revoked reads the list's ConfigMap; nil if there is none.
func (c *cluster) revoked(ctx context.Context, endpoint string) (*corev1.ConfigMap, error) {
	object, err := c.client.CoreV1().ConfigMaps(c.namespace).Get(ctx, render.RevokedName(endpoint), metav1.GetOptions{})
	if apierrors.IsNotFound(err) {
		return nil, nil
	}
	return object, err
}

var errNoList = errors.New("it holds no list of revoked certificates that can be read: repair it before anything is added, for it says what is revoked")

func decodeRevoked(object *corev1.ConfigMap, now time.Time) (*raconfig.Revocations, error) {
	if object == nil {
		return raconfig.NewRevocations(now), nil
	}
	list, err := raconfig.DecodeRevocations([]byte(object.Data[raconfig.RevocationsFile]))
	if err != nil {
		return nil, fmt.Errorf("ConfigMap %s: %w (%w)", object.Name, errNoList, err)
	}
	return list, nil
}

// fieldManager is who writes, for people who look at managedFields.
const fieldManager = "kubectl-scep"

func (c *cluster) writeRevoked(ctx context.Context, endpoint string, object *corev1.ConfigMap, list *raconfig.Revocations) error {
	file, err := raconfig.EncodeRevocations(list)
	if err != nil {
		return err
	}
	maps := c.client.CoreV1().ConfigMaps(c.namespace)
	if object == nil {
		_, err = maps.Create(ctx, render.RevokedConfigMap(c.namespace, endpoint, file), metav1.CreateOptions{FieldManager: fieldManager})
		return err
	}
	object.Data[raconfig.RevocationsFile] = string(file)
	_, err = maps.Update(ctx, object, metav1.UpdateOptions{FieldManager: fieldManager})
	return err
}

func printRevocations(out io.Writer, before *raconfig.Revocations, asked []raconfig.Revocation) error {
	for _, one := range asked {
		text := fmt.Sprintf("%s is revoked (%s)", one.Serial, one.Reason)
		if n, err := raconfig.ParseSerial(one.Serial); err == nil {
			if had := before.Find(n); had != nil {
				text = fmt.Sprintf("%s was revoked on %s (%s)", one.Serial, had.Time.Format(time.RFC3339), had.Reason)
			}
		}
		if _, err := fmt.Fprintln(out, text); err != nil {
			return err
		}
	}
	return nil
}
