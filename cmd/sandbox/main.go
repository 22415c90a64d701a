// Command sandbox plays pgupgrade on one machine, with no account anywhere: a
// stand-in for Slack, a stand-in for Heroku, the built bot in a child process,
// and a page in the browser that looks like the channel.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
	"github.com/pgupgrade/pgupgrade/ops/pg/cluster"
)

const usage = `sandbox plays pgupgrade on this machine, with no account.

  go run ./cmd/sandbox [flags]

Flags:
`

func main() {
	// Also when the terminal is closed, or whoever reads what it prints is gone: it
	// must not leave the bot and the clusters running.
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE) // else a broken stdout kills it at once (os/signal, "SIGPIPE")
	os.Exit(run(ctx, os.Args[1:], read{os.Stdout, stop}, os.Stderr))
}

// read is an output that calls gone when nobody reads it any more.
type read struct {
	io.Writer
	gone func()
}

func (r read) Write(p []byte) (int, error) {
	n, err := r.Writer.Write(p)
	if errors.Is(err, syscall.EPIPE) {
		r.gone()
	}
	return n, err
}

// options are the flags.
type options struct {
	speed               float64
	page, slack, heroku string // addresses to listen on
	state               string // "": a directory that is removed at the end
	bot                 bool
	play                string
	postgres            string // auto, off or require; "" is off

	program     string // a built pgupgrade; "": it is built
	databaseURL string // PostgreSQL for the bot's rows; "": SQLite
	extra       []string
	apps        func(*herokutest.Server)                         // other apps than Acme's
	times       func(*herokutest.Times, float64)                 // changes how long things take at that speed; nil: nothing
	fleet       func(...cluster.Install) (*cluster.Fleet, error) // opens the clusters; nil: cluster.Open
}

func run(ctx context.Context, args []string, out, errs io.Writer) int {
	var o options
	f := flag.NewFlagSet("sandbox", flag.ContinueOnError)
	f.SetOutput(errs)
	f.Usage = func() { fmt.Fprint(errs, usage); f.PrintDefaults() }
	f.Float64Var(&o.speed, "speed", 1, "how much faster than told everything at Heroku happens; 1 tells the story in about two minutes")
	f.StringVar(&o.page, "page", "127.0.0.1:8080", "`address` of the page")
	f.StringVar(&o.slack, "slack", "127.0.0.1:0", "`address` of the Slack stand-in")
	f.StringVar(&o.heroku, "heroku", "127.0.0.1:0", "`address` of the Heroku stand-in")
	f.StringVar(&o.state, "state", "", "`directory` for the bot's rows; without it they are removed at the end")
	f.BoolVar(&o.bot, "bot", true, "run the bot; false serves the stand-ins alone and prints how to reach them")
	f.StringVar(&o.play, "play", "", "play a scenario `file` without the page, print the channel, and exit 0 only if all that it expects came")
	f.StringVar(&o.postgres, "postgres", "auto", "hold the databases in real PostgreSQL clusters: `auto` if two major versions are installed, off, or require")
	switch err := f.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case f.NArg() > 0:
		fmt.Fprintf(errs, "sandbox: I do not understand %q; it takes flags only (see -help).\n", f.Arg(0))
		return 2
	case o.speed <= 0 || o.speed > 100:
		fmt.Fprintln(errs, "sandbox: --speed must be above 0 and at most 100.")
		return 2
	case o.postgres != "auto" && o.postgres != "off" && o.postgres != "require":
		fmt.Fprintln(errs, "sandbox: --postgres is auto, off or require.")
		return 2
	case o.play != "" && !o.bot:
		fmt.Fprintln(errs, "sandbox: --play needs the bot; leave --bot=false out.")
		return 2
	}
	if err := sandboxed(ctx, o, out); err != nil {
		fmt.Fprintln(errs, "sandbox:", err)
		return 1
	}
	return 0
}

func sandboxed(ctx context.Context, o options, out io.Writer) (err error) {
	var scenario []line
	if o.play != "" {
		if scenario, err = readScenario(o.play); err != nil {
			return err
		}
	}
	s, err := open(ctx, o, out)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if o.play != "" {
		return s.play(ctx, scenario, out)
	}
	if o.bot {
		fmt.Fprintf(out, "\n  Open %s and press Enter in the message box.\n", s.pageURL)
	} else {
		fmt.Fprintf(out, "\n  The stand-ins run; the bot does not. The page is at %s. To reach them:\n\n%s\n", s.pageURL, exports(s.settings()))
		fmt.Fprintf(out, "  For the Heroku CLI also these, and a HOME of its own, since it edits ~/.gitconfig:\n\n%s\n", exports(s.forCLI()))
	}
	fmt.Fprintln(out, "  Ctrl-C ends it.")
	select {
	case <-ctx.Done():
		fmt.Fprintln(out, "\nEnding.")
		return nil
	case err := <-s.failed:
		return err
	}
}
