package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/heroku"
	"github.com/pgupgrade/pgupgrade/ops/store"
)

// operator is whoever is at the terminal. Who has the bot's key to Heroku and
// its rows could do by hand all that it does, so they may decide; the audit
// names the Heroku account.
type operator struct{ account string }

func (o operator) actor() ops.Actor { return ops.Actor{ID: ops.TerminalID, Name: o.account} }

// Person implements ops.People.
func (o operator) Person(context.Context, string) (ops.Person, error) {
	return ops.Person{Actor: o.actor()}, nil
}

// Policy implements ops.People.
func (o operator) Policy(context.Context) (ops.Policy, error) {
	return ops.Policy{Configured: true, Approval: ops.ApprovalButton, Approvers: []ops.Person{{Actor: o.actor()}}}, nil
}

// later leaves the run to the process that carries it, which looks for decisions
// every few seconds.
type later struct{}

func (later) Start(context.Context, string) error { return nil }
func (later) Wake(context.Context, string) error  { return nil }

// atTerminal opens the rows and asks Heroku whose key this is.
func (p *program) atTerminal(ctx context.Context, name string, args []string) (*store.Store, *ops.Service, operator, error) {
	if len(args) != 1 {
		return nil, nil, operator{}, ops.Userf("%s takes the name of one app: pgupgrade %s APP", name, name)
	}
	c, err := load(p.getenv, p.state, needs{heroku: true})
	if err != nil {
		return nil, nil, operator{}, err
	}
	account, err := heroku.Open(p.heroku(c)).CheckKey(ctx)
	if err != nil {
		return nil, nil, operator{}, plainError(err)
	}
	rows, err := p.openRows(ctx, c, never)
	if err != nil {
		return nil, nil, operator{}, err
	}
	o := operator{account.Email}
	return rows, &ops.Service{Rows: rows, Carrier: later{}, People: o, Now: time.Now, Log: p.log}, o, nil
}

// approve says yes to the question that an app's upgrade has open.
func (p *program) approve(ctx context.Context, args []string) error {
	rows, service, o, err := p.atTerminal(ctx, "approve", args)
	if err != nil {
		return err
	}
	run, err := p.current(ctx, rows, args[0])
	gate, digest, open := openGate(run)
	if err == nil && !open {
		err = ops.Userf("The upgrade of '%s' has no question open that is answered here; it is at step %s. %s", args[0], run.Step, run.Next)
	}
	if err == nil {
		_, err = service.Answer(ctx, o.actor(), ops.Answer{Run: run.ID, Gate: gate, Digest: digest, Yes: true, How: ops.ByTerminal})
	}
	if err == nil {
		for _, f := range ops.ToAccept(run, gate) {
			fmt.Fprintf(p.out, "Accepted with it: %s (%s): %s\n", f.Title, f.Check, plain(f.Evidence))
		}
		fmt.Fprintf(p.out, "Approved for %s as %s: %s. 'pgupgrade status %s' shows how it goes on.\n", run.App.Name, o.account, gate, run.App.Name)
	}
	return plainError(errors.Join(err, rows.Close()))
}

// openGate is the question that approve answers. Destroying and rolling back
// are ordered, not answered.
func openGate(run ops.Run) (gate ops.Gate, digest string, open bool) {
	for _, gate := range []ops.Gate{ops.GateCreate, ops.GateCutover, ops.GateLoss} {
		if digest, open := ops.OpenQuestion(run, gate); open {
			return gate, digest, true
		}
	}
	return "", "", false
}

// rollback orders the way back after the switch. The app's name is typed as the
// argument; what would be lost is asked about once more, by approve.
func (p *program) rollback(ctx context.Context, args []string) error {
	rows, service, o, err := p.atTerminal(ctx, "rollback", args)
	if err != nil {
		return err
	}
	run, err := p.current(ctx, rows, args[0])
	if err == nil {
		_, err = service.Answer(ctx, o.actor(), ops.Answer{Run: run.ID, Gate: ops.GateRollback, Digest: ops.RollbackDigest(run), Yes: true, How: ops.ByTerminal})
	}
	if err == nil {
		fmt.Fprintf(p.out, "Rollback of %s ordered as %s. When the writers are stopped it asks once more: 'pgupgrade approve %s' goes back to %s, 'pgupgrade cancel %s' stays. Without an answer within %s it stays. 'pgupgrade status %s' shows how it goes on.\n",
			run.App.Name, o.account, run.App.Name, run.Database.Name, run.App.Name, ops.FormatDuration(ops.LossWait), run.App.Name)
	}
	return plainError(errors.Join(err, rows.Close()))
}

// cancel orders the way back that cancel means where the run stands.
func (p *program) cancel(ctx context.Context, args []string) error {
	rows, service, o, err := p.atTerminal(ctx, "cancel", args)
	if err != nil {
		return err
	}
	run, err := p.current(ctx, rows, args[0])
	var plan ops.CancelPlan
	if err == nil {
		plan, err = service.Cancel(ctx, o.actor(), run.App.Name, ops.CancelDigest(run))
	}
	if err == nil {
		fmt.Fprintf(p.out, "Cancelled as %s. %s\n", o.account, plain(plan.Text))
	}
	return plainError(errors.Join(err, rows.Close()))
}

func (p *program) current(ctx context.Context, rows *store.Store, app string) (ops.Run, error) {
	run, err := rows.ActiveRun(ctx, app)
	if errors.Is(err, ops.ErrNotFound) {
		err = ops.Userf("There is no upgrade of '%s' under way.", app)
	}
	return run, err
}
