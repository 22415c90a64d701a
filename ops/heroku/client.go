// Package heroku speaks to the Platform API, through heroku-go where it can do
// what is needed, and to the Data API, for which there is no library.
//
// Reads are retried. A call that changes something is sent once, by every
// layer: its error says whether it can have taken effect (ops.CallError).
package heroku

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"time"

	platform "github.com/heroku/heroku-go/v5"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Config says whom to speak to, and as whom.
type Config struct {
	Token   ops.Secret
	APIURL  string // "https://api.heroku.com"
	DataURL string // "https://api.data.heroku.com"
	Log     *slog.Logger
	Now     func() time.Time
	// Urgent says that a read must not wait for others to spare the rate limit.
	Urgent func(ctx context.Context) bool
	// Observe is told of every call; it may be nil.
	Observe func(ctx context.Context, c Call)
}

// Call is one request as it went.
type Call struct {
	Method string
	Path   string
	Status int // 0: no answer
	Took   time.Duration
}

// Client is safe for concurrent use. It prints without its token.
type Client struct {
	cfg  Config
	http *http.Client
	api  *platform.Service
	data string
}

// Open returns a client. It makes no call.
func Open(c Config) *Client {
	if c.Log == nil {
		c.Log = slog.Default()
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Urgent == nil {
		c.Urgent = func(context.Context) bool { return true }
	}
	if c.Observe == nil {
		c.Observe = func(context.Context, Call) {}
	}
	base := http.DefaultTransport.(*http.Transport).Clone()
	base.MaxIdleConnsPerHost = 16
	h := &http.Client{
		Transport:     &transport{cfg: c, base: base, budgets: budgets{platform: newBudget(c.Now), data: newBudget(c.Now)}},
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	api := platform.NewService(h)
	api.URL = strings.TrimSuffix(c.APIURL, "/")
	return &Client{cfg: c, http: h, api: api, data: strings.TrimSuffix(c.DataURL, "/")}
}

// String keeps the token from being printed.
func (c *Client) String() string { return "heroku.Client(" + c.cfg.APIURL + ")" }

// GoString keeps the token from being printed.
func (c *Client) GoString() string { return c.String() }

// readLimit ends one attempt at a read, after it has waited for its turn.
const readLimit = 10 * time.Second

// attempts at a read before its error is given to the caller.
const attempts = 3

// read makes a read up to three times. What it calls must be repeatable.
func read[T any](ctx context.Context, get func(context.Context) (T, error)) (T, error) {
	var v T
	var err error
	for n := range attempts {
		if n > 0 {
			select {
			case <-ctx.Done():
				return v, err
			case <-time.After(time.Duration(1<<n) * 50 * time.Millisecond * time.Duration(75+rand.IntN(50)) / 100):
			}
		}
		v, err = get(ctx)
		if err == nil || errors.Is(err, ops.ErrNotFound) || errors.Is(err, ops.ErrRefused) || ctx.Err() != nil {
			break
		}
		if c, ok := errors.AsType[*ops.CallError](err); ok && c.RetryAfter > time.Second {
			break
		}
	}
	return v, plain(err)
}

// act makes a call that changes something, once.
func act[T any](ctx context.Context, do func(context.Context) (T, error)) (T, error) {
	v, err := do(ctx)
	if err != nil {
		if _, ok := errors.AsType[*ops.CallError](err); !ok {
			// Such as an answer that cannot be read: it was sent.
			err = &ops.CallError{Call: "call", Message: clean(err.Error()), Kind: ops.ErrUnknownOutcome}
		}
	}
	return v, plain(err)
}

// plain takes off the *url.Error that net/http puts around what the transport
// returned: it repeats the address and adds nothing.
func plain(err error) error {
	if c, ok := errors.AsType[*ops.CallError](err); ok {
		return c
	}
	if err != nil {
		return errors.New(clean(err.Error()))
	}
	return nil
}

// credentials matches the user and password of a URL, wherever it stands.
var credentials = regexp.MustCompile(`([a-zA-Z][a-zA-Z0-9+.-]*://)[^\s/@"']+@`)

// clean takes credentials out of a text that is shown or logged.
func clean(s string) string { return credentials.ReplaceAllString(s, "${1}[redacted]@") }

// call makes one request by hand and decodes the answer into v, which may be nil.
func (c *Client) call(ctx context.Context, method, address string, body, v any, header http.Header) (http.Header, error) {
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, err
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(ctx, method, address, r)
	if err != nil {
		return nil, err
	}
	for k, h := range header {
		req.Header[k] = h
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if v == nil {
		_, err = io.Copy(io.Discard, resp.Body)
		return resp.Header, err
	}
	if err := json.NewDecoder(resp.Body).Decode(v); err != nil {
		return nil, fmt.Errorf("read the answer of %s %s: %w", method, req.URL.Path, err)
	}
	return resp.Header, nil
}

// list reads a list of the Platform API to its end: heroku-go reads one page only.
func list[T any](ctx context.Context, c *Client, path string, header http.Header) ([]T, error) {
	return read(ctx, func(ctx context.Context) ([]T, error) {
		var all []T
		h := header.Clone()
		if h == nil {
			h = http.Header{}
		}
		for range 100 { // a bound against a server that never ends
			var page []T
			answer, err := c.call(ctx, http.MethodGet, c.api.URL+path, nil, &page, h)
			if err != nil {
				return nil, err
			}
			all = append(all, page...)
			next := answer.Get("Next-Range")
			if next == "" || header.Get("Range") != "" {
				return all, nil
			}
			h.Set("Range", next)
		}
		return nil, fmt.Errorf("the list %s does not end", path)
	})
}

// identity is what may stand in a path: an id or a name. Anything else cannot
// exist at Heroku, and must not change the address.
var identity = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]*$`)

func known(ids ...string) error {
	for _, id := range ids {
		if !identity.MatchString(id) {
			return &ops.CallError{Call: "look up", Message: fmt.Sprintf("%q is not a name that Heroku allows", id), Kind: ops.ErrNotFound}
		}
	}
	return nil
}

// Hosts gives the addresses of both services, with the CLI's meaning of
// HEROKU_HOST and HEROKU_DATA_HOST (heroku/cli-util utils/pg/host.js,
// @heroku-cli/command vars.js): the Data API has the scheme and port of
// HEROKU_HOST; HEROKU_DATA_HOST is a bare name.
func Hosts(host, dataHost string) (api, data string, err error) {
	if strings.ContainsAny(dataHost, ":/") {
		return "", "", fmt.Errorf("HEROKU_DATA_HOST must be a bare host name such as localhost, without scheme and port")
	}
	if host == "" {
		host = "heroku.com"
	}
	if !strings.Contains(host, "://") {
		if strings.Contains(host, ":") {
			return "", "", fmt.Errorf("HEROKU_HOST with a port needs a scheme, such as http://127.0.0.1:5000")
		}
		if dataHost == "" {
			dataHost = "api.data." + host
		}
		return "https://api." + host, "https://" + dataHost, nil
	}
	u, err := url.Parse(host)
	if err != nil || u.Host == "" || u.Path != "" && u.Path != "/" {
		return "", "", fmt.Errorf("HEROKU_HOST must be a domain such as heroku.com or an address such as http://127.0.0.1:5000")
	}
	if u.User != nil {
		return "", "", fmt.Errorf("HEROKU_HOST must not hold a user or password")
	}
	d := *u
	if dataHost != "" {
		d.Host = dataHost
		if p := u.Port(); p != "" {
			d.Host += ":" + p
		}
	}
	return u.Scheme + "://" + u.Host, d.Scheme + "://" + d.Host, nil
}
