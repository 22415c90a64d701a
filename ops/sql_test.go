package ops

import (
	"reflect"
	"strings"
	"testing"
	"time"
)

var noon = time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)

func TestLSN(t *testing.T) {
	for _, s := range []string{"0/0", "16/B374D848", "FFFFFFFF/FFFFFFFF"} {
		l, err := ParseLSN(s)
		if err != nil || l.String() != s {
			t.Errorf("%s: %v, %v", s, l, err)
		}
	}
	for _, s := range []string{"", "0", "/", "x/0", "0/x", "100000000/0", "0/100000000"} {
		if l, err := ParseLSN(s); err == nil {
			t.Errorf("%q is %v", s, l)
		}
	}
}

func TestReplayed(t *testing.T) {
	leader := Position{System: "1", End: 100}
	follower := Position{System: "1", Follower: true, Received: 100, Replayed: 100}
	for _, c := range []struct {
		name   string
		change func(l, f *Position)
		why    string // "" when it has
	}{
		{"replayed", func(l, f *Position) {}, ""},
		{"beyond", func(l, f *Position) { f.Replayed = 200 }, ""},
		{"one byte is missing", func(l, f *Position) { f.Replayed = 99 }, "1 bytes to go"},
		{"not received", func(l, f *Position) { f.Received, f.Replayed = 40, 40 }, "60 bytes not received yet"},
		{"paused", func(l, f *Position) { f.Replayed, f.Paused = 40, true }, "replay is paused"},
		{"the leader is a follower", func(l, f *Position) { l.Follower = true }, "no leader"},
		{"the follower leads", func(l, f *Position) { f.Follower = false }, "follows nothing"},
		{"another server", func(l, f *Position) { f.System = "2" }, "no copy"},
		{"nothing read", func(l, f *Position) { l.End = 0 }, "not read"},
	} {
		l, f := leader, follower
		c.change(&l, &f)
		ok, why := Replayed(l, f)
		if ok != (c.why == "") || !strings.Contains(why, c.why) {
			t.Errorf("%s: %v %q", c.name, ok, why)
		}
	}
}

func TestFenceOn(t *testing.T) {
	for s, on := range map[string]bool{"": false, "on": true, "ON": true, "true": true, "t": true, "yes": true, "1": true, "off": false, "false": false, "no": false, "0": false, "o": false} {
		if got := (DBFence{Setting: s}).On(); got != on {
			t.Errorf("%q: %v", s, got)
		}
	}
}

func sample() Activity {
	return Activity{At: noon, Major: 15, System: "1", NextXID: 1000, Reset: "never", Scans: 7, Opened: 9,
		Tables: map[string]TableCounts{"public.orders": {OID: 1, File: 1, Ins: 10, Upd: 5, Del: 1}, "public.items": {OID: 2, File: 2}}}
}

