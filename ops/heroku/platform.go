package heroku

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"

	platform "github.com/heroku/heroku-go/v5"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Account returns the owner of the API key.
func (c *Client) Account(ctx context.Context) (ops.Account, error) {
	return read(ctx, func(ctx context.Context) (ops.Account, error) {
		a, err := c.api.AccountInfo(ctx)
		if err != nil {
			return ops.Account{}, err
		}
		return ops.Account{ID: a.ID, Email: a.Email}, nil
	})
}

// Access returns what an account may do with an app. An account that is no
// collaborator of it, such as its owner or an admin of its team, is not found.
func (c *Client) Access(ctx context.Context, app, accountID string) (ops.Access, error) {
	if err := known(app, accountID); err != nil {
		return ops.Access{}, err
	}
	return read(ctx, func(ctx context.Context) (ops.Access, error) {
		x, err := c.api.CollaboratorInfo(ctx, app, accountID)
		if err != nil {
			return ops.Access{}, err
		}
		var a ops.Access
		if x.Role != nil {
			a.Role = *x.Role
		}
		for _, p := range x.Permissions {
			a.Permissions = append(a.Permissions, p.Name)
		}
		return a, nil
	})
}

// App returns one app, by id or name.
func (c *Client) App(ctx context.Context, app string) (ops.App, error) {
	if err := known(app); err != nil {
		return ops.App{}, err
	}
	return read(ctx, func(ctx context.Context) (ops.App, error) {
		a, err := c.api.AppInfo(ctx, app)
		if err != nil {
			return ops.App{}, err
		}
		x := ops.App{Ref: ops.Ref{ID: a.ID, Name: a.Name}, Maintenance: a.Maintenance, Owner: a.Owner.Email, Region: a.Region.Name, WebURL: a.WebURL}
		if a.Team != nil {
			x.Team = a.Team.Name
		}
		if a.Space != nil {
			x.Space, x.Shield = a.Space.Name, a.Space.Shield
		}
		return x, nil
	})
}

// Apps returns the apps that the account can see.
func (c *Client) Apps(ctx context.Context) ([]ops.Ref, error) {
	return list[ops.Ref](ctx, c, "/apps", nil)
}

// Formation returns the process types of an app.
func (c *Client) Formation(ctx context.Context, app string) ([]ops.Process, error) {
	if err := known(app); err != nil {
		return nil, err
	}
	all, err := list[platform.Formation](ctx, c, "/apps/"+app+"/formation", nil)
	var out []ops.Process
	for _, p := range all {
		out = append(out, ops.Process{Type: p.Type, Quantity: p.Quantity, Size: p.Size})
	}
	return out, err
}

// Dynos returns the dynos of an app that exist now.
func (c *Client) Dynos(ctx context.Context, app string) ([]ops.Dyno, error) {
	if err := known(app); err != nil {
		return nil, err
	}
	all, err := list[platform.Dyno](ctx, c, "/apps/"+app+"/dynos", nil)
	var out []ops.Dyno
	for _, d := range all {
		out = append(out, ops.Dyno{Name: d.Name, Type: d.Type, State: d.State, Command: d.Command})
	}
	return out, err
}

// Releases returns the newest releases, newest first.
func (c *Client) Releases(ctx context.Context, app string, newest int) ([]ops.Release, error) {
	if err := known(app); err != nil {
		return nil, err
	}
	all, err := list[platform.Release](ctx, c, "/apps/"+app+"/releases", http.Header{"Range": {"version ..; max=" + strconv.Itoa(newest) + ", order=desc"}})
	var out []ops.Release
	for _, r := range all {
		out = append(out, ops.Release{ID: r.ID, Version: r.Version, Description: r.Description, Status: r.Status, Current: r.Current, User: r.User.Email, CreatedAt: r.CreatedAt})
	}
	return out, err
}

// Builds returns the newest builds.
func (c *Client) Builds(ctx context.Context, app string) ([]ops.Build, error) {
	if err := known(app); err != nil {
		return nil, err
	}
	all, err := list[platform.Build](ctx, c, "/apps/"+app+"/builds", http.Header{"Range": {"started_at ..; max=5, order=desc"}})
	var out []ops.Build
	for _, b := range all {
		out = append(out, ops.Build{ID: b.ID, Status: b.Status, CreatedAt: b.CreatedAt})
	}
	return out, err
}

