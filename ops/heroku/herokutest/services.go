package herokutest

import (
	"slices"
	"time"
)

// databaseServices is what Heroku keeps about a database beside its data.
type databaseServices struct {
	credentials []*credential // beside the default one
	rotating    []string      // connection URLs of before a rotation that still work
	links       []*link
	schedules   []*schedule
	settings    map[string]any // only what was changed
	window      string         // "Sunday 22:30"
	prepared    *preparation   // an upgrade that waits for its window
	maintained  []maintenance  // the newest first; what was, is, or is planned
	unfollowed  time.Time      // when it became a database of its own; zero: it always was
}

// appServices is what can be staged for an app.
type appServices struct {
	unpaid      bool   // this account may not add paid add-ons to it
	ownedBy     string // somebody else's e-mail
	team        string
	permissions []string // of the account in the team; nil: all
	stickNext   bool     // the next database that is created is never provisioned
}

// permitted are the account's permissions on an app.
func (a *app) permitted() []string {
	if a.permissions != nil {
		return a.permissions
	}
	return []string{"view", "deploy", "operate", "manage"}
}

// mayPay reports whether the account may add paid add-ons to the app.
func (a *app) mayPay() bool {
	switch {
	case a.unpaid:
		return false
	case a.team != "":
		return slices.Contains(a.permitted(), "manage")
	}
	return a.ownedBy == ""
}

// collaborator shows the one account that the stand-in knows, by id or e-mail.
func (s *Server) collaborator(c call, a *app) answer {
	if who := c.PathValue("account"); who != ownerID && who != owner {
		return notFound("collaborator")
	}
	permissions, role := []any{}, any(nil)
	if a.team != "" {
		role = "member"
		for _, p := range a.permitted() {
			permissions = append(permissions, map[string]any{"name": p, "description": "Can " + p + " the app."})
		}
	}
	return ok(map[string]any{"app": a.ref(), "created_at": stamp(a.created), "updated_at": stamp(a.created), "id": fixedID("collaborator"),
		"permissions": permissions, "role": role, "user": map[string]any{"email": owner, "federated": false, "id": ownerID}})
}

// playServices lets what is planned happen, once it is due.
func (s *Server) playServices(now time.Time) {
	for _, d := range s.state.databases {
		if p := d.prepared; p != nil && !now.Before(p.window) {
			d.prepared = nil
			s.beginInPlace(d, p.version, now)
		}
		d.rotating = slices.DeleteFunc(d.rotating, func(url string) bool { return !s.inUse(url) })
		d.playMaintenance(now)
	}
}

// inUse reports whether the current release of some app holds this connection URL.
func (s *Server) inUse(url string) bool {
	for _, a := range s.state.apps {
		if cur := a.current(); cur != nil {
			for _, v := range cur.vars {
				if v == url {
					return true
				}
			}
		}
	}
	return false
}
