package clusters_test

import (
	"context"
	"log/slog"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest/clusters"
	"github.com/pgupgrade/pgupgrade/ops/pg/cluster"
)

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
	return herokutest.DataSpec{ID: strings.Repeat(string(rune('a'+b.ids)), 16), Version: older + ".0", Usable: b.now()}
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
	j := herokutest.NewJournal(name)
	c := b.Connect(d.URL(""), s, j)
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

// TestContract is what every storage keeps.
func TestContract(t *testing.T) {
	storages := map[string]func(b *bench){
		"model": func(b *bench) {
			b.Storage = herokutest.NewModel(herokutest.DefaultTimes())
			b.time = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
		},
		"clusters": func(b *bench) {
			old, next, err := cluster.Pair(cluster.Find())
			if err != nil {
				b.Fatal(err)
			}
			fleet, err := cluster.Open(old, next)
			if err != nil {
				b.Fatal(err)
			}
			s := clusters.New(fleet, slog.New(slog.NewTextHandler(b.Output(), nil)))
			b.Storage, b.real = s, true
			b.Cleanup(func() {
				if err := s.Close(); err != nil {
					b.Error(err)
				}
				if _, err := os.Stat(fleet.Dir()); !os.IsNotExist(err) {
					b.Errorf("the folder is still there: %v", err)
				}
			})
		},
	}
	for name, open := range storages {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := &bench{T: t}
			open(b)
			for _, c := range contract {
				t.Run(c.name, func(t *testing.T) {
					x := *b
					x.T = t
					c.keeps(&x)
					b.ids, b.time = x.ids, x.time
				})
			}
		})
	}
}

