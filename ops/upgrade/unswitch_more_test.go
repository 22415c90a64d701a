package upgrade

import (
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
	"github.com/pgupgrade/pgupgrade/ops/check"
)

// TestWarnedOnce: a release that failed on the way back is told when all apps
// have come back, not at every look until then.
func TestWarnedOnce(t *testing.T) {
	f := at(ops.StepReturnAttach)
	f.run.Returning = true
	second := ops.Ref{ID: "app-2", Name: "reports"}
	f.run.Plan.Apps = append(f.run.Plan.Apps, ops.PlanApp{Ref: second, Attachments: []ops.PlanAttachment{{ID: "att-8", Name: "DATABASE"}}})
	f.app(func(a *AppFacts) {
		a.Hosts = ops.Known(map[string]ops.Endpoint{"DATABASE_URL": oldHost})
		a.Releases = ops.Known([]ops.Release{{ID: "r16", Version: 16, Description: "Attach DATABASE (@ref:postgresql-curved-1)", Status: ops.ReleaseFailed}})
	})
	f.w.Apps[second.ID] = AppFacts{Attachments: ops.Known([]ops.Attachment{{ID: "att-8", Name: "DATABASE", App: second, Addon: oldDB}}),
		Hosts: ops.Known(map[string]ops.Endpoint{"DATABASE_URL": oldHost}), Releases: ops.Known([]ops.Release{{ID: "r5", Version: 5, Status: ops.ReleasePending}})}
	warned := func(m Move) (n int) {
		for _, e := range m.Events {
			if e.Kind == ops.EventWarning {
				n++
			}
		}
		return n
	}
	if _, m := Next(f.run, f.w, now); m.Kind != Wait || warned(m) != 0 {
		t.Errorf("%s, warned %d times while the second app is waited for", m.Kind, warned(m))
	}
	f.w.Apps[second.ID].Releases.Value[0].Status = ops.ReleaseSucceeded
	if run, m := Next(f.run, f.w, now); run.Step != ops.StepReturnUnfence || warned(m) != 1 {
		t.Errorf("step %s, warned %d times", run.Step, warned(m))
	}
}

// TestWhatMoves: every name moves but the spare one on the billing app, whatever
// another app calls its own.
func TestWhatMoves(t *testing.T) {
	other := ops.Ref{ID: "app-2", Name: "reports"}
	on := []ops.Attachment{
		{ID: "a1", Name: "DATABASE", App: orders, Addon: oldDB}, {ID: "a2", Name: "PG15_ABCDE", App: orders, Addon: oldDB},
		{ID: "a3", Name: "PG14_ABCDE", Namespace: "credential:analyst", App: orders, Addon: oldDB}, {ID: "a4", Name: "PG15_QWERT", App: other, Addon: oldDB},
	}
	for _, c := range []struct {
		app  ops.Ref
		want []string
	}{{orders, []string{"DATABASE", "PG14_ABCDE"}}, {other, []string{"PG15_QWERT"}}} {
		var got []string
		for _, a := range planApp(check.AppFacts{Ref: c.app}, on, orders).Attachments {
			got = append(got, a.Name)
		}
		if len(got) != len(c.want) || got[0] != c.want[0] || got[len(got)-1] != c.want[len(c.want)-1] {
			t.Errorf("%s: %v move, want %v", c.app.Name, got, c.want)
		}
	}
}

// TestSchedules is the table of making backup schedules again.
func TestSchedules(t *testing.T) {
	s := ops.BackupSchedule{Name: "DATABASE_URL", Hour: 2, Timezone: "UTC"}
	soaking := func(change func(*fixture)) func(*fixture) {
		return func(f *fixture) {
			f.soaking(time.Hour, 0)
			f.run.Soak.From = now.Add(-time.Minute)
			f.run.Plan.Schedules = []ops.BackupSchedule{s}
			f.w.Schedules = ops.Known([]ops.BackupSchedule{})
			change(f)
		}
	}
	made := func(f *fixture, outcome string, ago time.Duration) {
		f.ago(5 * time.Minute)
		f.sent(ops.ActSchedule, ops.StepSoak, newDB.ID+" "+s.String(), outcome)
		f.ended(ago)
	}
	play(t, []row{
		{"it is made", ops.StepSoak, soaking(func(*fixture) {}), want{kind: Act, act: ops.ActSchedule}},
		{"it is looked for", ops.StepSoak, soaking(func(f *fixture) { made(f, ops.OutcomeDone, time.Second) }), want{kind: Wait, says: "looking for its effect"}},
		{"it is there", ops.StepSoak, soaking(func(f *fixture) { f.w.Schedules.Value = []ops.BackupSchedule{s} }), want{kind: Wait, says: "scheduled on"}},
		{"one that was made and is not listed is told, not made for ever", ops.StepSoak, soaking(func(f *fixture) { made(f, ops.OutcomeDone, time.Minute) }), want{kind: Wait, says: "heroku pg:backups:schedule DATABASE_URL --at '02:00 UTC'"}},
		{"one that is refused is told", ops.StepSoak, soaking(func(f *fixture) { made(f, ops.OutcomeRefused, time.Minute) }), want{kind: Wait, says: "heroku pg:backups:schedule"}},
		{"when they cannot be read they are looked at again", ops.StepSoak, soaking(func(f *fixture) { f.w.Schedules = ops.Unknown[[]ops.BackupSchedule]("503") }), want{kind: Wait, says: "503"}},
		{"and told after a quarter of an hour", ops.StepSoak, soaking(func(f *fixture) {
			f.w.Schedules = ops.Unknown[[]ops.BackupSchedule]("503")
			f.run.Soak.From = now.Add(-careFor - time.Second)
		}), want{kind: Wait, says: "By hand"}},
	})
}
