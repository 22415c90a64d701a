package ops

import (
	"context"
	"crypto/rand"
	"encoding/base32"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"
)

// Rows is what the service needs of the store.
type Rows interface {
	CreateRun(ctx context.Context, r Run, events []Event, decisions []Decision) (Run, error)
	Run(ctx context.Context, id string) (Run, error)
	ActiveRun(ctx context.Context, app string) (Run, error)
	LastRun(ctx context.Context, app string) (Run, error)
	Runs(ctx context.Context, f RunFilter) ([]Run, error)
	Decide(ctx context.Context, d Decision, e Event) (Decision, error)
	Audit(ctx context.Context, e Event) error
	Events(ctx context.Context, run string, after int64) ([]Event, error)
	Decisions(ctx context.Context, run string) ([]Decision, error)
	SetSetting(ctx context.Context, app, key, value string, by Actor) error
	Settings(ctx context.Context, app string) (map[string]string, error)
}

// RunFilter chooses runs. Zero fields choose all.
type RunFilter struct {
	App        string // id or name
	ActiveOnly bool
	Limit      int
}

// Survey is what one look before the start found: the plan and the findings.
type Survey struct {
	App      Ref
	Database Ref
	Plan     *RunPlan // nil when the look ended before a plan could be made
	Findings []Finding
}

// Surveyor looks at an app the way the first step of a run does. It changes nothing.
type Surveyor interface {
	// Resolve finds the app and its database. Its errors are UserErrors where a
	// person can put it right.
	Resolve(ctx context.Context, app string, req Request) (appRef, database Ref, err error)
	// FindApp finds the app alone, with the same errors.
	FindApp(ctx context.Context, app string) (Ref, error)
	Survey(ctx context.Context, app string, req Request) (Survey, error)
}

// Carrier starts and wakes runs.
type Carrier interface {
	Start(ctx context.Context, run string) error
	Wake(ctx context.Context, run string) error
}

// People is what the workspace knows.
type People interface {
	Policy(ctx context.Context) (Policy, error)
	Person(ctx context.Context, id string) (Person, error)
}

// Service is everything that people can ask for, whether in Slack or at a
// terminal. Each method checks who asks, keeps what was said before it reports
// it, and refuses with a UserError. It is safe for concurrent use.
type Service struct {
	Rows     Rows
	Surveyor Surveyor
	Carrier  Carrier
	People   People
	Trials   Trials // nil where no dry run can be asked for, as Trier
	Trier    Trier
	Now      func() time.Time
	Zone     *time.Location // of times that people type; nil: UTC
	Log      *slog.Logger
}

// CutoverHolds is how long a decision to cut over holds.
const CutoverHolds = 30 * time.Minute

// NewRunID returns a short id that is easy to say: "orders-k3f9q".
func NewRunID(app string) string {
	var b [4]byte
	_, _ = rand.Read(b[:]) // never fails (crypto/rand)
	id := strings.ToLower(base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(b[:]))[:5]
	if len(app) > 20 {
		app = app[:20]
	}
	return strings.TrimRight(app, "-") + "-" + id
}

// Started is the answer to a start.
type Started struct {
	Run   Run
	Told  string    // who will have to approve
	Opens time.Time // of the cutover: when it may begin at the earliest; zero: once approved
}

