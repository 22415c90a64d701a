package herokutest

import (
	"cmp"
	"fmt"
	"html"
	"net/http"
	"slices"
	"strings"
	"time"
)

// AppSpec describes an app to stage.
type AppSpec struct {
	Name         string
	Formation    map[string]int // process type to quantity
	ReleasePhase bool
	Maintenance  bool
}

// DatabaseSpec describes a database to stage.
type DatabaseSpec struct {
	Name       string
	App        string // billing app; attached there as DATABASE
	Plan       string // "standard-0"
	Version    string // "15.13"
	Bytes      int64
	ForkFollow string // "": Available
}

// AddApp stages an app.
func (s *Server) AddApp(spec AppSpec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.play()
	a := &app{id: s.state.id("app"), name: spec.Name, maintenance: spec.Maintenance, created: now.Add(-90 * 24 * time.Hour), vars: map[string]string{"RACK_ENV": "production"}, features: map[string]bool{"preboot": false},
		writers: map[writerKey]*writer{}, surviving: map[string]bool{}}
	commands := map[string]string{"web": "bin/web", "worker": "bin/worker"}
	kinds := []string{}
	for kind := range spec.Formation {
		kinds = append(kinds, kind)
	}
	slices.Sort(kinds)
	if spec.ReleasePhase {
		kinds = append(kinds, "release")
	}
	for _, kind := range kinds {
		p := &process{id: s.state.id("process"), kind: kind, size: "standard-1X", command: cmp.Or(commands[kind], "bin/"+kind)}
		a.formation = append(a.formation, p)
	}
	s.state.apps = append(s.state.apps, a)
	for _, p := range a.formation {
		s.scale(a, p, spec.Formation[p.kind], now.Add(-time.Hour))
	}
	a.releases = []*release{{id: s.state.id("release"), version: 41, description: "Deploy 4f2a91c", created: now.Add(-26 * time.Hour), status: "succeeded", vars: s.state.vars(a, now)}}
}

// AddDatabase stages a database, ready and attached.
func (s *Server) AddDatabase(spec DatabaseSpec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.play()
	a := s.state.app(spec.App)
	d := &database{id: s.state.id("database"), name: spec.Name, owner: a, plan: pgService + ":" + spec.Plan, version: spec.Version, created: a.created, provisioned: a.created,
		announced: true, protection: "On", forkFollow: cmp.Or(spec.ForkFollow, "Available")}
	d.data = s.storage.Create(DataSpec{ID: d.id, Version: spec.Version, Bytes: spec.Bytes, Usable: d.provisioned}, now)
	s.state.databases = append(s.state.databases, d)
	s.addAttachment(a, d, "DATABASE", "", now)
	a.releases = append(a.releases, &release{id: s.state.id("release"), version: a.releases[len(a.releases)-1].version + 1, description: "Attach DATABASE (@ref:" + d.name + ")",
		created: now.Add(-25 * time.Hour), status: "succeeded", vars: s.state.vars(a, now)})
}

// Acme stages the apps of the sandbox: orders (a database to upgrade), billing,
// tiny (Essential) and reports (shares a database with ledger).
func (s *Server) Acme() {
	s.AddApp(AppSpec{Name: "orders", Formation: map[string]int{"web": 2, "worker": 1, "clock": 1}, ReleasePhase: true})
	s.AddDatabase(DatabaseSpec{Name: "postgresql-curved-41822", App: "orders", Plan: "standard-0", Version: "15.13", Bytes: 8_214_000_000})
	s.AddApp(AppSpec{Name: "billing", Formation: map[string]int{"web": 1}})
	s.AddDatabase(DatabaseSpec{Name: "postgresql-flat-77310", App: "billing", Plan: "premium-0", Version: "16.9", Bytes: 31_900_000_000})
	s.AddApp(AppSpec{Name: "tiny", Formation: map[string]int{"web": 1}})
	s.AddDatabase(DatabaseSpec{Name: "postgresql-small-10101", App: "tiny", Plan: "essential-0", Version: "16.9", Bytes: 120_000_000})
	s.AddApp(AppSpec{Name: "ledger", Formation: map[string]int{"web": 1}})
	s.AddDatabase(DatabaseSpec{Name: "postgresql-shared-55120", App: "ledger", Plan: "standard-0", Version: "15.13", Bytes: 2_000_000_000})
	s.AddApp(AppSpec{Name: "reports", Formation: map[string]int{"web": 1}})
	if err := s.Stage("attach", "reports", "LEDGER postgresql-shared-55120"); err != nil {
		panic("stage Acme: " + err.Error()) // a mistake in this function
	}
}

