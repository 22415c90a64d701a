// Package cluster runs real PostgreSQL clusters on this machine: starts them,
// makes followers, promotes and upgrades them, and removes them without a trace.
// They listen on 127.0.0.1 only. For the sandbox and for tests; nothing in it is
// durable against a crash of the machine (fsync is off).
package cluster

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Install is PostgreSQL's programs of one major version.
type Install struct {
	Major   int
	Version string // "17.11"
	Bin     string // the folder of its programs
}

// programs are what an upgrade needs of either major.
var programs = []string{"initdb", "postgres", "pg_ctl", "pg_basebackup", "pg_upgrade", "pg_controldata", "pg_resetwal", "pg_dump", "pg_dumpall", "pg_restore", "psql", "vacuumdb"}

// places are where distributions, and scripts/postgres, put them.
func places() []string {
	out := []string{"/usr/lib/postgresql/*/bin", "/usr/pgsql-*/bin", "/opt/homebrew/opt/postgresql@*/bin", "/usr/local/opt/postgresql@*/bin",
		"/Applications/Postgres.app/Contents/Versions/*/bin", "/var/cache/pgupgrade/postgresql-*/usr/lib/postgresql/*/bin"}
	cache := os.Getenv("XDG_CACHE_HOME")
	if home, err := os.UserHomeDir(); cache == "" && err == nil {
		cache = filepath.Join(home, ".cache")
	}
	if cache != "" {
		out = append(out, filepath.Join(cache, "pgupgrade/postgresql-*/usr/lib/postgresql/*/bin"))
	}
	return out
}

// Find lists the complete installs of this machine, one of each major, oldest first.
func Find() []Install {
	var out []Install
	for _, place := range places() {
		found, err := filepath.Glob(place)
		if err != nil {
			panic(err) // a malformed pattern above
		}
		for _, bin := range found {
			i, err := look(bin)
			if err == nil && !slices.ContainsFunc(out, func(x Install) bool { return x.Major == i.Major }) {
				out = append(out, i)
			}
		}
	}
	slices.SortFunc(out, func(a, b Install) int { return a.Major - b.Major })
	return out
}

func look(bin string) (Install, error) {
	for _, p := range programs {
		if _, err := os.Stat(filepath.Join(bin, p)); err != nil {
			return Install{}, err
		}
	}
	out, err := exec.Command(filepath.Join(bin, "postgres"), "--version").Output()
	if err != nil {
		return Install{}, fmt.Errorf("ask %s for its version: %w", bin, err)
	}
	fields := strings.Fields(string(out)) // postgres (PostgreSQL) 15.18 (Debian 15.18-0+deb12u1)
	if len(fields) < 3 {
		return Install{}, fmt.Errorf("ask %s for its version: it says %q", bin, out)
	}
	major, _, _ := strings.Cut(fields[2], ".")
	n, err := strconv.Atoi(major)
	if err != nil {
		return Install{}, fmt.Errorf("ask %s for its version: it says %q", bin, out)
	}
	return Install{Major: n, Version: fields[2], Bin: bin}, nil
}

// ErrTooFew means that there are not two majors on this machine.
var ErrTooFew = errors.New("an upgrade needs two major versions of PostgreSQL on this machine")

// Pair returns the two majors that an upgrade is between: 15 and 17 if both are
// there, since the sandbox's story is about them, else the newest two.
func Pair(found []Install) (older, newer Install, err error) {
	if len(found) < 2 {
		have := "none is installed"
		if len(found) == 1 {
			have = fmt.Sprintf("only %d is installed", found[0].Major)
		}
		return Install{}, Install{}, fmt.Errorf("%w: %s. On Debian `make setup` fetches them; elsewhere install a second one, with its server and client programs", ErrTooFew, have)
	}
	older, newer = found[len(found)-2], found[len(found)-1]
	for _, i := range found {
		if i.Major == 15 && newer.Major != 15 && slices.ContainsFunc(found, func(x Install) bool { return x.Major == 17 }) {
			older = i
		}
		if i.Major == 17 && older.Major == 15 {
			newer = i
		}
	}
	return older, newer, nil
}