func TestStillBetween(t *testing.T) {
	fence := DBFence{Setting: "on", At: noon.Add(-time.Minute), PIDs: []int32{7}}
	for _, c := range []struct {
		name   string
		change func(f *DBFence, a, b *Activity)
		motion Motion
		why    string
	}{
		{"still", func(f *DBFence, a, b *Activity) {}, Still, ""},
		{"a session from behind the fence", func(f *DBFence, a, b *Activity) {
			b.Sessions = []Session{{PID: 8, Role: "u1", Seen: true, Began: noon, State: "active"}}
		}, Still, ""},
		{"an older session, idle", func(f *DBFence, a, b *Activity) {
			b.Sessions = []Session{{PID: 8, Role: "u1", Seen: true, Began: noon.Add(-time.Hour), State: "idle"}}
		}, MotionUnknown, "1 session of u1 may be older"},
		{"one that is not visible and was there", func(f *DBFence, a, b *Activity) { b.Sessions = []Session{{PID: 7, Role: "u2"}} }, MotionUnknown, "state not visible"},
		{"one that is not visible and came later", func(f *DBFence, a, b *Activity) { b.Sessions = []Session{{PID: 8, Role: "u2"}} }, Still, ""},
		{"the platform's", func(f *DBFence, a, b *Activity) { b.Sessions = []Session{{PID: 7, Platform: true}} }, Still, ""},
		{"rows", func(f *DBFence, a, b *Activity) {
			b.NextXID++
			b.Tables["public.orders"] = TableCounts{OID: 1, File: 1, Ins: 12, Upd: 5, Del: 1}
		}, Moved, "public.orders: 2 inserted"},
		{"told late: no transaction id in between", func(f *DBFence, a, b *Activity) {
			b.Tables["public.items"] = TableCounts{OID: 2, File: 2, Del: 3}
		}, Moved, "public.items: 3 deleted"},
		{"transaction ids alone", func(f *DBFence, a, b *Activity) { b.NextXID += 3 }, Moved, "3 transaction ids drawn"},
		{"transaction ids beside autovacuum", func(f *DBFence, a, b *Activity) { b.NextXID++; b.Sessions = []Session{{Platform: true}} }, Moved, "autovacuum is at work"},
		{"one under way", func(f *DBFence, a, b *Activity) { b.Writing = 2 }, Moved, "2 writing transactions"},
		{"prepared", func(f *DBFence, a, b *Activity) { b.Prepared = 1 }, Moved, "1 prepared transaction still"},
		{"too close", func(f *DBFence, a, b *Activity) { b.At = noon.Add(time.Second) }, MotionUnknown, "only 1 s apart"},
		{"in the wrong order", func(f *DBFence, a, b *Activity) { b.At = noon.Add(-time.Hour) }, MotionUnknown, "apart"},
		{"no fence", func(f *DBFence, a, b *Activity) { f.Setting = "off" }, MotionUnknown, "no fence"},
		{"the zero fence", func(f *DBFence, a, b *Activity) { *f = DBFence{} }, MotionUnknown, "no fence"},
		{"another server", func(f *DBFence, a, b *Activity) { b.System = "2" }, MotionUnknown, "same server"},
		{"a follower", func(f *DBFence, a, b *Activity) { a.Follower, b.Follower = true, true }, MotionUnknown, "follower"},
		{"a reset", func(f *DBFence, a, b *Activity) { b.Reset = "now" }, MotionUnknown, "began anew"},
		{"counters that went back", func(f *DBFence, a, b *Activity) { b.Tables["public.orders"] = TableCounts{OID: 1, File: 1} }, MotionUnknown, "began anew"},
		{"transaction ids that went back", func(f *DBFence, a, b *Activity) { b.NextXID = 1 }, MotionUnknown, "went back"},
	} {
		f, a, b := fence, sample(), sample()
		b.At = noon.Add(MinGap)
		c.change(&f, &a, &b)
		s := StillBetween(f, a, b)
		if s.Motion != c.motion || !strings.Contains(s.Why, c.why) || (s.Why == "") != (c.motion == Still) {
			t.Errorf("%s: %+v", c.name, s)
		}
	}
}

func TestUnsettled(t *testing.T) {
	idle := Session{PID: 1, Role: "u1", Seen: true, State: "idle", Began: noon.Add(-time.Hour), Since: noon.Add(-2 * time.Minute)}
	fresh, busy, unseen, late, newer := idle, idle, idle, idle, idle
	late.Since = noon.Add(-10 * time.Second)
	fresh.Since = noon.Add(-30 * time.Second)
	busy.State = "idle in transaction"
	unseen.Seen = false
	newer.Began, newer.Since = noon.Add(-40*time.Second), noon.Add(-time.Second)
	writing := newer
	writing.Writing = true
	no := LastID{}
	drawn := func(ago time.Duration, pids ...int32) LastID {
		return LastID{Next: 7, Seen: noon.Add(-ago), PIDs: pids}
	}
	quiet, soon := drawn(90*time.Second, 1), drawn(50*time.Second, 1)
	for _, c := range []struct {
		name  string
		major int
		s     Session
		told  bool
		last  LastID
	}{
		{"idle for long", 15, idle, true, no},
		{"idle for long, before 15", 14, idle, false, no},
		{"just idle", 15, fresh, false, no},
		{"in a transaction", 15, busy, false, no},
		{"not visible", 15, unseen, false, no},
		{"the platform's", 15, Session{Platform: true}, true, no},
		{"the platform's, writing", 15, Session{Platform: true, Writing: true}, false, no},
		{"a reader that went on for a minute after the last id", 15, late, true, quiet},
		{"not for a minute yet", 15, late, false, soon},
		{"in a transaction all the time", 15, busy, false, quiet},
		{"before 15 it may keep them", 14, late, false, quiet},
		{"came after the last id", 15, newer, true, soon},
		{"came after the last id, before 15", 14, newer, true, soon},
		{"came after, and holds one", 15, writing, false, soon},
		{"came before the look that saw it", 15, newer, false, drawn(40*time.Second, 1)},
		{"not visible, was there when it was drawn", 15, unseen, false, soon},
		{"not visible, was not there", 14, unseen, true, drawn(50*time.Second, 2, 3)},
	} {
		a := Activity{At: noon, Major: c.major, Sessions: []Session{c.s}}
		if got := a.Unsettled(c.last); (got == "") != c.told {
			t.Errorf("%s: %q", c.name, got)
		}
	}
}

