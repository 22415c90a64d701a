package herokutest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
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
	status := "Available"
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
	fork := d.forkFollow
	if d.leader != nil {
		fork = "Unavailable on followers"
	}
	row("Fork/Follow", fork)
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
	row("Maintenance", "not required")
	return ok(map[string]any{
		"addon_id": d.id, "name": d.name, "heroku_resource_id": "resource-" + d.name + "@heroku.com", "plan": map[string]any{"id": 170, "name": strings.TrimPrefix(d.plan, pgService+":")},
		"metaas_source": "dod-" + d.url(), "created_at": stamp(d.created), "status_updated_at": stamp(d.created), "port": d.port(), "database_name": strings.TrimPrefix(d.place().Path, "/"), "database_user": d.place().User.Username(),
		"database_password": d.password(), "resource_url": d.url(), "postgres_version": d.version, "num_bytes": look.Bytes, "num_tables": 48, "num_connections": look.Sessions,
		"num_connections_waiting": 0, "current_transaction": 269601263, "target_transaction": nil, "is_in_recovery": d.leader != nil, "hot_standby?": true, "standalone?": d.leader == nil,
		"following": s.following(d), "leader": nil, "forked_from": nil, "credentials": 1 + len(d.credentials), "available_for_ingress": true, "waiting?": d.upgradeTo != "", "info": rows,
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

func (s *Server) upgradeStatus(c call, d *database) answer {
	if d.upgradeTo == "" {
		return ok(wait(false, "available"))
	}
	switch u := d.data.Look(c.now).Upgrade; {
	case u.Failed != "":
		return ok(wait(false, u.Failed, "error?", true))
	case u.Step <= 1:
		return ok(wait(true, "preparing upgrade service", "error?", false, "step", "1/3"))
	case u.Step == 2:
		return ok(wait(true, "upgrading", "error?", false, "step", "2/3"))
	}
	return ok(wait(true, "performing final cleanup steps after upgrade", "error?", false, "step", "3/3"))
}

func (s *Server) runUpgrade(c call, d *database) answer {
	to, _ := c.body["version"].(string)
	if to == "" {
		to = "17"
	}
	from, _, _ := strings.Cut(d.version, ".")
	f, _ := strconv.Atoi(from)
	t, err := strconv.Atoi(to)
	switch {
	case !s.ready(d, c.now):
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "The database is not available yet.")
	case d.upgradeTo != "":
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "An upgrade is already in progress.")
	case d.leader == nil:
		return no(http.StatusBadRequest, "bad_request", "You can't run an upgrade that hasn't been scheduled. Run `pg:upgrade:prepare` first.")
	case err != nil || !slices.Contains(s.storage.Majors(), to) || t <= f:
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "Version %s is not available for this database.", to)
	}
	s.beginUpgrade(d, to, c.now)
	return did(http.StatusOK, map[string]any{"message": "Started the upgrade. Follow it with `pg:upgrade:wait`."}, "upgrade.run "+d.name+" "+to)
}

func (s *Server) prepareUpgrade(c call, d *database) answer {
	return ok(map[string]any{"message": "Your upgrade is scheduled for the next maintenance window."})
}

func (s *Server) dryRun(c call, d *database) answer {
	return ok(map[string]any{"message": "Started a test upgrade. The result comes by e-mail."})
}

func (s *Server) cancelUpgrade(c call, d *database) answer {
	return no(http.StatusUnprocessableEntity, "bad_request", "You can't cancel the upgrade because nothing is scheduled.")
}

func (s *Server) unfollow(c call, d *database) answer {
	if d.leader == nil {
		return no(http.StatusUnprocessableEntity, "unprocessable_entity", "%s is not following another database.", d.name)
	}
	d.leader = nil
	d.data.Unfollow(c.now)
	return did(http.StatusOK, map[string]any{"message": "unfollowed"}, "database.unfollow "+d.name)
}

func (s *Server) connectionReset(c call, d *database) answer {
	d.data.Reset()
	return did(http.StatusOK, map[string]any{"message": "connections reset"}, "connection.reset "+d.name)
}

func (s *Server) transferJSON(t *transfer, now time.Time) map[string]any {
	bytes := t.database.data.Look(now).Bytes
	const layout = "2006-01-02 15:04:05 -0700"
	m := map[string]any{"uuid": t.id, "num": t.num, "from_name": "DATABASE", "from_type": "pg_dump", "to_name": "BACKUP", "to_type": "gof3r", "from_url": t.database.url(), "to_url": "https://example.com/backup",
		"options": map[string]any{}, "source_bytes": bytes, "processed_bytes": 0, "succeeded": nil, "warnings": 0, "num_keep": 25, "schedule": nil,
		"created_at": t.created.Format(layout), "started_at": t.created.Format(layout), "finished_at": nil, "canceled_at": nil, "updated_at": t.created.Format(layout), "deleted_at": nil, "purged_at": nil, "logs": []any{}}
	if part := float64(now.Sub(t.created)) / float64(t.ends.Sub(t.created)); part < 1 {
		m["processed_bytes"] = int64(part * float64(bytes) / 4)
		return m
	}
	m["processed_bytes"], m["succeeded"], m["finished_at"] = bytes/4, !t.fails, t.ends.Format(layout)
	return m
}

func (s *Server) capture(c call, d *database) answer {
	t := &transfer{id: s.state.id("transfer"), num: len(s.state.transfers) + 7, database: d, created: c.now, ends: c.now.Add(s.cfg.Times.Backup)}
	s.state.transfers = append(s.state.transfers, t)
	return did(http.StatusCreated, s.transferJSON(t, c.now), "backup.capture "+d.name)
}

func (s *Server) listTransfers(c call, a *app) answer {
	out := []any{}
	for _, t := range s.state.transfers {
		if t.database.owner == a {
			out = append(out, s.transferJSON(t, c.now))
		}
	}
	return ok(out)
}

func (s *Server) getTransfer(c call, a *app) answer {
	for _, t := range s.state.transfers {
		if t.database.owner == a && (t.id == c.PathValue("id") || strconv.Itoa(t.num) == c.PathValue("id")) {
			return ok(s.transferJSON(t, c.now))
		}
	}
	return no(http.StatusNotFound, "not_found", "Not found.")
}

func (s *Server) listCredentials(c call, d *database) answer {
	out := []any{}
	for _, name := range append([]string{"default"}, d.credentials...) {
		out = append(out, map[string]any{"uuid": d.id, "name": name, "state": "active", "database": strings.TrimPrefix(d.place().Path, "/"), "host": d.place().Hostname(), "port": d.port(),
			"credentials": []any{map[string]any{"user": d.place().User.Username(), "password": d.password(), "state": "active"}}})
	}
	return ok(out)
}

func (s *Server) getMaintenance(c call, d *database) answer {
	status := d.maintenance
	if status == "" {
		status = "none"
	}
	return ok(map[string]any{"addon": map[string]any{"uuid": d.id, "name": d.name, "kind": pgService, "attachments": []any{}}, "app": map[string]any{"name": d.owner.name, "uuid": d.owner.id},
		"status": status, "window": "Sundays 22:30 to Mondays 02:30 UTC", "required_by": nil, "scheduled_for": nil, "started_at": nil, "completed_at": nil, "duration_seconds": nil})
}
