package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
)

var pictures = flag.String("pictures", "", "directory for the README's pictures")

// browser opens a headless Chromium on the sandbox's page.
func browser(t *testing.T, url string) context.Context {
	t.Helper()
	path := ""
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome"} {
		if p, err := exec.LookPath(name); err == nil {
			path = p
			break
		}
	}
	if path == "" {
		t.Fatal("no Chromium: run scripts/setup")
	}
	// The profile is in a directory of chromedp's own: Chromium's children may
	// write to it after their parent is gone, which fails t.TempDir's cleanup.
	options := append(chromedp.DefaultExecAllocatorOptions[:],
		chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.WindowSize(1500, 950),
		chromedp.Flag("disable-quic", true), chromedp.Flag("disable-component-update", true), chromedp.Flag("lang", "en-GB"))
	// The test's own context ends before its cleanup: the browser would be killed,
	// and leave folders behind.
	alloc, cancel := chromedp.NewExecAllocator(context.WithoutCancel(t.Context()), options...)
	t.Cleanup(cancel)
	ctx, cancelPage := chromedp.NewContext(alloc, chromedp.WithErrorf(func(string, ...any) {}))
	t.Cleanup(cancelPage)
	if err := chromedp.Run(ctx); err != nil { // starts it: what it is started with may not end before it
		t.Fatalf("start the browser: %v", err)
	}
	whole := ctx
	t.Cleanup(func() {
		ended := make(chan struct{})
		go func() { defer close(ended); _ = chromedp.Cancel(whole) }() // it may have ended by itself
		within(t, ended, "the end of the browser")
	})
	ctx, cancelTime := context.WithTimeout(ctx, 4*time.Minute)
	t.Cleanup(cancelTime)
	if err := chromedp.Run(ctx, chromedp.Navigate(url), chromedp.WaitVisible("#people .person")); err != nil {
		t.Fatalf("open the page: %v", err)
	}
	return ctx
}

// page drives the page as a person would.
type page struct {
	t   *testing.T
	ctx context.Context
	dir string
}

func (p *page) do(what string, actions ...chromedp.Action) {
	p.t.Helper()
	if err := chromedp.Run(p.ctx, actions...); err != nil {
		p.picture("failed")
		p.t.Fatalf("%s: %v\nthe page says:\n%s", what, err, p.text())
	}
}

// text is what stands on the page, as far as it still answers.
func (p *page) text() (text string) {
	if err := chromedp.Run(p.ctx, chromedp.Evaluate(`document.body.innerText`, &text)); err != nil {
		return err.Error()
	}
	return text
}

func (p *page) become(id string) {
	p.t.Helper()
	p.do("become "+id, chromedp.Click(fmt.Sprintf(`[data-person="%s"]`, id)), chromedp.WaitVisible(fmt.Sprintf(`[data-person="%s"][aria-checked="true"]`, id)))
}

// sees waits until a part of the page holds a text.
func (p *page) sees(selector, text string) {
	p.t.Helper()
	p.do("see "+text, chromedp.Poll(fmt.Sprintf(`[...document.querySelectorAll(%q)].some(e => e.innerText.includes(%q))`, selector, text), nil, chromedp.WithPollingTimeout(2*time.Minute)))
}

// press presses the last button with this label in a part of the page.
func (p *page) press(selector, label string) {
	p.t.Helper()
	p.do("press "+label, chromedp.Poll(fmt.Sprintf(`(() => {
		const b = [...document.querySelectorAll(%q)].filter(e => e.innerText.trim() === %q && !e.disabled).pop();
		if (!b) return false;
		b.click();
		return true;
	})()`, selector+" button", label), nil, chromedp.WithPollingTimeout(2*time.Minute)))
}

// root scrolls the run's first message into view.
func (p *page) root() {
	p.t.Helper()
	p.do("look at the run's message", chromedp.Evaluate(`[...document.querySelectorAll("#messages .msg:not(.ephemeral)")].find(e => e.innerText.includes("Upgrade orders")).scrollIntoView()`, nil))
}

func (p *page) picture(name string) {
	p.t.Helper()
	if p.dir == "" {
		return
	}
	var png []byte
	if err := chromedp.Run(p.ctx, chromedp.Sleep(700*time.Millisecond), chromedp.CaptureScreenshot(&png)); err != nil {
		p.t.Fatalf("picture %s: %v", name, err)
	}
	if err := os.WriteFile(filepath.Join(p.dir, name+".png"), png, 0o600); err != nil {
		p.t.Fatal(err)
	}
}

