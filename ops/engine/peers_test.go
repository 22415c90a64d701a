package engine

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// spoken is a log that is shown when the test failed, and that can be waited for.
type spoken struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *spoken) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *spoken) has(text string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Contains(s.b.Bytes(), []byte(text))
}

func logOf(t *testing.T) *slog.Logger { return slog.New(slog.NewTextHandler(spokenOf(t), nil)) }

func spokenOf(t *testing.T) *spoken {
	s := &spoken{}
	t.Cleanup(func() {
		if t.Failed() {
			s.mu.Lock()
			defer s.mu.Unlock()
			t.Logf("the carrier's log:\n%s", s.b.String())
		}
	})
	return s
}

// until waits for a state; its limit is no assertion about speed.
func until(t *testing.T, what string, want func() bool) {
	t.Helper()
	for limit := time.After(time.Minute); !want(); {
		select {
		case <-limit:
			t.Fatalf("%s did not come", what)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// quick is a configuration in which everything that takes seconds takes tenths.
func quick(url, name string, log *slog.Logger) Config {
	return Config{DatabaseURL: url, Executor: name, Log: log, Beat: 100 * time.Millisecond, Silent: time.Second, Drain: time.Second}
}

func openOne(t *testing.T, c Config, tick Tick) *Durable {
	t.Helper()
	d, err := Open(t.Context(), c, tick)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := d.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return d
}

func rowsOf(t *testing.T, url string) *pgx.Conn {
	t.Helper()
	c, err := pgx.Connect(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close(context.Background()) })
	return c
}

// TestManyBeginOnAnEmptyDatabase: none dies because another makes the tables.
func TestManyBeginOnAnEmptyDatabase(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	idle := func(context.Context, string) (Turn, error) { return Turn{Done: true}, nil }
	var all sync.WaitGroup
	for i := range 4 {
		c := quick(url, fmt.Sprintf("worker.%d", i), logOf(t))
		all.Go(func() {
			d, err := Open(context.WithoutCancel(t.Context()), c, idle)
			if err == nil {
				err = d.Close(context.WithoutCancel(t.Context()))
			}
			if err != nil {
				t.Errorf("%s: %v", c.Executor, err)
			}
		})
	}
	all.Go(func() {
		if err := Migrate(context.WithoutCancel(t.Context()), Config{DatabaseURL: url, Log: logOf(t)}); err != nil {
			t.Errorf("migrate: %v", err)
		}
	})
	all.Wait()
}

// TestTheDatabaseIsAway: nothing that was carried is lost, whether connections are
// refused or packets are dropped, and no tick begins while the name may be lost.
func TestTheDatabaseIsAway(t *testing.T) {
	for name, away := range map[string]func(*pgtest.Proxy){"refused": (*pgtest.Proxy).Cut, "silent": (*pgtest.Proxy).Freeze} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := pgtest.NewProxy(t, pgtest.Start(t))
			log := spokenOf(t)
			r := newRecorder(func(context.Context, string, int) (Turn, error) { return Turn{In: 20 * time.Millisecond}, nil })
			d := openOne(t, quick(p.URL, "worker.1", slog.New(slog.NewTextHandler(log, nil))), r.tick)
			for i := range 5 {
				if err := d.Start(t.Context(), fmt.Sprint("run", i)); err != nil {
					t.Fatal(err)
				}
			}
			go func() {
				for range r.ticks { // counted, not queued
				}
			}()
			t.Cleanup(func() {
				if err := d.Close(context.Background()); err != nil {
					t.Error(err)
				}
				close(r.ticks)
			})
			all := func(more int) func() bool {
				return func() bool {
					for i := range 5 {
						if r.ticked(fmt.Sprint("run", i)) < more {
							return false
						}
					}
					return true
				}
			}
			until(t, "ticks", all(3))
			away(p)
			until(t, "the loss of the name", func() bool { return log.has("takes no turns") && !d.may() })
			until(t, "another attempt", func() bool { return log.has("could not begin anew") })
			p.Heal()
			until(t, "a new beginning", func() bool { return log.has("has begun anew") })
			most := 0
			for i := range 5 {
				most = max(most, r.ticked(fmt.Sprint("run", i)))
			}
			until(t, "ticks of every run", all(most+3))
			if failed, err := d.Failed(t.Context()); err != nil || len(failed) != 0 {
				t.Errorf("failed %v, %v", failed, err)
			}
		})
	}
}

