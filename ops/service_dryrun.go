package ops

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// Titles of the finding (check H5) that says whether Heroku tried the upgrade.
const (
	UnconfirmedTitle = "Heroku has not confirmed this version"
	ConfirmedTitle   = "Heroku has tried this version"
)

// MayTry reports whether a dry run is worth offering: none has told yet.
func MayTry(findings []Finding) bool {
	return slices.ContainsFunc(findings, func(f Finding) bool { return f.Title == UnconfirmedTitle })
}

// Trials keeps dry runs.
type Trials interface {
	Trial(ctx context.Context, appID, databaseID string) (DryRun, error)
	SaveTrial(ctx context.Context, appID, databaseID string, r DryRun, by Actor) error
}

// Trier has Heroku try an upgrade on a copy.
type Trier interface {
	// MayTry returns the version to try. It refuses (UserError) a database that
	// Heroku would not try.
	MayTry(ctx context.Context, app, database Ref, req Request) (version string, err error)
	// TryUpgrade is an act: it is sent once.
	TryUpgrade(ctx context.Context, databaseID, version string) (message string, err error)
}

// trialHolds is how long a dry run that has not told keeps another from being
// asked for: Heroku makes a follower first, which may take as long.
const trialHolds = 24 * time.Hour

// AskDryRun has Heroku try the upgrade of an app's database on a copy that it
// makes and destroys itself. Nothing of the app's changes. That it was asked for
// is kept before the call, so that it is not asked for twice.
func (s *Service) AskDryRun(ctx context.Context, actor Actor, app string, req Request) (DryRun, string, error) {
	if err := s.mayTry(ctx, actor, app); err != nil {
		return DryRun{}, "", err
	}
	appRef, db, err := s.Surveyor.Resolve(ctx, app, req)
	if err != nil {
		return DryRun{}, "", err
	}
	was, err := s.Trials.Trial(ctx, appRef.ID, db.ID)
	if err != nil {
		return DryRun{}, "", fmt.Errorf("look for a dry run of %s: %w", db.Name, err)
	}
	version, err := s.Trier.MayTry(ctx, appRef, db, req)
	if err != nil {
		return DryRun{}, "", err
	}
	if now := s.Now(); !was.At.IsZero() && !was.Ended.Known && was.Version == version && now.Sub(was.At) < trialHolds {
		return was, "", Refuse(RefusedTrialTwice, "%s asked for a dry run of `%s` to %s %s ago. Its result comes by e-mail to the owner of the database. When it is there: `/pgupgrade dry-run %s passed SECONDS` or `/pgupgrade dry-run %s failed REASON`.",
			was.By.Mention(), db.Name, version, FormatDuration(now.Sub(was.At)), appRef.Name, appRef.Name)
	}
	r := DryRun{Version: version, At: s.Now(), By: actor}
	if err := s.Trials.SaveTrial(ctx, appRef.ID, db.ID, r, actor); err != nil {
		return DryRun{}, "", fmt.Errorf("keep dry run of %s: %w", db.Name, err)
	}
	call, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	message, err := s.Trier.TryUpgrade(call, db.ID, version)
	switch {
	case errors.Is(err, ErrRefused) || errors.Is(err, ErrNotFound) || errors.Is(err, ErrBusy): // nothing happened
		if kept := s.Trials.SaveTrial(context.WithoutCancel(ctx), appRef.ID, db.ID, was, actor); kept != nil {
			return DryRun{}, "", fmt.Errorf("take back dry run of %s: %w", db.Name, errors.Join(kept, err))
		}
		return DryRun{}, "", Refuse(RefusedTrialThere, "Heroku refused the dry run of `%s`: %s. Nothing was changed.", db.Name, Said(err))
	case err != nil:
		message = fmt.Sprintf("Whether Heroku began is not known (%v); if no e-mail comes within a day, ask again.", err)
	}
	return r, message, s.inRun(ctx, appRef, EventNote, actor, fmt.Sprintf("%s asked Heroku for a dry run of `%s` to %s. Its result comes by e-mail to the owner of the database; then `/pgupgrade dry-run %s passed SECONDS` or `failed REASON` tells me.",
		actor.Mention(), db.Name, version, appRef.Name))
}

// TellDryRun keeps what Heroku's e-mail about a dry run says. No call tells it.
func (s *Service) TellDryRun(ctx context.Context, actor Actor, app string, req Request, passed bool, took time.Duration, why string) (DryRun, error) {
	if err := s.mayTry(ctx, actor, app); err != nil {
		return DryRun{}, err
	}
	appRef, db, err := s.Surveyor.Resolve(ctx, app, req)
	if err != nil {
		return DryRun{}, err
	}
	r, err := s.Trials.Trial(ctx, appRef.ID, db.ID)
	if err != nil {
		return DryRun{}, fmt.Errorf("look for a dry run of %s: %w", db.Name, err)
	}
	if r.At.IsZero() || req.To != 0 && r.Version != fmt.Sprint(req.To) { // it was made by hand
		version, err := s.Trier.MayTry(ctx, appRef, db, req)
		if err != nil {
			return DryRun{}, err
		}
		r = DryRun{Version: version, At: s.Now(), By: actor}
	}
	r.Ended, r.Told, r.Passed, r.Took, r.Why = Known(s.Now()), actor, passed, took, why
	if err := s.Trials.SaveTrial(ctx, appRef.ID, db.ID, r, actor); err != nil {
		return DryRun{}, fmt.Errorf("keep dry run of %s: %w", db.Name, err)
	}
	kind, text := EventNote, fmt.Sprintf("%s says that Heroku's dry run to %s passed.", actor.Mention(), r.Version)
	if took > 0 {
		text = fmt.Sprintf("%s says that Heroku's dry run to %s passed and took %s.", actor.Mention(), r.Version, FormatDuration(took))
	}
	if !passed {
		kind, text = EventWarning, fmt.Sprintf("%s says that Heroku's dry run to %s failed: %s. The checks before the cutover block until another one passes.", actor.Mention(), r.Version, why)
	}
	return r, s.inRun(ctx, appRef, kind, actor, text)
}

func (s *Service) mayTry(ctx context.Context, actor Actor, app string) error {
	if s.Trials == nil || s.Trier == nil {
		return errors.New("dry runs are not set up: no Trials or no Trier")
	}
	who, _, err := s.who(ctx, actor)
	if err == nil && who.Barred != "" {
		err = s.refuseApp(ctx, app, actor, Ruling{Code: RefusedBarred, Why: fmt.Sprintf("You cannot ask for a dry run: you are %s.", who.Barred)})
	}
	return err
}

// inRun says something in the thread of the app's upgrade, when there is one.
func (s *Service) inRun(ctx context.Context, app Ref, kind EventKind, actor Actor, text string) error {
	run, err := s.Rows.ActiveRun(ctx, app.ID)
	if errors.Is(err, ErrNotFound) {
		return nil
	}
	if err == nil {
		err = s.Rows.Audit(ctx, Event{Run: run.ID, At: s.Now(), Kind: kind, Step: run.Step, Gate: OrderDryRun, Actor: actor, Text: text})
	}
	if err != nil {
		return fmt.Errorf("note the dry run of %s: %w", app.Name, err)
	}
	return nil
}
