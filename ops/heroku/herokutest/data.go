package herokutest

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (s *Server) ready(d *database, now time.Time) bool {
	return !d.stuck && !now.Before(d.provisioned)
}

// connections counts who is connected: each dyno of an app whose current
// release leads here, an external client with a copied URL, and strangers.
func (s *Server) connections(d *database, now time.Time) int {
	if d.reconnecting(now) {
		return d.strangers
	}
	n := d.strangers
	for _, a := range s.state.apps {
		if cur := a.current(); cur != nil && s.byURL(cur.vars["DATABASE_URL"]) == d {
			for _, x := range a.dynos {
				if x.up(now, s.cfg.Times.DynoStart) {
					n++
				}
			}
		}
		if a.copied == d {
			n++
		}
		if a.connected == d {
			n++
		}
	}
	return n
}

func (s *Server) info(c call, d *database) answer {
	if !s.ready(d, c.now) {
		return ok(map[string]any{"addon_id": d.id, "name": d.name, "plan": strings.TrimPrefix(d.plan, pgService+":"), "waiting?": true, "info": []any{}, "following": s.following(d)})
	}
	status := "Available"
	if d.upgradeTo != "" {
		status = "Upgrading"
	}
	var rows []any
	row := func(name string, values ...any) { rows = append(rows, map[string]any{"name": name, "values": values}) }
	urlRow := func(name string, urls ...any) {
		urls = append([]any{}, urls...) // the CLI takes no null for a list
		rows = append(rows, map[string]any{"name": name, "values": urls, "resolve_db_name": true})
	}
	row("Plan", strings.TrimPrefix(d.plan, pgService+":"))
	row("Status", status)
	row("Data Size", fmt.Sprintf("%.2f GB / 64 GB (%.2f%%)", float64(d.bytes)/1e9, float64(d.bytes)/64e9*100))
	row("Tables", 48)
	row("PG Version", d.version)
	row("Connections", fmt.Sprintf("%d/120", s.connections(d, c.now)))
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
		if !d.noLag {
			row("Behind By", fmt.Sprintf("%d commits", s.lag(d, c.now)))
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
		return ok(s.tenantInfo(d, rows))
	}
	return ok(map[string]any{
		"addon_id": d.id, "name": d.name, "heroku_resource_id": "resource-" + d.name + "@heroku.com", "plan": map[string]any{"id": 170, "name": strings.TrimPrefix(d.plan, pgService+":")},
		"metaas_source": "dod-" + d.url(), "created_at": stamp(d.created), "status_updated_at": stamp(d.created), "port": 5432, "database_name": "d" + d.id[:8], "database_user": "u" + d.id[:6],
		"database_password": d.password, "resource_url": d.url(), "postgres_version": d.version, "num_bytes": d.bytes, "num_tables": 48, "num_connections": s.connections(d, c.now),
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
	behind := float64(s.lag(d, c.now))
	for a, rows := range d.leader.rows {
		have := max(0, rows-behind)
		d.rows[a], behind = have, max(0, behind-rows)
	}
	d.leader, d.unfollowed = nil, c.now
	return did(http.StatusOK, map[string]any{"message": "unfollowed"}, "database.unfollow "+d.name)
}

func (s *Server) connectionReset(c call, d *database) answer {
	d.endSessions(c.now)
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
func (s *Server) tenantInfo(d *database, rows []any) map[string]any {
	var shown []any
	for _, r := range rows {
		switch r.(map[string]any)["name"] {
		case "Behind By", "Following", "Followers", "Forks", "Connection Pooling", "Credentials", "Maintenance window":
		default:
			shown = append(shown, r)
		}
	}
	return map[string]any{"addon_id": d.id, "name": d.name, "plan": strings.TrimPrefix(d.plan, pgService+":"), "created_at": stamp(d.created), "database_user": "u" + d.id[:6],
		"database_name": "d" + d.id[:8], "resource_url": d.url(), "available_for_ingress": true, "standalone?": true, "waiting?": d.upgradeTo != "", "num_bytes": d.bytes, "info": shown}
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

func atoi(s string) int { n, _ := strconv.Atoi(s); return n } // of a URL of ours; 0 without a port