// TestSessionsAreEnded: an administrator ends every connection of the carrier, at
// any moment; no run is lost.
func TestSessionsAreEnded(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	rows := rowsOf(t, url)
	r := newRecorder(func(_ context.Context, _ string, n int) (Turn, error) { return Turn{Done: n >= 60}, nil })
	d := openOne(t, quick(url, "worker.1", logOf(t)), r.tick)
	for i := range 3 {
		if err := d.Start(t.Context(), fmt.Sprint("run", i)); err != nil {
			t.Fatal(err)
		}
	}
	for range 5 {
		if _, err := rows.Exec(t.Context(), "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgupgrade%'"); err != nil {
			t.Fatal(err)
		}
		until(t, "the name", func() bool { return d.may() })
	}
	for i := range 3 {
		until(t, "the end of a run", func() bool { return r.ticked(fmt.Sprint("run", i)) >= 60 })
	}
	until(t, "an answer", func() bool {
		failed, err := d.Failed(t.Context())
		if len(failed) != 0 {
			t.Fatalf("failed %v", failed)
		}
		return err == nil
	})
}

// TestALostProgramIsFound: a run that is an executor's by the rows, but that it
// does not carry, is picked up.
func TestALostProgramIsFound(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	waits := func(context.Context, string, int) (Turn, error) { return Turn{In: time.Hour}, nil }
	first, second := newRecorder(waits), newRecorder(waits)
	a := openOne(t, quick(url, "worker.1", logOf(t)), first.tick)
	if err := a.Start(t.Context(), "run"); err != nil {
		t.Fatal(err)
	}
	until(t, "its first tick", func() bool { return first.ticked("run") == 1 })
	if err := a.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	openOne(t, quick(url, "worker.2", logOf(t)), second.tick)
	if _, err := rowsOf(t, url).Exec(t.Context(), "UPDATE "+schema+".workflow_status SET executor_id = 'worker.2'"); err != nil {
		t.Fatal(err)
	}
	until(t, "a tick", func() bool { return second.ticked("run") > 0 })
}

// TestTwoPeersTakeOver: of two that see a third die, one takes each run.
func TestTwoPeersTakeOver(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	dead := startProcess(t, "worker.1", url, "", "yes")
	dead.expect(t, "open")
	const runs = 12
	for i := range runs {
		fmt.Fprintf(dead.in, "run%d\n", i)
	}
	for range runs {
		dead.expect(t, "tick run")
	}
	r := newRecorder(func(context.Context, string, int) (Turn, error) { return Turn{In: time.Hour}, nil })
	var logs []*spoken
	for _, name := range []string{"worker.2", "worker.3"} {
		log := spokenOf(t)
		logs = append(logs, log)
		openOne(t, quick(url, name, slog.New(slog.NewTextHandler(log, nil))), r.tick)
	}
	// While one is in the gate, no other takes over.
	rows := rowsOf(t, url)
	if _, err := rows.Exec(t.Context(), "SELECT pg_advisory_lock($1)", gate); err != nil {
		t.Fatal(err)
	}
	if err := dead.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	silent(t, rows, 2*time.Second, "worker.1")
	for i := range runs {
		if n := r.ticked(fmt.Sprint("run", i)); n > 0 {
			t.Errorf("run %d was taken over by one that was not in the gate", i)
		}
	}
	if _, err := rows.Exec(t.Context(), "SELECT pg_advisory_unlock($1)", gate); err != nil {
		t.Fatal(err)
	}
	for i := range runs {
		until(t, "a tick of each run", func() bool { return r.ticked(fmt.Sprint("run", i)) > 0 })
	}
	for _, log := range logs {
		if log.has("takes no turns") {
			t.Error("two took over the same run")
		}
	}
}

// silent waits until none of these executors was heard of for a while.
func silent(t *testing.T, rows *pgx.Conn, d time.Duration, executors ...string) {
	t.Helper()
	until(t, "silence", func() bool {
		var n int
		err := rows.QueryRow(t.Context(), "SELECT count(*) FROM "+schema+".executors WHERE id = ANY($1) AND beat < clock_timestamp() - make_interval(secs => $2)", executors, d.Seconds()).Scan(&n)
		if err != nil {
			t.Fatal(err)
		}
		return n == len(executors)
	})
}

// beats waits until an executor was heard of n times.
func beats(t *testing.T, rows *pgx.Conn, n int, executor string) {
	t.Helper()
	last := func() (at time.Time) {
		if err := rows.QueryRow(t.Context(), "SELECT beat FROM "+schema+".executors WHERE id = $1", executor).Scan(&at); err != nil {
			t.Fatal(err)
		}
		return at
	}
	for range n {
		before := last()
		until(t, "a beat", func() bool { return last().After(before) })
	}
}

