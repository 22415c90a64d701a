package ops

import (
	"context"
	"errors"
	"fmt"
)

// Set keeps one setting of an app; value "off" takes it back. It refuses
// (UserError) people who may not, apps that are not there, and values that
// cannot be read. The audit row is there before the setting is.
func (s *Service) Set(ctx context.Context, actor Actor, app, key, value string) (Ref, error) {
	who, policy, err := s.who(ctx, actor)
	if err != nil {
		return Ref{}, err
	}
	if r := policy.MaySet(who); !r.Allowed {
		return Ref{}, s.refuseApp(ctx, app, actor, r)
	}
	kept, err := ParseSetting(key, value)
	if err != nil {
		return Ref{}, err
	}
	ref, err := s.Surveyor.FindApp(ctx, app)
	if err != nil {
		return Ref{}, err
	}
	text := fmt.Sprintf("%s set %s of `%s` to %s.", actor.Mention(), key, ref.Name, kept)
	if kept == "" {
		text = fmt.Sprintf("%s took back %s of `%s`.", actor.Mention(), key, ref.Name)
	}
	if err := s.Rows.Audit(ctx, Event{Run: NoRun, App: ref.Name, At: s.Now(), Kind: EventAudit, Actor: actor, Text: text}); err != nil {
		return Ref{}, fmt.Errorf("audit setting %s of %s: %w", key, ref.Name, err)
	}
	if err := s.Rows.SetSetting(ctx, ref.ID, key, kept, actor); err != nil {
		return Ref{}, fmt.Errorf("keep setting %s of %s: %w", key, ref.Name, err)
	}
	return ref, nil
}

// AppSettings returns what is set for an app, by key. It asks Heroku which app
// that is; a setting that was taken back is "".
func (s *Service) AppSettings(ctx context.Context, app string) (Ref, map[string]string, error) {
	ref, err := s.Surveyor.FindApp(ctx, app)
	if err != nil {
		return Ref{}, nil, err
	}
	kept, err := s.Rows.Settings(ctx, ref.ID)
	if err != nil {
		return ref, nil, fmt.Errorf("read the settings of %s: %w", app, err)
	}
	return ref, kept, nil
}

// RunSettings returns what is set for the app of a run, from the rows alone.
func (s *Service) RunSettings(ctx context.Context, run Run) (map[string]string, error) {
	return s.Rows.Settings(ctx, run.App.ID)
}

// refuseApp audits a refusal that belongs to no run, and returns it.
func (s *Service) refuseApp(ctx context.Context, app string, actor Actor, r Ruling) error {
	e := Event{Run: NoRun, App: app, At: s.Now(), Kind: EventAudit, Actor: actor, Refused: r.Code, Text: "refused: " + r.Why}
	if err := s.Rows.Audit(ctx, e); err != nil {
		return errors.Join(fmt.Errorf("audit refusal for %s: %w", app, err), &UserError{Text: r.Why, Code: r.Code})
	}
	return &UserError{Text: r.Why, Code: r.Code}
}
