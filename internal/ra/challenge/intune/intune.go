// Package intune speaks Microsoft Intune's API for third-party certification
// authorities: it asks Intune whether a request is one that Intune caused, and
// tells it what became of it. Microsoft publishes libraries and no specification;
// shapes and names here are those that the libraries send.
package intune

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/Azure/azure-sdk-for-go/sdk/azcore"
	"k8s.io/apimachinery/pkg/util/uuid"

	"github.com/scepter-pki/scepter/internal/ra/challenge/outbound"
)

const (
	// Timeout of one operation, with all calls it needs.
	Timeout = 20 * time.Second
	// MaxAnswer bounds an answer, in bytes.
	MaxAnswer = 1 << 20
	// maxTries at one operation: the second follows what may have passed, or a
	// token or service address that has been fetched anew.
	maxTries = 2
)

// URLs are where Microsoft's services are. National clouds have others.
type URLs struct {
	// Authority issues tokens, below the tenant's ID.
	Authority string
	// Graph tells where a tenant's services are.
	Graph string
	// GraphScope and IntuneScope are what tokens are asked for.
	GraphScope  string
	IntuneScope string
}

// Or fills what is empty from other.
func (u URLs) Or(other URLs) URLs {
	return URLs{
		Authority:   cmp.Or(u.Authority, other.Authority),
		Graph:       cmp.Or(u.Graph, other.Graph),
		GraphScope:  cmp.Or(u.GraphScope, other.GraphScope),
		IntuneScope: cmp.Or(u.IntuneScope, other.IntuneScope),
	}
}

// PublicCloud are the URLs of the global service. The double slash in the scope is
// what Microsoft's library sends.
var PublicCloud = URLs{
	Authority:   "https://login.microsoftonline.com",
	Graph:       "https://graph.microsoft.com",
	GraphScope:  "https://graph.microsoft.com/.default",
	IntuneScope: "https://api.manage.microsoft.com//.default",
}

// Options of a Client.
type Options struct {
	URLs URLs
	// Credential makes the credential of the application, anew after Microsoft has
	// refused a token. Its calls go through the transport that it is given.
	Credential CredentialFunc
	// Caller names this software and its version, in Intune's records.
	Caller   string
	Outbound *outbound.Client
	Now      func() time.Time
}

// Client calls Intune for one tenant. It is safe for concurrent use.
type Client struct {
	options  Options
	tokens   *tokens
	services *fresh[map[string]string]
}

// New makes a client. It calls nobody yet.
func New(o Options) *Client {
	c := &Client{options: o, tokens: newTokens(o)}
	c.services = newFresh(o.Now, c.discover)
	return c
}

// service is one of Intune's, as discovery names it.
type service struct{ name, version string }

var (
	validationService = service{"ScepRequestValidationFEService", "2018-02-20"}
	revocationService = service{"PkiConnectorFEService", "5019-05-05"}
)

// post sends a request to a service and reads its answer into out. Operations can
// all be repeated, so what may pass is tried again once.
func (c *Client) post(ctx context.Context, s service, path string, in, out any) (activity string, err error) {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	activity = string(uuid.NewUUID())
	content, err := json.Marshal(in)
	if err != nil {
		return activity, fmt.Errorf("encode request to Intune: %w", err)
	}
	for try := 1; ; try++ {
		err = c.try(ctx, s, path, activity, content, out)
		if err == nil || try == maxTries || ctx.Err() != nil || !c.prepareRetry(err) {
			return activity, err
		}
	}
}

func (c *Client) try(ctx context.Context, s service, path, activity string, content []byte, out any) error {
	address, err := c.address(ctx, s.name)
	if err != nil {
		return err
	}
	token, err := c.tokens.get(ctx, c.options.URLs.IntuneScope)
	if err != nil {
		return err
	}
	answer, err := c.options.Outbound.Call(ctx, outbound.Request{
		Method: http.MethodPost,
		URL:    address + "/" + path,
		Header: c.header(token, activity, s.version),
		Body:   content,
	})
	if err != nil {
		return &callError{"Intune", err}
	}
	if answer.Status != http.StatusOK {
		return &callError{"Intune", answer.StatusError()}
	}
	if err := answer.JSON(out); err != nil {
		return &callError{"Intune", err}
	}
	return nil
}

// Probe asks for what every question needs, where it is not at hand: a token of Entra's
// and the service's address, of Graph. Of Intune it asks nothing (HEAD).
func (c *Client) Probe(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	address, err := c.address(ctx, validationService.name)
	if err != nil {
		return err
	}
	token, err := c.tokens.get(ctx, c.options.URLs.IntuneScope)
	if err != nil {
		return err
	}
	answer, err := c.options.Outbound.Call(ctx, outbound.Request{
		Method: http.MethodHead, URL: address + "/" + validatePath,
		Header: c.header(token, string(uuid.NewUUID()), validationService.version),
	})
	if err == nil && answer.Refuses() {
		err = answer.StatusError()
	}
	if err != nil {
		failed := &callError{"Intune", err}
		c.prepareRetry(failed)
		return failed
	}
	return nil
}

