package upgrade

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// refused makes Heroku refuse the key: nothing is known.
func (f *fixture) refused(since time.Duration) {
	f.app(func(a *AppFacts) { *a = AppFacts{} })
	f.w.Old, f.w.New, f.w.Retired, f.w.Survey = DatabaseFacts{}, DatabaseFacts{}, DatabaseFacts{}, ops.Fact[ops.Survey]{}
	f.w.KeyRefused = true
	if since > 0 {
		f.run.Key.Since = now.Add(-since)
	}
}

// TestKeyRefused: people are told after two minutes, once, with the commands where
// they are safe, and the looking goes on.
func TestKeyRefused(t *testing.T) {
	sql := func(f *fixture) { f.run.SQL.On = true }
	for _, tt := range []struct {
		name string
		step ops.Step
		with func(*fixture)
		told bool
		says []string
	}{
		{"not at once", ops.StepCatchUpExact, func(f *fixture) { f.refused(0) }, false, nil},
		{"not before two minutes", ops.StepCatchUpExact, func(f *fixture) { f.refused(KeyWait - time.Second) }, false, nil},
		{"with the commands", ops.StepCatchUpExact, func(f *fixture) { f.refused(KeyWait) }, true, []string{"heroku ps:scale web=2 worker=1 -a orders", "heroku maintenance:off -a orders", "HEROKU_API_KEY"}},
		{"once", ops.StepCatchUpExact, func(f *fixture) { f.refused(time.Hour); f.run.Key.Told = now.Add(-time.Minute) }, false, nil},
		{"the database is opened first", ops.StepUpgrade, func(f *fixture) { sql(f); f.refused(KeyWait) }, true, []string{"pg:psql PG15_ABCDE_URL", "RESET default_transaction_read_only", "heroku maintenance:off"}},
		{"on the way back too", ops.StepReturnUnfence, func(f *fixture) { f.refused(KeyWait) }, true, []string{"nor go back", "heroku maintenance:off -a orders"}},
		{"not while a name may lead to either", ops.StepPromote, func(f *fixture) { f.promoted(); f.refused(KeyWait) }, true, []string{"do not open it by hand"}},
		{"outside the cutover users notice nothing", ops.StepCatchUp, func(f *fixture) { f.refused(KeyWait) }, true, []string{"not kept out"}},
		{"nothing is opened by hand where nothing is closed", ops.StepUnfence, func(f *fixture) { f.run.Plan.Mode = ops.ModeReadOnly; sql(f); f.refused(KeyWait) }, true, []string{"can only read", "Nothing needs to be opened by hand"}},
		{"in the soak too", ops.StepSoak, func(f *fixture) { f.refused(KeyWait) }, true, []string{"not kept out"}},
		{"a look without an answer tells nothing", ops.StepCatchUpExact, func(f *fixture) { f.refused(KeyWait); f.w.KeyRefused = false }, false, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := at(tt.step)
			tt.with(&f)
			run, m := Next(f.run, f.w, now)
			i := slices.IndexFunc(m.Events, func(e ops.Event) bool { return e.Kind == ops.EventHelp && strings.Contains(e.Text, "refused my key") })
			if told := i >= 0; told != tt.told {
				t.Fatalf("told %v: %+v", told, m.Events)
			}
			if m.Kind != Wait || run.Help != "" || run.Step != tt.step || run.Key.Since.IsZero() {
				t.Errorf("it stopped looking: %s at %s, help %q, %+v", m.Kind, run.Step, run.Help, run.Key)
			}
			for _, s := range tt.says {
				if !strings.Contains(m.Events[i].Text, s) {
					t.Errorf("%q lacks %q", m.Events[i].Text, s)
				}
			}
			if tt.step == ops.StepPromote && strings.Contains(m.Events[i].Text, "maintenance:off") {
				t.Errorf("it may be opened on the wrong database: %q", m.Events[i].Text)
			}
		})
	}
	f := at(ops.StepCatchUpExact)
	f.run.Key = ops.Refusing{Since: now.Add(-time.Hour), Told: now.Add(-time.Minute)}
	run, m := Next(f.run, f.w, now)
	if run.Key != (ops.Refusing{}) || !slices.ContainsFunc(m.Events, func(e ops.Event) bool { return strings.Contains(e.Text, "takes the key again") }) {
		t.Errorf("the key is taken again: %+v %+v", run.Key, m.Events)
	}
}
