// Package health asks an app's health address.
package health

import (
	"context"
	"errors"
	"io"
	"net/http"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Probe asks over HTTP. It is safe for concurrent use.
type Probe struct {
	// Client makes the requests; nil means one that follows no redirects, as a
	// redirect is an answer.
	Client *http.Client
}

// Ask makes one GET request of at most 5 seconds. Every failure is an answer:
// Status 0 and the reason.
func (p Probe) Ask(ctx context.Context, url string) ops.Health {
	if url == "" {
		return ops.Health{Error: "no address is known"}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return ops.Health{Error: "the address is not one: " + err.Error()}
	}
	req.Header.Set("User-Agent", "pgupgrade health check")
	client := p.Client
	if client == nil {
		client = &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	}
	resp, err := client.Do(req)
	if err != nil {
		if errors.Is(err, context.DeadlineExceeded) {
			return ops.Health{Error: "no answer within 5 seconds"}
		}
		return ops.Health{Error: "no answer"}
	}
	defer resp.Body.Close()
	_, _ = io.CopyN(io.Discard, resp.Body, 1<<16) // only so that the connection can be used again
	return ops.Health{Status: resp.StatusCode}
}
