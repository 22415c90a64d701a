package upgrade

import (
	"context"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Heroku is what the procedure needs of Heroku. Reads may be repeated. Acts are
// never sent twice by the implementation; their errors unwrap to
// ops.ErrRefused or ops.ErrNotFound (nothing happened), ops.ErrBusy (nothing
// happened, come back later) or ops.ErrUnknownOutcome.
type Heroku interface {
	reads
	acts
}

type reads interface {
	Account(ctx context.Context) (ops.Account, error)
	Access(ctx context.Context, app, accountID string) (ops.Access, error)
	App(ctx context.Context, app string) (ops.App, error)
	Apps(ctx context.Context) ([]ops.Ref, error)
	Formation(ctx context.Context, app string) ([]ops.Process, error)
	Dynos(ctx context.Context, app string) ([]ops.Dyno, error)
	Releases(ctx context.Context, app string, newest int) ([]ops.Release, error)
	Builds(ctx context.Context, app string) ([]ops.Build, error)
	Features(ctx context.Context, app string) (map[string]bool, error)
	Attachments(ctx context.Context, app string) ([]ops.Attachment, error)
	AddonAttachments(ctx context.Context, addonID string) ([]ops.Attachment, error)
	Addon(ctx context.Context, idOrName string) (ops.Addon, error)
	Databases(ctx context.Context) ([]ops.Addon, error)
	AppAddons(ctx context.Context, app string) ([]ops.Addon, error)
	// ConfigFlag reports whether a config var of an app is set to anything.
	ConfigFlag(ctx context.Context, app, name string) (bool, error)
	ConfigNames(ctx context.Context, app string) ([]string, error)
	ConfigHosts(ctx context.Context, app string) (map[string]ops.Endpoint, error)
	ReleaseHosts(ctx context.Context, app, releaseID string) (map[string]ops.Endpoint, error)
	Plans(ctx context.Context) ([]ops.Plan, error)
	Database(ctx context.Context, addonID string) (ops.Database, error)
	WaitStatus(ctx context.Context, addonID string) (ops.Wait, error)
	UpgradeStatus(ctx context.Context, addonID string) (ops.Wait, error)
	Transfers(ctx context.Context, app string) ([]ops.Transfer, error)
	Transfer(ctx context.Context, app, id string) (ops.Transfer, error)
	Credentials(ctx context.Context, addonID string) ([]ops.Credential, error)
	Schedules(ctx context.Context, addonID string) ([]ops.BackupSchedule, error)
	Maintenance(ctx context.Context, addonID string) (status string, requiredBy time.Time, err error)
}

type acts interface {
	CreateFollower(ctx context.Context, spec ops.FollowerSpec) (ops.Addon, error)
	Attach(ctx context.Context, spec ops.AttachSpec) (ops.Attachment, error)
	SetMaintenance(ctx context.Context, app string, on bool) error
	Scale(ctx context.Context, app string, to []ops.Process) error
	StopDyno(ctx context.Context, app, dyno string) error
	RunUpgrade(ctx context.Context, addonID, version string) (message string, err error)
	DryRun(ctx context.Context, addonID, version string) (message string, err error)
	CaptureBackup(ctx context.Context, addonID string) (ops.Transfer, error)
	CreateSchedule(ctx context.Context, addonID string, s ops.BackupSchedule) (ops.BackupSchedule, error)
	// SetConfigVar sets a config var, or takes it away with "". It makes a release.
	SetConfigVar(ctx context.Context, app, name, value string) error
	ResetConnections(ctx context.Context, addonID string) error
	DestroyAddon(ctx context.Context, app, addonID string) (ops.Addon, error)
}