// Features returns which app features are on.
func (c *Client) Features(ctx context.Context, app string) (map[string]bool, error) {
	if err := known(app); err != nil {
		return nil, err
	}
	all, err := list[platform.AppFeature](ctx, c, "/apps/"+app+"/features", nil)
	out := map[string]bool{}
	for _, f := range all {
		out[f.Name] = f.Enabled
	}
	return out, err
}

// inclusion asks for the plan and config vars of attachments, absent by default.
var inclusion = http.Header{"Accept-Inclusion": {"addon:plan,config_vars"}}

type attachment struct {
	ID        string
	Name      string
	App       ops.Ref
	Namespace *string
	Addon     struct {
		ID   string
		Name string
		Plan *struct{ Name string }
	}
}

func (a attachment) ops() ops.Attachment {
	x := ops.Attachment{ID: a.ID, Name: a.Name, App: a.App, Addon: ops.Ref{ID: a.Addon.ID, Name: a.Addon.Name}}
	if a.Namespace != nil {
		x.Namespace = *a.Namespace
	}
	if a.Addon.Plan != nil {
		x.AddonPlan = a.Addon.Plan.Name
	}
	return x
}

func (c *Client) attachments(ctx context.Context, path string) ([]ops.Attachment, error) {
	all, err := list[attachment](ctx, c, path, inclusion)
	var out []ops.Attachment
	for _, a := range all {
		out = append(out, a.ops())
	}
	return out, err
}

// Attachments returns the attachments on an app, also those to add-ons billed elsewhere.
func (c *Client) Attachments(ctx context.Context, app string) ([]ops.Attachment, error) {
	if err := known(app); err != nil {
		return nil, err
	}
	return c.attachments(ctx, "/apps/"+app+"/addon-attachments")
}

// AddonAttachments returns the attachments of an add-on, on every app.
func (c *Client) AddonAttachments(ctx context.Context, addonID string) ([]ops.Attachment, error) {
	if err := known(addonID); err != nil {
		return nil, err
	}
	return c.attachments(ctx, "/addons/"+addonID+"/addon-attachments")
}

// Addon returns one add-on, by id or name.
func (c *Client) Addon(ctx context.Context, idOrName string) (ops.Addon, error) {
	if err := known(idOrName); err != nil {
		return ops.Addon{}, err
	}
	return read(ctx, func(ctx context.Context) (ops.Addon, error) {
		a, err := c.api.AddOnInfo(ctx, idOrName)
		return addon(a), err
	})
}

// AppAddons returns the add-ons that are billed to an app.
func (c *Client) AppAddons(ctx context.Context, app string) ([]ops.Addon, error) {
	if err := known(app); err != nil {
		return nil, err
	}
	all, err := list[platform.AddOn](ctx, c, "/apps/"+app+"/addons", nil)
	var out []ops.Addon
	for _, a := range all {
		out = append(out, addon(&a))
	}
	return out, err
}

// Databases returns the Heroku Postgres add-ons that the account can see.
func (c *Client) Databases(ctx context.Context) ([]ops.Addon, error) {
	all, err := list[platform.AddOn](ctx, c, "/addons", nil)
	var out []ops.Addon
	for _, a := range all {
		if a.AddonService.Name == "heroku-postgresql" {
			out = append(out, addon(&a))
		}
	}
	return out, err
}

// ConfigFlag reports whether a config var of an app is set to anything.
func (c *Client) ConfigFlag(ctx context.Context, app, name string) (bool, error) {
	if err := known(app); err != nil {
		return false, err
	}
	return read(ctx, func(ctx context.Context) (bool, error) {
		vars, err := c.api.ConfigVarInfoForApp(ctx, app)
		v := vars[name]
		return v != nil && *v != "", err
	})
}

// SetConfigVar sets a config var, or takes it away with "". It makes a release.
func (c *Client) SetConfigVar(ctx context.Context, app, name, value string) error {
	if err := known(app); err != nil {
		return err
	}
	v := &value
	if value == "" {
		v = nil
	}
	_, err := act(ctx, func(ctx context.Context) (platform.ConfigVarUpdateResult, error) {
		return c.api.ConfigVarUpdate(ctx, app, map[string]*string{name: v})
	})
	return err
}