var contract = []struct {
	name  string
	keeps func(b *bench)
}{
	{"a leader takes rows, counts sessions, and says its size and version", func(b *bench) {
		d := b.create()
		l := d.Look(b.now())
		if major(l.Version) != older || l.Following || l.Upgrade.To != "" || l.Sessions != 0 {
			b.Errorf("it looks like %+v", l)
		}
		p := b.program("web.1", d, herokutest.Session{})
		p.writes(20)
		if n := p.missing(d); n != 0 {
			b.Errorf("%d rows are missing", n)
		}
		b.until("the session is counted", func() bool { return d.Look(b.now()).Sessions == 1 })
		p.Close()
		b.until("no session is counted", func() bool { return d.Look(b.now()).Sessions == 0 })
	}},
	{"a URL is one that a client can take apart, and a credential has its own", func(b *bench) {
		d := b.create()
		if err := d.Credential("analyst"); err != nil {
			b.Fatal(err)
		}
		for _, s := range []string{d.URL(""), d.URL("analyst")} {
			u, err := url.Parse(s)
			if err != nil {
				b.Fatal("a URL cannot be parsed")
			}
			if _, password := u.User.Password(); !password || u.Port() == "" || len(u.Path) < 2 || u.Scheme != "postgres" {
				b.Error("a URL lacks a part")
			}
		}
		if d.URL("") == d.URL("analyst") {
			b.Error("both credentials have one URL")
		}
	}},
	{"a follower has what was written before it and after, and takes no rows", func(b *bench) {
		leader := b.create()
		p := b.program("web.1", leader, herokutest.Session{})
		p.writes(20)
		f := b.follow(leader)
		p.writes(20)
		b.caughtUp(f)
		if n := p.missing(f); n != 0 {
			b.Errorf("%d rows are missing in the follower", n)
		}
		if l := f.Look(b.now()); !l.Following || major(l.Version) != older {
			b.Errorf("it looks like %+v", l)
		}
		b.program("lost", f, herokutest.Session{}).refused("a follower")
		b.program("stubborn", f, herokutest.Session{ReadWrite: true}).refused("a follower")
	}},
	{"what was received is kept, though it was not replayed", func(b *bench) {
		leader := b.create()
		p := b.program("web.1", leader, herokutest.Session{})
		f := b.follow(leader)
		b.breaks(f, herokutest.HoldReplay)
		p.writes(30)
		b.until("it is behind", func() bool { return f.Look(b.now()).Behind >= 30 })
		f.Unfollow(b.now())
		b.until("it follows no more", func() bool { return !f.Look(b.now()).Following })
		if n := p.missing(f); n != 0 {
			b.Errorf("%d rows are missing", n)
		}
	}},
	{"what was not received is lost", func(b *bench) {
		leader := b.create()
		p := b.program("web.1", leader, herokutest.Session{})
		f := b.follow(leader)
		p.writes(10)
		b.caughtUp(f)
		b.breaks(f, herokutest.CutLink)
		p.writes(30)
		b.until("it is behind", func() bool { return f.Look(b.now()).Behind >= 30 })
		f.Unfollow(b.now())
		b.until("it follows no more", func() bool { return !f.Look(b.now()).Following })
		if n := p.missing(f); n != 30 {
			b.Errorf("%d rows are missing, 30 were not received", n)
		}
	}},
	{"a link that is mended, or a replay that goes on, catches up", func(b *bench) {
		leader := b.create()
		p := b.program("web.1", leader, herokutest.Session{})
		f := b.follow(leader)
		for _, fault := range [][2]string{{herokutest.CutLink, herokutest.MendLink}, {herokutest.HoldReplay, herokutest.ResumeReplay}} {
			b.breaks(f, fault[0])
			p.writes(10)
			b.until("it is behind", func() bool { return f.Look(b.now()).Behind >= 10 })
			b.breaks(f, fault[1])
			b.caughtUp(f)
			if n := p.missing(f); n != 0 {
				b.Errorf("%d rows are missing after %q", n, fault[1])
			}
		}
	}},
	{"an unfollowed database takes rows, and gets none of its old leader", func(b *bench) {
		leader := b.create()
		f := b.follow(leader)
		old := b.program("left behind", leader, herokutest.Session{})
		f.Unfollow(b.now())
		b.until("it follows no more", func() bool { return !f.Look(b.now()).Following })
		old.writes(10)
		fresh := b.program("moved", f, herokutest.Session{})
		fresh.writes(10)
		if n := old.missing(f); n != 10 {
			b.Errorf("%d of 10 rows of the old leader are missing in the new one", n)
		}
		if n := fresh.missing(leader); n != 10 {
			b.Errorf("%d of 10 rows of the new one are missing in the old leader", n)
		}
	}},
	{"an upgraded follower has every row, the version, and takes rows at the same URL", func(b *bench) {
		leader := b.create()
		p := b.program("web.1", leader, herokutest.Session{})
		p.writes(20)
		f := b.follow(leader)
		where := f.URL("")
		f.Upgrade(newer, b.now())
		if l := f.Look(b.now()); l.Ready || l.Upgrade.To != newer || l.Upgrade.Step != 1 || l.Upgrade.Ended {
			b.Errorf("when it begins it looks like %+v", l)
		}
		during := b.program("impatient", f, herokutest.Session{})
		b.until("it is at step 2", func() bool { return f.Look(b.now()).Upgrade.Step >= 2 })
		b.until("the upgrade ended", func() bool { return f.Look(b.now()).Upgrade.Ended })
		b.until("it is ready", func() bool { return b.ready(f) })
		l := f.Look(b.now())
		if l.Upgrade.Failed != "" || major(l.Version) != newer || l.Following || l.Upgrade.Took <= 0 || f.URL("") != where {
			b.Errorf("it looks like %+v", l)
		}
		if n := p.missing(f); n != 0 {
			b.Errorf("%d rows are missing", n)
		}
		during.insists(10)
		if n := during.missing(f); n != 0 {
			b.Errorf("%d rows are missing", n)
		}
		if l := leader.Look(b.now()); !l.Ready || major(l.Version) != older {
			b.Errorf("the old leader looks like %+v", l)
		}
		p.writes(1)
	}},
	{"a follower whose upgrade fails is spent; its leader is as it was", func(b *bench) {
		leader := b.create()
		p := b.program("web.1", leader, herokutest.Session{})
		f := b.follow(leader)
		b.breaks(f, herokutest.FailUpgrade)
		b.caughtUp(f)
		f.Upgrade(newer, b.now())
		b.until("the upgrade ended", func() bool { return f.Look(b.now()).Upgrade.Ended })
		if l := f.Look(b.now()); l.Upgrade.Failed == "" || major(l.Version) != older || l.Following || l.Ready {
			b.Errorf("it looks like %+v", l)
		}
		b.program("lost", f, herokutest.Session{}).refused("a spent database")
		p.writes(10)
	}},
	{"a stalled upgrade does not end, and can be dropped", func(b *bench) {
		leader := b.create()
		f := b.follow(leader)
		b.breaks(f, herokutest.StallUpgrade)
		f.Upgrade(newer, b.now())
		b.until("it is at step 2", func() bool { return f.Look(b.now()).Upgrade.Step == 2 })
		b.until("time passed", func() func() bool { n := 0; return func() bool { n++; return n > 20 } }())
		if l := f.Look(b.now()); l.Upgrade.Ended || l.Ready {
			b.Errorf("it looks like %+v", l)
		}
		f.Drop()
	}},
	{"a dropped database takes no rows, and its follower none of it", func(b *bench) {
		leader := b.create()
		f := b.follow(leader)
		p := b.program("web.1", leader, herokutest.Session{})
		p.writes(1)
		b.caughtUp(f)
		leader.Drop()
		b.until("it is gone", func() bool { _, err := leader.Held(b.Context()); return err != nil })
		p.refused("a dropped database")
		f.Drop()
	}},
	{"a reset ends sessions, which come again", func(b *bench) {
		d := b.create()
		p := b.program("web.1", d, herokutest.Session{})
		p.writes(1)
		d.Reset()
		p.insists(10)
		if n := p.missing(d); n != 0 {
			b.Errorf("%d rows are missing", n)
		}
	}},
	{"what cannot be broken says so", func(b *bench) {
		d := b.create()
		for _, what := range []string{herokutest.CutLink, herokutest.HoldReplay, "nonsense"} {
			if d.Break(what, "", b.now()) == nil {
				b.Errorf("%q on a leader is taken", what)
			}
		}
	}},
}

func (b *bench) breaks(d herokutest.Data, what string) {
	b.Helper()
	if err := d.Break(what, "", b.now()); err != nil {
		b.Fatal(err)
	}
}
