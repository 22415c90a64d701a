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
	Owner        string   // e-mail of somebody else who owns it; "": the account of the token
	Team         string   // that it belongs to; "" when it is personal
	Permissions  []string // of the account in the team; nil: all
}

// DatabaseSpec describes a database to stage.
type DatabaseSpec struct {
	Name       string
	App        string // billing app; attached there as DATABASE
	Plan       string // "standard-0"
	Version    string // "15.13"
	Bytes      int64
	ForkFollow string // "": Available
	Follows    string // name of its leader, for a follower
	Host       string // "": one of its own; it may name a port
}

// AddApp stages an app.
func (s *Server) AddApp(spec AppSpec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.play()
	a := &app{id: s.state.id("app"), name: spec.Name, maintenance: spec.Maintenance, created: now.Add(-90 * 24 * time.Hour), vars: map[string]string{"RACK_ENV": "production"}, features: map[string]bool{"preboot": false},
		writers: map[writerKey]*writer{}, surviving: map[string]bool{}, appServices: appServices{ownedBy: spec.Owner, team: spec.Team, permissions: spec.Permissions}}
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
	data := DataSpec{ID: d.id, Version: spec.Version, Bytes: spec.Bytes, Host: spec.Host, Usable: d.provisioned}
	if d.leader = s.state.database(spec.Follows); d.leader != nil {
		d.data = s.storage.Follow(d.leader.data, data, now)
	} else {
		d.data = s.storage.Create(data, now)
	}
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
// does, or how something will go wrong. The name is that of an app or a
// database, or "the follower of APP"; what concerns the account has none.
func (s *Server) Stage(what, name, arg string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := s.play()
	onAccount := map[string]func(){
		"revoke key":   func() { s.revoked = true },
		"restore key":  func() { s.revoked = false },
		"drain limit":  func() { s.tokens(now).left = -rateLimit }, // for an hour, as if others went on calling
		"answer 200":   func() { s.success = http.StatusOK },
		"answer 201":   func() { s.success = http.StatusCreated },
		"answer 202":   func() { s.success = http.StatusAccepted },
		"answer usual": func() { s.success = 0 },
	}
	if f, ok := onAccount[what]; ok {
		f()
		return nil
	}
	a, d := s.state.app(name), s.state.database(name)
	if of, ok := strings.CutPrefix(name, "the follower of "); ok {
		if d = s.follower(of); d == nil {
			return fmt.Errorf("the database of %q has no follower", of)
		}
	}
	var err error
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
		"fail releases":  func() { a.releasing = failing },
		"crash releases": func() { a.releasing = failed }, // before they connect
		"stall releases": func() { a.releasing = stalled },
		"pass releases":  func() { a.releasing = "" },
		"fail backups":   func() { a.backups = failing },
		"stall backups":  func() { a.backups = stalled },
		"pass backups":   func() { a.backups = "" },
		"sick":           func() { a.sick = true },
		"well":           func() { a.sick = false },
		"hang dynos":     func() { a.start(now.Add(1000 * time.Hour)) },
		"start dynos":    func() { a.start(now) },
		"preboot":        func() { a.features["preboot"] = true },
		"copy url":       func() { s.outsider(a, writesExternal, Session{}, now) },
		"session":        func() { s.outsider(a, writesSession, Session{ReadWrite: true}, now) },
		"unseen":         func() { s.outsider(a, arg, Session{}, now) },
		"survive":        func() { a.surviving[arg] = true },
		"connect": func() {
			to := s.state.database(arg)
			if to == nil {
				err = fmt.Errorf("there is no database %q", arg)
				return
			}
			a.comes(onlyReads, to.url(), Session{})
		},
		"disconnect": func() {
			a.outsiders = slices.DeleteFunc(a.outsiders, func(o *outsider) bool { return o.kind == onlyReads })
		},
		"end outsiders": func() { a.outsiders = nil },
		"set var":       func() { k, v, _ := strings.Cut(arg, "="); a.vars[k] = v },
		"copy var": func() { // a hand-copied URL of another app's database
			k, from, _ := strings.Cut(arg, " ")
			a.vars[k] = s.state.vars(s.state.app(from), now)["DATABASE_URL"]
		},
		"unset var":   func() { delete(a.vars, arg) },
		"forbid paid": func() { a.unpaid = true },
		"allow paid":  func() { a.unpaid = false },
		"stick next":  func() { a.stickNext = true },
		"attach": func() {
			as, db, _ := strings.Cut(arg, " ")
			db, namespace, _ := strings.Cut(db, " ")
			s.addAttachment(a, s.state.database(db), as, namespace, now)
			s.release(a, "Attach "+as+" (@ref:"+db+")", s.state.vars(a, now), now)
		},
	}
	onDatabase := map[string]func(){
		"hide lag":             func() { d.noLag = true },
		"show lag":             func() { d.noLag = false },
		"zero lag":             func() { d.zeroLag = true },
		"linger":               func() { d.lingers = true },
		"go":                   func() { d.lingers = false },
		"stick":                func() { d.stuck = true },
		"unstick":              func() { d.stuck = false },
		"open session":         func() { s.storage.Connect(d.url(), Session{Once: true}, NewJournal("stranger")) },
		"fork/follow":          func() { d.forkFollow = arg },
		"database maintenance": func() { d.maintained = append([]maintenance{{status: arg}}, d.maintained...) },
		"credential":           func() { err = s.addCredential(d, arg, now) },
		"drop credential":      func() { d.dropCredential(arg) },
		"destroy":              func() { d.destroyed = now },
	}
	for _, fault := range []string{CutLink, MendLink, HoldReplay, ResumeReplay, RaiseLag, LetLagFall, FailUpgrade, StallUpgrade, GoOn, KeepVersion} {
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

// follower is the newest database that follows the one attached to an app as DATABASE.
func (s *Server) follower(appName string) *database {
	a := s.state.app(appName)
	if a == nil {
		return nil
	}
	t := s.state.named(a, "DATABASE")
	for _, d := range slices.Backward(s.state.databases) {
		if t != nil && d.leader == t.database {
			return d
		}
	}
	return nil
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
	case a.sick || db == nil || db.leader != nil || db.upgradeTo != "":
		return http.StatusInternalServerError, "We're sorry, but something went wrong"
	}
	return http.StatusOK, a.name
}