// TestThePageTellsTheWholeStory plays it in a browser: typed by one person,
// approved by another, app health good, reminded, destroyed by typing the name.
func TestThePageTellsTheWholeStory(t *testing.T) {
	t.Parallel()
	s := begin(t, func(o *options) {
		if *pictures != "" {
			o.speed = 2
		}
	})
	p := &page{t: t, ctx: browser(t, s.pageURL), dir: *pictures}
	newPlayer(t, s)

	p.become("U1")
	p.do("type the command that is there already", chromedp.Click("#send"))
	p.sees("#messages", "The upgrade of orders has begun")
	p.sees("#thread", "It can start.")
	p.picture("survey")
	p.sees("#thread", "commits behind")
	p.picture("lag")
	p.sees("#thread", "May the cutover begin?")
	p.picture("asked")

	p.press("#messages", "now approve as ben")
	p.press("#messages", "Approve cutover")
	p.sees("#thread", "approved the cutover")
	p.sees("#thread", "Writers stopped")
	p.sees("#thread", "Nothing is missing")
	p.root()
	p.picture("cutover")
	p.sees("#thread", "is open again on PostgreSQL 17")
	p.sees("#thread", "Downtime")
	p.picture("open-again")

	p.press("#messages", "App looks good")
	p.sees("#thread", "says the app looks good")
	p.sees("#thread", "Both databases together have cost") // the reminder
	p.picture("reminded")

	p.press("#messages", "Destroy…")
	p.sees("#modal", "This cannot be undone")
	p.picture("destroy")
	p.do("type another app's name", chromedp.SendKeys("#modal input", "billing"))
	p.press("#modal", "Destroy")
	p.sees("#modal", "the app's name is orders")
	p.do("type the app's name", chromedp.Evaluate(`document.querySelector("#modal input").value = "orders"`, nil))
	p.press("#modal", "Destroy")
	p.sees("#thread", "is destroyed and no longer billed")
	p.sees("#thread", "Upgrade of orders is done")
	p.root()
	p.picture("report")

	for _, d := range s.heroku.Overview().Databases {
		if d.Name == "postgresql-curved-41822" {
			t.Error("the old database is still there")
		}
	}
	var problems []string
	p.do("read what the page complained about", chromedp.Evaluate(`window.problems ?? []`, &problems))
	if len(problems) > 0 {
		t.Errorf("the page complained: %s", strings.Join(problems, "; "))
	}
}

// TestThePageBreaksAndMends: the strip shows what is on, what cannot be pressed
// yet and why, and mends what is pressed again.
func TestThePageBreaksAndMends(t *testing.T) {
	t.Parallel()
	s := begin(t)
	p := &page{t: t, ctx: browser(t, s.pageURL), dir: *pictures}
	newPlayer(t, s)
	p.become("U1")
	p.do("see that there is no follower to break yet", chromedp.WaitVisible(`[data-break="fail-upgrade"]:disabled`))
	p.do("type the command that is there already", chromedp.Click("#send"))
	p.sees("#thread", "May the cutover begin?")
	for _, id := range []string{"one-off", "slack-away", "heroku-busy"} {
		p.do("press "+id, chromedp.Click(`[data-break="`+id+`"]`), chromedp.WaitVisible(`[data-break="`+id+`"][aria-pressed="true"]`))
	}
	p.sees("#broken", "3 on; press again to mend")
	p.picture("broken")
	for _, id := range []string{"one-off", "slack-away", "heroku-busy"} {
		p.do("mend "+id, chromedp.Click(`[data-break="`+id+`"]`), chromedp.WaitVisible(`[data-break="`+id+`"][aria-pressed="false"]`))
	}
	p.sees("#broken", "at any moment")
	p.do("wait until the bot is connected again", chromedp.WaitVisible("#botdot:not(.off)"))
	p.do("read what kill does", chromedp.Focus(`[data-break="kill"]`))
	p.sees("#help", "goes on where it was")
	p.press("#messages", "now approve as ben")
	p.press("#messages", "Approve cutover")
	p.sees("#thread", "is open again on PostgreSQL 17")
}

// TestThePageKnowsEveryEmoji that the bot uses.
func TestThePageKnowsEveryEmoji(t *testing.T) {
	js, err := files.ReadFile("page/mrkdwn.js")
	if err != nil {
		t.Fatal(err)
	}
	goldens, err := filepath.Glob("../../bot/testdata/views/*.json")
	if err != nil || len(goldens) == 0 {
		t.Fatalf("no golden files: %v", err)
	}
	name := regexp.MustCompile(`(^|[\s"(*])(:[a-z_]+:)`)
	seen := 0
	for _, g := range goldens {
		b, err := os.ReadFile(g)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range name.FindAllStringSubmatch(string(b), -1) {
			seen++
			if !strings.Contains(string(js), strings.Trim(m[2], ":")+": '") {
				t.Errorf("%s: the page does not draw %s", g, m[2])
			}
		}
	}
	if seen == 0 {
		t.Error("no emoji in any golden file")
	}
}
