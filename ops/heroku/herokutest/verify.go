package herokutest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Rows compares what an app's writers were told with what is in the database
// that the app uses now.
type Rows struct {
	App          string `json:"app"`
	Written      int    `json:"written"`      // rows that were tried
	Acknowledged int    `json:"acknowledged"` // rows whose commit some database acknowledged
	Missing      int    `json:"missing"`      // of those, not in the database that the app uses now
	// Unknown says why Missing cannot be said; "" when it can.
	Unknown string `json:"unknown,omitempty"`
	// Lost is Missing by kind of writer, without zeros.
	Lost map[string]int `json:"lost,omitempty"`
	// Stop is the longest time without an acknowledged row.
	Stop time.Duration `json:"stop"`
	// Upgrade is how long pg_upgrade itself took, zero without an upgrade.
	Upgrade time.Duration `json:"upgrade"`
}

// String says it in a line.
func (r Rows) String() string {
	missing := fmt.Sprintf("%d missing", r.Missing)
	if r.Unknown != "" {
		missing = "missing unknown: " + r.Unknown
	}
	line := fmt.Sprintf("%s: %d rows written, %d acknowledged, %s", r.App, r.Written, r.Acknowledged, missing)
	var kinds []string
	for kind, n := range r.Lost {
		kinds = append(kinds, fmt.Sprintf("%s %d", kind, n))
	}
	slices.Sort(kinds)
	if len(kinds) > 0 {
		line += fmt.Sprintf(" %v", kinds)
	}
	line += fmt.Sprintf("; the longest write stop %.1f s", r.Stop.Seconds())
	switch {
	case r.Upgrade == 0:
		return line
	case r.Stop < r.Upgrade: // somebody wrote all the time
		return line + fmt.Sprintf(", though pg_upgrade took %.1f s", r.Upgrade.Seconds())
	}
	return line + fmt.Sprintf(", of which pg_upgrade %.1f s", r.Upgrade.Seconds())
}

// claim is what an app's writers were told, taken before the database is read:
// so a row that was acknowledged meanwhile does not seem to be missing.
type claim struct {
	Rows
	journals []*Journal
	acked    []Ranges
	data     Data
}

// Rows counts, for every app, the rows acknowledged and the rows missing.
func (s *Server) Rows() []Rows {
	s.mu.Lock()
	now := s.play()
	var claims []*claim
	for _, a := range s.state.apps {
		c := &claim{Rows: Rows{App: a.name, Lost: map[string]int{}, Stop: a.tally.stop()}}
		for _, w := range a.writers {
			c.journals = append(c.journals, w.journal)
			c.acked = append(c.acked, w.journal.Acknowledged())
			c.Written += int(w.journal.Written())
		}
		if cur := a.current(); cur != nil {
			if d := s.byURL(cur.vars["DATABASE_URL"]); d != nil {
				c.data = d.data
				c.Upgrade = d.data.Look(now).Upgrade.Took
			}
		}
		claims = append(claims, c)
	}
	s.mu.Unlock() // reading a database takes its time
	var out []Rows
	for _, c := range claims {
		c.check()
		out = append(out, c.Rows)
	}
	return out
}

func (c *claim) check() {
	held, err := Ledger(nil), error(nil)
	if c.data != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		held, err = c.data.Held(ctx)
	} else {
		err = errors.New("the app has no database")
	}
	for i, j := range c.journals {
		c.Acknowledged += int(c.acked[i].Count())
		if n := int(c.acked[i].Missing(held[j.writer])); err == nil && n > 0 {
			c.Missing += n
			c.Lost[j.kind] += n
		}
	}
	if err != nil && c.Acknowledged > 0 {
		c.Unknown = err.Error()
	}
}
