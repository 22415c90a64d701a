package clusters_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// hand drives Heroku's API as a person with the old upgrade guide does.
type hand struct {
	*bench
	heroku *herokutest.Server
}

const leaderName, followerName = "postgresql-curved-41822", "orders-new"

func newHand(t *testing.T, real bool) *hand {
	h := &hand{bench: &bench{T: t, real: real, time: time.Date(2026, 11, 23, 3, 0, 0, 0, time.UTC)}}
	config := herokutest.Config{Now: func() time.Time { return h.time }}
	if real {
		config = herokutest.Config{Storage: openClusters(t), Speed: 8}
	}
	h.heroku = herokutest.New(config)
	h.heroku.AddApp(herokutest.AppSpec{Name: "orders", Formation: map[string]int{"web": 2, "worker": 1, "clock": 1}, ReleasePhase: true})
	h.heroku.AddDatabase(herokutest.DatabaseSpec{Name: leaderName, App: "orders", Plan: "standard-0", Version: older + ".0", Bytes: 8_000_000_000})
	if real {
		if err := h.heroku.Ready(t.Context()); err != nil {
			t.Fatal(err)
		}
		go h.heroku.Live(t.Context())
	}
	return h
}

// until lets time pass for the whole stand-in.
func (h *hand) until(what string, so func() bool) {
	h.Helper()
	for n := 0; !so(); n++ {
		switch {
		case h.real && n < 2_400:
			time.Sleep(50 * time.Millisecond)
		case !h.real && n < 20_000:
			h.time = h.time.Add(100 * time.Millisecond)
		default:
			h.Fatalf("it never came that %s: %+v", what, h.heroku.Overview())
		}
	}
}

// call calls the API.
func (h *hand) call(method, path, body string) map[string]any {
	h.Helper()
	w := httptest.NewRecorder()
	r := httptest.NewRequest(method, path, bytes.NewBufferString(body))
	r.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	h.heroku.API().ServeHTTP(w, r)
	answer, err := io.ReadAll(w.Body)
	if err != nil || w.Code >= http.StatusMultipleChoices {
		h.Fatalf("%s %s: %d %s", method, path, w.Code, answer)
	}
	out := map[string]any{}
	_ = json.Unmarshal(answer, &out) // a list has no fields
	return out
}

func (h *hand) database() map[string]any {
	return h.call("GET", "/client/v11/databases/"+followerName, "")
}

func (h *hand) behind() string {
	for _, r := range h.database()["info"].([]any) {
		if row := r.(map[string]any); row["name"] == "Behind By" {
			return row["values"].([]any)[0].(string)
		}
	}
	return "unknown"
}

// released waits until the newest release has succeeded.
func (h *hand) released(description string) {
	h.Helper()
	h.until("the release succeeds", func() bool {
		r := h.heroku.Overview().Apps[0].Release
		return strings.Contains(r, description) && strings.Contains(r, "succeeded")
	})
}

func (h *hand) stage(what, name, arg string) {
	h.Helper()
	if err := h.heroku.Stage(what, name, arg); err != nil {
		h.Fatal(err)
	}
}

// guards are what keeps rows, each of which a case leaves out.
type guards struct {
	running string            // process types that are left running
	staged  map[string]string // what goes on at Heroku before the upgrade, with its argument
	during  string            // and while it is under way
	blind   bool              // the follower's link is cut, and nobody reads the lag
}