// TestNobodyDiedInAnOutage: who comes back first does not take over from those who
// come back a moment later.
func TestNobodyDiedInAnOutage(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	rows := rowsOf(t, url)
	r := newRecorder(func(context.Context, string, int) (Turn, error) { return Turn{In: time.Hour}, nil })
	names := []string{"worker.1", "worker.2"}
	var proxies []*pgtest.Proxy
	var logs []*spoken
	for _, name := range names {
		proxy, log := pgtest.NewProxy(t, url), spokenOf(t)
		c := quick(proxy.URL, name, slog.New(slog.NewTextHandler(log, nil)))
		c.Silent = 8 * time.Second
		d := openOne(t, c, r.tick)
		if err := d.Start(t.Context(), "run of "+name); err != nil {
			t.Fatal(err)
		}
		proxies, logs = append(proxies, proxy), append(logs, log)
	}
	for _, p := range proxies {
		p.Cut()
	}
	silent(t, rows, 9*time.Second, names...)
	for i, p := range proxies {
		p.Heal()
		until(t, "a new beginning", func() bool { return logs[i].has("has begun anew") })
		beats(t, rows, 5, names[i]) // the first is back for a moment before the second
	}
	beats(t, rows, 40, names[1]) // time for both to judge
	for i, log := range logs {
		if log.has("took over") {
			t.Errorf("%s took over from one that lives", names[i])
		}
	}
}

// TestAStoppedProcess: a process that was stopped while a peer took over does not
// tick when it goes on, begins anew, and takes over in its turn.
func TestAStoppedProcess(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	first := startProcess(t, "worker.1", url, "", "")
	first.expect(t, "open")
	fmt.Fprintln(first.in, "run")
	first.expect(t, "tick run")
	second := startProcess(t, "worker.2", url, "", "")
	second.expect(t, "open")
	for range 2 { // each stops, continues, and then takes over from the other
		signal(t, first, syscall.SIGSTOP)
		second.expect(t, "log took over a run")
		fmt.Fprintln(second.in, "wake run")
		second.expect(t, "tick run")
		first.since = time.Now()
		signal(t, first, syscall.SIGCONT)
		first.expect(t, "log has begun anew")
		if first.ticks > 0 {
			t.Errorf("it ticked %d times between its stop and its new beginning", first.ticks)
		}
		first, second = second, first
	}
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	second.expect(t, "log took over a run")
	fmt.Fprintln(second.in, "wake run")
	second.expect(t, "tick run")
}

func signal(t *testing.T, p *process, s os.Signal) {
	t.Helper()
	if err := p.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestConnections: each executor holds a bounded number of connections, however
// many runs it carries.
func TestConnections(t *testing.T) {
	t.Parallel()
	url := pgtest.Start(t)
	rows := rowsOf(t, url)
	r := newRecorder(func(_ context.Context, _ string, n int) (Turn, error) {
		return Turn{In: time.Millisecond, Done: n >= 20}, nil
	})
	c := quick(url, "worker.1", logOf(t))
	c.Silent = time.Minute // there is no peer; a busy machine must not make it begin anew
	d := openOne(t, c, r.tick)
	const runs = 30
	for i := range runs {
		if err := d.Start(t.Context(), fmt.Sprint("run", i)); err != nil {
			t.Fatal(err)
		}
	}
	most := 0
	for i := range runs {
		until(t, "the end of a run", func() bool {
			var n int
			if err := rows.QueryRow(t.Context(), "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name LIKE 'pgupgrade%'").Scan(&n); err != nil {
				t.Fatal(err)
			}
			most = max(most, n)
			return r.ticked(fmt.Sprint("run", i)) >= 20
		})
	}
	t.Logf("at most %d connections", most)
	if most > poolSize+1 {
		t.Errorf("%d connections, want at most %d and the one that holds the name", most, poolSize)
	}
}

// TestTheTableIsMadeAtOnce: sessions that make the table in the same moment all
// find it made, whichever catalog they met first.
func TestTheTableIsMadeAtOnce(t *testing.T) {
	url := pgtest.Start(t)
	const sessions = 8
	var all []*pgx.Conn
	for range sessions {
		c, err := pgx.Connect(t.Context(), url)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close(context.Background())
		all = append(all, c)
	}
	for range 20 {
		if _, err := all[0].Exec(t.Context(), "DROP SCHEMA IF EXISTS "+schema+" CASCADE"); err != nil {
			t.Fatal(err)
		}
		begin, errs := make(chan struct{}), make(chan error, sessions)
		for _, c := range all {
			go func() {
				<-begin
				errs <- executors(t.Context(), c)
			}()
		}
		close(begin)
		for range sessions {
			if err := <-errs; err != nil {
				t.Fatal(err)
			}
		}
	}
}
