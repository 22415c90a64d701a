package clusters_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops/heroku/herokutest"
)

// TestReadOnlyByDefault is what only a real cluster can tell: its owner makes a
// database read-only by default, which stops every program but one that asks for
// read-write by itself; the setting reaches the follower and survives pg_upgrade.
func TestReadOnlyByDefault(t *testing.T) {
	b := &bench{T: t, Storage: openClusters(t), real: true}
	leader := b.create()
	f := b.follow(leader)
	b.owner(leader, "ALTER DATABASE current SET default_transaction_read_only = on")
	plain, stubborn := b.program("plain", leader, herokutest.Session{}), b.program("stubborn", leader, herokutest.Session{ReadWrite: true})
	plain.refused("a database that is read-only by default")
	stubborn.writes(10)
	b.caughtUp(f)
	f.Upgrade(newer, b.now())
	b.until("it is upgraded", func() bool { l := f.Look(b.now()); return l.Upgrade.Ended && l.Ready })
	if l := f.Look(b.now()); l.Upgrade.Failed != "" || stubborn.missing(f) != 0 {
		t.Errorf("it looks like %+v, %d rows are missing", l, stubborn.missing(f))
	}
	b.program("new plain", f, herokutest.Session{}).refused("the upgraded database, which is read-only by default")
	b.owner(f, "ALTER DATABASE current RESET default_transaction_read_only")
	b.program("let in again", f, herokutest.Session{}).writes(5)
}

// owner runs a statement about its database as the owner, as Heroku's customers
// connect: by the URL.
func (b *bench) owner(d herokutest.Data, statement string) {
	b.Helper()
	u, err := url.Parse(d.URL(""))
	if err != nil {
		b.Fatal("the URL cannot be parsed")
	}
	conn, err := pgx.Connect(b.Context(), u.String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close(b.Context())
	name := pgx.Identifier{strings.TrimPrefix(u.Path, "/")}.Sanitize()
	for _, s := range []string{"SET default_transaction_read_only = off", strings.Replace(statement, "current", name, 1)} {
		if _, err := conn.Exec(b.Context(), s); err != nil {
			b.Fatalf("%s: %v", s, err)
		}
	}
	var super bool
	if err := conn.QueryRow(b.Context(), "SELECT rolsuper FROM pg_roles WHERE rolname = current_user").Scan(&super); err != nil || super {
		b.Errorf("the owner is a superuser: %v, %v", super, err)
	}
}
