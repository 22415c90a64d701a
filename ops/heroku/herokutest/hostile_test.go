package herokutest

import (
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// stage is a stand-in whose clock is moved by hand.
type stage struct {
	*testing.T
	*Server
	time time.Time
}

func newStage(t *testing.T) *stage {
	s := &stage{T: t, time: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)}
	s.Server = New(Config{Now: func() time.Time { return s.time }})
	s.AddApp(AppSpec{Name: "orders", Formation: map[string]int{"web": 2, "worker": 1}, ReleasePhase: true})
	s.AddDatabase(DatabaseSpec{Name: "old", App: "orders", Plan: "standard-0", Version: "15.13"})
	return s
}

// pass lets time pass and returns how many rows each kind wrote meanwhile.
func (s *stage) pass(d time.Duration) map[string]int64 {
	was := s.kinds()
	s.time = s.time.Add(d)
	out := s.kinds()
	for kind, n := range was {
		out[kind] -= n
	}
	return out
}

func (s *stage) kinds() map[string]int64 {
	s.Rows() // plays
	out := map[string]int64{}
	for _, w := range s.state.app("orders").writers {
		out[w.journal.kind] += w.journal.Acknowledged().Count()
	}
	return out
}

func (s *stage) does(what, arg string) {
	s.Helper()
	if err := s.Stage(what, "orders", arg); err != nil {
		s.Fatal(err)
	}
}

func (s *stage) call(method, path, body string) {
	s.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, strings.NewReader(body))
	r.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	if s.API().ServeHTTP(w, r); w.Code >= 300 {
		s.Fatalf("%s %s: %d %s", method, path, w.Code, w.Body)
	}
}

// TestMaintenanceStopsOnlyNewRequests: those under way go on for up to 30 s, and
// everything else without end.
func TestMaintenanceStopsOnlyNewRequests(t *testing.T) {
	s := newStage(t)
	open := s.pass(10 * time.Second)
	if open["request"] < 50 || open["thread"] < 15 || open["worker"] < 45 {
		t.Fatalf("open, it writes %v in 10 s", open)
	}
	s.does("maintenance on", "")
	if under := s.pass(10 * time.Second); under["request"] == 0 || under["request"] >= open["request"] {
		t.Errorf("requests under way wrote %d rows in the first 10 s, open %d", under["request"], open["request"])
	}
	s.pass(20 * time.Second)
	if after := s.pass(10 * time.Second); after["request"] != 0 || after["thread"] < 15 || after["worker"] < 45 {
		t.Errorf("after 30 s it writes %v", after)
	}
	s.does("maintenance off", "")
	if again := s.pass(10 * time.Second); again["request"] < 50 {
		t.Errorf("open again, it writes %v", again)
	}
}

// TestADynoKeepsItsURL until it is started anew: a changed config var alone moves
// no writer.
func TestADynoKeepsItsURL(t *testing.T) {
	s := newStage(t)
	s.pass(5 * time.Second)
	s.does("fail releases", "")
	s.call("POST", "/apps/orders/addons", `{"plan":"heroku-postgresql:standard-0","name":"new"}`)
	s.call("POST", "/addon-attachments", `{"addon":"old","app":"orders","name":"SPARE"}`)
	s.pass(30 * time.Second)
	s.call("POST", "/addon-attachments", `{"addon":"new","app":"orders","name":"DATABASE","confirm":"orders"}`)
	s.pass(30 * time.Second)
	rows := func(name string) int64 {
		held, err := s.state.database(name).data.Held(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		n := int64(0)
		for writer, r := range held {
			if !strings.Contains(writer, "release") {
				n += r.Count()
			}
		}
		return n
	}
	was := rows("old")
	s.pass(10 * time.Second)
	if rows("new") != 0 || rows("old") < was+100 {
		t.Errorf("while no release succeeded, %d rows went to the new database and %d to the old one", rows("new"), rows("old")-was)
	}
	s.does("pass releases", "")
	s.does("retry release", "")
	s.pass(10 * time.Second)
	was = rows("old")
	s.pass(10 * time.Second)
	if rows("new") < 100 || rows("old") != was {
		t.Errorf("once a release succeeded, the new database has %d rows, and the old one got %d", rows("new"), rows("old")-was)
	}
}

// TestTheVerifierCounts by kind, and says when it cannot.
func TestTheVerifierCounts(t *testing.T) {
	s := newStage(t)
	s.does("copy url", "")
	s.pass(10 * time.Second)
	r := s.Rows()[0]
	if r.Missing != 0 || r.Acknowledged == 0 || r.Written < r.Acknowledged || r.Stop > 2*time.Second {
		t.Errorf("all is there, and it says %s", r)
	}
	s.does("maintenance on", "")
	s.call("PATCH", "/apps/orders/formation", `{"updates":[{"type":"web","quantity":0},{"type":"worker","quantity":0}]}`)
	s.does("end outsiders", "")
	s.pass(time.Minute)
	s.does("maintenance off", "")
	s.call("PATCH", "/apps/orders/formation", `{"updates":[{"type":"web","quantity":2}]}`)
	s.pass(10 * time.Second)
	if r := s.Rows()[0]; r.Stop < 58*time.Second || r.Stop > 65*time.Second {
		t.Errorf("writes stopped for about a minute, and it says %s", r)
	}
	// Rows that a database acknowledged and does not have any more.
	d := s.state.database("old").data.(*modelData)
	before := d.rows
	d.rows = Ledger{}
	if r := s.Rows()[0]; r.Missing != r.Acknowledged || r.Lost["external"] == 0 || r.Lost["worker"] == 0 {
		t.Errorf("nothing is there, and it says %s", r)
	}
	d.rows = before
	d.Drop()
	if r := s.Rows()[0]; r.Unknown == "" || !strings.Contains(fmt.Sprint(r), "unknown") {
		t.Errorf("the database cannot be read, and it says %s", r)
	}
}
