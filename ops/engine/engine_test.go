package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops/pg/pgtest"
)

// recorder is a tick that does what a test says and tells what happened.
type recorder struct {
	mu    sync.Mutex
	count map[string]int
	ticks chan string
	do    func(ctx context.Context, run string, n int) (Turn, error)
}

func newRecorder(do func(ctx context.Context, run string, n int) (Turn, error)) *recorder {
	return &recorder{count: map[string]int{}, ticks: make(chan string, 1000), do: do}
}

func (r *recorder) tick(ctx context.Context, run string) (Turn, error) {
	r.mu.Lock()
	r.count[run]++
	n := r.count[run]
	r.mu.Unlock()
	r.ticks <- run
	return r.do(ctx, run, n)
}

func (r *recorder) ticked(run string) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.count[run]
}

// world is one kind of carrier: open starts one, again and again on the same
// storage; await moves time on until a tick came.
type world struct {
	open  func(t *testing.T, tick Tick) Carrier
	await func(t *testing.T, c Carrier, r *recorder)
	// lasting says that another carrier on the same storage goes on.
	lasting bool
}

func durable(config func(t *testing.T) Config) func(t *testing.T) world {
	return func(t *testing.T) world {
		c := config(t)
		c.Log = logOf(t)
		c.Beat, c.Silent, c.MaxTurns = 100*time.Millisecond, time.Second, 5
		return world{
			open: func(t *testing.T, tick Tick) Carrier {
				d, err := Open(t.Context(), c, tick)
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { d.Close(context.Background()) })
				return d
			},
			await: func(t *testing.T, _ Carrier, r *recorder) {
				t.Helper()
				select {
				case <-r.ticks:
				case <-time.After(30 * time.Second):
					t.Fatal("no tick came")
				}
			},
			lasting: true,
		}
	}
}

// carriers is what the contract is tested on.
var carriers = map[string]func(t *testing.T) world{
	"memory": func(t *testing.T) world {
		return world{
			open: func(t *testing.T, tick Tick) Carrier { return NewMemory(time.Unix(0, 0), tick) },
			await: func(t *testing.T, c Carrier, r *recorder) {
				t.Helper()
				for len(r.ticks) == 0 {
					if !c.(*Memory).Step(t.Context()) {
						t.Fatal("no tick came")
					}
				}
				<-r.ticks
			},
		}
	},
	"sqlite":   durable(func(t *testing.T) Config { return Config{Path: filepath.Join(t.TempDir(), "carrier.db")} }),
	"postgres": durable(func(t *testing.T) Config { return Config{DatabaseURL: pgtest.Start(t)} }),
}

func contract(t *testing.T, test func(t *testing.T, w world)) {
	for name, w := range carriers {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, w(t))
		})
	}
}

func TestTicksUntilDone(t *testing.T) {
	contract(t, func(t *testing.T, w world) {
		started := make(chan struct{})
		r := newRecorder(func(_ context.Context, _ string, n int) (Turn, error) {
			<-started
			return Turn{Done: n == 12}, nil // more than MaxTurns
		})
		c := w.open(t, r.tick)
		for range 2 { // carried once, however often it is started
			if err := c.Start(t.Context(), "a"); err != nil {
				t.Fatal(err)
			}
		}
		close(started)
		for range 12 {
			w.await(t, c, r)
		}
		if err := c.Start(t.Context(), "b"); err != nil { // another run, so that time passes
			t.Fatal(err)
		}
		w.await(t, c, r)
		if n := r.ticked("a"); n != 12 {
			t.Errorf("ticked %d times, want 12", n)
		}
	})
}

