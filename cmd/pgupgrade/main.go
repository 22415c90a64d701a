// Command pgupgrade is the bot: it upgrades Heroku Postgres databases from
// Slack. See README.md for its commands and settings.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"

	"github.com/pgupgrade/pgupgrade/ops"
)

const usage = `pgupgrade upgrades Heroku Postgres databases from Slack.

Usage:
  pgupgrade serve [--state DIR]                     run the bot until SIGTERM
  pgupgrade migrate [--state DIR]                   prepare the bot's own database (the release phase runs it)
  pgupgrade check APP [--json] [--to VERSION]       look at an app; change nothing
  pgupgrade status [APP] [--json] [--state DIR]     show upgrades under way
  pgupgrade history [APP] [--json] [--state DIR]    who decided what, and what was refused; JSON holds everything
  pgupgrade approve APP [--state DIR]               say yes to the open question, when Slack is away
  pgupgrade cancel APP [--state DIR]                stop the upgrade and go back, when Slack is away
  pgupgrade rollback APP [--state DIR]              go back after the switch, when Slack is away
  pgupgrade version

Settings are environment variables; see README.md.
`

// Exit codes.
const (
	exitOK      = 0
	exitFailed  = 1 // it did not work
	exitUsage   = 2 // it was asked in the wrong way, or the environment is not right
	exitBlocked = 3 // check: something blocks the upgrade
)

func main() {
	ctx, stop := signals()
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Getenv, os.Stdout, os.Stderr))
}

// program is one call of the command.
type program struct {
	getenv func(string) string
	out    io.Writer
	log    *slog.Logger
	state  string
	json   bool
	to     int
}

func run(ctx context.Context, args []string, getenv func(string) string, out, errs io.Writer) int {
	if len(args) == 0 {
		fmt.Fprint(errs, usage)
		return exitUsage
	}
	p := &program{getenv: getenv, out: out, log: slog.New(slog.NewTextHandler(errs, &slog.HandlerOptions{Level: level(getenv("PGUPGRADE_LOG"))}))}
	rest, err := p.flags(args[0], args[1:], errs)
	if errors.Is(err, flag.ErrHelp) {
		return exitOK
	}
	if err != nil {
		return exitUsage
	}
	switch args[0] {
	case "serve":
		err = p.serve(ctx)
	case "migrate":
		err = p.migrate(ctx)
	case "check":
		err = p.check(ctx, rest)
	case "status":
		err = p.status(ctx, rest)
	case "history":
		err = p.history(ctx, rest)
	case "approve":
		err = p.approve(ctx, rest)
	case "cancel":
		err = p.cancel(ctx, rest)
	case "rollback":
		err = p.rollback(ctx, rest)
	case "version":
		fmt.Fprintln(out, version())
	case "help", "-h", "--help":
		fmt.Fprint(out, usage)
	default:
		fmt.Fprintf(errs, "pgupgrade: there is no command %q.\n\n%s", args[0], usage)
		return exitUsage
	}
	return exitCode(err, errs)
}

// errBlocked: the check found something that blocks.
var errBlocked = errors.New("something blocks the upgrade")

func exitCode(err error, errs io.Writer) int {
	if err == nil {
		return exitOK
	}
	fmt.Fprintln(errs, "pgupgrade:", err)
	var bad problems
	var user *ops.UserError
	switch {
	case errors.Is(err, errBlocked):
		return exitBlocked
	case errors.As(err, &bad), errors.As(err, &user):
		return exitUsage
	}
	return exitFailed
}

// flags reads the flags of a command wherever they stand among its arguments.
func (p *program) flags(name string, args []string, errs io.Writer) (rest []string, err error) {
	f := flag.NewFlagSet("pgupgrade "+name, flag.ContinueOnError)
	f.SetOutput(errs)
	f.Usage = func() { fmt.Fprint(errs, usage) }
	f.StringVar(&p.state, "state", "state", "directory of the SQLite file, used without DATABASE_URL")
	f.BoolVar(&p.json, "json", false, "print JSON")
	f.IntVar(&p.to, "to", 0, "major version to upgrade to")
	for {
		if err := f.Parse(args); err != nil {
			return nil, err
		}
		if f.NArg() == 0 {
			return rest, nil
		}
		rest, args = append(rest, f.Arg(0)), f.Args()[1:]
	}
}

func level(s string) slog.Level {
	if s == "debug" {
		return slog.LevelDebug
	}
	return slog.LevelInfo
}

func version() string {
	v := "pgupgrade"
	if info, ok := debug.ReadBuildInfo(); ok {
		v += " " + info.Main.Version + " " + info.GoVersion
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				v += " " + s.Value
			}
		}
	}
	return v + " (PostgreSQL versions as of " + versionsKnown + ")"
}
