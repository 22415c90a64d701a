package herokutest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

// maintenance is work of Heroku on a database: planned, under way or done.
type maintenance struct {
	status                       string // pending, preparing, ready, running, completed
	scheduled, previously, begun time.Time
	ends, required               time.Time
}

const standardWindow = "Sunday 22:30"

var weekdays = []string{"Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"}

// windowStart reads "Sunday 22:30", and "sunday 10:30PM" as the CLI's help has it.
func windowStart(s string) (day time.Weekday, at time.Duration, ok bool) {
	name, clock, _ := strings.Cut(s, " ")
	for i, n := range weekdays {
		if !strings.EqualFold(n, name) {
			continue
		}
		for _, layout := range []string{"15:04", "3:04PM"} {
			if t, err := time.Parse(layout, strings.ToUpper(clock)); err == nil {
				return time.Weekday(i), time.Duration(t.Hour())*time.Hour + time.Duration(t.Minute())*time.Minute, true
			}
		}
	}
	return 0, 0, false
}

func (d *database) windowText() string {
	if d.window == "" {
		return standardWindow
	}
	return d.window
}

// nextWindow is when the maintenance window next begins.
func (d *database) nextWindow(after time.Time) time.Time {
	day, at, _ := windowStart(d.windowText())
	midnight := after.UTC().Truncate(24 * time.Hour)
	for n := range 8 {
		t := midnight.AddDate(0, 0, n).Add(at)
		if t.Weekday() == day && t.After(after) {
			return t
		}
	}
	return midnight // not reached: eight days hold every weekday twice or once later
}

// longWindow is the window as pg:info shows it.
func (d *database) longWindow() string {
	day, at, _ := windowStart(d.windowText())
	from := time.Time{}.Add(at)
	to, last := from.Add(4*time.Hour), day
	if to.Day() != from.Day() {
		last = (day + 1) % 7
	}
	return day.String() + "s " + from.Format("15:04") + " to " + last.String() + "s " + to.Format("15:04") + " UTC"
}

// planned is the maintenance that is not over, or nil.
func (d *database) planned() *maintenance {
	if len(d.maintained) > 0 && d.maintained[0].status != "completed" {
		return &d.maintained[0]
	}
	return nil
}

func (d *database) playMaintenance(now time.Time) {
	switch m := d.planned(); {
	case m == nil:
	case m.status == "running" && !m.ends.IsZero() && !now.Before(m.ends):
		m.status = "completed"
	case m.status == "ready" && !m.scheduled.IsZero() && !now.Before(m.scheduled):
		m.status, m.begun, m.ends = "running", now, now.Add(time.Minute)
	}
}

func (s *Server) maintenanceJSON(d *database, m *maintenance) map[string]any {
	names := []any{}
	for _, t := range s.state.of(d) {
		names = append(names, t.name)
	}
	out := map[string]any{
		"addon":  map[string]any{"uuid": d.id, "name": d.name, "kind": pgService, "plan": strings.TrimPrefix(d.plan, pgService+":"), "attachments": names, "window": d.longWindow()},
		"app":    map[string]any{"name": d.owner.name, "uuid": d.owner.id},
		"status": "none", "window": d.longWindow(), "method": "changeover", "reason": "routine maintenance", "server_created_at": stamp(d.created),
		"required_by": nil, "scheduled_for": nil, "previously_scheduled_for": nil, "started_at": nil, "completed_at": nil, "duration_seconds": nil}
	if m == nil {
		return out
	}
	out["status"] = m.status
	for key, t := range map[string]time.Time{"required_by": m.required, "scheduled_for": m.scheduled, "previously_scheduled_for": m.previously, "started_at": m.begun} {
		if !t.IsZero() {
			out[key] = stamp(t)
		}
	}
	if m.status == "completed" {
		out["completed_at"], out["duration_seconds"] = stamp(m.ends), strconv.Itoa(int(m.ends.Sub(m.begun).Seconds()))
	}
	return out
}

func (d *database) latest() *maintenance {
	if len(d.maintained) == 0 {
		return nil
	}
	return &d.maintained[0]
}

func (s *Server) getMaintenance(c call, d *database) answer {
	return ok(s.maintenanceJSON(d, d.latest()))
}

func (s *Server) appMaintenances(c call, a *app) answer {
	out := []any{}
	for _, d := range s.state.databases {
		if d.owner == a {
			out = append(out, s.maintenanceJSON(d, d.latest()))
		}
	}
	return ok(map[string]any{"maintenances": out})
}

func (s *Server) maintenanceHistory(c call, d *database) answer {
	most, err := strconv.Atoi(c.URL.Query().Get("limit"))
	if err != nil || most < 1 || most > 20 {
		most = 5
	}
	out := []any{}
	for i := range d.maintained {
		if len(out) < most {
			out = append(out, s.maintenanceJSON(d, &d.maintained[i]))
		}
	}
	return ok(map[string]any{"maintenances": out})
}

func (s *Server) windowJSON(d *database, before any) map[string]any {
	out := map[string]any{"window": d.longWindow(), "previous_window": before, "scheduled_at": nil, "previously_scheduled_at": nil}
	if m := d.planned(); m != nil && !m.scheduled.IsZero() {
		out["scheduled_at"] = stamp(m.scheduled)
	}
	return out
}

func (s *Server) getWindow(c call, d *database) answer {
	if c.PathValue("window") != "window" {
		return no(http.StatusNotFound, "not_found", "Not found.")
	}
	return ok(s.windowJSON(d, nil))
}

func (s *Server) setWindow(c call, d *database) answer {
	wanted := c.text("day_of_week") + " " + c.text("time_of_day")
	_, at, good := windowStart(wanted)
	if !good || at%(30*time.Minute) != 0 {
		return unprocessable("A window begins on a day of the week at a full or half hour, such as Sunday at 22:30.")
	}
	before := d.longWindow()
	d.window = wanted
	if d.prepared != nil {
		d.prepared.window = d.nextWindow(d.prepared.ready)
	}
	return did(http.StatusOK, s.windowJSON(d, before), "maintenance.window "+d.name+" "+wanted)
}

// runMaintenance begins what is planned now.
func (s *Server) runMaintenance(c call, d *database) answer {
	m := d.planned()
	switch {
	case m == nil:
		return unprocessable("There is no maintenance to run.")
	case m.status == "running":
		return unprocessable("The maintenance is already running.")
	case m.status != "ready":
		return unprocessable("The maintenance isn't ready to run.")
	}
	m.status, m.begun, m.ends = "running", c.now, c.now.Add(time.Minute)
	return did(http.StatusOK, s.maintenanceJSON(d, m), "maintenance.run "+d.name)
}

func (s *Server) scheduleMaintenance(c call, d *database) answer {
	m := d.planned()
	weeks, err := strconv.Atoi(c.text("delay_weeks"))
	switch {
	case m == nil || m.status == "running":
		return unprocessable("There is no maintenance to schedule.")
	case err != nil:
		return unprocessable("The delay must be a number of weeks.")
	}
	base := m.scheduled
	if base.IsZero() {
		base = c.now
	}
	m.previously, m.scheduled = m.scheduled, d.nextWindow(base.AddDate(0, 0, 7*weeks).Add(-time.Minute))
	return did(http.StatusOK, s.maintenanceJSON(d, m), "maintenance.schedule "+d.name)
}
