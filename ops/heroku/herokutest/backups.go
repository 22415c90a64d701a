package herokutest

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// transferTime is how the Data API writes the times of transfers.
const transferTime = "2006-01-02 15:04:05 -0700"

func (s *Server) transferJSON(c call, t *transfer) map[string]any {
	source := t.bytes
	m := map[string]any{"uuid": t.id, "num": t.num, "from_name": t.from, "from_type": "pg_dump", "to_name": "BACKUP", "to_type": "gof3r", "from_url": t.fromURL, "to_url": "https://example.com/backup",
		"options": map[string]any{}, "source_bytes": source, "processed_bytes": 0, "succeeded": nil, "warnings": 0, "num_keep": 25, "schedule": nil,
		"created_at": t.created.Format(transferTime), "started_at": t.created.Format(transferTime), "finished_at": nil, "canceled_at": nil, "updated_at": t.created.Format(transferTime), "deleted_at": nil, "purged_at": nil}
	if c.URL.Query().Get("verbose") == "true" {
		m["logs"] = t.logs(c.now)
	}
	part := float64(c.now.Sub(t.created)) / float64(t.ends.Sub(t.created))
	if t.owner.backups == stalled {
		part = min(part, 0.5)
	}
	switch {
	case !t.canceled.IsZero():
		m["canceled_at"], m["finished_at"], m["succeeded"] = t.canceled.Format(transferTime), t.canceled.Format(transferTime), false
	case part < 1:
		m["processed_bytes"] = int64(part * float64(source) / 4)
	default:
		m["processed_bytes"], m["succeeded"], m["finished_at"] = source/4, t.owner.backups != failing, t.ends.Format(transferTime)
	}
	return m
}

func (t *transfer) logs(now time.Time) []any {
	entry := func(at time.Time, text string) any {
		return map[string]any{"created_at": at.Format(transferTime), "level": "info", "message": text}
	}
	out := []any{entry(t.created, "pg_dump: dumping contents of database")}
	switch {
	case !t.canceled.IsZero():
		out = append(out, entry(t.canceled, "Canceled"))
	case now.Before(t.ends), t.owner.backups == stalled:
	case t.owner.backups == failing:
		out = append(out, entry(t.ends, "pg_dump: error: the dump failed"))
	default:
		out = append(out, entry(t.ends, "Backup completed"))
	}
	return out
}

func (s *Server) capture(c call, d *database) answer {
	if !s.ready(d, c.now) {
		return unprocessable("The database is not available yet.")
	}
	from := "DATABASE"
	if s.state.named(d.owner, from) == nil || s.state.named(d.owner, from).database != d {
		if all := s.state.of(d); len(all) > 0 {
			from = all[0].name
		}
	}
	t := &transfer{id: s.state.id("transfer"), num: s.state.nextBackup(d.owner), owner: d.owner, from: from, fromURL: d.url(), bytes: d.data.Look(c.now).Bytes, created: c.now, ends: c.now.Add(s.cfg.Times.Backup)}
	s.state.transfers = append(s.state.transfers, t)
	return did(http.StatusCreated, s.transferJSON(c, t), "backup.capture "+d.name)
}

// nextBackup numbers the transfers of an app.
func (s *state) nextBackup(a *app) int {
	n := 7 // it had some before
	for _, t := range s.transfers {
		if t.owner == a {
			n = max(n, t.num+1)
		}
	}
	return n
}

func (s *Server) listTransfers(c call, a *app) answer {
	out := []any{}
	for _, t := range s.state.transfers {
		if t.owner == a {
			out = append(out, s.transferJSON(c, t))
		}
	}
	return ok(out)
}

func (s *Server) onTransfer(r func(call, *transfer) answer) route {
	return s.onApp(func(c call, a *app) answer {
		for _, t := range s.state.transfers {
			if t.owner == a && (t.id == c.PathValue("id") || strconv.Itoa(t.num) == c.PathValue("id")) {
				return r(c, t)
			}
		}
		return no(http.StatusNotFound, "not_found", "Not found.")
	})
}

func (s *Server) getTransfer(c call, t *transfer) answer { return ok(s.transferJSON(c, t)) }

func (s *Server) deleteTransfer(c call, t *transfer) answer {
	s.state.transfers = slices.DeleteFunc(s.state.transfers, func(x *transfer) bool { return x == t })
	body := s.transferJSON(c, t)
	body["deleted_at"] = c.now.Format(transferTime)
	return did(http.StatusOK, body, "backup.delete "+strconv.Itoa(t.num))
}

func (s *Server) cancelTransfer(c call, t *transfer) answer {
	if !t.canceled.IsZero() || !c.now.Before(t.ends) {
		return unprocessable("The backup is not running.")
	}
	t.canceled = c.now
	return did(http.StatusOK, map[string]any{"canceled_at": t.canceled.Format(transferTime)}, "backup.cancel "+strconv.Itoa(t.num))
}

func (s *Server) publicURL(c call, t *transfer) answer {
	return ok(map[string]any{"expires_at": c.now.Add(time.Hour).Format(transferTime), "url": s.cfg.BaseURL + "/_backups/" + t.id})
}

// schedule is a daily backup. It belongs to a database, and stays with it when
// another is promoted.
type schedule struct {
	id, name, timezone string // name is of a config var
	hour               int
	created            time.Time
}

func (x *schedule) json() map[string]any {
	return map[string]any{"uuid": x.id, "name": x.name, "hour": x.hour, "days": []any{"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"}, "timezone": x.timezone,
		"retain_weeks": 1, "retain_months": 0, "created_at": x.created.Format(transferTime), "updated_at": x.created.Format(transferTime), "deleted_at": nil}
}

func (s *Server) listSchedules(c call, d *database) answer {
	out := []any{}
	for _, x := range d.schedules {
		out = append(out, x.json())
	}
	return ok(out)
}

func (s *Server) createSchedule(c call, d *database) answer {
	hour := -1
	switch h := c.body["hour"].(type) {
	case string:
		if n, err := strconv.Atoi(h); err == nil {
			hour = n
		}
	case float64:
		hour = int(h)
	}
	zone, name := c.text("timezone"), c.text("schedule_name")
	_, err := time.LoadLocation(zone)
	switch {
	case hour < 0 || hour > 23:
		return unprocessable("The hour must be from 0 to 23.")
	case zone == "" || err != nil:
		return unprocessable("%q is not a time zone.", zone)
	case name == "":
		return unprocessable("The schedule has no name.")
	}
	d.schedules = slices.DeleteFunc(d.schedules, func(x *schedule) bool { return strings.EqualFold(x.name, name) })
	x := &schedule{id: s.state.id("schedule"), name: name, timezone: zone, hour: hour, created: c.now}
	d.schedules = append(d.schedules, x)
	return did(http.StatusCreated, x.json(), "schedule.create "+d.name+" "+name)
}

func (s *Server) deleteSchedule(c call, d *database) answer {
	for i, x := range d.schedules {
		if x.id == c.PathValue("schedule") {
			d.schedules = slices.Delete(d.schedules, i, i+1)
			return did(http.StatusOK, x.json(), "schedule.delete "+d.name+" "+x.name)
		}
	}
	return no(http.StatusNotFound, "not_found", "Not found.")
}