func TestLastID(t *testing.T) {
	at := func(ago time.Duration, next uint64, pids ...int32) Activity {
		a := Activity{At: noon.Add(-ago), NextXID: next}
		for _, p := range pids {
			a.Sessions = append(a.Sessions, Session{PID: p})
		}
		return a
	}
	first := LastID{}.Look(at(time.Minute, 5, 1, 2))
	if want := (LastID{Next: 5, Seen: noon.Add(-time.Minute), PIDs: []int32{1, 2}}); !reflect.DeepEqual(first, want) {
		t.Errorf("the first look: %+v", first)
	}
	if got := first.Look(at(time.Second, 5, 1, 3)); !reflect.DeepEqual(got, first) {
		t.Errorf("no id drawn: %+v", got)
	}
	if got, want := first.Look(at(time.Second, 6, 3)), (LastID{Next: 6, Seen: noon.Add(-time.Second), PIDs: []int32{3}}); !reflect.DeepEqual(got, want) {
		t.Errorf("one drawn: %+v", got)
	}
}

func TestMeasure(t *testing.T) {
	read := func() Reading {
		return Reading{Activity: sample(), Cut: 1000, Sequences: Known(map[string]Sequence{"public.s": {Last: 5, Called: true}}), Schema: Known(map[string]string{"table public.orders": "a"})}
	}
	for _, c := range []struct {
		name   string
		change func(a, b *Fact[Reading])
		known  bool
		says   string
	}{
		{"nothing", func(a, b *Fact[Reading]) {}, true, "nothing was written since 12:00:00 UTC"},
		{"transaction ids alone are no loss", func(a, b *Fact[Reading]) { b.Value.NextXID += 5 }, true, "nothing was written"},
		{"rows", func(a, b *Fact[Reading]) {
			b.Value.Tables["public.orders"] = TableCounts{OID: 1, File: 1, Ins: 11, Upd: 7, Del: 4}
		}, true, "1 inserted, 2 updated, 3 deleted in 1 table"},
		{"truncate", func(a, b *Fact[Reading]) { b.Value.Tables["public.items"] = TableCounts{OID: 2, File: 3} }, true, "public.items truncated or rewritten"},
		{"a sequence", func(a, b *Fact[Reading]) { b.Value.Sequences.Value["public.s"] = Sequence{Last: 5} }, true, "1 sequence moved"},
		{"schema", func(a, b *Fact[Reading]) { b.Value.Schema.Value["table public.orders"] = "b" }, true, "1 change of the schema"},
		{"no reading before", func(a, b *Fact[Reading]) { *a = Unknown[Reading]("no SQL") }, false, "unknown: what was there before users were let in was not read (no SQL)"},
		{"no reading now", func(a, b *Fact[Reading]) { *b = Unknown[Reading]("refused") }, false, "unknown: the database cannot be read (refused)"},
		{"another server", func(a, b *Fact[Reading]) { b.Value.System = "2" }, false, "unknown: this is not the server"},
		{"a reset", func(a, b *Fact[Reading]) { b.Value.Reset = "now" }, false, "unknown: its row counters began anew"},
		{"counters that went back", func(a, b *Fact[Reading]) {
			delete(b.Value.Tables, "public.orders")
			b.Value.Tables["public.orders"] = TableCounts{OID: 1}
		}, false, "began anew"},
		{"sequences unread", func(a, b *Fact[Reading]) { b.Value.Sequences = Unknown[map[string]Sequence]("locked") }, false, "unknown: sequences could not be read (locked)"},
		{"sequences unread before", func(a, b *Fact[Reading]) { a.Value.Sequences = Unknown[map[string]Sequence]("locked") }, false, "(locked, before users were let in)"},
		{"schema unread", func(a, b *Fact[Reading]) { b.Value.Schema = Unknown[map[string]string]("locked") }, false, "unknown: the schema could not be read (locked)"},
		{"held back, and somebody wrote", func(a, b *Fact[Reading]) { b.Value.NextXID++; b.Value.Sessions = []Session{{Role: "u2"}} }, false, "may not have told all"},
		{"held back, but nobody drew an id", func(a, b *Fact[Reading]) { b.Value.Sessions = []Session{{Role: "u2"}} }, true, "nothing was written"},
		{"a transaction under way", func(a, b *Fact[Reading]) { b.Value.Writing = 1 }, false, "1 writing transaction still open"},
		{"prepared", func(a, b *Fact[Reading]) { b.Value.Prepared = 2 }, false, "2 prepared transactions still"},
		{"rows and an unknown", func(a, b *Fact[Reading]) {
			b.Value.Tables["public.items"] = TableCounts{OID: 2, File: 2, Ins: 1}
			b.Value.Prepared = 1
		}, false, "at least 1 inserted in 1 table; unknown: 1 prepared"},
	} {
		a, b := Known(read()), Known(read())
		c.change(&a, &b)
		l := Measure(a, b)
		if l.Known() != c.known || l.Zero() != strings.HasPrefix(c.says, "nothing") || !strings.Contains(l.String(), c.says) {
			t.Errorf("%s: known %v, zero %v, says %q", c.name, l.Known(), l.Zero(), l)
		}
		if !l.Zero() && len(l.Lines(9)) == 0 {
			t.Errorf("%s: no line", c.name)
		}
	}
}