// Start opens a run. What is known at once to stand in its way is refused, and
// nothing is created: an app or a database that cannot be found, a check that
// blocks, a run that is active for that database, a time at which no cutover
// may begin, a person who is barred.
func (s *Service) Start(ctx context.Context, actor Actor, channel, app string, req Request) (Started, error) {
	who, policy, err := s.who(ctx, actor)
	if err != nil {
		return Started{}, err
	}
	if r := policy.MayStart(who); !r.Allowed {
		return Started{}, s.refuseApp(ctx, app, actor, r)
	}
	if req.At != "" {
		if req.NotBefore, err = ParseAt(req.At, s.Now(), s.Zone); err != nil {
			return Started{}, err
		}
	}
	appRef, db, err := s.Surveyor.Resolve(ctx, app, req)
	if err != nil {
		return Started{}, err
	}
	if err := s.idle(ctx, appRef, db); err != nil {
		return Started{}, err
	}
	survey, err := s.Surveyor.Survey(ctx, appRef.Name, req)
	if err != nil {
		return Started{}, err
	}
	if err := readable(survey, req); err != nil {
		return Started{}, err
	}
	if err := blocked(survey); err != nil {
		return Started{}, err
	}
	opens, err := s.opening(survey.Plan)
	if err != nil {
		return Started{}, err
	}
	now := s.Now()
	if policy.IsApprover(who) {
		req.ApprovesBy = ByStart
	}
	run := Run{
		ID: NewRunID(appRef.Name), App: appRef, Database: db, Requester: actor, Channel: channel,
		Request: req, CreatedAt: now, Step: StepSurvey, StepSince: now, Due: now,
		Next:  "Looking at the app and its database.",
		Steps: []StepRecord{{Step: StepSurvey, Begun: now}},
	}
	told := policy.Told(who)
	when := ""
	if !opens.IsZero() {
		when = fmt.Sprintf(", with the cutover on %s", FormatMoment(opens, s.Zone))
	}
	run, err = s.Rows.CreateRun(ctx, run, []Event{{
		Run: run.ID, At: now, Kind: EventStarted, Step: StepSurvey, Actor: actor,
		Text: fmt.Sprintf("Upgrade of `%s` on `%s` asked for%s. %s", db.Name, appRef.Name, when, told),
	}}, nil)
	if errors.Is(err, ErrActive) {
		return Started{}, s.alreadyActive(ctx, appRef, db)
	}
	if err != nil {
		return Started{}, fmt.Errorf("start run for %s: %w", appRef.Name, err)
	}
	// The row is what counts: a sweep starts every active run that is not carried.
	if err := s.Carrier.Start(ctx, run.ID); err != nil {
		s.Log.WarnContext(ctx, "carrier did not take the run yet; the sweep will", "run", run.ID, "err", err)
	}
	return Started{Run: run, Told: told, Opens: opens}, nil
}

// idle refuses when a run is active for the database. The row that is created
// later is what makes sure.
func (s *Service) idle(ctx context.Context, app, db Ref) error {
	run, err := s.Rows.ActiveRun(ctx, app.ID)
	switch {
	case errors.Is(err, ErrNotFound):
		return nil
	case err != nil:
		return fmt.Errorf("look for a run of %s: %w", app.Name, err)
	case run.Database.ID == db.ID:
		return s.alreadyActive(ctx, app, db)
	}
	return nil
}

// readable refuses a read-only cutover where the database cannot be made
// read-only: only SQL can do it.
func readable(survey Survey, req Request) error {
	switch p := survey.Plan; {
	case !req.ReadOnly || p == nil:
		return nil
	case !p.SQL:
		return Refuse(RefusedMode, "A read-only cutover of `%s` needs SQL: only a session on `%s` can make it read-only, and there is none (%s). Without *read-only* users see the maintenance page for about %s. Nothing was created.",
			survey.App.Name, p.Old.Name, p.SQLWhy, FormatDuration(p.Forecast.Outage))
	case !p.ReadOnly():
		return Refuse(RefusedMode, "This version makes no read-only cutovers. Without *read-only* users see the maintenance page for about %s. Nothing was created.", FormatDuration(p.Forecast.Outage))
	}
	return nil
}

// blocked refuses a start that a check would end right away.
func blocked(survey Survey) error {
	blocks := With(survey.Findings, Block)
	if len(blocks) == 0 && survey.Plan != nil {
		return nil
	}
	if len(blocks) == 0 {
		return Refuse(RefusedCheck, "No plan could be made for `%s`, so nothing was created. `/pgupgrade check %s` says what could not be read.", survey.App.Name, survey.App.Name)
	}
	text := Blocking(blocks[0])
	if n := len(blocks) - 1; n > 0 {
		text += fmt.Sprintf(" (%d more in the way: `/pgupgrade check %s` lists all.)", n, survey.App.Name)
	}
	return Refuse(refusedBy(blocks[0].Check), "The upgrade of `%s` was not started, and nothing was created: %s", survey.App.Name, text)
}

