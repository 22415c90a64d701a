package heroku

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// transport adds what every request needs, keeps within the rate limit, and
// turns what is not success into an ops.CallError.
type transport struct {
	cfg     Config
	base    http.RoundTripper
	budgets budgets
}

func (t *transport) RoundTrip(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	name := req.Method + " " + req.URL.Path
	budget := t.budgets.of(req.URL.Path)
	if req.Method == http.MethodGet { // what changes something never waits
		if err := budget.wait(ctx, t.cfg.Urgent(ctx)); err != nil {
			return nil, &ops.CallError{Call: name, Message: "waited for the rate limit", Kind: ops.ErrBusy}
		}
		// Only now: a look's calls are known by their common deadline.
		one, cancel := context.WithTimeout(ctx, readLimit)
		resp, err := t.send(req.WithContext(one), name, budget)
		if err != nil {
			cancel()
			return nil, err
		}
		resp.Body = ending{resp.Body, cancel}
		return resp, nil
	}
	return t.send(req, name, budget)
}

// ending is an answer whose time limit ends with it.
type ending struct {
	io.ReadCloser
	end context.CancelFunc
}

func (e ending) Close() error {
	defer e.end()
	return e.ReadCloser.Close()
}

// send makes one request, within its deadline.
func (t *transport) send(req *http.Request, name string, budget *budget) (*http.Response, error) {
	ctx := req.Context()
	// A process that was stopped comes back here before its timers fire; what it
	// was about to send is another process's to decide by then.
	if d, ok := ctx.Deadline(); ok && !time.Now().Before(d) {
		return nil, &ops.CallError{Call: name, Message: "not sent: its time is over", Kind: ops.ErrBusy}
	}
	var wrote atomic.Bool
	req = req.Clone(httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{WroteHeaders: func() { wrote.Store(true) }}))
	req.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	req.Header.Set("Authorization", "Bearer "+t.cfg.Token.Reveal())
	req.Header.Set("User-Agent", "pgupgrade")
	if req.Header.Get("Request-Id") == "" {
		req.Header.Set("Request-Id", rand.Text())
	}
	begun := time.Now()
	budget.send()
	resp, err := t.base.RoundTrip(req)
	budget.saw(resp)
	c := Call{Method: req.Method, Path: req.URL.Path, Took: time.Since(begun)}
	if err != nil {
		t.cfg.Observe(ctx, c)
		return nil, noAnswer(name, err, wrote.Load())
	}
	c.Status = resp.StatusCode
	t.cfg.Observe(ctx, c)
	t.cfg.Log.DebugContext(ctx, "heroku", "call", name, "status", resp.StatusCode, "request_id", resp.Header.Get("Request-Id"))
	if resp.StatusCode/100 == 2 {
		return resp, nil
	}
	defer resp.Body.Close()
	return nil, refusal(name, resp)
}

// noAnswer says what a failed request means: before anything was written it
// cannot have taken effect.
func noAnswer(name string, err error, wrote bool) error {
	e := &ops.CallError{Call: name, Message: "no answer", Kind: ops.ErrUnknownOutcome}
	var dns *net.DNSError
	switch {
	case errors.As(err, &dns), errors.Is(err, syscall.ECONNREFUSED), !wrote:
		e.Kind, e.Message = ops.ErrBusy, "cannot be reached"
	case errors.Is(err, context.DeadlineExceeded):
		e.Message = "no answer in time"
	case errors.Is(err, context.Canceled):
		e.Message = "stopped waiting for the answer"
	}
	return e
}

// refusal turns an answer that is not success into an error. Its body need not
// be JSON: the Data API has answered 404 with HTML under a JSON content type.
func refusal(name string, resp *http.Response) error {
	e := &ops.CallError{Call: name, Status: resp.StatusCode, RequestID: resp.Header.Get("Request-Id"), Kind: ops.ErrRefused}
	if i := strings.LastIndex(e.RequestID, ","); i >= 0 {
		e.RequestID = e.RequestID[i+1:]
	}
	body, err := io.ReadAll(io.LimitReader(resp.Body, 1<<16))
	if err != nil {
		body = nil
	}
	var said struct{ ID, Message string }
	if json.Unmarshal(body, &said) == nil {
		e.ID, e.Message = said.ID, clean(said.Message)
	}
	if e.Message == "" {
		e.Message = http.StatusText(resp.StatusCode)
	}
	switch {
	case resp.StatusCode == http.StatusNotFound:
		e.Kind = ops.ErrNotFound
	case resp.StatusCode == http.StatusTooManyRequests:
		e.Kind = ops.ErrBusy
		if n, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil {
			e.RetryAfter = time.Duration(n) * time.Second
		}
	case resp.StatusCode == http.StatusUnauthorized:
		e.Message = "the API key was refused: it is wrong, revoked or expired"
	case resp.StatusCode/100 == 3:
		e.Message = fmt.Sprintf("unexpected redirect (HTTP %d)", resp.StatusCode)
		e.Kind = ops.ErrUnknownOutcome
	case resp.StatusCode >= 500:
		e.Kind = ops.ErrUnknownOutcome
	}
	return e
}