func TestWakeEndsAWait(t *testing.T) {
	contract(t, func(t *testing.T, w world) {
		r := newRecorder(func(_ context.Context, _ string, n int) (Turn, error) { return Turn{In: time.Hour, Done: n == 2}, nil })
		c := w.open(t, r.tick)
		if err := c.Wake(t.Context(), "a"); err != nil {
			t.Errorf("waking a run that is not carried: %v", err)
		}
		if err := c.Start(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		w.await(t, c, r)
		if err := c.Wake(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		w.await(t, c, r)
		if n := r.ticked("a"); n != 2 {
			t.Errorf("ticked %d times, want 2", n)
		}
	})
}

func TestAWakeDuringATickIsKept(t *testing.T) {
	contract(t, func(t *testing.T, w world) {
		var c Carrier
		r := newRecorder(func(ctx context.Context, run string, n int) (Turn, error) {
			if n == 1 {
				return Turn{In: time.Hour}, c.Wake(context.WithoutCancel(ctx), run)
			}
			return Turn{Done: true}, nil
		})
		c = w.open(t, r.tick)
		if err := c.Start(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		w.await(t, c, r)
		w.await(t, c, r)
	})
}

func TestErrorsAndPanicsAreTriedAgain(t *testing.T) {
	contract(t, func(t *testing.T, w world) {
		r := newRecorder(func(_ context.Context, _ string, n int) (Turn, error) {
			switch n {
			case 1:
				return Turn{}, errors.New("no")
			case 2:
				panic("no")
			}
			return Turn{Done: true}, nil
		})
		c := w.open(t, r.tick)
		if err := c.Start(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			w.await(t, c, r)
			if d, ok := c.(*Durable); ok { // do not wait for the retry's time
				for d.Wake(t.Context(), "a") == nil && len(r.ticks) == 0 && r.ticked("a") < 2 {
					time.Sleep(10 * time.Millisecond)
				}
			}
		}
		w.await(t, c, r)
		if d, ok := c.(*Durable); ok {
			if failed, err := d.Failed(t.Context()); err != nil || len(failed) != 0 {
				t.Errorf("failed %v, %v", failed, err)
			}
		}
	})
}

func TestCloseWaitsAndAnotherGoesOn(t *testing.T) {
	contract(t, func(t *testing.T, w world) {
		if !w.lasting {
			return // memory is gone with the process
		}
		begun, finish := make(chan struct{}), make(chan struct{})
		finished := false
		r := newRecorder(func(_ context.Context, _ string, n int) (Turn, error) {
			close(begun)
			<-finish
			finished = true
			return Turn{In: 10 * time.Millisecond}, nil
		})
		c := w.open(t, r.tick)
		if err := c.Start(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		<-begun
		closed := make(chan error)
		go func() { closed <- c.Close(context.Background()) }()
		close(finish)
		if err := <-closed; err != nil {
			t.Fatal(err)
		}
		if !finished {
			t.Error("Close did not wait for the tick in progress")
		}
		r2 := newRecorder(func(context.Context, string, int) (Turn, error) { return Turn{Done: true}, nil })
		c2 := w.open(t, r2.tick)
		w.await(t, c2, r2)
	})
}

func TestTheNameIsTakenOnce(t *testing.T) {
	contract(t, func(t *testing.T, w world) {
		if !w.lasting {
			return
		}
		idle := func(context.Context, string) (Turn, error) { return Turn{Done: true}, nil }
		d := w.open(t, idle).(*Durable)
		c := d.Config
		c.Wait = time.Millisecond
		if _, err := Open(t.Context(), c, idle); !errors.Is(err, ErrTaken) {
			t.Errorf("a second process: %v, want ErrTaken", err)
		}
		if strings.Contains(c.DatabaseURL, "://") {
			c.Executor = "another"
			other, err := Open(t.Context(), c, idle)
			if err != nil {
				t.Fatalf("a peer of another name: %v", err)
			}
			if err := other.Close(t.Context()); err != nil {
				t.Error(err)
			}
		}
	})
}

// TestMain lets the test program be a process that can be killed.
func TestMain(m *testing.M) {
	if os.Getenv("ENGINE_TEST_CHILD") != "" {
		child()
		return
	}
	os.Exit(m.Run())
}

// child carries the runs that it reads, or wakes them, and prints each tick.
func child() {
	c := Config{DatabaseURL: os.Getenv("ENGINE_TEST_URL"), Path: os.Getenv("ENGINE_TEST_PATH"), Executor: os.Getenv("ENGINE_TEST_CHILD"), Beat: 100 * time.Millisecond, Silent: 6 * time.Second, Drain: time.Second, Log: slog.New(slog.NewTextHandler(told{}, nil))}
	d, err := Open(context.Background(), c, func(ctx context.Context, run string) (Turn, error) {
		fmt.Println("tick", run, time.Now().UnixNano())
		if os.Getenv("ENGINE_TEST_HOLD") != "" {
			select {}
		}
		return Turn{In: time.Hour}, nil
	})
	if err != nil {
		fmt.Println("error", err)
		return
	}
	fmt.Println("open")
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		do := d.Start
		run, wake := strings.CutPrefix(lines.Text(), "wake ")
		if wake {
			do = d.Wake
		}
		if err := do(context.Background(), run); err != nil {
			fmt.Println("error", err)
		}
	}
}

// told prints what the carrier logs about itself.
type told struct{}

func (told) Write(p []byte) (int, error) {
	if _, said, ok := strings.Cut(string(p), "msg="); ok {
		fmt.Print("log ", strings.Trim(said, `"`))
	}
	return len(p), nil
}

type process struct {
	*exec.Cmd
	in    io.WriteCloser
	lines *bufio.Scanner
	since time.Time
	ticks int // begun after since, that came before what was expected last
}

func startProcess(t *testing.T, name, url, path, hold string) *process {
	t.Helper()
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), "ENGINE_TEST_CHILD="+name, "ENGINE_TEST_URL="+url, "ENGINE_TEST_PATH="+path, "ENGINE_TEST_HOLD="+hold)
	in, err := c.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := c.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Process.Kill(); c.Wait() })
	return &process{c, in, bufio.NewScanner(out), time.Time{}, 0}
}

