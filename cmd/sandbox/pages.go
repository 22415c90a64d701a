package main

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

//go:embed page
var files embed.FS

// pages serves the page, what it asks for, and the second address of the stand-ins.
func (s *sandbox) pages() http.Handler {
	page, err := fs.Sub(files, "page")
	if err != nil {
		panic("the page is embedded: " + err.Error())
	}
	m := http.NewServeMux()
	m.Handle("/", http.FileServerFS(page))
	m.HandleFunc("GET /api/state", s.serveState)
	m.HandleFunc("POST /api/command", s.post(func(ctx context.Context, in input) error {
		return s.slack.Command(ctx, in.As, channelID, in.Text)
	}))
	m.HandleFunc("POST /api/click", s.post(func(ctx context.Context, in input) error {
		return s.slack.Click(ctx, in.As, channelID, in.TS, in.ActionID)
	}))
	m.HandleFunc("POST /api/submit", s.post(func(ctx context.Context, in input) error {
		return s.slack.Submit(ctx, in.As, in.ViewID, in.Values)
	}))
	m.HandleFunc("POST /api/close", s.post(func(_ context.Context, in input) error {
		s.slack.CloseView(in.As, in.ViewID)
		return nil
	}))
	m.HandleFunc("POST /api/break", s.post(func(_ context.Context, in input) error { return s.doBreak(in.ID) }))
	m.Handle("/control/heroku/", http.StripPrefix("/control/heroku", s.heroku.Control()))
	m.Handle("/control/slack/", http.StripPrefix("/control/slack", s.slack.Control()))
	return m
}

// input is what the page posts.
type input struct {
	As       string                       `json:"as"`
	Text     string                       `json:"text"`
	TS       string                       `json:"ts"`
	ActionID string                       `json:"action_id"`
	ViewID   string                       `json:"view_id"`
	Values   map[string]map[string]string `json:"values"`
	ID       string                       `json:"id"`
}

// post answers with {} or with {"error": "..."}.
func (s *sandbox) post(do func(ctx context.Context, in input) error) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		var in input
		err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&in)
		if err == nil {
			err = do(r.Context(), in)
		}
		answer := map[string]string{}
		// What Slack shows by itself in the channel need not be said twice.
		if err != nil && !errors.Is(err, slacktest.ErrNobody) && !errors.Is(err, slacktest.ErrTimeout) {
			answer["error"] = err.Error()
		}
		writeJSON(w, answer)
	}
}

func writeJSON(w http.ResponseWriter, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	_ = json.NewEncoder(w).Encode(v) // the page asks again
}

// seen is everything that the page draws for one person.
type seen struct {
	People   []personSeen  `json:"people"`
	Note     string        `json:"note"`
	Bot      string        `json:"bot"`
	Channel  string        `json:"channel"`
	Messages []messageSeen `json:"messages"`
	Views    []viewSeen    `json:"views"`
	Heroku   []cardSeen    `json:"heroku"`
	Breaks   []breakSeen   `json:"breaks"`
	Rows     []rowsSeen    `json:"rows"`
	Lag      []lagSeen     `json:"lag"`
}

type personSeen struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Title string `json:"title"`
	Bot   bool   `json:"bot"`
}

type messageSeen struct {
	TS        string          `json:"ts"`
	User      string          `json:"user"`
	Text      string          `json:"text"`
	Blocks    json.RawMessage `json:"blocks,omitempty"`
	ThreadTS  string          `json:"thread_ts,omitempty"`
	Broadcast bool            `json:"broadcast"`
	Ephemeral bool            `json:"ephemeral"`
	Typed     bool            `json:"typed"`
	Edited    bool            `json:"edited"` // Slack marks no edit of a message with blocks
}

type viewSeen struct {
	ID     string            `json:"id"`
	Title  json.RawMessage   `json:"title"`
	Submit json.RawMessage   `json:"submit,omitempty"`
	Close  json.RawMessage   `json:"close,omitempty"`
	Blocks json.RawMessage   `json:"blocks"`
	Errors map[string]string `json:"errors"`
}