func TestLossLinesAreCut(t *testing.T) {
	var l Loss
	for range 10 {
		l.Tables = append(l.Tables, TableChange{Table: "t", Inserted: 1})
	}
	if got := l.Lines(4); len(got) != 4 || got[3] != "and 7 more" {
		t.Errorf("%q", got)
	}
	if got := l.Lines(10); len(got) != 10 || got[9] != "t: 1 inserted" {
		t.Errorf("%q", got)
	}
}

func TestUseBetween(t *testing.T) {
	for _, c := range []struct {
		name        string
		change      func(a, b *Activity)
		known, used bool
	}{
		{"none", func(a, b *Activity) {}, true, false},
		{"only opened", func(a, b *Activity) { b.Opened++ }, true, false},
		{"read", func(a, b *Activity) { b.Scans++ }, true, true},
		{"written", func(a, b *Activity) { b.Tables["public.items"] = TableCounts{OID: 2, File: 2, Ins: 1} }, true, true},
		{"connected", func(a, b *Activity) { b.Sessions = []Session{{Role: "u1"}} }, true, true},
		{"the platform is connected", func(a, b *Activity) { b.Sessions = []Session{{Platform: true}} }, true, false},
		{"reset", func(a, b *Activity) { b.Reset = "now" }, false, false},
		{"scans went back", func(a, b *Activity) { b.Scans = 0 }, false, false},
		{"another server", func(a, b *Activity) { b.System = "2" }, false, false},
	} {
		a, b := sample(), sample()
		c.change(&a, &b)
		u := UseBetween(a, b)
		if u.Known != c.known || u.Used() != c.used || (u.String() == "no use seen") != (c.known && !c.used) {
			t.Errorf("%s: %+v %q", c.name, u, u)
		}
	}
}
