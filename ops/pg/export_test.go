package pg

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

type line struct {
	Table string         `json:"table"`
	Row   map[string]any `json:"row"`
	Notes []string       `json:"notes"`
}

func lines(t *testing.T, text string) []line {
	t.Helper()
	var out []line
	for s := range strings.Lines(text) {
		var l line
		if err := json.Unmarshal([]byte(s), &l); err != nil {
			t.Fatalf("%q: %v", s, err)
		}
		out = append(out, l)
	}
	return out
}

// TestExport writes what is newer than a reading, and says what it cannot.
func TestExport(t *testing.T) {
	each(t, func(t *testing.T, cu *customer) {
		ctx := t.Context()
		cu.do("CREATE TABLE shop.docs (id int PRIMARY KEY, doc json)", "CREATE TABLE shop.still AS SELECT 1", "CREATE TABLE shop.gone AS SELECT 1")
		cu.alone()
		base := cu.reading()
		cu.do("INSERT INTO shop.orders (note) VALUES ('new')", "UPDATE shop.orders SET note = 'changed' WHERE id = 5", "DELETE FROM shop.orders WHERE id = 6",
			"INSERT INTO shop.docs VALUES (1, E'{\"a\":\\n 1}')", "BEGIN; INSERT INTO shop.orders (note) VALUES ('rolled back'); ROLLBACK",
			"BEGIN; SAVEPOINT s; INSERT INTO shop.orders (note) VALUES ('in a subtransaction'); RELEASE s; COMMIT", "SELECT lo_create(0)", "DROP TABLE shop.gone")
		cu.alone()
		now := cu.reading()
		loss := ops.Measure(base, now)
		var out bytes.Buffer
		e := must(cu.Export(ctx, &out, base.Value, loss, ops.ExportLimits{}))(t)
		got := map[string]bool{}
		all := lines(t, out.String())
		for _, l := range all {
			got[fmt.Sprint(l.Table, " ", l.Row["note"], " ", l.Row["doc"])] = true
		}
		for _, want := range []string{"shop.orders new <nil>", "shop.orders changed <nil>", "shop.orders in a subtransaction <nil>", "shop.docs <nil> map[a:1]"} {
			if !got[want] {
				t.Errorf("%q is not in %v", want, got)
			}
		}
		if len(all) != 5 {
			t.Errorf("%d lines: %s", len(all), &out)
		}
		notes := strings.Join(all[len(all)-1].Notes, "\n")
		for _, says := range []string{"shop.orders: up to 1 deletes; what was deleted cannot be listed", "large objects changed", "shop.gone was dropped"} {
			wants(t, notes, says)
		}
		if strings.Join(e.Notes, "\n") != notes {
			t.Errorf("notes: %q", e.Notes)
		}

		for _, limits := range []ops.ExportLimits{{RowsPerTable: 1}, {Bytes: 90}} {
			out.Reset()
			e = must(cu.Export(ctx, &out, base.Value, loss, limits))(t)
			cut := 0
			for _, x := range e.Tables {
				if x.Cut != "" {
					cut++
				}
			}
			if cut == 0 || limits.Bytes > 0 && e.Bytes > limits.Bytes {
				t.Errorf("%+v: %+v", limits, e)
			}
		}
		full := errors.New("disk full")
		if _, err := cu.Export(ctx, failing{full}, base.Value, loss, ops.ExportLimits{}); !errors.Is(err, full) {
			t.Errorf("to a full disk: %v", err)
		}

		// Beyond the horizon nothing is claimed.
		old := base.Value
		old.Cut = 0
		far := now.Value.Activity
		far.NextXID = 1 << 31
		if _, _, never, _ := horizon(old, far); never == "" {
			t.Error("rows of two billion transactions ago count as new")
		}
		old.Cut, far.NextXID = 1<<32+5, 1<<32+9
		if from, span, never, note := horizon(old, far); from != 5 || span != 4 || never != "" || note == "" {
			t.Errorf("after a round: %d %d %q %q", from, span, never, note)
		}
		old.System = "another"
		if _, err := cu.Export(ctx, &out, old, loss, ops.ExportLimits{}); err == nil {
			t.Error("a reading of another server was taken")
		}
	})
}

type failing struct{ err error }

func (f failing) Write([]byte) (int, error) { return 0, f.err }

// TestWriteTimes: known where the server keeps commit times, not elsewhere.
func TestWriteTimes(t *testing.T) {
	ctx := t.Context()
	bins := pgtest.Majors(t)
	cu := fresh(t, pgtest.Primary(t, bins[0]))
	change := func() (ops.Fact[ops.Reading], ops.Loss) {
		cu.alone()
		base := cu.reading()
		cu.do("UPDATE shop.orders SET note = 'x' WHERE id = 1", "UPDATE shop.orders SET note = 'x' WHERE id = 2")
		cu.alone()
		return base, ops.Measure(base, cu.reading())
	}
	base, loss := change()
	if l := must(cu.WriteTimes(ctx, base.Value, loss))(t); len(l.Tables) != 1 || !l.Tables[0].First.IsZero() {
		t.Errorf("without commit times: %+v", l.Tables)
	}
	cu.Exec(t, "postgres", "postgres", "ALTER SYSTEM SET track_commit_timestamp = on")
	cu.Restart(t)
	base, loss = change()
	l := must(cu.WriteTimes(ctx, base.Value, loss))(t)
	if len(l.Tables) != 1 || l.Tables[0].First.Before(base.Value.At) || !l.Tables[0].Last.After(l.Tables[0].First) {
		t.Errorf("with commit times, after %v: %+v", base.Value.At, l.Tables)
	}
	wants(t, strings.Join(l.Lines(9), "\n"), "(first ")
}
