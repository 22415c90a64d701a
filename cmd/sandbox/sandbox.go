package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"github.com/pgupgrade/pgupgrade/bot/slack/slacktest"
	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// Tokens of the stand-ins. They open nothing else.
const (
	appToken  = "xapp-1-SANDBOX"
	botToken  = "xoxb-SANDBOX"
	herokuKey = "HRKU-sandbox"
	channelID = "C1"
)

// soakAtSpeed1 is how long the sandbox watches both databases; the real default is a week.
const soakAtSpeed1 = 30 * time.Second

// sandbox is the stand-ins, the page and the bot.
type sandbox struct {
	o       options
	out     io.Writer
	slack   *slacktest.Server
	heroku  *herokutest.Server
	servers []*http.Server
	failed  chan error

	slackURL, herokuURL, pageURL string
	program                      string
	state                        string
	temporary                    string // removed at the end
	bot                          *child
	data                         *realData // nil: a model

	mu     sync.Mutex
	broken map[string]bool // by the id of a mischief that has an end
	victim string          // the follower for which something was staged

	counted counter
	lag     lagLog
}

// open starts everything.
func open(ctx context.Context, o options, out io.Writer) (*sandbox, error) {
	if o.play != "" {
		lines, err := readScenario(o.play)
		if err != nil {
			return nil, err
		}
		o.extra = append(o.extra, scenarioSettings(lines)...)
		if needsModel(lines) {
			o.postgres = "off"
		}
	}
	s := &sandbox{o: o, out: out, failed: make(chan error, 1), program: o.program, state: o.state, broken: map[string]bool{}}
	if err := s.begin(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *sandbox) begin(ctx context.Context) (err error) {
	s.slack = slacktest.New(slacktest.Config{AppToken: appToken, BotToken: botToken})
	s.slack.Acme()
	config := herokutest.Config{Token: herokuKey, Speed: s.o.speed, Times: herokutest.DefaultTimes()}
	if s.o.times != nil {
		s.o.times(&config.Times, s.o.speed)
	}
	if s.data, err = openData(s.o, s.out); err != nil {
		return err
	}
	if s.data != nil {
		config.Storage = s.data.storage
	}
	s.heroku = herokutest.New(config)
	if s.o.apps != nil {
		s.o.apps(s.heroku)
	} else {
		s.heroku.Acme()
	}
	if s.data != nil {
		if err := s.data.live(ctx, s.heroku); err != nil {
			return err
		}
	}
	if s.slackURL, err = s.listen("slack", s.o.slack, s.slack.API()); err != nil {
		return err
	}
	if s.herokuURL, err = s.listen("heroku", s.o.heroku, s.heroku.API()); err != nil {
		return err
	}
	s.slack.SetBaseURL(s.slackURL)
	s.heroku.SetBaseURL(s.herokuURL)
	if s.o.play == "" {
		if s.pageURL, err = s.listen("page", s.o.page, s.pages()); err != nil {
			return err
		}
	}
	if s.temporary, err = os.MkdirTemp("", "pgupgrade-sandbox-"); err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	if s.state == "" {
		s.state = filepath.Join(s.temporary, "state")
	}
	if !s.o.bot {
		return nil
	}
	if s.program == "" {
		s.program = filepath.Join(s.temporary, "pgupgrade")
		if err := build(ctx, s.program, s.out); err != nil {
			return err
		}
	}
	s.bot = newChild(s.program, []string{"serve", "--state", s.state}, s.environment(), filepath.Join(s.temporary, "bot.log"), s.failed)
	return s.bot.start()
}

// listen serves h and returns its address as a URL.
func (s *sandbox) listen(what, address string, h http.Handler) (string, error) {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen for %s: %w (choose another address with --%s)", what, err, what)
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	s.servers = append(s.servers, server)
	go func() {
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			select {
			case s.failed <- fmt.Errorf("serve %s: %w", what, err):
			default:
			}
		}
	}()
	return "http://" + l.Addr().String(), nil
}

// settings is the bot's environment, as far as the stand-ins make it.
func (s *sandbox) settings() []string {
	soak := time.Duration(float64(soakAtSpeed1) / s.o.speed)
	set := []string{
		"SLACK_APP_TOKEN=" + appToken,
		"SLACK_BOT_TOKEN=" + botToken,
		"SLACK_API_URL=" + s.slackURL + "/api/",
		"HEROKU_API_KEY=" + herokuKey,
		"HEROKU_HOST=" + s.herokuURL,
		"HEROKU_DATA_HOST=127.0.0.1", // a bare name: the scheme and port are HEROKU_HOST's
		"PGUPGRADE_CHANNEL=" + channelID,
		"PGUPGRADE_APPROVERS=U1,U2",
		"PGUPGRADE_SOAK=" + soak.Round(time.Second).String(),
		"PGUPGRADE_REMIND=@every 7s",
	}
	if s.data != nil {
		set = append(set, "PGUPGRADE_VERSIONS="+s.data.versions())
	}
	if s.o.databaseURL != "" {
		set = append(set, "DATABASE_URL="+s.o.databaseURL)
	}
	return append(set, s.o.extra...)
}

// environment is all that the bot is given: nothing of this machine's but where
// programs are.
func (s *sandbox) environment() []string {
	return append(s.settings(), "PATH="+os.Getenv("PATH"), "HOME="+s.temporary)
}

// forCLI is what the Heroku CLI needs beside HEROKU_API_KEY, HEROKU_HOST and
// HEROKU_DATA_HOST to speak to nobody but the stand-in: it asks a second host
// about the account, counts its use, and looks for newer versions.
func (s *sandbox) forCLI() []string {
	return []string{"HEROKU_PARTICLEBOARD_URL=" + s.herokuURL, "DISABLE_TELEMETRY=true", "HEROKU_SKIP_NEW_VERSION_CHECK=true"}
}

// exports are settings as a shell takes them.
func exports(settings []string) string {
	var b strings.Builder
	for _, v := range settings {
		name, value, _ := strings.Cut(v, "=")
		fmt.Fprintf(&b, "  export %s='%s'\n", name, value)
	}
	return b.String()
}

func (s *sandbox) close() error {
	var err error
	if s.bot != nil {
		err = s.bot.stop()
	}
	for _, x := range s.servers {
		err = errors.Join(err, x.Close())
	}
	if s.data != nil {
		err = errors.Join(err, s.data.close())
	}
	if s.temporary != "" {
		err = errors.Join(err, os.RemoveAll(s.temporary))
	}
	return err
}