// upgrade is the old guide, in its order.
func (h *hand) upgrade(g guards) herokutest.Rows {
	h.Helper()
	h.call("POST", "/apps/orders/addons", `{"plan":"heroku-postgresql:standard-0","name":"`+followerName+`","config":{"follow":"`+leaderName+`"}}`)
	h.until("the follower is provisioned", func() bool { return h.call("GET", "/addons/"+followerName, "")["state"] == "provisioned" })
	h.released("Attach HEROKU_POSTGRESQL")
	h.call("POST", "/addon-attachments", `{"addon":"`+leaderName+`","app":"orders","name":"OLD"}`)
	h.released("Attach OLD")
	h.until("the follower has caught up", func() bool { return len(h.behind()) <= len("99 commits") })
	for what, arg := range g.staged {
		h.stage(what, "orders", arg)
	}
	h.call("PATCH", "/apps/orders", `{"maintenance":true}`)
	for _, kind := range []string{"web", "worker", "clock"} {
		if !strings.Contains(g.running, kind) {
			h.call("PATCH", "/apps/orders/formation/"+kind, `{"quantity":"0"}`)
			h.until("no such dyno runs", func() bool { return !strings.Contains(fmt.Sprint(h.heroku.Overview().Apps[0].Dynos), kind) })
		}
	}
	if g.running != "" || g.staged != nil { // then there may always be something behind
		h.written(20)
	} else {
		h.until("nothing is behind", func() bool { return h.behind() == "0 commits" })
	}
	if g.blind {
		h.stage(herokutest.CutLink, followerName, "")
		h.stage("scheduler", "orders", "") // one last job, which ends before the upgrade
		h.written(20)
		h.stage("end one-offs", "orders", "")
	}
	h.call("POST", "/client/v11/databases/"+followerName+"/upgrade/run", `{"version":"`+newer+`"}`)
	h.until("it is upgraded", func() bool {
		// Again and again: the first may be over before the follower stops to follow.
		if g.during != "" && strings.Contains(h.heroku.Overview().Apps[0].Release, "(succeeded)") {
			h.stage(g.during, "orders", "")
		}
		d := h.database()
		return d["waiting?"] == false && major(fmt.Sprint(d["postgres_version"])) == newer && d["following"] == nil
	})
	h.call("POST", "/addon-attachments", `{"addon":"`+followerName+`","app":"orders","name":"DATABASE","confirm":"orders"}`)
	h.released("Attach DATABASE (@ref:" + followerName)
	h.call("PATCH", "/apps/orders/formation", `{"updates":[{"type":"web","quantity":2},{"type":"worker","quantity":1},{"type":"clock","quantity":1}]}`)
	h.call("PATCH", "/apps/orders", `{"maintenance":false}`)
	h.written(40)
	r := h.heroku.Rows()[0]
	if r.Unknown != "" {
		h.Errorf("what is missing is unknown: %s", r.Unknown)
	}
	h.Log(r)
	return r
}

// written waits until so many more rows are acknowledged.
func (h *hand) written(n int) {
	h.Helper()
	begun := h.heroku.Rows()[0].Acknowledged
	h.until("rows were written", func() bool { return h.heroku.Rows()[0].Acknowledged > begun+n })
}

func lost(r herokutest.Rows) string { return fmt.Sprint(slices.Sorted(maps.Keys(r.Lost))) }

// TestByHand follows the guide with each guard left out in turn: rows are lost,
// of the writers that it is against, and of no other.
func TestByHand(t *testing.T) {
	for _, c := range []struct {
		name string
		g    guards
		lost string
	}{
		{"with every guard", guards{}, "[]"},
		{"web dynos run on behind maintenance mode", guards{running: "web"}, "[request thread]"},
		{"a worker runs on", guards{running: "worker"}, "[worker]"},
		{"a clock runs on", guards{running: "clock"}, "[clock]"},
		{"a scheduler job runs", guards{staged: map[string]string{"scheduler": ""}}, "[scheduler]"},
		{"a one-off runs", guards{staged: map[string]string{"one-off": ""}}, "[run]"},
		{"somebody deploys, and the release command writes", guards{during: "deploy"}, "[release]"},
		{"an external client has a copy of the URL", guards{staged: map[string]string{"copy url": ""}}, "[external]"},
		{"a session asks for read-write by itself", guards{staged: map[string]string{"session": ""}}, "[session]"},
		{"nobody waits for the last commits", guards{blind: true}, "[scheduler]"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			r := newHand(t, false).upgrade(c.g)
			if lost(r) != c.lost || (r.Missing > 0) != (c.lost != "[]") {
				t.Errorf("want rows of %s to be missing: %s", c.lost, r)
			}
		})
	}
}

// TestByHandOnClusters is the same with real clusters: once with every guard, and
// once with none, where each kind of writer loses rows.
func TestByHandOnClusters(t *testing.T) {
	t.Run("with every guard", func(t *testing.T) {
		if r := newHand(t, true).upgrade(guards{}); r.Missing != 0 || r.Upgrade <= 0 || r.Stop < r.Upgrade {
			t.Errorf("want no row to be missing, and a stop that holds the upgrade: %s", r)
		}
	})
	t.Run("without any", func(t *testing.T) {
		r := newHand(t, true).upgrade(guards{running: "web worker clock", during: "deploy",
			staged: map[string]string{"scheduler": "", "one-off": "", "copy url": "", "session": ""}})
		if want := "[clock external release request run scheduler session thread worker]"; lost(r) != want {
			t.Errorf("want rows of %s to be missing: %s", want, r)
		}
	})
}
