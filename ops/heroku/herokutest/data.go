package herokutest

import (
	"fmt"
	"net/http"
	"strings"
	"time"
)

func (s *Server) ready(d *database, now time.Time) bool {
	return !d.stuck && !now.Before(d.provisioned)
}

func (s *Server) info(c call, d *database) answer {
	if !s.ready(d, c.now) {
		return ok(map[string]any{"addon_id": d.id, "name": d.name, "plan": strings.TrimPrefix(d.plan, pgService+":"), "waiting?": true, "info": []any{}, "following": s.following(d)})
	}
	at, status := place(d.url()), "Available"
	password, _ := at.User.Password()
	if d.upgradeTo != "" {
		status = "Upgrading"
	}
	look := d.data.Look(c.now)
	if d.zeroLag {
		look.Behind = 0
	}
	var rows []any
	row := func(name string, values ...any) { rows = append(rows, map[string]any{"name": name, "values": values}) }
	urlRow := func(name string, urls ...any) {
		urls = append([]any{}, urls...) // the CLI takes no null for a list
		rows = append(rows, map[string]any{"name": name, "values": urls, "resolve_db_name": true})
	}
	row("Plan", strings.TrimPrefix(d.plan, pgService+":"))
	row("Status", status)
	row("Data Size", fmt.Sprintf("%.2f GB / 64 GB (%.2f%%)", float64(look.Bytes)/1e9, float64(look.Bytes)/64e9*100))
	row("Tables", 48)
	row("PG Version", d.version)
	row("Connections", fmt.Sprintf("%d/120", look.Sessions))
	row("Connection Pooling", "Available")
	row("Credentials", 1+len(d.credentials))
	row("Fork/Follow", s.forkable(d, c.now))
	row("Rollback", "earliest from "+c.now.Add(-4*24*time.Hour).Format("2006-01-02 15:04")+" UTC")
	row("Created", d.created.Format("2006-01-02 15:04"))
	row("Region", "us")
	row("Data Encryption", "In Use")
	row("Continuous Protection", d.protection)
	var followers, forks []any
	for _, f := range s.state.databases {
		if f.leader == d {
			followers = append(followers, f.url())
		}
		if f.forkedFrom == d {
			forks = append(forks, f.url())
		}
	}
	if d.leader != nil {
		urlRow("Following", d.leader.url())
		if !d.noLag && look.BehindKnown {
			row("Behind By", fmt.Sprintf("%d commits", look.Behind))
		}
	}
	urlRow("Followers", followers...)
	urlRow("Forks", forks...)
	if d.forkedFrom != nil {
		urlRow("Forked From", d.forkedFrom.url())
	}
	row("Maintenance", d.required())
	row("Maintenance window", d.longWindow())
	if d.tier() == "essential" {
		return ok(s.tenantInfo(d, look.Bytes, rows))
	}
	return ok(map[string]any{
		"addon_id": d.id, "name": d.name, "heroku_resource_id": "resource-" + d.name + "@heroku.com", "plan": map[string]any{"id": 170, "name": strings.TrimPrefix(d.plan, pgService+":")},
		"metaas_source": "dod-" + d.url(), "created_at": stamp(d.created), "status_updated_at": stamp(d.created), "port": port(at), "database_name": strings.TrimPrefix(at.Path, "/"), "database_user": at.User.Username(),
		"database_password": password, "resource_url": d.url(), "postgres_version": d.version, "num_bytes": look.Bytes, "num_tables": 48, "num_connections": look.Sessions,
		"num_connections_waiting": 0, "current_transaction": 269601263, "target_transaction": nil, "is_in_recovery": d.leader != nil, "hot_standby?": true, "standalone?": d.leader == nil,
		"following": s.following(d), "leader": nameOf(d.leader), "forked_from": idOf(d.forkedFrom), "credentials": 1 + len(d.credentials), "available_for_ingress": true, "waiting?": d.upgradeTo != "", "info": rows,
	})
}

func (s *Server) following(d *database) any {
	if d.leader == nil {
		return nil
	}
	return d.leader.url()
}

func wait(waiting bool, message string, more ...any) map[string]any {
	m := map[string]any{"waiting?": waiting, "message": message}
	for i := 0; i+1 < len(more); i += 2 {
		m[more[i].(string)] = more[i+1]
	}
	return m
}

func (s *Server) waitStatus(c call, d *database) answer {
	switch {
	case !s.ready(d, c.now):
		return ok(wait(true, "preparing"))
	case d.upgradeTo != "":
		return ok(wait(true, "upgrading"))
	}
	return ok(wait(false, "available"))
}

func (s *Server) unfollow(c call, d *database) answer {
	if d.leader == nil {
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "%s is not following another database.", d.name)
	}
	if d.upgradeTo != "" {
		return unprocessable("You can't unfollow while an upgrade is in progress.")
	}
	d.leader, d.unfollowed = nil, c.now
	d.data.Unfollow(c.now)
	return did(http.StatusOK, map[string]any{"message": "unfollowed"}, "database.unfollow "+d.name)
}

func (s *Server) connectionReset(c call, d *database) answer {
	d.data.Reset(c.now)
	return did(http.StatusOK, message("Connections terminated."), "connection.reset "+d.name)
}

// forkable is the Fork/Follow row: what became a database of its own a moment
// ago cannot be followed yet.
func (s *Server) forkable(d *database, now time.Time) string {
	switch {
	case d.tier() == "essential":
		return "Unsupported"
	case d.leader != nil:
		return "Unavailable on followers"
	case !d.unfollowed.IsZero() && now.Before(d.unfollowed.Add(s.cfg.Times.Settle)):
		return "Temporarily Unavailable"
	}
	return d.forkFollow
}

// required is the Maintenance row.
func (d *database) required() string {
	if d.planned() != nil {
		return "required"
	}
	return "not required"
}

// tenantInfo is what the Data API says about a database on a shared server:
// less than about others.
func (s *Server) tenantInfo(d *database, bytes int64, rows []any) map[string]any {
	at := place(d.url())
	var shown []any
	for _, r := range rows {
		switch r.(map[string]any)["name"] {
		case "Behind By", "Following", "Followers", "Forks", "Connection Pooling", "Credentials", "Maintenance window":
		default:
			shown = append(shown, r)
		}
	}
	return map[string]any{"addon_id": d.id, "name": d.name, "plan": strings.TrimPrefix(d.plan, pgService+":"), "created_at": stamp(d.created), "database_user": at.User.Username(),
		"database_name": strings.TrimPrefix(at.Path, "/"), "resource_url": d.url(), "available_for_ingress": true, "standalone?": true, "waiting?": d.upgradeTo != "", "num_bytes": bytes, "info": shown}
}

func nameOf(d *database) any {
	if d == nil {
		return nil
	}
	return d.name
}

func idOf(d *database) any {
	if d == nil {
		return nil
	}
	return d.id
}
