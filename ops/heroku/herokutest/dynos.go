package herokutest

import (
	"net/http"
	"strconv"
	"strings"
	"time"
)

func (s *Server) processJSON(a *app, p *process) map[string]any {
	return map[string]any{"id": p.id, "type": p.kind, "quantity": p.quantity, "size": p.size, "dyno_size": ref(p.size, p.size), "command": p.command,
		"app": a.ref(), "created_at": stamp(a.created), "updated_at": stamp(a.created)}
}

func (s *Server) getFormation(c call, a *app) answer {
	out := []any{}
	for _, p := range a.formation {
		out = append(out, s.processJSON(a, p))
	}
	return page(c, out)
}

func (s *Server) getProcess(c call, a *app) answer {
	p := a.process(c.PathValue("type"))
	if p == nil {
		return notFound("process_type")
	}
	return ok(s.processJSON(a, p))
}

func (s *Server) patchFormation(c call, a *app) answer {
	updates, _ := c.body["updates"].([]any)
	for _, u := range updates { // all or none
		m, _ := u.(map[string]any)
		if kind, _ := m["type"].(string); a.process(kind) == nil {
			return invalid("Couldn't find that process type (%s).", kind)
		}
	}
	out, effect := []any{}, ""
	for _, u := range updates {
		m, _ := u.(map[string]any)
		kind, _ := m["type"].(string)
		p := a.process(kind)
		was := p.quantity
		if bad := s.rescale(a, p, m["quantity"], c.now); bad != nil {
			return *bad
		}
		if size, _ := m["size"].(string); size != "" {
			p.size = size
		}
		if p.quantity != was {
			effect += " " + p.kind + "=" + strconv.Itoa(p.quantity)
		}
		out = append(out, s.processJSON(a, p))
	}
	if effect != "" {
		effect = "formation.scale" + effect
	}
	return did(http.StatusOK, out, effect)
}

func (s *Server) patchProcess(c call, a *app) answer {
	p := a.process(c.PathValue("type"))
	if p == nil {
		return notFound("process_type")
	}
	if bad := s.rescale(a, p, c.body["quantity"], c.now); bad != nil {
		return *bad
	}
	return did(http.StatusOK, s.processJSON(a, p), "formation.scale "+p.kind+"="+strconv.Itoa(p.quantity))
}

// rescale takes a number, a number as text as the CLI sends it, or a change
// such as "+1".
func (s *Server) rescale(a *app, p *process, quantity any, now time.Time) *answer {
	n := p.quantity
	switch q := quantity.(type) {
	case float64:
		n = int(q)
	case string:
		v, err := strconv.Atoi(q)
		if err != nil {
			bad := invalid("Invalid quantity %q.", q)
			return &bad
		}
		if strings.HasPrefix(q, "+") || strings.HasPrefix(q, "-") {
			v += p.quantity
		}
		n = v
	case nil:
	}
	if n < 0 || n > 100 {
		bad := invalid("Quantity must be between 0 and 100.")
		return &bad
	}
	s.scale(a, p, n, now)
	return nil
}

func (s *Server) listDynos(c call, a *app) answer {
	out := []any{}
	for _, d := range a.dynos {
		out = append(out, s.dynoJSON(a, d, c.now))
	}
	return page(c, out)
}

func (s *Server) getDyno(c call, a *app) answer {
	for _, d := range a.dynos {
		if d.name == c.PathValue("dyno") || d.id == c.PathValue("dyno") {
			return ok(s.dynoJSON(a, d, c.now))
		}
	}
	return notFound("dyno")
}

// restartDynos ends every dyno; those of a process type come back.
func (s *Server) restartDynos(c call, a *app) answer {
	for _, d := range a.dynos {
		s.restartOne(a, d, c.now)
	}
	return did(http.StatusAccepted, map[string]any{}, "dyno.restart all")
}

func (s *Server) restartDyno(c call, a *app) answer {
	for _, d := range a.dynos {
		if d.name == c.PathValue("dyno") || d.id == c.PathValue("dyno") {
			s.restartOne(a, d, c.now)
			return did(http.StatusAccepted, map[string]any{}, "dyno.restart "+d.name)
		}
	}
	return notFound("dyno")
}

func (s *Server) restartProcess(c call, a *app) answer {
	return s.eachOf(c, a, "restart", s.restartOne)
}

// stopProcess stops all dynos of a type (heroku/cli src/commands/ps/stop.ts).
func (s *Server) stopProcess(c call, a *app) answer {
	return s.eachOf(c, a, "stop", s.stop)
}

func (s *Server) eachOf(c call, a *app, verb string, do func(*app, *dyno, time.Time)) answer {
	kind, found := c.PathValue("type"), false
	for _, d := range a.dynos {
		if d.kind == kind {
			do(a, d, c.now)
			found = true
		}
	}
	if !found && a.process(kind) == nil {
		return notFound("process_type")
	}
	return did(http.StatusAccepted, map[string]any{}, "dyno."+verb+" "+kind)
}

func (s *Server) restartOne(a *app, d *dyno, now time.Time) {
	if a.process(d.kind) != nil && d.stops.IsZero() {
		d.started = now
		return
	}
	s.stop(a, d, now)
}

func (s *Server) stop(_ *app, d *dyno, now time.Time) {
	if d.stops.IsZero() {
		d.stops = now.Add(s.cfg.Times.DynoStop)
	}
}

func (s *Server) dynoJSON(a *app, d *dyno, now time.Time) map[string]any {
	state := "starting"
	if d.up(now, s.cfg.Times.DynoStart) {
		state = "up"
	}
	r := map[string]any{"id": "", "version": 0}
	if cur := a.current(); cur != nil {
		r = map[string]any{"id": cur.id, "version": cur.version}
	}
	return map[string]any{"id": d.id, "name": d.name, "type": d.kind, "state": state, "size": "standard-1X", "command": d.command, "attach_url": nil,
		"app": a.ref(), "release": r, "created_at": stamp(d.started), "updated_at": stamp(d.started)}
}

func (s *Server) createDyno(c call, a *app) answer {
	command := c.text("command")
	if command == "" {
		return invalid("Command can't be blank.")
	}
	return did(http.StatusCreated, s.dynoJSON(a, s.addDyno(a, "run", command, c.now), c.now), "dyno.create")
}

func (s *Server) addDyno(a *app, kind, command string, now time.Time) *dyno {
	s.state.ids++
	d := &dyno{id: s.state.id("dyno"), name: kind + "." + strconv.Itoa(1000+s.state.ids), kind: kind, command: command, started: now}
	a.dynos = append(a.dynos, d)
	return d
}

func (s *Server) stopDyno(c call, a *app) answer {
	for _, d := range a.dynos {
		if d.name == c.PathValue("dyno") || d.id == c.PathValue("dyno") {
			s.stop(a, d, c.now)
			return did(http.StatusAccepted, map[string]any{}, "dyno.stop "+d.name)
		}
	}
	return notFound("dyno")
}
