package pg

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// urlsHold is how long a connection URL is taken from memory: looks come twice a
// second, and a credential may be rotated.
const urlsHold = time.Minute

// Places reaches databases through config vars. It is safe for concurrent use.
type Places struct {
	// URL reads the connection URL in a config var of an app.
	URL func(ctx context.Context, app, name string) (ops.Secret, error)
	Now func() time.Time

	reach Reach
	mu    sync.Mutex
	urls  map[ops.Place]kept
}

type kept struct {
	url ops.Secret
	at  time.Time
}

// Open returns the database behind a config var. It does not connect: the first
// question does.
func (p *Places) Open(ctx context.Context, at ops.Place) (*Database, error) {
	url, err := p.url(ctx, at)
	if err != nil {
		return nil, fmt.Errorf("read %s of %s: %w", at.Var, at.App, err)
	}
	return p.reach.Database(at.AddonID, url)
}

// Close closes every connection.
func (p *Places) Close() { p.reach.Close() }

func (p *Places) url(ctx context.Context, at ops.Place) (ops.Secret, error) {
	p.mu.Lock()
	k, ok := p.urls[at]
	p.mu.Unlock()
	if ok && p.Now().Sub(k.at) < urlsHold {
		return k.url, nil
	}
	url, err := p.URL(ctx, at.App, at.Var)
	if err != nil {
		return ops.Secret{}, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.urls == nil {
		p.urls = map[ops.Place]kept{}
	}
	p.urls[at] = kept{url, p.Now()}
	return url, nil
}

// Compare compares rows of two databases that are both fenced.
func (p *Places) Compare(ctx context.Context, first, second ops.Place, limits ops.CompareLimits) ([]ops.RowsCompared, error) {
	a, err := p.Open(ctx, first)
	if err != nil {
		return nil, err
	}
	b, err := p.Open(ctx, second)
	if err != nil {
		return nil, err
	}
	return a.CompareRows(ctx, b, limits)
}
