package ops

import (
	"slices"
	"strings"
)

// Replica is a follower of the old database that was there before the upgrade
// and is none of ours: it goes on following the old one.
type Replica struct {
	Ref
	App   Ref      `json:"app"` // the billing app
	Plan  string   `json:"plan"`
	Cents int      `json:"cents"` // a month
	Names []AppVar `json:"names"` // under which apps read from it
}

// AppVar is an attachment's name on an app.
type AppVar struct {
	App  string `json:"app"`
	Name string `json:"name"`
}

// Words names the replica and who reads from it.
func (r Replica) Words() string {
	var names []string
	for _, n := range r.Names {
		names = append(names, "`"+n.Name+"` of `"+n.App+"`")
	}
	s := "`" + r.Name + "`"
	if len(names) > 0 {
		s += " (" + strings.Join(names, ", ") + ")"
	}
	if r.Cents > 0 {
		s += ", " + FormatCents(r.Cents) + " a month"
	}
	return s
}

// Replace is how one of the same plan is made of another leader and put in this
// one's place, in the order in which no name is ever missing: the old one keeps
// a name on the app that pays for it, as Heroku wants, until it is destroyed.
func (r Replica) Replace(leader, name string) []string {
	out := []string{
		"heroku addons:create " + r.Plan + " --name " + name + " -a " + r.App.Name + " -- --follow " + leader,
		"heroku pg:wait " + name + " -a " + r.App.Name,
	}
	pays := func(n AppVar) bool { return n.App == r.App.Name }
	if slices.ContainsFunc(r.Names, pays) {
		out = append(out, "heroku addons:attach "+r.Name+" -a "+r.App.Name)
	}
	for _, n := range r.Names {
		out = append(out, "heroku addons:attach "+name+" --as "+n.Name+" -a "+n.App+" --confirm "+n.App)
	}
	return append(out, r.Destroy())
}

// Destroy is the command that ends it.
func (r Replica) Destroy() string {
	return "heroku addons:destroy " + r.Name + " -a " + r.App.Name + " --confirm " + r.App.Name
}
