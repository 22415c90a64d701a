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
	SetSetting(ctx context.Context, app, key, value string, by Actor) error
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
	Run  Run
	Told string // who will have to approve
}

// Start opens a run. It refuses when the app or the database cannot be found,
// when a run is active for that database, and when the person is barred.
func (s *Service) Start(ctx context.Context, actor Actor, channel, app string, req Request) (Started, error) {
	who, policy, err := s.who(ctx, actor)
	if err != nil {
		return Started{}, err
	}
	if who.Barred != "" {
		return Started{}, Userf("You cannot start an upgrade: you are %s.", who.Barred)
	}
	appRef, db, err := s.Surveyor.Resolve(ctx, app, req)
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
	run, err = s.Rows.CreateRun(ctx, run, []Event{{
		Run: run.ID, At: now, Kind: EventStarted, Step: StepSurvey, Actor: actor,
		Text: fmt.Sprintf("Upgrade of `%s` on `%s` asked for. %s", db.Name, appRef.Name, told),
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
	return Started{Run: run, Told: told}, nil
}

func (s *Service) alreadyActive(ctx context.Context, app, db Ref) error {
	other, err := s.Rows.ActiveRun(ctx, app.ID)
	if err != nil {
		return Userf("Another upgrade of `%s` is under way. `/pgupgrade status` shows it.", db.Name)
	}
	return Userf("An upgrade of `%s` is under way already (%s, at step %s). `/pgupgrade status %s` shows it; `/pgupgrade cancel %s` ends it.",
		db.Name, other.ID, other.Step, app.Name, app.Name)
}

// Check looks at an app without starting anything.
func (s *Service) Check(ctx context.Context, actor Actor, app string, req Request) (Survey, error) {
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
		return nil, Userf("There is no upgrade of `%s` yet. `/pgupgrade check %s` looks at it; `/pgupgrade start %s` begins one.", app, app, app)
	}
	return runs, err
}

// History returns past and present runs, newest first.
func (s *Service) History(ctx context.Context, app string) ([]Run, error) {
	return s.Rows.Runs(ctx, RunFilter{App: app, Limit: 20})
}

// Events returns a run's whole history.
func (s *Service) Events(ctx context.Context, run string) ([]Event, error) {
	return s.Rows.Events(ctx, run, 0)
}

func (s *Service) who(ctx context.Context, actor Actor) (Person, Policy, error) {
	who, err := s.People.Person(ctx, actor.ID)
	if err != nil {
		return Person{}, Policy{}, Userf("I could not look up who you are in Slack, so I did nothing. Please try again in a minute. (%v)", err)
	}
	policy, err := s.People.Policy(ctx)
	if err != nil {
		return Person{}, Policy{}, Userf("I could not look up the approvers in Slack, so I did nothing. Please try again in a minute. (%v)", err)
	}
	return who, policy, nil
}

func (s *Service) wake(ctx context.Context, run string) {
	if err := s.Carrier.Wake(ctx, run); err != nil {
		s.Log.WarnContext(ctx, "could not wake the run; it looks again when due", "run", run, "err", err)
	}
}
