package main

import (
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // so that PGUPGRADE_TIMEZONE works on any machine

	"github.com/pgupgrade/pgupgrade/bot"
	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
	"github.com/pgupgrade/pgupgrade/ops/heroku"
)

// versionsKnown is the date of the knowledge behind the default of PGUPGRADE_VERSIONS.
const versionsKnown = "2026-05"

// Config is the environment, checked. Secrets print as redacted.
type Config struct {
	SlackAppToken ops.Secret
	SlackBotToken ops.Secret
	SlackAPIURL   string
	Channel       string

	HerokuKey  ops.Secret
	HerokuAPI  string
	HerokuData string

	DatabaseURL ops.Secret // empty: a SQLite file
	StateDir    string

	Approvers     []string
	Approval      ops.Approval
	Versions      []int
	Remind        string
	Timezone      *time.Location
	Soak          time.Duration
	DowntimeLimit time.Duration // 0: twice the forecast, at least 30 min
	Deadlines     []check.Deadline

	Dyno string // "" outside Heroku
}

// needs says which part of the environment a command cannot do without.
type needs struct{ slack, heroku bool }

// problems is every mistake in the environment, each with what to do.
type problems []string

func (p problems) Error() string {
	return "the environment is not right:\n  - " + strings.Join(p, "\n  - ")
}

// load reads and checks the environment as a whole. Its error is problems; it
// holds no value of a secret.
func load(getenv func(string) string, stateDir string, n needs) (Config, error) {
	var p problems
	c := Config{
		SlackAppToken: ops.NewSecret(getenv("SLACK_APP_TOKEN")), SlackBotToken: ops.NewSecret(getenv("SLACK_BOT_TOKEN")),
		SlackAPIURL: getenv("SLACK_API_URL"), Channel: getenv("PGUPGRADE_CHANNEL"),
		HerokuKey: ops.NewSecret(getenv("HEROKU_API_KEY")), DatabaseURL: ops.NewSecret(getenv("DATABASE_URL")),
		StateDir: stateDir, Dyno: getenv("DYNO"),
	}
	if n.slack {
		p.token(c.SlackAppToken, "SLACK_APP_TOKEN", "xapp-", "Create an app-level token with connections:write in the Slack app's Basic Information.")
		p.token(c.SlackBotToken, "SLACK_BOT_TOKEN", "xoxb-", "Copy the Bot User OAuth Token from the Slack app's OAuth & Permissions.")
		if c.Channel == "" {
			p.add("PGUPGRADE_CHANNEL is not set. Give the id of the channel for upgrades (C...; in Slack: channel name, About, Channel ID).")
		} else if !strings.HasPrefix(c.Channel, "C") && !strings.HasPrefix(c.Channel, "G") {
			p.add("PGUPGRADE_CHANNEL must be a channel's id (C... or G...), not its name.")
		}
	}
	if n.heroku && c.HerokuKey.Empty() {
		p.add("HEROKU_API_KEY is not set. Run `heroku authorizations:create -d pgupgrade` and set its token.")
	}
	var err error
	if c.HerokuAPI, c.HerokuData, err = heroku.Hosts(getenv("HEROKU_HOST"), getenv("HEROKU_DATA_HOST")); err != nil {
		p.add(err.Error())
	}
	if c.Dyno != "" && c.DatabaseURL.Empty() {
		p.add("DATABASE_URL is not set, and a dyno's disk is lost at every restart. Run `heroku addons:create heroku-postgresql:essential-0` on the bot's app.")
	}
	if u := c.DatabaseURL.Reveal(); u != "" {
		if parsed, err := url.Parse(u); err != nil || parsed.Host == "" || !strings.HasPrefix(parsed.Scheme, "postgres") {
			p.add("DATABASE_URL is not a postgres:// URL.")
		}
	}
	c.approvers(getenv, &p)
	c.schedule(getenv, &p)
	if len(p) > 0 {
		return c, p
	}
	return c, nil
}

