package herokutest

import (
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// newest is the version that an upgrade without one goes to.
const newest = "17"

// preparation is an upgrade of a leader that was scheduled: it can be run by
// hand once it is ready, and runs by itself in its window.
type preparation struct {
	version       string
	ready, window time.Time
}

func message(format string, args ...any) map[string]any {
	return map[string]any{"message": fmt.Sprintf(format, args...)}
}

func unprocessable(format string, args ...any) answer {
	return no(http.StatusUnprocessableEntity, "unprocessable_entity", format, args...)
}

// target reads the wanted version, and says why it cannot be had, or nothing.
func (s *Server) target(c call, d *database) (to string, bad *answer) {
	to = newest
	if v, given := c.body["version"]; given {
		to, _ = v.(string) // a number is no version: the API takes text
	}
	from, _, _ := strings.Cut(d.version, ".")
	f, _ := strconv.Atoi(from)
	t, err := strconv.Atoi(to)
	if err != nil || !slices.Contains(s.storage.Majors(), to) || t <= f {
		a := unprocessable("Version %s is not available for this database.", to)
		return "", &a
	}
	return to, nil
}

func (s *Server) runUpgrade(c call, d *database) answer {
	switch {
	case !s.ready(d, c.now):
		return unprocessable("The database is not available yet.")
	case d.upgradeTo != "":
		return unprocessable("An upgrade is already in progress.")
	case d.leader == nil && d.tier() != "essential":
		return s.runPrepared(c, d)
	}
	to, bad := s.target(c, d)
	if bad != nil {
		return *bad
	}
	if d.leader == nil {
		s.beginInPlace(d, to, c.now)
	} else {
		s.beginUpgrade(d, to, c.now)
	}
	return did(http.StatusOK, message("Started the upgrade. Follow it with `pg:upgrade:wait`."), "upgrade.run "+d.name+" "+to)
}

// runPrepared runs the upgrade of a leader that was prepared for it.
func (s *Server) runPrepared(c call, d *database) answer {
	p := d.prepared
	switch {
	case p == nil:
		return no(http.StatusBadRequest, "bad_request", "You can't run an upgrade that hasn't been scheduled. Run `pg:upgrade:prepare` first.")
	case c.now.Before(p.ready):
		return no(http.StatusBadRequest, "bad_request", "Your database isn't ready to upgrade yet. Check on it with `pg:upgrade:wait`.")
	}
	d.prepared = nil
	s.beginInPlace(d, p.version, c.now)
	return did(http.StatusOK, message("Started the upgrade. Follow it with `pg:upgrade:wait`."), "upgrade.run "+d.name+" "+p.version)
}

// beginInPlace upgrades a database that leads, and after it its followers. It
// takes no writes meanwhile.
func (s *Server) beginInPlace(d *database, to string, now time.Time) {
	d.upgradeTo = to
	d.data.Upgrade(to, now)
	for _, f := range s.state.databases {
		if f.leader == d {
			f.upgradeTo = to
		}
	}
}

// rebuild makes a follower anew once its leader was upgraded in place: no
// physical follower crosses a major version.
func (s *Server) rebuild(f *database, now time.Time) {
	switch {
	case f.leader.upgradeTo != "": // not yet
	case f.rebuilt.IsZero():
		f.rebuilt = now.Add(s.cfg.Times.Upgrade)
		f.data.Drop()
		f.data = s.storage.Follow(f.leader.data, DataSpec{ID: f.id, Version: f.leader.version, Usable: f.rebuilt}, now)
	case !now.Before(f.rebuilt) && f.data.Look(now).Ready:
		f.version, f.upgradeTo, f.rebuilt = f.leader.version, "", time.Time{}
		s.update(s.state.of(f), now) // a real one listens elsewhere now
	}
}

func (s *Server) prepareUpgrade(c call, d *database) answer {
	switch {
	case d.tier() == "essential" || d.leader != nil:
		return unprocessable("You can only prepare the upgrade of a Standard-tier or higher leader database. Use `pg:upgrade:run` instead.")
	case !s.ready(d, c.now):
		return unprocessable("The database is not available yet.")
	case d.prepared != nil || d.upgradeTo != "":
		return unprocessable("An upgrade is already scheduled on this database.")
	}
	to, bad := s.target(c, d)
	if bad != nil {
		return *bad
	}
	p := &preparation{version: to, ready: c.now.Add(s.cfg.Times.Provision)}
	p.window = d.nextWindow(p.ready)
	d.prepared = p
	return did(http.StatusOK, message("Your upgrade is scheduled for your next maintenance window, on %s. You can run it before with `pg:upgrade:run` once it is prepared; preparing it can take up to a day.",
		windowTime(p.window)), "upgrade.prepare "+d.name+" "+to)
}

func windowTime(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05 UTC") }

func (s *Server) dryRun(c call, d *database) answer {
	switch {
	case d.tier() == "essential" || d.leader != nil:
		return unprocessable("You can only test the upgrade of a Standard-tier or higher leader database.")
	case !s.ready(d, c.now):
		return unprocessable("The database is not available yet.")
	case d.upgradeTo != "":
		return unprocessable("You can't test an upgrade while one is in progress.")
	}
	to, bad := s.target(c, d)
	if bad != nil {
		return *bad
	}
	return did(http.StatusOK, message("Started a test upgrade to version %s. The result comes by e-mail.", to), "upgrade.dry_run "+d.name+" "+to)
}

func (s *Server) cancelUpgrade(c call, d *database) answer {
	switch {
	case d.upgradeTo != "":
		return no(http.StatusUnprocessableEntity, "bad_request", "You can't cancel the upgrade because it's already running.")
	case d.prepared == nil:
		return no(http.StatusUnprocessableEntity, "bad_request", "You can't cancel the upgrade because nothing is scheduled.")
	}
	d.prepared = nil
	return did(http.StatusOK, message("You canceled the upgrade."), "upgrade.cancel "+d.name)
}

func (s *Server) upgradeStatus(c call, d *database) answer {
	if p := d.prepared; p != nil {
		if c.now.Before(p.ready) {
			return ok(wait(true, "preparing upgrade service", "error?", false, "step", "1/3"))
		}
		return ok(wait(false, "upgrade is scheduled on "+windowTime(p.window)+". You can also run it by hand with `pg:upgrade:run`."))
	}
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
