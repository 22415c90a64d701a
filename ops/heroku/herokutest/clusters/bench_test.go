package clusters_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest/clusters"
	"github.com/pgupgrade/pgupgrade/ops/pg/cluster"
)

// openClusters opens real storage, which leaves nothing behind when the test ends.
func openClusters(t *testing.T) *clusters.Storage {
	t.Helper()
	old, next, err := cluster.Pair(cluster.Find())
	if err != nil {
		t.Fatal(err)
	}
	fleet, err := cluster.Open(old, next)
	if err != nil {
		t.Fatal(err)
	}
	s := clusters.New(fleet, slog.New(slog.NewTextHandler(t.Output(), nil)))
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		if _, err := os.Stat(fleet.Dir()); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("the folder is still there: %v", err)
		}
	})
	return s
}

// bench is a storage with its time: the model's is moved by hand, a cluster's
// passes.
type bench struct {
	*testing.T
	herokutest.Storage
	time time.Time
	real bool
	ids  int
}

func (b *bench) now() time.Time {
	if b.real {
		return time.Now()
	}
	return b.time
}

// until lets time pass until something is so.
func (b *bench) until(what string, so func() bool) {
	b.Helper()
	ctx, cancel := context.WithTimeout(b.Context(), time.Minute) // ends a wait that hangs
	defer cancel()
	for !so() {
		if ctx.Err() != nil {
			b.Fatalf("it never came that %s", what)
		}
		if b.real {
			time.Sleep(5 * time.Millisecond)
			continue
		}
		was := b.time
		b.time = was.Add(50 * time.Millisecond)
		b.Play(was, b.time)
	}
}

func (b *bench) spec() herokutest.DataSpec {
	b.ids++
	return herokutest.DataSpec{ID: fmt.Sprintf("%04x%012x", b.ids, b.ids), Version: older + ".0", Usable: b.now()}
}

func (b *bench) create() herokutest.Data {
	b.Helper()
	d := b.Create(b.spec(), b.now())
	b.until("the database is ready", func() bool { return b.ready(d) })
	return d
}

func (b *bench) ready(d herokutest.Data) bool {
	l := d.Look(b.now())
	if l.Broken != "" {
		b.Fatalf("it is broken: %s", l.Broken)
	}
	return l.Ready
}

// follow makes a follower that has caught up.
func (b *bench) follow(leader herokutest.Data) herokutest.Data {
	b.Helper()
	f := b.Follow(leader, b.spec(), b.now())
	b.until("the follower is ready", func() bool { return b.ready(f) })
	b.caughtUp(f)
	return f
}

func (b *bench) caughtUp(f herokutest.Data) {
	b.Helper()
	b.until("nothing is behind", func() bool { l := f.Look(b.now()); return l.BehindKnown && l.Behind == 0 })
}

// program is one writer.
type program struct {
	*bench
	herokutest.Client
	journal *herokutest.Journal
}

func (b *bench) program(name string, d herokutest.Data, s herokutest.Session) *program {
	return b.connects(name, d.URL(""), s)
}

// late is a program with a URL that was read some time ago.
func (b *bench) late(name, url string) *program { return b.connects(name, url, herokutest.Session{}) }

func (b *bench) connects(name, url string, s herokutest.Session) *program {
	j := herokutest.NewJournal(name)
	c := b.Connect(url, s, j)
	b.Cleanup(c.Close)
	return &program{b, c, j}
}

// writes n rows, one after the other, each acknowledged.
func (p *program) writes(n int) {
	p.Helper()
	for range n {
		want := p.acked() + 1
		p.Write(1, p.now())
		p.until("the row is acknowledged", func() bool { return p.acked() == want })
	}
}

// insists writes until n more rows are acknowledged, whatever comes between.
func (p *program) insists(n int) {
	p.Helper()
	want := p.acked() + int64(n)
	p.until("the rows are acknowledged", func() bool { p.Write(1, p.now()); return p.acked() >= want })
}

func (p *program) acked() int64 { return p.journal.Acknowledged().Count() }

// refused tries rows until n were tried, of which none may be acknowledged.
func (p *program) refused(why string) {
	p.Helper()
	was, tried := p.acked(), 0
	p.until("rows were tried, or nobody is there to try them with", func() bool {
		p.Write(1, p.now())
		tried++
		return p.journal.Written() > 3 || tried > 100
	})
	if n := p.acked() - was; n != 0 {
		p.Errorf("%d rows were acknowledged by %s", n, why)
	}
}

// missing is how many acknowledged rows of a program a database does not have.
func (p *program) missing(d herokutest.Data) int64 {
	p.Helper()
	held, err := d.Held(p.Context())
	if err != nil {
		p.Fatal(err)
	}
	return p.journal.Acknowledged().Missing(held[p.journal.Writer()])
}

var older, newer string

func TestMain(m *testing.M) {
	old, next, err := cluster.Pair(cluster.Find())
	if err != nil {
		os.Stderr.WriteString(err.Error() + "\n")
		os.Exit(1) // a test that cannot run fails
	}
	older, newer = major(old.Version), major(next.Version)
	os.Exit(m.Run())
}

func major(version string) string { m, _, _ := strings.Cut(version, "."); return m }

func (b *bench) breaks(d herokutest.Data, what string) {
	b.Helper()
	if err := d.Break(what, "", b.now()); err != nil {
		b.Fatal(err)
	}
}