// ConfigNames returns the names of an app's config vars, sorted.
func (c *Client) ConfigNames(ctx context.Context, app string) ([]string, error) {
	if err := known(app); err != nil {
		return nil, err
	}
	return read(ctx, func(ctx context.Context) ([]string, error) {
		vars, err := c.api.ConfigVarInfoForApp(ctx, app)
		return slices.Sorted(maps.Keys(vars)), err
	})
}

func addon(a *platform.AddOn) ops.Addon {
	x := ops.Addon{
		Ref: ops.Ref{ID: a.ID, Name: a.Name}, App: ops.Ref{ID: a.App.ID, Name: a.App.Name}, Service: a.AddonService.Name, Plan: a.Plan.Name,
		State: a.State, ConfigVars: a.ConfigVars, CreatedAt: a.CreatedAt,
	}
	if a.BilledPrice != nil {
		x.CentsPerMonth = a.BilledPrice.Cents
	}
	return x
}

// ConfigHosts returns where the config vars that hold a Postgres URL lead to.
// The values themselves do not leave this package.
func (c *Client) ConfigHosts(ctx context.Context, app string) (map[string]ops.Endpoint, error) {
	if err := known(app); err != nil {
		return nil, err
	}
	return read(ctx, func(ctx context.Context) (map[string]ops.Endpoint, error) {
		vars, err := c.api.ConfigVarInfoForApp(ctx, app)
		return endpoints(vars), err
	})
}

// ReleaseHosts is ConfigHosts as of one release.
func (c *Client) ReleaseHosts(ctx context.Context, app, releaseID string) (map[string]ops.Endpoint, error) {
	if err := known(app, releaseID); err != nil {
		return nil, err
	}
	return read(ctx, func(ctx context.Context) (map[string]ops.Endpoint, error) {
		vars, err := c.api.ConfigVarInfoForAppRelease(ctx, app, releaseID)
		return endpoints(vars), err
	})
}

// ConnectionURL returns the value of a config var that holds a connection URL,
// for the one use of connecting with it.
func (c *Client) ConnectionURL(ctx context.Context, app, name string) (ops.Secret, error) {
	if err := known(app); err != nil {
		return ops.Secret{}, err
	}
	return read(ctx, func(ctx context.Context) (ops.Secret, error) {
		vars, err := c.api.ConfigVarInfoForApp(ctx, app)
		if err != nil {
			return ops.Secret{}, err
		}
		if v := vars[name]; v != nil && *v != "" {
			return ops.NewSecret(*v), nil
		}
		return ops.Secret{}, &ops.CallError{Call: "look up " + name + " of " + app, Message: "there is no such config var", Kind: ops.ErrNotFound}
	})
}

func endpoints(vars map[string]*string) map[string]ops.Endpoint {
	out := map[string]ops.Endpoint{}
	for name, value := range vars {
		if value != nil {
			if e, ok := endpoint(*value); ok {
				out[name] = e
			}
		}
	}
	return out
}

// endpoint reads where a connection URL leads to.
func endpoint(s string) (ops.Endpoint, bool) {
	u, err := url.Parse(s)
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Hostname() == "" {
		return ops.Endpoint{}, false
	}
	return ops.Endpoint{Host: u.Hostname(), Port: u.Port(), Database: trimSlash(u.Path)}, true
}

func trimSlash(path string) string {
	if path != "" && path[0] == '/' {
		return path[1:]
	}
	return path
}

// Plans returns the plans of heroku-postgresql.
func (c *Client) Plans(ctx context.Context) ([]ops.Plan, error) {
	all, err := list[platform.Plan](ctx, c, "/addon-services/heroku-postgresql/plans", nil)
	var out []ops.Plan
	for _, p := range all {
		out = append(out, ops.Plan{Name: p.Name, HumanName: p.HumanName, CentsPerMonth: p.Price.Cents, Available: p.State != "deprecated"})
	}
	return out, err
}

// CreateFollower creates a follower under a name that can exist once.
func (c *Client) CreateFollower(ctx context.Context, s ops.FollowerSpec) (ops.Addon, error) {
	if err := known(s.App, s.Name); err != nil {
		return ops.Addon{}, err
	}
	o := platform.AddOnCreateOpts{Plan: s.Plan, Name: &s.Name, Confirm: &s.App, Config: map[string]string{"follow": s.LeaderName}}
	o.Attachment = &struct {
		Name *string `json:"name,omitempty" url:"name,omitempty,key"`
	}{&s.Attachment}
	return act(ctx, func(ctx context.Context) (ops.Addon, error) {
		a, err := c.api.AddOnCreate(ctx, s.App, o)
		return addon(a), err
	})
}

