package bot

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

type directory struct {
	members map[string]Member
	groups  map[string][]string
	down    map[string]bool
	asked   atomic.Int64
}

func (d *directory) Member(_ context.Context, id string) (Member, error) {
	d.asked.Add(1)
	if d.down[id] {
		return Member{}, errors.New("no answer")
	}
	m, ok := d.members[id]
	if !ok {
		return Member{}, ErrNoMember
	}
	m.ID = id
	return m, nil
}

func (d *directory) Group(_ context.Context, id string) ([]string, error) {
	if d.down[id] {
		return nil, errors.New("no answer")
	}
	return d.groups[id], nil
}

func (d *directory) Team(context.Context) (string, error) { return "T1", nil }

func workspace() *directory {
	return &directory{
		members: map[string]Member{
			"UALICE": {TeamID: "T1"}, "UBOB": {TeamID: "T1"}, "WCAROL": {TeamID: "T1"},
			"UGUEST": {TeamID: "T1", Guest: true}, "UBOT": {TeamID: "T1", Bot: true}, "UGONE": {TeamID: "T1", Deleted: true},
			"UOTHER": {TeamID: "T2"}, "USTRANGE": {TeamID: "T1", Stranger: true},
		},
		groups: map[string][]string{"SOPS": {"UBOB", "WCAROL", "UGUEST"}, "SEMPTY": nil},
		down:   map[string]bool{},
	}
}

func TestPersonBarred(t *testing.T) {
	p := NewPeople(workspace(), nil, "", time.Now, slog.New(slog.DiscardHandler))
	for id, want := range map[string]string{
		"UALICE": "", "WCAROL": "", "UGUEST": "a guest", "UBOT": "a bot", "UGONE": "deactivated", "UOTHER": "not a member", "USTRANGE": "not a member", "UNOBODY": "unknown", "terminal": "unknown",
	} {
		who, err := p.Person(context.Background(), id)
		if err != nil || !strings.Contains(who.Barred, want) || (want == "") != (who.Barred == "") {
			t.Errorf("%s: barred %q, %v; want %q", id, who.Barred, err, want)
		}
	}
}

func TestPolicy(t *testing.T) {
	tests := []struct {
		name      string
		approvers []string
		down      string
		active    []string
		failed    int
		alone     bool // may UALICE approve her own run?
	}{
		{"nobody", nil, "", nil, 0, false},
		{"users and a group", []string{"UALICE", "SOPS"}, "", []string{"UALICE", "UBOB", "WCAROL"}, 0, false},
		{"the only one", []string{"UALICE", "UGUEST", "UGONE"}, "", []string{"UALICE"}, 0, true},
		{"a group that cannot be asked approves nobody, and hides nobody", []string{"UALICE", "SOPS"}, "SOPS", []string{"UALICE"}, 1, false},
		{"somebody who cannot be asked", []string{"UALICE", "UBOB"}, "UBOB", []string{"UALICE"}, 1, false},
		{"an empty group", []string{"SEMPTY"}, "", nil, 0, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			d := workspace()
			d.down[tt.down] = true
			p := NewPeople(d, tt.approvers, "", time.Now, slog.New(slog.DiscardHandler))
			policy, err := p.Policy(context.Background())
			if err != nil {
				t.Fatal(err)
			}
			if got := policy.Active(); !slices.Equal(got, tt.active) || len(policy.Failed) != tt.failed || policy.Configured != (len(tt.approvers) > 0) {
				t.Errorf("active %v, failed %v, configured %v", got, policy.Failed, policy.Configured)
			}
			who, _ := p.Person(context.Background(), "UALICE")
			if r := policy.MayDecide(ops.GateCutover, who, "UALICE"); r.Allowed != tt.alone {
				t.Errorf("may approve her own run: %+v, want %v", r, tt.alone)
			}
		})
	}
}

func TestPeopleAreAskedAgainAfterAMinute(t *testing.T) {
	clock := now
	d := workspace()
	p := NewPeople(d, []string{"UALICE"}, "", func() time.Time { return clock }, slog.New(slog.DiscardHandler))
	active := func() int {
		policy, err := p.Policy(context.Background())
		if err != nil {
			t.Fatal(err)
		}
		return len(policy.Active())
	}
	if active() != 1 {
		t.Fatal("alice is not active")
	}
	d.members["UALICE"] = Member{TeamID: "T1", Deleted: true}
	asked := d.asked.Load()
	if active() != 1 || d.asked.Load() != asked {
		t.Error("asked again within the minute")
	}
	clock = clock.Add(61 * time.Second)
	if active() != 0 {
		t.Error("a deactivated approver still counts after a minute")
	}
	d.down["UALICE"] = true
	clock = clock.Add(61 * time.Second)
	if active() != 0 {
		t.Error("somebody who cannot be looked up counts")
	}
	d.down["UALICE"], d.members["UALICE"] = false, Member{TeamID: "T1"}
	if active() != 1 {
		t.Error("a failed look was kept")
	}
}
