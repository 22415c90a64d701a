package check

import (
	"fmt"
	"slices"
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// rights: on a personal app only the owner may add a paid add-on; a collaborator
// is refused (mitodl/ol-infrastructure issue 1391). In a team it takes the
// permission manage (devcenter.heroku.com/articles/app-permissions), which the
// list of collaborators shows; who is in none, such as an admin, is not on it.
func rights(f Facts) []ops.Finding {
	billed := f.App
	for _, x := range f.Others {
		if x.Ref.ID == f.Billing.ID {
			billed = x.App
		}
	}
	if !billed.Known || !f.Account.Known {
		return []ops.Finding{{Verdict: ops.Warn, Unknown: true, Evidence: "unknown: whether the bot's account may create the follower cannot be seen (" + first(billed.Why, f.Account.Why) + ")."}}
	}
	app, access, me := billed.Value, f.Access.Value, f.Account.Value.Email
	switch {
	case app.Team == "" && strings.EqualFold(app.Owner, me):
		return says(ops.Pass, "the bot's account owns the app")
	case app.Team == "":
		return says(ops.Block, fmt.Sprintf("`%s` belongs to `%s`, the bot works as `%s`: Heroku lets only the owner add a paid add-on to a personal app.", app.Name, app.Owner, me))
	case !f.Access.Known || len(access.Permissions) == 0:
		return says(ops.Inform, fmt.Sprintf("`%s` belongs to the team %s, and what `%s` may do there cannot be seen. Heroku refuses to create the follower unless it may manage the app; nothing is changed then.", app.Name, app.Team, me))
	case !slices.Contains(access.Permissions, "manage"):
		return says(ops.Block, fmt.Sprintf("`%s` belongs to the team %s, and `%s` may only %s it: adding a paid add-on takes the permission manage.", app.Name, app.Team, me, strings.Join(access.Permissions, ", ")))
	}
	return says(ops.Pass, fmt.Sprintf("`%s` may %s `%s`", me, strings.Join(access.Permissions, ", "), app.Name))
}

func extraPrice(f Facts) []ops.Finding {
	if !f.Plans.Known {
		return blind(f.Plans.Why)
	}
	p, ok := find(f.Plans.Value, f.NewPlan)
	switch {
	case !ok:
		return nil // H8 says it
	case p.CentsPerMonth == 0:
		return says(ops.Inform, fmt.Sprintf("Heroku shows no price for `%s`.", ops.ShortPlan(p.Name)))
	}
	return says(ops.Inform, fmt.Sprintf("%s a month while both databases exist, about %s a day.", ops.FormatCents(p.CentsPerMonth), ops.FormatCents(ops.CentsFor(p.CentsPerMonth, day))))
}

// shape: the Data API is not documented, so an answer without what the
// procedure rests on is no answer.
func shape(f Facts) []ops.Finding {
	if !f.Database.Known || !f.Addon.Known {
		return blind(first(f.Database.Why, f.Addon.Why))
	}
	d := f.Database.Value
	var missing []string
	for what, there := range map[string]bool{
		"the add-on's id": d.AddonID == f.Addon.Value.ID, "an address": !d.Endpoint.Zero(), "a version": d.Version != "",
		"a status": d.Status != "" || d.Waiting,
	} {
		if !there {
			missing = append(missing, what)
		}
	}
	if len(missing) > 0 {
		slices.Sort(missing)
		return says(ops.Block, "Heroku's answer about the database has not "+strings.Join(missing, ", ")+".")
	}
	return says(ops.Pass, "yes")
}

// protection: what the new database must have before people work on it.
func protection(f Facts) []ops.Finding {
	if !f.Database.Known {
		return blind(f.Database.Why)
	}
	var special []string
	for _, x := range []struct{ name, value string }{
		{"Customer Encryption Key", f.Database.Value.EncryptionKey}, {"Enhanced Certificates", f.Database.Value.Certificates}, {"Mutual TLS", f.Database.Value.MutualTLS},
	} {
		if x.value != "" && !off(x.value) {
			special = append(special, fmt.Sprintf("%s: %s", x.name, x.value))
		}
	}
	if len(special) > 0 {
		return says(ops.Acknowledge, strings.Join(special, "; ")+". Whether a follower takes this over is not known.")
	}
	switch ha := f.Database.Value.HA; {
	case ha == "":
		return says(ops.Pass, "nothing special")
	case !strings.EqualFold(ha, "available"):
		return says(ops.Warn, fmt.Sprintf("HA Status is “%s”.", ha))
	}
	return says(ops.Inform, "HA Status: Available. The new database gets a standby of its own some time after it leads.")
}

func off(value string) bool {
	return slices.Contains([]string{"none", "off", "no", "disabled", "not in use", "unsupported", "unavailable"}, strings.ToLower(value))
}

// Words in the names of add-on services. Heroku has no category for them.
var (
	scalers    = []string{"scale", "hirefire"}
	clocks     = []string{"scheduler", "cron"}
	connecting = []string{"connect", "stream", "fivetran", "stitch", "etl", "panoply", "replicat"}
)

func autoscaling(f Facts) []ops.Finding { return named(f, scalers, ops.Acknowledge) }
func schedulers(f Facts) []ops.Finding  { return named(f, clocks, ops.Warn) }
func connectors(f Facts) []ops.Finding  { return named(f, connecting, ops.Acknowledge) }

// named finds the app's add-ons whose service is named like one of the words.
func named(f Facts, words []string, v ops.Verdict) []ops.Finding {
	if !f.AppAddons.Known {
		return blind(f.AppAddons.Why)
	}
	var names []string
	for _, a := range f.AppAddons.Value {
		if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(strings.ToLower(a.Service), w) }) {
			names = append(names, fmt.Sprintf("%s (`%s`)", a.Service, a.Name))
		}
	}
	if len(names) == 0 {
		return says(ops.Pass, "none among the app's add-ons")
	}
	slices.Sort(names)
	return says(v, strings.Join(names, ", ")+".")
}

