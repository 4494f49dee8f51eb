package main

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/scepter-pki/scepter/internal/raconfig"
	"github.com/scepter-pki/scepter/internal/render"
)

// challengeOptions are the flags of "kubectl scep challenge".
type challengeOptions struct {
	access  *access
	account string
	output  string
	data    map[string]string
	request raconfig.ChallengeRequest
	// forward opens a way to a port of a pod, and returns its address here.
	forward func(ctx context.Context, c *cluster, pod string, port int) (address string, stop func(), err error)
}

const challengeExample = `  # A challenge for any device that the default template allows
  kubectl scep challenge corp

  # For one device, by exact names, for a quarter of an hour
  kubectl scep challenge corp --validity 15m --subject commonName=d1 --alternative-name dns:d1.example.com

  # As somebody who may do nothing but mint (ClusterRole scepter-challenge-minter)
  kubectl scep challenge corp --service-account helpdesk`

func newChallengeCommand(a *access) *cobra.Command {
	o := challengeOptions{access: a, forward: forwardPort}
	cmd := &cobra.Command{
		Use:     "challenge ENDPOINT",
		Short:   "Mint a one-time challenge",
		Example: challengeExample,
		Args:    cobra.ExactArgs(1),
		RunE:    func(cmd *cobra.Command, args []string) error { return o.run(cmd.Context(), args[0], cmd.OutOrStdout()) },
	}
	f := cmd.Flags()
	f.StringVar(&o.request.Challenge, "challenge", "", "name of the endpoint's challenge; empty: the first of type OneTime")
	f.StringVar(&o.request.Template, "template", "", "endpoint's name of the template; empty: the default")
	f.StringVar(&o.request.Form, "form", "", "Standard (32 characters), Long or NDES (16 digits); empty: Standard")
	f.StringVar(&o.request.Validity, "validity", "", "how long it is good, such as 15m; empty: as long as can be")
	f.StringArrayVar(&o.request.Subject, "subject", nil, "attribute=value that the subject must have; all of them, and no others")
	f.StringArrayVar(&o.request.AlternativeNames, "alternative-name", nil, "dns:…, email:…, uri:…, ip:… or upn:… that the request must have; all of them, and no others")
	f.StringVar(&o.request.Rule, "rule", "", "named rule of the template that the request must meet")
	f.StringToStringVar(&o.data, "data", nil, "key=value for the template's rules; with --form Long")
	f.StringVar(&o.account, "service-account", "", "service account to mint as; empty: the endpoint's own")
	f.StringVarP(&o.output, "output", "o", "", "json; empty: the challenge alone")
	return cmd
}

func (o *challengeOptions) run(ctx context.Context, endpoint string, out io.Writer) error {
	if o.output != "" && o.output != "json" {
		return fmt.Errorf("flag --output: %q is not json", o.output)
	}
	c, err := o.access.connect()
	if err != nil {
		return err
	}
	account := cmp.Or(o.account, render.ChildName(endpoint))
	token, err := c.token(ctx, account, raconfig.Audience(c.namespace, endpoint))
	if err != nil {
		return err
	}
	pod, err := c.server(ctx, endpoint)
	if err != nil {
		return err
	}
	address, stop, err := o.forward(ctx, c, pod, raconfig.LocalMintPort)
	if err != nil {
		return err
	}
	defer stop()
	reply, err := askForChallenge(ctx, "http://"+address, token, o.asked())
	if err != nil {
		return err
	}
	return o.print(out, reply)
}

func (o *challengeOptions) asked() raconfig.ChallengeRequest {
	asked := o.request
	for key, value := range o.data {
		if asked.Data == nil {
			asked.Data = map[string]any{}
		}
		asked.Data[key] = value
	}
	return asked
}

func (o *challengeOptions) print(out io.Writer, reply *raconfig.ChallengeReply) error {
	if o.output == "" {
		_, err := fmt.Fprintln(out, reply.Challenge)
		return err
	}
	encoder := json.NewEncoder(out)
	encoder.SetIndent("", "  ")
	return encoder.Encode(reply)
}

// askLimit bounds the request to the server.
const askLimit = 30 * time.Second

func askForChallenge(ctx context.Context, url, token string, asked raconfig.ChallengeRequest) (*raconfig.ChallengeReply, error) {
	body, err := json.Marshal(asked)
	if err != nil {
		return nil, fmt.Errorf("ask for a challenge: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, url+raconfig.ChallengesPath, bytes.NewReader(body))
	if err != nil {
		return nil, fmt.Errorf("ask for a challenge: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Authorization", "Bearer "+token)
	// No proxy of the environment: the address is this machine's own.
	response, err := (&http.Client{Transport: &http.Transport{}}).Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask for a challenge: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	return readReply(response)
}

// maxReply bounds what is read of an answer, in bytes.
const maxReply = 64 << 10

func readReply(response *http.Response) (*raconfig.ChallengeReply, error) {
	body, err := io.ReadAll(io.LimitReader(response.Body, maxReply))
	if err != nil {
		return nil, fmt.Errorf("read the challenge: %w", err)
	}
	if response.StatusCode != http.StatusOK {
		var refused raconfig.ChallengeError
		if json.Unmarshal(body, &refused) != nil || refused.Error == "" {
			refused.Error = strings.ToLower(http.StatusText(response.StatusCode))
		}
		return nil, fmt.Errorf("no challenge (HTTP status %d): %s", response.StatusCode, refused.Error)
	}
	reply := &raconfig.ChallengeReply{}
	if err := json.Unmarshal(body, reply); err != nil {
		return nil, fmt.Errorf("read the challenge: %w", err)
	}
	return reply, nil
}