func (c *Client) header(token, activity, version string) http.Header {
	return http.Header{
		"Authorization":     {"Bearer " + token},
		"Content-Type":      {"application/json"},
		"Accept":            {"application/json"},
		"Client-Request-Id": {activity},
		"Api-Version":       {version},
		"Useragent":         {c.options.Caller}, // without a hyphen, as Microsoft's library writes it
		"User-Agent":        {c.options.Caller},
	}
}

// callError says which service a call failed at.
type callError struct {
	service string
	err     error
}

// Error names the service.
func (e *callError) Error() string { return e.service + ": " + e.err.Error() }

// Unwrap returns the failure.
func (e *callError) Unwrap() error { return e.err }

// prepareRetry forgets what a failure makes doubtful, and says whether a second
// try is worth it. Where Intune's address changed, discovery tells the new one.
func (c *Client) prepareRetry(err error) bool {
	var at *callError
	failed, ok := outbound.As(err)
	if !ok || !errors.As(err, &at) || at.service != "Intune" {
		return false
	}
	switch {
	case failed.Status == http.StatusUnauthorized:
		c.tokens.forget(c.options.URLs.IntuneScope)
	case hasMoved(failed):
		c.services.forget()
	default:
		return failed.Transient()
	}
	return true
}

// hasMoved says whether a failure means that a service may be somewhere else by now.
func hasMoved(e *outbound.Error) bool {
	switch e.Fault {
	case outbound.UnknownHost, outbound.Unreachable, outbound.Untrusted, outbound.ClientRefused:
		return true
	}
	switch e.Status {
	case http.StatusNotFound, http.StatusGone, http.StatusMisdirectedRequest,
		http.StatusMovedPermanently, http.StatusFound, http.StatusTemporaryRedirect, http.StatusPermanentRedirect:
		return true
	}
	return false
}

const (
	// intuneAppID is the application by which every tenant knows Intune.
	intuneAppID = "0000000a-0000-0000-c000-000000000000"
	// servicesFor is how long discovery is believed.
	servicesFor = 24 * time.Hour
)

// ErrNoService says that the tenant has no such service: Intune is not licensed,
// or the tenant's ID is another's.
var ErrNoService = errors.New("the tenant's directory does not list Intune's SCEP service: is Intune licensed, and is the tenant the right one?")

// address is where a service is, without a slash at its end.
func (c *Client) address(ctx context.Context, name string) (string, error) {
	services, err := c.services.get(ctx)
	if err != nil {
		return "", err
	}
	address, ok := services[strings.ToLower(name)]
	if !ok {
		return "", fmt.Errorf("%w (%s)", ErrNoService, name)
	}
	return address, nil
}

// discover asks Microsoft Graph where the tenant's services are.
func (c *Client) discover(ctx context.Context) (map[string]string, time.Time, error) {
	var list struct {
		Value []struct {
			ProviderName string `json:"providerName"`
			URI          string `json:"uri"`
		} `json:"value"`
	}
	if err := c.askGraph(ctx, "/v1.0/servicePrincipals/appId="+intuneAppID+"/endpoints", &list); err != nil {
		return nil, time.Time{}, err
	}
	services := map[string]string{}
	for _, s := range list.Value {
		services[strings.ToLower(s.ProviderName)] = strings.TrimRight(s.URI, "/")
	}
	until := c.options.Now().Add(servicesFor)
	if services[strings.ToLower(validationService.name)] == "" {
		return nil, time.Time{}, ErrNoService
	}
	return services, until, nil
}

func (c *Client) askGraph(ctx context.Context, path string, out any) error {
	target, err := url.JoinPath(c.options.URLs.Graph, path)
	if err != nil {
		return fmt.Errorf("URL of Microsoft Graph: %w", err)
	}
	for try := 1; ; try++ {
		err := c.tryGraph(ctx, target, out)
		failed, ok := outbound.As(err)
		if err == nil || try == maxTries || !ok || failed.Status != http.StatusUnauthorized && !failed.Transient() {
			return err
		}
		if failed.Status == http.StatusUnauthorized {
			c.tokens.forget(c.options.URLs.GraphScope)
		}
	}
}

func (c *Client) tryGraph(ctx context.Context, target string, out any) error {
	token, err := c.tokens.get(ctx, c.options.URLs.GraphScope)
	if err != nil {
		return err
	}
	answer, err := c.options.Outbound.Call(ctx, outbound.Request{
		Method: http.MethodGet,
		URL:    target,
		Header: http.Header{
			"Authorization":     {"Bearer " + token},
			"Accept":            {"application/json"},
			"Client-Request-Id": {string(uuid.NewUUID())},
		},
	})
	if err != nil {
		return &callError{"Microsoft Graph", err}
	}
	if answer.Status != http.StatusOK {
		return &callError{"Microsoft Graph", answer.StatusError()}
	}
	if err := answer.JSON(out); err != nil {
		return &callError{"Microsoft Graph", err}
	}
	return nil
}

// CredentialFunc makes a credential whose calls go through a transport.
type CredentialFunc func(transport Transport) (azcore.TokenCredential, error)
