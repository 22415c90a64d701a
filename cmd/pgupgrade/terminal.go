package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku"
)

// check looks at an app and prints what was found. It needs no rows and no Slack.
func (p *program) check(ctx context.Context, args []string) error {
	if len(args) != 1 {
		return ops.Userf("check takes the name of one app: pgupgrade check APP [--json] [--to VERSION]")
	}
	c, err := load(p.getenv, p.state, needs{heroku: true})
	if err != nil {
		return err
	}
	survey, err := p.runner(c, nil, heroku.Open(p.heroku(c))).Survey(ctx, args[0], ops.Request{To: p.to})
	if err != nil {
		return plainError(err)
	}
	if p.json {
		err = p.print(survey)
	} else {
		p.printSurvey(survey)
	}
	if err == nil && ops.Worst(survey.Findings) == ops.Block {
		err = errBlocked
	}
	return err
}

// plainError takes the markup of Slack out of a sentence for people.
func plainError(err error) error {
	var user *ops.UserError
	if errors.As(err, &user) {
		return &ops.UserError{Text: plain(user.Text)}
	}
	return err
}

func plain(s string) string { return strings.ReplaceAll(s, "`", "'") }

func (p *program) print(v any) error {
	e := json.NewEncoder(p.out)
	e.SetIndent("", "  ")
	return e.Encode(v)
}

func (p *program) printSurvey(s ops.Survey) {
	fmt.Fprintf(p.out, "%s, database %s\n", s.App.Name, s.Database.Name)
	if plan := s.Plan; plan != nil {
		fmt.Fprintf(p.out, "PostgreSQL %s -> %s on %s; %s a month while both databases exist; cutover about %s\n",
			plan.From, plan.To, ops.ShortPlan(plan.NewPlan), ops.FormatCents(plan.Cents), ops.FormatDuration(plan.Forecast.Outage))
	}
	worstFirst := slices.Concat(ops.With(s.Findings, ops.Block), ops.With(s.Findings, ops.Acknowledge), ops.With(s.Findings, ops.Warn),
		ops.With(s.Findings, ops.Inform), ops.With(s.Findings, ops.Pass))
	for _, f := range worstFirst {
		fmt.Fprintf(p.out, "%-12s %-5s %s", f.Verdict, f.Check, f.Title)
		if f.Evidence != "" {
			fmt.Fprintf(p.out, ": %s", strings.ReplaceAll(f.Evidence, "`", ""))
		}
		fmt.Fprintln(p.out)
		if f.Fix != "" {
			fmt.Fprintf(p.out, "%-18s -> %s\n", "", strings.ReplaceAll(f.Fix, "`", ""))
		}
	}
}

// status prints what is under way, or the last run of an app.
func (p *program) status(ctx context.Context, args []string) error {
	if len(args) > 1 {
		return ops.Userf("status takes at most one app: pgupgrade status [APP] [--json]")
	}
	c, err := load(p.getenv, p.state, needs{})
	if err != nil {
		return err
	}
	rows, err := p.openRows(ctx, c, never)
	if err != nil {
		return err
	}
	app := strings.Join(args, "")
	service := &ops.Service{Rows: rows}
	runs, err := service.Status(ctx, app)
	if err == nil && p.json {
		if runs == nil {
			runs = []ops.Run{}
		}
		err = p.print(runs)
	} else if err == nil {
		p.printRuns(runs)
		if app != "" {
			err = p.printSettings(ctx, service, runs[0])
		}
	}
	return plainError(errors.Join(err, rows.Close()))
}

func (p *program) printSettings(ctx context.Context, service *ops.Service, run ops.Run) error {
	kept, err := service.RunSettings(ctx, run)
	for _, k := range ops.SettingKinds() {
		if value := kept[k.Key]; value != "" {
			fmt.Fprintf(p.out, "  set: %s %s\n", k.Key, value)
		}
	}
	return err
}

// history prints the audit trail: for people who decided what, as JSON everything.
func (p *program) history(ctx context.Context, args []string) error {
	if len(args) > 1 {
		return ops.Userf("history takes at most one app: pgupgrade history [APP] [--json]")
	}
	c, err := load(p.getenv, p.state, needs{})
	if err != nil {
		return err
	}
	rows, err := p.openRows(ctx, c, never)
	if err != nil {
		return err
	}
	trail, err := (&ops.Service{Rows: rows}).History(ctx, strings.Join(args, ""))
	if err == nil && p.json {
		err = p.print(trail)
	} else if err == nil {
		p.printTrail(trail)
	}
	return errors.Join(err, rows.Close())
}

func (p *program) printTrail(t ops.Trail) {
	if len(t.Upgrades) == 0 && len(t.Apart) == 0 {
		fmt.Fprintln(p.out, "Nothing is on record.")
	}
	for _, r := range t.Upgrades {
		p.printRuns([]ops.Run{r.Run})
		p.printEvents(r.Said())
	}
	if len(t.Apart) > 0 {
		fmt.Fprintln(p.out, "Settings, and refusals to start:")
		p.printEvents(t.Apart)
	}
}

func (p *program) printEvents(all []ops.Event) {
	for _, e := range all {
		who := e.Actor.ID
		if e.Actor.Name != "" {
			who = e.Actor.Name
		}
		fmt.Fprintf(p.out, "  %s  %-20s %s\n", e.At.UTC().Format("2006-01-02 15:04:05 UTC"), who, plain(e.Text))
	}
}

func (p *program) printRuns(runs []ops.Run) {
	if len(runs) == 0 {
		fmt.Fprintln(p.out, "Nothing is under way.")
	}
	for _, r := range runs {
		fmt.Fprintf(p.out, "%s  %s  %s  ", r.ID, r.App.Name, r.Database.Name)
		switch {
		case !r.Active():
			fmt.Fprintf(p.out, "%s at %s", r.Outcome, r.EndedAt.UTC().Format("2006-01-02 15:04 UTC"))
		case r.Help != "":
			fmt.Fprintf(p.out, "%s, needs a person: %s", r.Step, r.Help)
		default:
			fmt.Fprintf(p.out, "%s since %s", r.Step, r.StepSince.UTC().Format("2006-01-02 15:04:05 UTC"))
			if r.Next != "" {
				fmt.Fprintf(p.out, ". Next: %s", r.Next)
			}
		}
		fmt.Fprintln(p.out)
		if r.Active() && !r.Key.Told.IsZero() {
			fmt.Fprintf(p.out, "  Heroku refuses HEROKU_API_KEY since %s: the upgrade can neither go on nor go back until it is a new one.\n", r.Key.Since.UTC().Format("2006-01-02 15:04:05 UTC"))
		}
	}
}