func (c *Config) approvers(getenv func(string) string, p *problems) {
	for _, id := range strings.FieldsFunc(getenv("PGUPGRADE_APPROVERS"), func(r rune) bool { return r == ',' || r == ' ' }) {
		if !strings.ContainsAny(id[:1], "UWS") || len(id) < 2 {
			p.add(fmt.Sprintf("PGUPGRADE_APPROVERS holds %q, which is neither a user's id (U... or W...) nor a user group's (S...).", id))
		}
		c.Approvers = append(c.Approvers, id)
	}
	c.Approval = ops.Approval(getenv("PGUPGRADE_APPROVAL"))
	if !slices.Contains([]ops.Approval{ops.ApprovalDefault, ops.ApprovalTwo, ops.ApprovalTyped, ops.ApprovalButton}, c.Approval) {
		p.add("PGUPGRADE_APPROVAL must be two, typed or button, or not be set.")
	}
	versions := getenv("PGUPGRADE_VERSIONS")
	if versions == "" {
		versions = "15,16,17"
	}
	for _, v := range strings.Split(versions, ",") {
		n, err := strconv.Atoi(strings.TrimSpace(v))
		if err != nil || n < 10 || n > 99 {
			p.add(fmt.Sprintf("PGUPGRADE_VERSIONS holds %q; it must be major versions such as 15,16,17.", v))
			continue
		}
		c.Versions = append(c.Versions, n)
	}
}

func (c *Config) schedule(getenv func(string) string, p *problems) {
	zone := getenv("PGUPGRADE_TIMEZONE")
	if zone == "" {
		zone = "UTC"
	}
	var err error
	if c.Timezone, err = time.LoadLocation(zone); err != nil {
		p.add(fmt.Sprintf("PGUPGRADE_TIMEZONE %q is not a time zone; use a name such as Europe/Berlin.", zone))
	}
	c.Remind = getenv("PGUPGRADE_REMIND")
	if c.Timezone != nil {
		if _, err := bot.ParseSchedule(c.Remind, c.Timezone); err != nil {
			p.add(fmt.Sprintf("PGUPGRADE_REMIND: %v. The default is %s.", err, bot.DefaultRemind))
		}
	}
	c.Soak = p.duration(getenv("PGUPGRADE_SOAK"), "PGUPGRADE_SOAK", "168h (a week)", 7*24*time.Hour)
	if c.Deadlines, err = check.ParseDeadlines(getenv("PGUPGRADE_DEADLINES"), check.Deadlines()); err != nil {
		p.add(fmt.Sprintf("PGUPGRADE_DEADLINES: %v.", err))
	}
	c.DowntimeLimit = p.duration(getenv("PGUPGRADE_DOWNTIME_LIMIT"), "PGUPGRADE_DOWNTIME_LIMIT", "30m", 0)
}

func (p *problems) add(s string) { *p = append(*p, s) }

func (p *problems) token(s ops.Secret, name, prefix, what string) {
	switch {
	case s.Empty():
		p.add(name + " is not set. " + what)
	case !strings.HasPrefix(s.Reveal(), prefix):
		p.add(name + " must begin with " + prefix + ". " + what)
	}
}

func (p *problems) duration(value, name, example string, otherwise time.Duration) time.Duration {
	if value == "" {
		return otherwise
	}
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		p.add(fmt.Sprintf("%s %q is not a duration; write it like %s.", name, value, example))
	}
	return d
}

// ownDatabase is where the bot's own rows are, zero for a file.
func (c Config) ownDatabase() ops.Endpoint {
	u, err := url.Parse(c.DatabaseURL.Reveal())
	if err != nil || u.Host == "" {
		return ops.Endpoint{}
	}
	return ops.Endpoint{Host: u.Hostname(), Port: u.Port(), Database: strings.TrimPrefix(u.Path, "/")}
}

// executor names this process's slot among its peers.
func (c Config) executor() string {
	if c.Dyno != "" {
		return c.Dyno
	}
	return "local"
}
