package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/client-go/dynamic"

	"github.com/scepter-pki/scepter/api/v1alpha1"
	"github.com/scepter-pki/scepter/internal/conditions"
)

// rotateOptions are the flags of "kubectl scep rotate".
type rotateOptions struct {
	access              *access
	distrust, yes, wait bool
	timeout, interval   time.Duration
	now                 func() time.Time
}

const rotateExample = `  # Issue the certificates of an RACredential anew, and roll them out without a gap
  kubectl scep rotate corp-ra --wait

  # A key is known to somebody else: never use anything again that is there now
  kubectl scep rotate corp-ra --distrust`

const rotateLong = `Have the certificates of an RACredential issued anew, ahead of their renewal.

The new ones are rolled out as at any renewal: loaded by every server, for purpose PolicyModule
accepted by every service, then shown; the earlier ones stay for the overlap.

With --distrust there is no overlap: every certificate that the keyring holds now is dropped at
once and never used again. Until new ones are issued and loaded no device enrols, and devices that
fetched an earlier one have to fetch again. There is no way back.`

func newRotateCommand(a *access) *cobra.Command {
	o := rotateOptions{access: a, interval: time.Second, now: time.Now}
	cmd := &cobra.Command{
		Use:     "rotate RACREDENTIAL",
		Short:   "Issue the certificates of an RACredential anew",
		Long:    rotateLong,
		Example: rotateExample,
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return o.run(cmd.Context(), args[0], cmd.InOrStdin(), cmd.OutOrStdout())
		},
	}
	f := cmd.Flags()
	f.BoolVar(&o.distrust, "distrust", false, "never use again any certificate that the keyring holds now; without an overlap")
	f.BoolVarP(&o.yes, "yes", "y", false, "do not ask whether you are sure")
	f.BoolVar(&o.wait, "wait", false, "wait until every endpoint shows the new certificates")
	f.DurationVar(&o.timeout, "timeout", 10*time.Minute, "how long to wait")
	return cmd
}

var (
	errNotSure  = errors.New("nothing was changed")
	errExternal = errors.New("its certificates come from outside: put others into the Secrets of spec.external, and they are rolled out")
)

func (o *rotateOptions) run(ctx context.Context, name string, in io.Reader, out io.Writer) error {
	c, err := o.access.connect()
	if err != nil {
		return err
	}
	rc, err := c.credential(ctx, name)
	if err != nil {
		return err
	}
	if rc.Spec.External != nil && !o.distrust {
		return fmt.Errorf("RACredential %s: %w", name, errExternal)
	}
	annotations := map[string]string{v1alpha1.AnnotationRotate: o.now().UTC().Format(time.RFC3339)}
	if o.distrust {
		annotations[v1alpha1.AnnotationDistrust] = distrusting(rc)
		if err := o.confirm(rc, in, out); err != nil {
			return err
		}
	}
	if err := c.annotate(ctx, name, annotations); err != nil {
		return err
	}
	if _, err := fmt.Fprintf(out, "RACredential %s: new certificates are asked for\n", name); err != nil {
		return err
	}
	if !o.wait {
		return nil
	}
	return o.follow(ctx, c, rc, annotations[v1alpha1.AnnotationRotate], out)
}

// distrusting lists what the annotation lists already, and every certificate of the keyring.
func distrusting(rc *v1alpha1.RACredential) string {
	var prints []string
	for _, print := range strings.Split(rc.Annotations[v1alpha1.AnnotationDistrust], ",") {
		if print = strings.TrimSpace(print); print != "" {
			prints = append(prints, print)
		}
	}
	for _, g := range rc.Status.Generations {
		for _, c := range g.Certificates {
			if !slices.Contains(prints, c.Fingerprint) {
				prints = append(prints, c.Fingerprint)
			}
		}
	}
	return strings.Join(prints, ",")
}

