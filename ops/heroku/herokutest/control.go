package herokutest

import (
	"encoding/json"
	"net/http"
	"strings"
	"time"
)

// Overview is the state as a person at the sandbox sees it.
type Overview struct {
	Apps      []AppView      `json:"apps"`
	Databases []DatabaseView `json:"databases"`
}

// AppView is one app.
type AppView struct {
	Name        string         `json:"name"`
	Maintenance bool           `json:"maintenance"`
	Formation   map[string]int `json:"formation"`
	Dynos       []string       `json:"dynos"`
	Release     string         `json:"release"` // newest: "v44 Attach DATABASE (succeeded)"
	Database    string         `json:"database"`
	Attachments []string       `json:"attachments"` // "DATABASE postgresql-curved-41822"
}

// DatabaseView is one database.
type DatabaseView struct {
	Name        string `json:"name"`
	App         string `json:"app"`
	Plan        string `json:"plan"`
	Version     string `json:"version"`
	State       string `json:"state"` // provisioning, provisioned, upgrading, deprovisioning
	Following   string `json:"following"`
	Behind      int    `json:"behind"`
	BehindKnown bool   `json:"behind_known"`
	Connections int    `json:"connections"`
}

// Overview returns the state now.
func (s *Server) Overview() Overview {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.play()
	var o Overview
	for _, a := range s.state.apps {
		v := AppView{Name: a.name, Maintenance: a.maintenance, Formation: map[string]int{}}
		for _, p := range a.formation {
			if p.kind != "release" {
				v.Formation[p.kind] = p.quantity
			}
		}
		for _, d := range a.dynos {
			v.Dynos = append(v.Dynos, d.name)
		}
		if n := len(a.releases); n > 0 {
			r := a.releases[n-1]
			v.Release = "v" + itoa(r.version) + " " + r.description + " (" + r.status + ")"
		}
		if cur := a.current(); cur != nil {
			if d := s.byURL(cur.vars["DATABASE_URL"]); d != nil {
				v.Database = d.name
			}
		}
		for _, t := range s.state.on(a) {
			v.Attachments = append(v.Attachments, t.name+" "+t.database.name)
		}
		o.Apps = append(o.Apps, v)
	}
	for _, d := range s.state.databases {
		look := d.data.Look(now)
		v := DatabaseView{Name: d.name, App: d.owner.name, Plan: strings.TrimPrefix(d.plan, pgService+":"), Version: d.version, State: "provisioned", Connections: look.Sessions}
		switch {
		case !d.destroyed.IsZero():
			v.State = "deprovisioning"
		case !s.ready(d, now):
			v.State = "provisioning"
		case d.upgradeTo != "":
			v.State = "upgrading"
		}
		if d.leader != nil {
			v.Following = d.leader.name
			v.Behind, v.BehindKnown = look.Behind, look.BehindKnown
		}
		o.Databases = append(o.Databases, v)
	}
	return o
}

func itoa(n int) string { b, _ := json.Marshal(n); return string(b) } // a number always encodes

// Control is the second handler: it stages things and tells the history.
func (s *Server) Control() http.Handler {
	m := http.NewServeMux()
	get := func(path string, f func() any) {
		m.HandleFunc("GET "+path, func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, f()) })
	}
	get("/history", func() any { return s.History() })
	get("/effects", func() any { return s.Effects() })
	get("/state", func() any { return s.Overview() })
	get("/rows", func() any { return s.Rows() })
	m.HandleFunc("POST /stage", func(w http.ResponseWriter, r *http.Request) {
		var x struct{ What, Name, Arg string }
		if err := json.NewDecoder(r.Body).Decode(&x); err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
			return
		}
		if err := s.Stage(x.What, x.Name, x.Arg); err != nil {
			writeJSON(w, http.StatusUnprocessableEntity, map[string]any{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"ok": true})
	})
	m.HandleFunc("POST /fault", s.serveFault)
	m.HandleFunc("DELETE /faults", func(w http.ResponseWriter, _ *http.Request) {
		s.ClearFaults()
		writeJSON(w, http.StatusOK, map[string]any{"ok": true})
	})
	m.HandleFunc("POST /hold", func(w http.ResponseWriter, r *http.Request) {
		var x struct {
			Method, Path string
			When         When
		}
		if err := json.NewDecoder(r.Body).Decode(&x); err != nil {
			writeJSON(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, map[string]any{"id": s.hold(x.Method, x.Path, x.When).id})
	})
	m.HandleFunc("GET /hold/{id}", func(w http.ResponseWriter, r *http.Request) { // answers when it is reached
		if h := s.findHold(r.PathValue("id")); h != nil {
			select {
			case <-h.reached:
				writeJSON(w, http.StatusOK, map[string]any{"reached": true})
			case <-r.Context().Done():
			case <-time.After(5 * time.Minute):
				writeJSON(w, http.StatusGatewayTimeout, map[string]any{"reached": false})
			}
			return
		}
		writeJSON(w, http.StatusNotFound, map[string]any{"error": "no such hold"})
	})
	m.HandleFunc("POST /hold/{id}/release", func(w http.ResponseWriter, r *http.Request) {
		if h := s.findHold(r.PathValue("id")); h != nil {
			s.let(h)
		}
		writeJSON(w, http.StatusOK, map[string]any{"ok": true})
	})
	return m
}

// serveFault takes a Fault, or {"fault": "POST /upgrade/run: reset, once"} as a
// scenario has it.
func (s *Server) serveFault(w http.ResponseWriter, r *http.Request) {
	var x struct {
		Fault
		Text string `json:"fault"`
	}
	err := json.NewDecoder(r.Body).Decode(&x)
	if err == nil && x.Text != "" {
		x.Fault, err = ParseFault(x.Text)
	}
	if err != nil {
		writeJSON(w, http.StatusBadRequest, map[string]any{"error": err.Error()})
		return
	}
	s.Fault(x.Fault)
	writeJSON(w, http.StatusOK, map[string]any{"ok": true})
}

func (s *Server) findHold(id string) *hold {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, h := range s.holds {
		if h.id == id {
			return h
		}
	}
	return nil
}