// Blocking is a finding that blocks in one or two sentences.
func Blocking(f Finding) string {
	if f.Fix == "" {
		return f.Evidence
	}
	return f.Evidence + " " + f.Fix
}

// opening is when the cutover of a plan may begin, zero when at any time. It
// refuses a time that was asked for and at which none may.
func (s *Service) opening(p *RunPlan) (time.Time, error) {
	now, schedule := s.Now(), p.Schedule(s.Zone)
	o, ok := schedule.Next(now, p.Forecast.Outage)
	switch {
	case !ok:
		return time.Time{}, Refuse(RefusedClosed, "No cutover can begin within a year: %s, and it takes about %s. Change that with `/pgupgrade set`. Nothing was created.", scheduleWords(*p), FormatDuration(p.Forecast.Outage))
	case !p.NotBefore.IsZero() && !o.From.Equal(p.NotBefore):
		return time.Time{}, Refuse(RefusedClosed, "At %s no cutover may begin: %s. The first time after it is %s. Nothing was created.", FormatMoment(p.NotBefore, s.Zone), scheduleWords(*p), FormatMoment(o.From, s.Zone))
	case o.From.After(now):
		return o.From, nil
	}
	return time.Time{}, nil
}

// scheduleWords says what was set about when a cutover may begin.
func scheduleWords(p RunPlan) string {
	var parts []string
	if len(p.Windows) > 0 {
		parts = append(parts, "the window is "+FormatWindows(p.Windows))
	}
	if len(p.Freezes) > 0 {
		parts = append(parts, "the freeze is "+FormatFreezes(p.Freezes))
	}
	return strings.Join(parts, ", ")
}

func (s *Service) alreadyActive(ctx context.Context, app, db Ref) error {
	other, err := s.Rows.ActiveRun(ctx, app.ID)
	if err != nil {
		return Refuse(RefusedActive, "Another upgrade of `%s` is under way. `/pgupgrade status` shows it.", db.Name)
	}
	return Refuse(RefusedActive, "An upgrade of `%s` is under way already (%s, at step %s). `/pgupgrade status %s` shows it; `/pgupgrade cancel %s` ends it.",
		db.Name, other.ID, other.Step, app.Name, app.Name)
}

// Check looks at an app without starting anything.
func (s *Service) Check(ctx context.Context, actor Actor, app string, req Request) (Survey, error) {
	if req.At != "" {
		at, err := ParseAt(req.At, s.Now(), s.Zone)
		if err != nil {
			return Survey{}, err
		}
		req.NotBefore = at
	}
	return s.Surveyor.Survey(ctx, app, req)
}

// Status returns the active run of an app, or its last one, newest first; with
// app "" every active run.
func (s *Service) Status(ctx context.Context, app string) ([]Run, error) {
	if app == "" {
		return s.Rows.Runs(ctx, RunFilter{ActiveOnly: true, Limit: 50})
	}
	runs, err := s.Rows.Runs(ctx, RunFilter{App: app, Limit: 1})
	if err == nil && len(runs) == 0 {
		return nil, Refuse(RefusedNever, "There is no upgrade of `%s` yet. `/pgupgrade check %s` looks at it; `/pgupgrade start %s` begins one.", app, app, app)
	}
	return runs, err
}

// Events returns a run's whole history.
func (s *Service) Events(ctx context.Context, run string) ([]Event, error) {
	return s.Rows.Events(ctx, run, 0)
}

func (s *Service) who(ctx context.Context, actor Actor) (Person, Policy, error) {
	who, err := s.People.Person(ctx, actor.ID)
	if err != nil {
		return Person{}, Policy{}, Refuse(RefusedPerson, "I could not look up who you are in Slack, so I did nothing. Please try again in a minute. (%v)", err)
	}
	policy, err := s.People.Policy(ctx)
	if err != nil {
		return Person{}, Policy{}, Refuse(RefusedPerson, "I could not look up the approvers in Slack, so I did nothing. Please try again in a minute. (%v)", err)
	}
	return who, policy, nil
}

func (s *Service) wake(ctx context.Context, run string) {
	if err := s.Carrier.Wake(ctx, run); err != nil {
		s.Log.WarnContext(ctx, "could not wake the run; it looks again when due", "run", run, "err", err)
	}
}
