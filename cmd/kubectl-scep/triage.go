package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/triage"
)

// triageOptions are the flags of "kubectl scep triage".
type triageOptions struct {
	access                       *access
	subject, transaction, serial string
	since                        time.Duration
	output                       string
	forward                      func(ctx context.Context, c *cluster, pod string, port int) (address string, stop func(), err error)
	now                          func() time.Time
}

const triageExample = `  # What became of the device whose certificate has, or is to have, this name?
  kubectl scep triage corp --subject d1.devices.example.com

  # And of this message, which the device's log names?
  kubectl scep triage corp --transaction A7E0646F8D4EBF39C2D8F2F7DA7E5759480F926B --since 1h`

// defaultSince is how far back triage looks.
const defaultSince = 24 * time.Hour

func newTriageCommand(a *access) *cobra.Command {
	o := triageOptions{access: a, forward: forwardPort, now: time.Now}
	cmd := &cobra.Command{
		Use:     "triage ENDPOINT",
		Short:   "Tell why a device has no certificate",
		Example: triageExample,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.subject, "subject", "", "common name or alternative name that the device asks for")
	f.StringVar(&o.transaction, "transaction", "", "transaction that the device's log names")
	f.StringVar(&o.serial, "serial", "", "serial number of a certificate, in hexadecimal digits")
	f.DurationVar(&o.since, "since", defaultSince, "how far to look back")
	f.StringVarP(&o.output, "output", "o", "text", "text or json")
	cmd.MarkFlagsOneRequired("subject", "transaction", "serial")
	cmd.MarkFlagsMutuallyExclusive("subject", "transaction", "serial")
	return cmd
}

var errNoAnswer = errors.New("no server told its audit records, so there is no verdict")

func (o *triageOptions) run(ctx context.Context, endpoint string, out io.Writer) error {
	question, err := o.question()
	if err != nil {
		return err
	}
	c, err := o.access.connect()
	if err != nil {
		return err
	}
	ep, err := c.endpoint(ctx, endpoint)
	if err != nil {
		return err
	}
	pods, err := c.servers(ctx, endpoint)
	if err != nil {
		return err
	}
	tier := triage.Tier{Conditions: ep.Status.Conditions}
	trails := make([]triage.Trail, len(pods))
	var failed []error
	for i, pod := range pods {
		var funnel []raconfig.FunnelRow
		trails[i], funnel = o.ask(ctx, c, pod, question)
		tier.Funnel = append(tier.Funnel, funnel...)
		if trails[i].Err != nil {
			failed = append(failed, fmt.Errorf("%s: %w", pod, trails[i].Err))
		}
	}
	if len(failed) == len(pods) {
		return errors.Join(append([]error{errNoAnswer}, failed...)...)
	}
	return o.print(out, triage.Judge(question, trails, tier))
}

func (o *triageOptions) question() (triage.Question, error) {
	now := o.now()
	question := triage.Question{Subject: o.subject, Transaction: o.transaction, Since: now.Add(-o.since), Now: now}
	switch {
	case o.output != "text" && o.output != "json":
		return question, fmt.Errorf("flag --output: %q is neither text nor json", o.output)
	case o.since <= 0:
		return question, errors.New("flag --since: how long ago, such as 2h")
	case o.serial == "" && o.subject == "" && o.transaction == "":
		return question, errors.New("which device? --subject, --transaction or --serial must not be empty")
	case o.serial == "":
		return question, nil
	}
	serial, err := raconfig.ParseSerial(o.serial)
	if err != nil {
		return question, fmt.Errorf("flag --serial: %w", err)
	}
	question.Serial = raconfig.SerialText(serial)
	return question, nil
}

// recordLimit is how many records a server tells at most.
const recordLimit = 10000

// ask gets a server's records, and how far its clients come. A server that does not tell
// the latter has its records all the same.
func (o *triageOptions) ask(ctx context.Context, c *cluster, pod string, q triage.Question) (triage.Trail, []raconfig.FunnelRow) {
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	trail := triage.Trail{Pod: pod}
	address, stop, err := o.forward(ctx, c, pod, raconfig.AdminPort)
	if err != nil {
		trail.Err = err
		return trail, nil
	}
	defer stop()
	query := url.Values{"since": {q.Since.UTC().Format(time.RFC3339)}, "limit": {strconv.Itoa(recordLimit)}}
	if q.Transaction != "" {
		query.Set("transaction", q.Transaction)
	}
	err = getFrom(ctx, "http://"+address+"/audit?"+query.Encode(), func(answer io.Reader) (err error) {
		trail, err = triage.ReadTrail(pod, answer, recordLimit)
		return err //nolint:wrapcheck // getFrom does
	})
	trail.Err = err
	var status raconfig.ReplicaStatus
	_ = getFrom(ctx, "http://"+address+raconfig.StatusPath, func(answer io.Reader) error {
		return json.NewDecoder(answer).Decode(&status)
	})
	return trail, status.Funnel
}

// maxAnswer bounds what is read of a server's answer, in bytes: a ring of records fits.
const maxAnswer = 64 << 20

// getFrom reads what a server answers on its admin port.
func getFrom(ctx context.Context, from string, read func(io.Reader) error) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, from, http.NoBody)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	// No proxy of the environment: the address is this machine's own.
	response, err := (&http.Client{Transport: &http.Transport{DisableKeepAlives: true}}).Do(request)
	if err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("ask the server: HTTP status %d", response.StatusCode)
	}
	if err := read(io.LimitReader(response.Body, maxAnswer)); err != nil {
		return fmt.Errorf("ask the server: %w", err)
	}
	return nil
}

func (o *triageOptions) print(out io.Writer, v triage.Verdict) error {
	if o.output == "json" {
		encoder := json.NewEncoder(out)
		encoder.SetIndent("", "  ")
		return encoder.Encode(v)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "%s: %s.\n", v.Class, v.Summary) // Flush has what fails
	printList(w, "Gaps in the records", v.Coverage.Gaps)
	printList(w, "Also known", v.Notes)
	printEvidence(w, v.Evidence)
	printAdvice(w, v.Advice)
	return w.Flush()
}

func printList(w io.Writer, title string, lines []string) {
	if len(lines) == 0 {
		return
	}
	_, _ = fmt.Fprintf(w, "\n%s:\n", title)
	for _, line := range lines {
		_, _ = fmt.Fprintln(w, " - "+line)
	}
}

func printEvidence(w io.Writer, records []triage.Record) {
	if len(records) == 0 {
		return
	}
	_, _ = fmt.Fprint(w, "\nRecords:\n")
	for _, r := range records {
		_, _ = fmt.Fprintf(w, "   %s\t%s\t%s\t%s\t%s\n", r.Time.UTC().Format(time.RFC3339), r.Code, r.Message, cmp.Or(r.Reason, "-"), r.Pod)
	}
}

func printAdvice(w io.Writer, advice []triage.Advice) {
	if len(advice) == 0 {
		return
	}
	_, _ = fmt.Fprint(w, "\nWhat to do or to check, in this order:\n")
	for i, a := range advice {
		_, _ = fmt.Fprintf(w, "%2d. %s\n    (%s)\n", i+1, a.Check, a.Why)
	}
}