func (p *process) expect(t *testing.T, want string) {
	t.Helper()
	hung := time.AfterFunc(2*time.Minute, func() { p.Process.Kill() })
	defer hung.Stop()
	for p.ticks = 0; p.lines.Scan(); {
		if strings.HasPrefix(p.lines.Text(), want) {
			return
		}
		var run string
		var at int64
		if n, _ := fmt.Sscanf(p.lines.Text(), "tick %s %d", &run, &at); n == 2 && at > p.since.UnixNano() {
			p.ticks++
		}
		t.Logf("said %q", p.lines.Text())
	}
	t.Fatalf("ended without saying %q", want)
}

// TestKilledInATick kills a process in the middle of a tick: the same name, or
// a peer, ticks the run again.
func TestKilledInATick(t *testing.T) {
	for name, next := range map[string]string{"the same name goes on": "worker.1", "a peer takes over": "worker.2"} {
		t.Run("postgres/"+name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Start(t)
			if err := Migrate(t.Context(), Config{DatabaseURL: url}); err != nil {
				t.Fatal(err)
			}
			first := startProcess(t, "worker.1", url, "", "yes")
			first.expect(t, "open")
			fmt.Fprintln(first.in, "a")
			first.expect(t, "tick a")
			first.Process.Kill()
			second := startProcess(t, next, url, "", "")
			second.expect(t, "open")
			second.expect(t, "tick a")
		})
	}
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		path := filepath.Join(t.TempDir(), "carrier.db")
		first := startProcess(t, "local", "", path, "yes")
		first.expect(t, "open")
		fmt.Fprintln(first.in, "a")
		first.expect(t, "tick a")
		refused := startProcess(t, "local", "", path, "")
		refused.expect(t, "error another process")
		first.Process.Kill()
		first.Wait()
		second := startProcess(t, "local", "", path, "")
		second.expect(t, "open")
		second.expect(t, "tick a")
	})
}