type cardSeen struct {
	Title string    `json:"title"`
	Rows  []rowSeen `json:"rows"`
}

// text is a card as a scenario reads it.
func (c cardSeen) text() string {
	text := c.Title
	for _, r := range c.Rows {
		text += " · " + r.Name + " " + r.Value
	}
	return text
}

type rowSeen struct {
	Name  string `json:"name"`
	Value string `json:"value"`
	Mark  string `json:"mark,omitempty"`
}

func (s *sandbox) serveState(w http.ResponseWriter, r *http.Request) {
	as := r.URL.Query().Get("as")
	overview := s.heroku.Overview()
	out := seen{Heroku: cards(overview), Lag: s.lag.sample(overview, time.Now()), Channel: "db-upgrades", Note: fmt.Sprintf("nothing here is real · speed %g", s.o.speed), Bot: s.botState(), Breaks: s.breaks(), Rows: s.rowsSeen(), Messages: []messageSeen{}, Views: []viewSeen{}}
	if s.data != nil {
		out.Note = fmt.Sprintf("PostgreSQL is real, the rest is not · speed %g", s.o.speed)
	}
	for _, u := range s.slack.Users() {
		out.People = append(out.People, personSeen{u.ID, u.Name, u.Title, u.Bot})
	}
	for _, p := range s.slack.Messages(channelID, as) {
		out.Messages = append(out.Messages, messageSeen{p.TS, p.User, p.Text, p.Blocks, p.ThreadTS, p.Broadcast, p.Ephemeral != "", p.Typed, p.Edits > 0 && len(p.Blocks) == 0})
	}
	for _, v := range s.slack.Views(as) {
		var x viewSeen
		if json.Unmarshal(v.Raw, &x) != nil {
			continue // the stand-in has checked it
		}
		x.ID, x.Errors = v.ID, v.Errors
		out.Views = append(out.Views, x)
	}
	writeJSON(w, out)
}

func (s *sandbox) botState() string {
	if s.bot == nil {
		return "not started"
	}
	if running, _ := s.bot.running(); !running {
		return "killed"
	}
	if s.slack.Sockets() == 0 {
		return "not connected"
	}
	return "running"
}

// cards are Heroku's side: each app, and the databases that it pays for.
func cards(o herokutest.Overview) []cardSeen {
	var out []cardSeen
	for _, a := range o.Apps {
		var processes []string
		for kind, n := range a.Formation {
			processes = append(processes, fmt.Sprintf("%s=%d", kind, n))
		}
		slices.Sort(processes)
		maintenance := rowSeen{"maintenance", "off", ""}
		if a.Maintenance {
			maintenance = rowSeen{"maintenance", "on", "bad"}
		}
		out = append(out, cardSeen{a.Name, []rowSeen{
			{"DATABASE", a.Database, ""}, maintenance, {"formation", strings.Join(processes, " "), ""},
			{"dynos", fmt.Sprint(len(a.Dynos)), ""}, {"release", a.Release, ""},
		}})
		for _, d := range o.Databases {
			if d.App == a.Name {
				out = append(out, databaseCard(d))
			}
		}
	}
	return out
}

func databaseCard(d herokutest.DatabaseView) cardSeen {
	rows := []rowSeen{{"PostgreSQL", d.Version, ""}, {"state", d.State, stateMark(d.State)}, {"connections", fmt.Sprint(d.Connections), ""}}
	if d.Following != "" {
		behind := "unknown"
		if d.BehindKnown {
			behind = fmt.Sprintf("%d commits", d.Behind)
		}
		rows = append(rows, rowSeen{"following", d.Following, ""}, rowSeen{"behind by", behind, ""})
	}
	return cardSeen{d.Name + " (" + d.App + ")", rows}
}

func stateMark(state string) string {
	switch state {
	case "provisioned", "available":
		return "good"
	}
	return "bad"
}
