package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// apps: every app on which the database is attached is stopped and switched, so
// each must be within the rights of the bot's account.
func apps(f Facts) []ops.Finding {
	const n, title = "H12", "Apps that use the database"
	if !f.OnDatabase.Known {
		return unknown(n, title, ops.Block, f.OnDatabase.Why)
	}
	if !f.App.Known {
		return unknown(n, title, ops.Block, f.App.Why)
	}
	if !f.OnApp.Known {
		return unknown(n, title, ops.Block, f.OnApp.Why)
	}
	var names []string
	for _, x := range f.Others {
		if !x.App.Known || !x.OnApp.Known || !x.Formation.Known {
			return found(n, title, ops.Block, fmt.Sprintf("`%s` uses the database too and cannot be looked at (%s).", x.Ref.Name, first(x.App.Why, x.OnApp.Why, x.Formation.Why)),
				"Give the bot's Heroku account the permissions view, deploy, operate and manage on that app, or detach the database from it.")
		}
		names = append(names, x.Ref.Name)
	}
	if len(names) == 0 {
		return found(n, title, ops.Pass, "attached to "+f.App.Value.Name+" only", "")
	}
	return found(n, title, ops.Warn, fmt.Sprintf("Also attached to %s: all of them are stopped during the cutover and switched together.", strings.Join(names, ", ")), "Tell whoever looks after those apps.")
}

// credentials: an attachment with a credential of its own moves under the same
// credential, so the new database must have it.
func credentials(f Facts) []ops.Finding {
	const n, title = "H13", "Credentials"
	used := map[string][]string{}
	for _, a := range f.OnDatabase.Value {
		if c, ok := strings.CutPrefix(a.Namespace, "credential:"); ok {
			used[c] = append(used[c], a.Name+" on "+a.App.Name)
		}
	}
	if !f.Credentials.Known {
		severity := ops.Warn
		if len(used) > 0 {
			severity = ops.Block
		}
		return unknown(n, title, severity, f.Credentials.Why)
	}
	var out []ops.Finding
	for _, c := range f.Credentials.Value {
		names := used[c.Name]
		switch {
		case c.Name == "default":
		case len(names) == 0:
			out = append(out, found(n, title, ops.Warn, fmt.Sprintf("No attachment uses the credential `%s`; whoever has its URL keeps the old database.", c.Name), "Give them the new one's URL after the switch.")...)
		case f.Cutover:
			out = append(out, carried(f.NewCredentials, c.Name)...)
		default:
			out = append(out, found(n, title, ops.Inform, fmt.Sprintf("`%s` (%s) moves along; the new database must have it before the cutover.", c.Name, strings.Join(names, ", ")), "")...)
		}
	}
	if out == nil {
		return found(n, title, ops.Pass, "default only", "")
	}
	return out
}

// carried: the new database has the credential.
func carried(have ops.Fact[[]ops.Credential], name string) []ops.Finding {
	const n, title = "H13", "Credentials"
	if !have.Known {
		return unknown(n, title, ops.Block, have.Why)
	}
	for _, c := range have.Value {
		if c.Name == name && c.State == "active" {
			return found(n, title, ops.Pass, fmt.Sprintf("the new database has `%s`", name), "")
		}
	}
	return found(n, title, ops.Block, fmt.Sprintf("The new database has no active credential `%s`.", name), "A follower takes the roles of its leader; if Heroku does not list it after some minutes, ask Heroku's support, or detach what uses it.")
}

func pooler(f Facts) []ops.Finding {
	const n, title = "H14", "Connection pooler"
	if !f.OnDatabase.Known {
		return unknown(n, title, ops.Block, f.OnDatabase.Why)
	}
	var names []string
	for _, a := range f.OnDatabase.Value {
		if strings.HasPrefix(a.Namespace, "connection-pooling:") {
			names = append(names, a.Name+" on "+a.App.Name)
		}
	}
	if len(names) > 0 {
		return found(n, title, ops.Inform, strings.Join(names, ", ")+" moves along under the same name.", "")
	}
	return found(n, title, ops.Pass, "none", "")
}

// Copy is a config var that holds a copy of the database's URL on an app on
// which the database is not attached.
type Copy struct {
	App string
	Var string
}

// elsewhere: copied URLs on apps to which the database is not attached.
func elsewhere(f Facts) []ops.Finding {
	const n, title = "H15", "No copied database URL on other apps"
	if !f.Elsewhere.Known {
		return unknown(n, title, ops.Warn, f.Elsewhere.Why)
	}
	var names []string
	for _, c := range f.Elsewhere.Value {
		names = append(names, c.Var+" on "+c.App)
	}
	if len(names) > 0 {
		slices.Sort(names)
		return found(n, title, ops.Block, "These config vars hold a copy of its URL: "+strings.Join(names, ", ")+".",
			"Their apps would go on using the old database. Attach the database there instead: `heroku addons:attach "+f.Addon.Value.Name+" -a APP`.")
	}
	return found(n, title, ops.Pass, "none in the config vars of the apps that the bot's account can see", "")
}

// copies: config vars that hold the database's host and are no attachment keep
// leading to the old database.
func copies(f Facts) []ops.Finding {
	const n, title = "H15", "No copied database URL"
	if !f.Hosts.Known || !f.OnApp.Known || !f.Database.Known {
		return unknown(n, title, ops.Warn, first(f.Hosts.Why, f.OnApp.Why, f.Database.Why))
	}
	owned := map[string]bool{}
	for _, a := range f.OnApp.Value {
		owned[a.Name+"_URL"] = true
	}
	var names []string
	for name, e := range f.Hosts.Value {
		if e.SameServer(f.Database.Value.Endpoint) && !owned[name] {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		return found(n, title, ops.Block, "These config vars hold a copy of its URL: "+strings.Join(names, ", ")+".",
			"They would still lead to the old database after the switch. Attach the database under another name instead: `heroku addons:attach "+f.Addon.Value.Name+" --as NAME -a "+f.App.Value.Name+"`.")
	}
	return found(n, title, ops.Pass, "none in the app's config vars", "")
}

func first(s ...string) string {
	for _, v := range s {
		if v != "" {
			return v
		}
	}
	return "not read"
}

func followers(f Facts) []ops.Finding {
	const n, title = "H16", "Followers of the old database"
	if !f.Database.Known || f.Cutover {
		return nil
	}
	if c := len(f.Database.Value.Followers); c > 0 {
		return found(n, title, ops.Acknowledge, fmt.Sprintf("It has %d already.", c), "They stay with the old database. Create new ones for the new database when Heroku offers it (Fork/Follow: Available).")
	}
	return found(n, title, ops.Pass, "none seen", "")
}

func forks(f Facts) []ops.Finding {
	if !f.Database.Known || f.Cutover {
		return nil
	}
	if c := len(f.Database.Value.Forks); c > 0 {
		return found("H17", "Forks", ops.Inform, fmt.Sprintf("%d; they are databases of their own and stay as they are.", c), "")
	}
	return nil
}