func page(f Facts) []ops.Finding {
	if !f.Vars.Known {
		return blind(f.Vars.Why)
	}
	if slices.Contains(f.Vars.Value, "MAINTENANCE_PAGE_URL") {
		return says(ops.Pass, "users see a page of your own during the cutover")
	}
	return says(ops.Inform, "Users see Heroku's plain page during the cutover, and monitors will call (H80).")
}

// bySQL: without SQL nothing inside is checked, and the old database cannot be
// closed; said once, not by every check that needs it.
func bySQL(f Facts) []ops.Finding {
	if f.Cutover && f.SQLBefore.Known && !f.SQL.Known {
		return []ops.Finding{{Verdict: ops.Block, Unknown: true, Fix: "I look again; if it stays so, see `heroku pg:info` and `heroku pg:ps`.",
			Evidence: "unknown: the database could be reached by SQL when the plan was made, and cannot be now (" + first(f.SQL.Why) + ")."}}
	}
	if !f.SQL.Known {
		why := ""
		if f.SQL.Why != "" {
			why = " (" + f.SQL.Why + ")"
		}
		return []ops.Finding{{
			Verdict: ops.Warn, Unknown: true,
			Evidence: "unknown: cannot reach the database by SQL" + why + ". Extensions, data types and open transactions were not looked at, and the old database stays writable after the switch for anybody who holds its URL.",
			Fix:      "Copied URLs outside Heroku (reports, spreadsheets, other clouds) must be changed by hand.",
		}}
	}
	if in := f.SQL.Value; len(in.Closed) > 0 {
		return []ops.Finding{{Verdict: ops.Warn, Unknown: true, Evidence: "unknown: these databases of the same server could not be opened: " + strings.Join(in.Closed, "; ") + ".",
			Fix: "pg_upgrade looks at them too. Drop them if nobody needs them, or let Heroku's dry run look."}}
	}
	return says(ops.Pass, "looked by SQL into "+strings.Join(f.SQL.Value.Databases, ", "))
}