// confirm shows what is lost, and asks.
func (o *rotateOptions) confirm(rc *v1alpha1.RACredential, in io.Reader, out io.Writer) error {
	text := &strings.Builder{}
	fmt.Fprintf(text, "These certificates of RACredential %s are never used again, from now on and without an overlap:\n", rc.Name)
	for _, g := range rc.Status.Generations {
		for _, c := range g.Certificates {
			fmt.Fprintf(text, "  %s %s, until %s\n", c.Role, c.Fingerprint, c.NotAfter.UTC().Format(time.RFC3339))
		}
	}
	fmt.Fprintln(text, "Until new ones are issued and loaded no device enrols. There is no way back.")
	if !o.yes {
		fmt.Fprint(text, "Type yes to go on: ")
	}
	if _, err := io.WriteString(out, text.String()); err != nil || o.yes {
		return err
	}
	answer, err := bufio.NewReader(in).ReadString('\n')
	if strings.TrimSpace(answer) != "yes" {
		return errors.Join(errNotSure, ignoreEOF(err))
	}
	return nil
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) {
		return nil
	}
	return err
}

// progress is what a person is told while he waits.
type progress struct {
	done bool
	text string
}

// progressOf says how far a rotation is that was asked for when the keyring held the
// generations of before.
func progressOf(rc, before *v1alpha1.RACredential, asked string) progress {
	var newest *v1alpha1.CredentialGeneration
	if len(rc.Status.Generations) > 0 {
		newest = &rc.Status.Generations[0]
	}
	isNew := newest != nil && !slices.ContainsFunc(before.Status.Generations, func(g v1alpha1.CredentialGeneration) bool { return g.ID == newest.ID })
	switch {
	case rc.Status.LastHandledRotateAt != asked && !isNew:
		return progress{text: "the operator has not taken it up yet"}
	case isNew && newest.State == v1alpha1.GenerationActive:
		return progress{done: true, text: fmt.Sprintf("generation %s is active", newest.ID)}
	}
	text := "step " + string(rc.Status.Step)
	if ready := conditions.Find(rc.Status.Conditions, v1alpha1.ConditionReady); ready != nil && ready.Status != metav1.ConditionTrue {
		text += ": " + ready.Message
	}
	if isNew {
		text = fmt.Sprintf("generation %s is next, %s", newest.ID, text)
	}
	return progress{text: text}
}

// follow tells each change until the new generation is active.
func (o *rotateOptions) follow(ctx context.Context, c *cluster, before *v1alpha1.RACredential, asked string, out io.Writer) error {
	ctx, cancel := context.WithTimeout(ctx, o.timeout)
	defer cancel()
	tick := time.NewTicker(o.interval)
	defer tick.Stop()
	var last progress
	for {
		rc, err := c.credential(ctx, before.Name)
		if err == nil {
			if now := progressOf(rc, before, asked); now != last {
				last = now
				if _, err := fmt.Fprintln(out, now.text); err != nil {
					return err
				}
			}
		}
		if last.done {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("RACredential %s: waited in vain, %s: %w", before.Name, last.text, ctx.Err())
		case <-tick.C:
		}
	}
}

// credential reads an RACredential.
func (c *cluster) credential(ctx context.Context, name string) (*v1alpha1.RACredential, error) {
	rc := &v1alpha1.RACredential{}
	return rc, c.read(ctx, "RACredential", "racredentials", name, rc)
}

func (c *cluster) annotate(ctx context.Context, name string, annotations map[string]string) error {
	client, err := dynamic.NewForConfig(c.config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	patch, err := json.Marshal(map[string]any{"metadata": map[string]any{"annotations": annotations}})
	if err != nil {
		return fmt.Errorf("encode annotations: %w", err)
	}
	_, err = client.Resource(v1alpha1.GroupVersion.WithResource("racredentials")).Namespace(c.namespace).
		Patch(ctx, name, types.MergePatchType, patch, metav1.PatchOptions{FieldManager: fieldManager})
	if err != nil {
		return fmt.Errorf("annotate RACredential %s in namespace %s: %w", name, c.namespace, err)
	}
	return nil
}