// Attach attaches an add-on to an app, replacing an attachment of that name.
func (c *Client) Attach(ctx context.Context, s ops.AttachSpec) (ops.Attachment, error) {
	o := platform.AddOnAttachmentCreateOpts{Addon: s.AddonID, App: s.App, Confirm: &s.App}
	if s.Name != "" {
		o.Name = &s.Name
	}
	if s.Namespace != "" {
		o.Namespace = &s.Namespace
	}
	return act(ctx, func(ctx context.Context) (ops.Attachment, error) {
		a, err := c.api.AddOnAttachmentCreate(ctx, o)
		if err != nil {
			return ops.Attachment{}, err
		}
		return ops.Attachment{ID: a.ID, Name: a.Name, App: ops.Ref{ID: a.App.ID, Name: a.App.Name}, Addon: ops.Ref{ID: a.Addon.ID, Name: a.Addon.Name}}, nil
	})
}

// Detach removes an attachment, by id.
func (c *Client) Detach(ctx context.Context, attachmentID string) error {
	if err := known(attachmentID); err != nil {
		return err
	}
	_, err := act(ctx, func(ctx context.Context) (*platform.AddOnAttachment, error) {
		return c.api.AddOnAttachmentDelete(ctx, attachmentID)
	})
	return err
}

// SetMaintenance turns an app's maintenance mode on or off.
func (c *Client) SetMaintenance(ctx context.Context, app string, on bool) error {
	if err := known(app); err != nil {
		return err
	}
	_, err := act(ctx, func(ctx context.Context) (*platform.App, error) {
		return c.api.AppUpdate(ctx, app, platform.AppUpdateOpts{Maintenance: &on})
	})
	return err
}

// Scale sets the quantities of process types, and nothing else of them.
func (c *Client) Scale(ctx context.Context, app string, to []ops.Process) error {
	if err := known(app); err != nil {
		return err
	}
	var o platform.FormationBatchUpdateOpts
	for _, p := range to {
		o.Updates = append(o.Updates, struct {
			Quantity *int    `json:"quantity,omitempty" url:"quantity,omitempty,key"`
			Size     *string `json:"size,omitempty" url:"size,omitempty,key"`
			Type     string  `json:"type" url:"type,key"`
		}{Quantity: &p.Quantity, Type: p.Type})
	}
	_, err := act(ctx, func(ctx context.Context) (platform.FormationBatchUpdateResult, error) {
		return c.api.FormationBatchUpdate(ctx, app, o)
	})
	return err
}

// StopDyno stops one dyno.
func (c *Client) StopDyno(ctx context.Context, app, dyno string) error {
	if err := known(app, dyno); err != nil {
		return err
	}
	_, err := act(ctx, func(ctx context.Context) (struct{}, error) {
		_, err := c.call(ctx, http.MethodPost, c.api.URL+"/apps/"+app+"/dynos/"+dyno+"/actions/stop", nil, nil, nil)
		return struct{}{}, err
	})
	return err
}

// DestroyAddon deletes an add-on by id, never with force. heroku-go cannot send
// the body that says so.
func (c *Client) DestroyAddon(ctx context.Context, app, addonID string) (ops.Addon, error) {
	if err := known(app, addonID); err != nil {
		return ops.Addon{}, err
	}
	return act(ctx, func(ctx context.Context) (ops.Addon, error) {
		var a platform.AddOn
		_, err := c.call(ctx, http.MethodDelete, c.api.URL+"/apps/"+app+"/addons/"+addonID, map[string]bool{"force": false}, &a, nil)
		return addon(&a), err
	})
}

// CheckKey reports whether the API key works, as one sentence when it does not.
func (c *Client) CheckKey(ctx context.Context) (ops.Account, error) {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	a, err := c.Account(ctx)
	if e, ok := errors.AsType[*ops.CallError](err); ok && e.Status == http.StatusUnauthorized {
		return a, ops.Userf("HEROKU_API_KEY was refused: it is wrong, revoked or expired. Make a new one with `heroku authorizations:create -d pgupgrade`.")
	}
	return a, err
}
