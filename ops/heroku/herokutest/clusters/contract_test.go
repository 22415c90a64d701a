package clusters_test

import (
	"net/url"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// TestContract is what every storage keeps.
func TestContract(t *testing.T) {
	storages := map[string]func(b *bench){
		"model": func(b *bench) {
			b.Storage = herokutest.NewModel(herokutest.DefaultTimes())
			b.time = time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)
		},
		"clusters": func(b *bench) {
			b.Storage, b.real = openClusters(b.T), true
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
		b.until("it has the rows", func() bool { return p.missing(f) == 0 }) // what it is said to lack may be from before
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
		d.Reset(b.now())
		p.insists(10)
		if n := p.missing(d); n != 0 {
			b.Errorf("%d rows are missing", n)
		}
	}},
	{"a program that comes once does not come back after a reset", func(b *bench) {
		d := b.create()
		b.program("stranger", d, herokutest.Session{Once: true})
		reader := b.program("reader", d, herokutest.Session{})
		b.until("both are connected", func() bool { return d.Look(b.now()).Sessions == 2 })
		d.Reset(b.now())
		b.until("one is left, the other is gone", func() bool { return d.Look(b.now()).Sessions < 2 })
		b.until("the other came back", func() bool { return d.Look(b.now()).Sessions == 1 })
		reader.Close()
		b.until("nobody is there", func() bool { return d.Look(b.now()).Sessions == 0 })
	}},
	{"a rotation gives a credential another URL, there and on followers; the old one is let in no more once it is forced", func(b *bench) {
		leader := b.create()
		if err := leader.Credential("analyst"); err != nil {
			b.Fatal(err)
		}
		f := b.follow(leader)
		for _, name := range []string{"", "analyst"} {
			was, of := leader.URL(name), userinfo(b, f.URL(name))
			if of != userinfo(b, was) {
				b.Errorf("the follower's credential %q is not its leader's", name)
			}
			late := b.late("late "+name, was)
			b.until("it is connected", func() bool { return leader.Look(b.now()).Sessions == 1 })
			if f.Rotate(name, true) == nil {
				b.Errorf("the credential %q of a follower is rotated", name)
			}
			if err := leader.Rotate(name, true); err != nil {
				b.Fatal(err)
			}
			if leader.URL(name) == was || userinfo(b, f.URL(name)) != userinfo(b, leader.URL(name)) {
				b.Errorf("the URL of the credential %q is not another, here and on the follower", name)
			}
			b.until("it is still connected", func() bool { return leader.Look(b.now()).Sessions == 1 })
			leader.Reset(b.now())
			b.until("its session is ended", func() bool { return leader.Look(b.now()).Sessions == 0 })
			late.refused("a database whose password was changed")
		}
		b.program("web.1", leader, herokutest.Session{}).insists(3)
	}},
	{"what follows no more keeps its credentials though its old leader's are rotated", func(b *bench) {
		leader := b.create()
		f := b.follow(leader)
		f.Unfollow(b.now())
		b.until("it follows no more", func() bool { return !f.Look(b.now()).Following })
		was := f.URL("")
		if err := leader.Rotate("", true); err != nil {
			b.Fatal(err)
		}
		if f.URL("") != was {
			b.Error("its URL is another")
		}
		b.program("moved", f, herokutest.Session{}).insists(3)
	}},
	{"a removed credential is let in no more, and can be made again", func(b *bench) {
		d := b.create()
		if err := d.Credential("analyst"); err != nil {
			b.Fatal(err)
		}
		was := d.URL("analyst")
		if err := d.Revoke("analyst"); err != nil {
			b.Fatal(err)
		}
		b.late("late", was).refused("a database that has no such role")
		if err := d.Credential("analyst"); err != nil {
			b.Error(err)
		}
	}},
	{"a stalled upgrade that goes on ends", func(b *bench) {
		f := b.follow(b.create())
		b.breaks(f, herokutest.StallUpgrade)
		f.Upgrade(newer, b.now())
		b.until("it is at step 2", func() bool { return f.Look(b.now()).Upgrade.Step == 2 })
		b.breaks(f, herokutest.GoOn)
		b.until("the upgrade ended", func() bool { return f.Look(b.now()).Upgrade.Ended })
		b.until("it is ready", func() bool { return b.ready(f) })
		if l := f.Look(b.now()); major(l.Version) != newer {
			b.Errorf("it looks like %+v", l)
		}
	}},
	{"a lag that rises falls again", func(b *bench) {
		leader := b.create()
		p := b.program("web.1", leader, herokutest.Session{})
		f := b.follow(leader)
		b.breaks(f, herokutest.RaiseLag)
		p.writes(10)
		b.until("it is behind", func() bool { return f.Look(b.now()).Behind >= 10 })
		b.breaks(f, herokutest.LetLagFall)
		b.caughtUp(f)
		if n := p.missing(f); n != 0 {
			b.Errorf("%d rows are missing", n)
		}
	}},
	{"a leader that is upgraded in place has its rows and takes more", func(b *bench) {
		d := b.create()
		p := b.program("web.1", d, herokutest.Session{})
		p.writes(10)
		d.Upgrade(newer, b.now())
		b.until("the upgrade ended", func() bool { return d.Look(b.now()).Upgrade.Ended })
		b.until("it is ready", func() bool { return b.ready(d) })
		p.insists(10)
		if n := p.missing(d); n != 0 || major(d.Look(b.now()).Version) != newer {
			b.Errorf("%d rows are missing, it looks like %+v", n, d.Look(b.now()))
		}
		f := b.follow(d)
		if n := p.missing(f); n != 0 || major(f.Look(b.now()).Version) != newer {
			b.Errorf("of a new follower %d rows are missing, it looks like %+v", n, f.Look(b.now()))
		}
	}},
	{"a pooler leads to the same rows", func(b *bench) {
		d := b.create()
		p := b.late("pooled", d.Pooler())
		p.insists(5)
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

func userinfo(b *bench, s string) string {
	b.Helper()
	u, err := url.Parse(s)
	if err != nil {
		b.Fatal("a URL cannot be parsed")
	}
	return u.User.String() + u.Path
}
