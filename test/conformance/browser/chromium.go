// Package browser drives Debian's headless Chromium, to see a page as a person does.
// It speaks the DevTools protocol over a pair of pipes; it is for pages on loopback
// addresses and resolves no names.
package browser

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
)

// Packages are the Debian packages that hold Chromium and a font.
var Packages = []string{program, "fonts-dejavu-core"}

const program = "chromium-headless-shell"

// Browser is a running Chromium with one page open.
type Browser struct {
	cmd     *exec.Cmd
	in      *os.File
	out     *bufio.Reader
	pipe    *os.File
	session string
	lastID  int
	// Username and Password are typed in where a page asks for them, once.
	Username, Password string
	typed              bool
	// status of the page that was opened last.
	status float64
}

// call is a command to Chromium; event is what it answers or tells.
type call struct {
	ID        int            `json:"id"`
	SessionID string         `json:"sessionId,omitempty"`
	Method    string         `json:"method"`
	Params    map[string]any `json:"params,omitempty"`
}

type event struct {
	ID     int            `json:"id"`
	Method string         `json:"method"`
	Params map[string]any `json:"params"`
	Result map[string]any `json:"result"`
	Error  *struct {
		Message string `json:"message"`
	} `json:"error"`
}

// Start starts Chromium with a profile in an empty directory. The context's end kills it.
func Start(ctx context.Context, dir string) (*Browser, error) {
	theirIn, in, err := os.Pipe()
	if err != nil {
		return nil, fmt.Errorf("pipe: %w", err)
	}
	out, theirOut, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("pipe: %w", err), theirIn.Close(), in.Close())
	}
	b := &Browser{in: in, pipe: out, out: bufio.NewReaderSize(out, 1<<20)}
	// Certificates are not what is looked at; the sandbox does not work for root.
	b.cmd = exec.CommandContext(ctx, program, "--no-sandbox", "--disable-gpu", "--no-first-run", "--remote-debugging-pipe",
		"--ignore-certificate-errors", "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1", "--user-data-dir="+dir)
	b.cmd.ExtraFiles = []*os.File{theirIn, theirOut} // 3 and 4 in Chromium
	err = b.cmd.Start()
	if err = errors.Join(err, theirIn.Close(), theirOut.Close()); err != nil {
		return nil, fmt.Errorf("start %s: %w", program, err)
	}
	if err := b.attach(); err != nil {
		return nil, errors.Join(err, b.Close())
	}
	return b, nil
}

// attach opens an empty page.
func (b *Browser) attach() error {
	made, err := b.do("Target.createTarget", map[string]any{"url": "about:blank"})
	if err != nil {
		return err
	}
	attached, err := b.do("Target.attachToTarget", map[string]any{"targetId": made["targetId"], "flatten": true})
	if err != nil {
		return err
	}
	session, ok := attached["sessionId"].(string)
	if !ok {
		return errors.New("chromium opened no page")
	}
	b.session = session
	for _, domain := range []string{"Page.enable", "Network.enable"} {
		if _, err := b.do(domain, nil); err != nil {
			return err
		}
	}
	_, err = b.do("Fetch.enable", map[string]any{"handleAuthRequests": true})
	return err
}

// Close ends Chromium, which ends when nobody drives it any more; the context kills
// it if it does not.
func (b *Browser) Close() error {
	err := b.in.Close()
	for drained := false; !drained; {
		_, failed := b.out.ReadBytes(0)
		drained = failed != nil
	}
	_ = b.cmd.Wait() // its status says nothing
	return errors.Join(err, b.pipe.Close())
}

// Resize gives the page the size of a screen, in pixels of CSS; mobile: as a phone lays pages out.
func (b *Browser) Resize(width, height int, mobile bool) error {
	_, err := b.do("Emulation.setDeviceMetricsOverride", map[string]any{
		"width": width, "height": height, "deviceScaleFactor": 1, "mobile": mobile,
	})
	return err
}

// SetHeader adds a header to all requests.
func (b *Browser) SetHeader(name, value string) error {
	_, err := b.do("Network.setExtraHTTPHeaders", map[string]any{"headers": map[string]string{name: value}})
	return err
}

// Open opens a page, and returns its HTTP status when it has loaded.
func (b *Browser) Open(url string) (status int, err error) {
	b.status, b.typed = 0, false
	if _, err := b.do("Page.navigate", map[string]any{"url": url}); err != nil {
		return 0, err
	}
	for {
		e, err := b.next()
		if err != nil {
			return 0, err
		}
		if e.Method == "Page.loadEventFired" {
			return int(b.status), nil
		}
	}
}

// Text is what a person reads on the page.
func (b *Browser) Text() (string, error) {
	value, err := b.Evaluate("document.body.innerText")
	text, _ := value.(string)
	return text, err
}

// Evaluate returns the value of an expression of JavaScript in the page.
func (b *Browser) Evaluate(expression string) (any, error) {
	answer, err := b.do("Runtime.evaluate", map[string]any{"expression": expression, "returnByValue": true})
	if err != nil {
		return nil, err
	}
	result, ok := answer["result"].(map[string]any)
	if !ok || answer["exceptionDetails"] != nil {
		return nil, fmt.Errorf("%s has no value", expression)
	}
	return result["value"], nil
}

// do sends a command and waits for its answer; it deals with what happens meanwhile.
func (b *Browser) do(method string, params map[string]any) (map[string]any, error) {
	id, err := b.send(method, params)
	if err != nil {
		return nil, err
	}
	for {
		e, err := b.next()
		switch {
		case err != nil:
			return nil, fmt.Errorf("%s: %w", method, err)
		case e.ID != id:
		case e.Error != nil:
			return nil, fmt.Errorf("%s: %s", method, e.Error.Message)
		default:
			return e.Result, nil
		}
	}
}

func (b *Browser) send(method string, params map[string]any) (int, error) {
	b.lastID++
	message, err := json.Marshal(call{b.lastID, b.session, method, params})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", method, err)
	}
	if _, err := b.in.Write(append(message, 0)); err != nil {
		return 0, fmt.Errorf("%s: %w", method, err)
	}
	return b.lastID, nil
}

// next reads what Chromium says, and answers what it asks.
func (b *Browser) next() (*event, error) {
	message, err := b.out.ReadBytes(0)
	if err != nil {
		return nil, fmt.Errorf("chromium ended: %w", err)
	}
	e := &event{}
	if err := json.Unmarshal(message[:len(message)-1], e); err != nil {
		return nil, fmt.Errorf("chromium says what is no JSON: %w", err)
	}
	return e, b.react(e)
}

func (b *Browser) react(e *event) (err error) {
	switch e.Method {
	case "Fetch.requestPaused":
		_, err = b.send("Fetch.continueRequest", map[string]any{"requestId": e.Params["requestId"]})
	case "Fetch.authRequired":
		_, err = b.send("Fetch.continueWithAuth", map[string]any{"requestId": e.Params["requestId"], "authChallengeResponse": b.login()})
	case "Network.responseReceived":
		response, ok := e.Params["response"].(map[string]any)
		if status, isNumber := response["status"].(float64); ok && isNumber && e.Params["type"] == "Document" {
			b.status = status
		}
	}
	return err
}

// login types user name and password in, and gives up where they were wrong, as a
// person who presses Escape.
func (b *Browser) login() map[string]string {
	if b.typed || b.Username == "" {
		return map[string]string{"response": "CancelAuth"}
	}
	b.typed = true
	return map[string]string{"response": "ProvideCredentials", "username": b.Username, "password": b.Password}
}