// Stage makes something happen that no client asked for: what somebody else
// does, or how something will go wrong.
func (s *Server) Stage(what, name, arg string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.play()
	a, d := s.state.app(name), s.state.database(name)
	onApp := map[string]func(){
		"deploy": func() {
			s.release(a, "Deploy "+s.state.id("commit")[:7], s.state.vars(a, now), now)
			a.builds = append(a.builds, &build{id: s.state.id("build"), created: now, ends: now.Add(time.Second)})
		},
		"one-off":         func() { s.addDyno(a, "run", "rake task", now) },
		"scheduler":       func() { s.addDyno(a, "scheduler", "rake nightly", now) },
		"end one-offs":    func() { a.dynos = slices.DeleteFunc(a.dynos, func(x *dyno) bool { return a.process(x.kind) == nil }) },
		"maintenance on":  func() { a.maintenance = true },
		"maintenance off": func() { a.maintenance = false },
		"scale worker":    func() { s.scale(a, a.process("worker"), 1, now) },
		"retry release": func() {
			last := a.releases[len(a.releases)-1]
			s.release(a, fmt.Sprintf("Retry of v%d: %s", last.version, last.description), s.state.vars(a, now), now)
		},
		"fail releases": func() { a.releasing = "scripted" },
		"pass releases": func() { a.releasing = "" },
		"preboot":       func() { a.features["preboot"] = true },
		"copy url":      func() { s.outsider(a, writesExternal, Session{}, now) },
		"session":       func() { s.outsider(a, writesSession, Session{ReadWrite: true}, now) },
		"unseen":        func() { s.outsider(a, arg, Session{}, now) },
		"survive":       func() { a.surviving[arg] = true },
		"end outsiders": func() { a.outsiders = nil },
		"set var":       func() { k, v, _ := strings.Cut(arg, "="); a.vars[k] = v },
		"attach": func() {
			as, db, _ := strings.Cut(arg, " ")
			s.addAttachment(a, s.state.database(db), as, "", now)
		},
	}
	var err error
	onDatabase := map[string]func(){
		"hide lag":             func() { d.noLag = true },
		"zero lag":             func() { d.zeroLag = true },
		"stick":                func() { d.stuck = true },
		"fork/follow":          func() { d.forkFollow = arg },
		"database maintenance": func() { d.maintenance = arg },
		"credential":           func() { d.credentials = append(d.credentials, arg); err = d.data.Credential(arg) },
		"destroy":              func() { d.destroyed = now },
	}
	for _, fault := range []string{CutLink, MendLink, HoldReplay, ResumeReplay, RaiseLag, FailUpgrade, StallUpgrade, KeepVersion} {
		onDatabase[fault] = func() { err = d.data.Break(fault, arg, now) }
	}
	f, ok := onApp[what]
	if ok && a == nil {
		return fmt.Errorf("there is no app %q", name)
	}
	if !ok {
		if f, ok = onDatabase[what]; !ok {
			return fmt.Errorf("there is nothing to stage named %q", what)
		}
		if d == nil {
			return fmt.Errorf("there is no database %q", name)
		}
	}
	f()
	return err
}

// web is an app's own page: what a visitor, and a health check, gets.
func (s *Server) web(w http.ResponseWriter, req *http.Request) {
	s.mu.Lock()
	now := s.play()
	a := s.state.app(req.PathValue("app"))
	status, text := s.visit(a, now)
	s.mu.Unlock()
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(status)
	fmt.Fprintf(w, "<h1>%s</h1>", html.EscapeString(text))
}

func (s *Server) visit(a *app, now time.Time) (int, string) {
	if a == nil {
		return http.StatusNotFound, "No such app"
	}
	up := false
	for _, d := range a.dynos {
		up = up || d.kind == "web" && d.up(now, s.cfg.Times.DynoStart)
	}
	db := (*database)(nil)
	if cur := a.current(); cur != nil {
		db = s.byURL(cur.vars["DATABASE_URL"])
	}
	switch {
	case a.maintenance:
		return http.StatusServiceUnavailable, "Offline for maintenance"
	case !up:
		return http.StatusServiceUnavailable, "Application error"
	case db == nil || db.leader != nil || db.upgradeTo != "":
		return http.StatusInternalServerError, "We're sorry, but something went wrong"
	}
	return http.StatusOK, a.name
}
