package main

import (
	"testing"

	"github.com/chromedp/chromedp"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// TestThePageShowsTheRows of real clusters: written, acknowledged and missing, and
// the lag as a chart that rises while a follower does not replay.
func TestThePageShowsTheRows(t *testing.T) {
	t.Parallel()
	s := begin(t, requireClusters(t))
	p := &page{t: t, ctx: browser(t, s.pageURL), dir: *pictures}
	newPlayer(t, s)
	p.sees("#speed", "PostgreSQL is real")
	p.sees("#rows", "acknowledged")
	p.become("U1")
	p.do("start", chromedp.Click("#send"))
	p.sees("#lag", "behind by")
	if err := s.heroku.Stage(herokutest.HoldReplay, s.follower(), ""); err != nil {
		t.Fatal(err)
	}
	// The chart climbs: its last point is its top, and far from zero.
	p.do("see the lag rise", chromedp.Poll(`(() => {
		const said = /behind by (\d+) commits/.exec(document.querySelector("#lag").innerText);
		const line = document.querySelector("#lag polyline");
		return said && Number(said[1]) > 500 && line && line.getAttribute("points").split(" ").length > 5;
	})()`, nil))
	p.do("see that none is missing", chromedp.Poll(`document.querySelector('[data-missing="orders"]').innerText === "0"`, nil))
	p.picture("rows")
	var problems []string
	p.do("read what the page complained about", chromedp.Evaluate(`window.problems ?? []`, &problems))
	if len(problems) > 0 {
		t.Errorf("the page complained: %q", problems)
	}
}
