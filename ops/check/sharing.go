package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

func otherApps(f Facts) []ops.Finding {
	const n, title = "H12", "Only this app uses the database"
	if !f.OnDatabase.Known {
		return unknown(n, title, ops.Block, f.OnDatabase.Why)
	}
	if !f.App.Known {
		return unknown(n, title, ops.Block, f.App.Why)
	}
	var others []string
	for _, a := range f.OnDatabase.Value {
		if a.App.ID != f.App.Value.ID && !slices.Contains(others, a.App.Name) {
			others = append(others, a.App.Name)
		}
	}
	if len(others) > 0 {
		slices.Sort(others)
		return found(n, title, ops.Block, "Also attached to "+strings.Join(others, ", ")+".", "Databases shared between apps are not handled yet; this version would leave those apps on the old database.")
	}
	if f.Addon.Known && f.Addon.Value.App.ID != f.App.Value.ID {
		return found(n, title, ops.Block, fmt.Sprintf("It is billed to %s, another app.", f.Addon.Value.App.Name), "Start the upgrade on that app.")
	}
	return found(n, title, ops.Pass, "attached to "+f.App.Value.Name+" only", "")
}

func credentials(f Facts) []ops.Finding {
	const n, title = "H13", "Only the default credential"
	if f.OnDatabase.Known {
		for _, a := range f.OnDatabase.Value {
			if strings.HasPrefix(a.Namespace, "credential:") {
				return found(n, title, ops.Block, fmt.Sprintf("`%s` on %s uses the credential `%s`.", a.Name, a.App.Name, strings.TrimPrefix(a.Namespace, "credential:")), "Extra credentials are not moved by this version.")
			}
		}
	}
	if !f.Credentials.Known {
		return unknown(n, title, ops.Warn, f.Credentials.Why)
	}
	var extra []string
	for _, c := range f.Credentials.Value {
		if c.Name != "default" {
			extra = append(extra, c.Name)
		}
	}
	if len(extra) > 0 {
		return found(n, title, ops.Block, "It has more credentials: "+strings.Join(extra, ", ")+".", "Extra credentials are not moved by this version.")
	}
	return found(n, title, ops.Pass, "default only", "")
}

func pooler(f Facts) []ops.Finding {
	const n, title = "H14", "No connection pooler"
	if !f.OnDatabase.Known {
		return unknown(n, title, ops.Block, f.OnDatabase.Why)
	}
	for _, a := range f.OnDatabase.Value {
		if strings.HasPrefix(a.Namespace, "connection-pooling:") {
			return found(n, title, ops.Block, fmt.Sprintf("`%s` on %s goes through the connection pooler.", a.Name, a.App.Name), "Poolers are not moved by this version.")
		}
	}
	return found(n, title, ops.Pass, "none", "")
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
		if e.Host == f.Database.Value.Endpoint.Host && !owned[name] {
			names = append(names, name)
		}
	}
	if len(names) > 0 {
		slices.Sort(names)
		return found(n, title, ops.Acknowledge, "These config vars hold a copy of its URL: "+strings.Join(names, ", ")+".", "They will still lead to the old database after the switch. Change them by hand.")
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

// asDatabase: the switch moves the name DATABASE; another name is not guessed at.
func asDatabase(f Facts) []ops.Finding {
	const n, title = "H12", "Attached as DATABASE"
	if !f.OnApp.Known || !f.Addon.Known {
		return unknown(n, title, ops.Block, first(f.OnApp.Why, f.Addon.Why))
	}
	for _, a := range f.OnApp.Value {
		if a.Name == "DATABASE" && a.Addon.ID == f.Addon.Value.ID {
			return found(n, title, ops.Pass, "yes", "")
		}
	}
	return found(n, title, ops.Block, "The app does not use it as `DATABASE`.", "This version moves the name DATABASE only.")
}
