package ops

import (
	"slices"
	"strings"
	"testing"
)

func person(id, barred string) Person { return Person{Actor: Actor{ID: id}, Barred: barred} }

// barredKinds are the people who never decide, as the workspace tells them.
var barredKinds = []string{"a guest of this workspace", "a bot", "deactivated in this workspace", "not a member of this workspace", "unknown to this workspace"}

var allGates = []Gate{GateCreate, GateCutover, GateApp, GateDestroy, GateRollback, GateLoss}

// TestMayDecide is the whole table of who may answer at a gate. U1 asked for the
// upgrade; U2 is the other approver where there are two; U7 is nobody.
//
// A cell is "no", "yes" or "typed".
func TestMayDecide(t *testing.T) {
	one, two := []Person{person("U1", "")}, []Person{person("U1", ""), person("U2", "")}
	other := []Person{person("U2", "")} // the requester is no approver
	withBarred := []Person{person("U1", ""), person("U8", "a guest of this workspace"), person("U9", "deactivated in this workspace")}
	failed := []string{"`S5`"}
	tests := []struct {
		name   string
		policy Policy
		who    string
		// answers at: create, cutover, app, destroy, rollback, loss
		cells string
		code  Refusal
		why   string
	}{
		{"nobody is configured", Policy{}, "U7", "no no no no no no", RefusedNobody, "PGUPGRADE_APPROVERS=U7"},
		{"nobody is configured: nor the requester", Policy{}, "U1", "no no no no no no", RefusedNobody, "PGUPGRADE_APPROVERS=U1"},
		{"configured, but nobody is active", Policy{Configured: true, Approvers: []Person{person("U9", "deactivated in this workspace")}}, "U7", "no no no no no no", RefusedNobody, "Nobody in `PGUPGRADE_APPROVERS`"},
		{"the only group could not be looked up", Policy{Configured: true, Failed: failed}, "U2", "no no no no no no", RefusedNobody, "S5"},
		{"an outsider", Policy{Configured: true, Approvers: two}, "U7", "no no no no no no", RefusedNotApprover, "add `U7`"},
		{"an outsider, with typed", Policy{Configured: true, Approvers: two, Approval: ApprovalTyped}, "U7", "no no no no no no", RefusedNotApprover, "Ask <@U1> or <@U2>"},
		{"an outsider, with button", Policy{Configured: true, Approvers: two, Approval: ApprovalButton}, "U7", "no no no no no no", RefusedNotApprover, ""},
		{"an outsider, and a group failed", Policy{Configured: true, Approvers: two, Failed: failed}, "U7", "no no no no no no", RefusedNotApprover, "S5"},
		{"the requester, who is no approver", Policy{Configured: true, Approvers: other}, "U1", "no no no no no no", RefusedNotApprover, "<@U2>"},

		{"another approver", Policy{Configured: true, Approvers: two}, "U2", "yes yes yes typed typed yes", "", ""},
		{"another approver, two demanded", Policy{Configured: true, Approvers: two, Approval: ApprovalTwo}, "U2", "yes yes yes typed typed yes", "", ""},
		{"another approver, with typed", Policy{Configured: true, Approvers: two, Approval: ApprovalTyped}, "U2", "yes yes yes typed typed yes", "", ""},
		{"another approver, with button", Policy{Configured: true, Approvers: two, Approval: ApprovalButton}, "U2", "yes yes yes typed typed yes", "", ""},
		{"another approver, and a group failed", Policy{Configured: true, Approvers: two, Failed: failed}, "U2", "yes yes yes typed typed yes", "", ""},

		{"the requester, with another approver", Policy{Configured: true, Approvers: two}, "U1", "yes no yes typed typed yes", RefusedOwn, "<@U2>"},
		{"the requester, two demanded", Policy{Configured: true, Approvers: two, Approval: ApprovalTwo}, "U1", "yes no yes typed typed yes", RefusedOwn, "<@U2>"},
		{"the requester, with typed", Policy{Configured: true, Approvers: two, Approval: ApprovalTyped}, "U1", "yes typed yes typed typed yes", "", ""},
		{"the requester, with button", Policy{Configured: true, Approvers: two, Approval: ApprovalButton}, "U1", "yes yes yes typed typed yes", "", ""},
		{"the requester alone", Policy{Configured: true, Approvers: one}, "U1", "yes typed yes typed typed yes", "", ""},
		{"the requester alone beside barred ones", Policy{Configured: true, Approvers: withBarred}, "U1", "yes typed yes typed typed yes", "", ""},
		{"the requester named twice is one", Policy{Configured: true, Approvers: append(one, one...)}, "U1", "yes typed yes typed typed yes", "", ""},
		{"the requester alone, two demanded", Policy{Configured: true, Approvers: one, Approval: ApprovalTwo}, "U1", "yes no yes typed typed yes", RefusedOwn, "no other active approver"},
		{"the requester alone, with typed", Policy{Configured: true, Approvers: one, Approval: ApprovalTyped}, "U1", "yes typed yes typed typed yes", "", ""},
		{"the requester alone, with button", Policy{Configured: true, Approvers: one, Approval: ApprovalButton}, "U1", "yes yes yes typed typed yes", "", ""},
		{"the requester seems alone, but a group failed", Policy{Configured: true, Approvers: one, Failed: failed}, "U1", "yes no yes typed typed yes", RefusedOwn, "somebody else"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cells := strings.Fields(tt.cells)
			if len(cells) != len(allGates) {
				t.Fatalf("%d cells for %d gates", len(cells), len(allGates))
			}
			for i, gate := range allGates {
				r := tt.policy.MayDecide(gate, person(tt.who, ""), "U1")
				got := map[bool]string{true: "yes"}[r.Allowed]
				switch {
				case !r.Allowed:
					got = "no"
				case r.Typed:
					got = "typed"
				}
				if got != cells[i] {
					t.Errorf("%s: %s, want %s (%+v)", gate, got, cells[i], r)
				}
				if !r.Allowed && (r.Code != tt.code || r.Why == "" || !strings.Contains(r.Why, tt.why)) {
					t.Errorf("%s: refused as %q with %q; want %q with %q", gate, r.Code, r.Why, tt.code, tt.why)
				}
			}
		})
	}
}

// TestBarredNeverDecide: guests, bots, the deactivated, people of other
// workspaces and the unknown may nothing, whatever is configured.
func TestBarredNeverDecide(t *testing.T) {
	for _, kind := range barredKinds {
		who := person("U1", kind)
		for _, approval := range []Approval{ApprovalDefault, ApprovalTwo, ApprovalTyped, ApprovalButton} {
			for _, approvers := range [][]Person{{who}, {who, person("U2", "")}} {
				p := Policy{Configured: true, Approvers: approvers, Approval: approval}
				rulings := map[string]Ruling{"start": p.MayStart(who), "set": p.MaySet(who), "order of their own run": p.MayOrder(who, "U1"), "order": p.MayOrder(who, "U2")}
				for _, gate := range allGates {
					rulings[string(gate)] = p.MayDecide(gate, who, "U2")
					rulings[string(gate)+" of their own run"] = p.MayDecide(gate, who, "U1")
				}
				for what, r := range rulings {
					if r.Allowed || r.Code != RefusedBarred || !strings.Contains(r.Why, kind) {
						t.Errorf("%s, approval %q, %s: %+v", kind, approval, what, r)
					}
				}
				if p.IsApprover(who) || slices.Contains(p.Active(), who.ID) {
					t.Errorf("%s counts as an approver", kind)
				}
			}
		}
	}
}

// TestMayOrderAndSet: the requester and every approver may order; approvers alone
// may set; every member may start.
func TestMayOrderAndSet(t *testing.T) {
	two := Policy{Configured: true, Approvers: []Person{person("U1", ""), person("U2", "")}}
	for _, tt := range []struct {
		name            string
		policy          Policy
		who             string
		order, set      bool
		refused         Refusal
		requesterOrders bool
	}{
		{"an approver", two, "U2", true, true, "", true},
		{"the requester, no approver", Policy{Configured: true, Approvers: two.Approvers[1:]}, "U1", true, false, RefusedNotApprover, true},
		{"an outsider", two, "U7", false, false, RefusedNotApprover, true},
		{"an approver whose group failed", Policy{Configured: true, Approvers: two.Approvers[:1], Failed: []string{"S5"}}, "U2", false, false, RefusedNotApprover, true},
		{"nobody configured", Policy{}, "U7", false, false, RefusedNobody, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			who := person(tt.who, "")
			if r := tt.policy.MayOrder(who, "U1"); r.Allowed != tt.order || !r.Allowed && r.Code != tt.refused {
				t.Errorf("order: %+v", r)
			}
			if r := tt.policy.MaySet(who); r.Allowed != tt.set || !r.Allowed && r.Code != tt.refused {
				t.Errorf("set: %+v", r)
			}
			if r := tt.policy.MayOrder(person("U1", ""), "U1"); r.Allowed != tt.requesterOrders {
				t.Errorf("the requester: %+v", r)
			}
			if r := tt.policy.MayStart(who); !r.Allowed {
				t.Errorf("start: %+v", r)
			}
		})
	}
}

// TestTold is what is said at start about who will approve, before money is
// spent; it agrees with what is ruled later.
func TestTold(t *testing.T) {
	one, two := []Person{person("U1", "")}, []Person{person("U1", ""), person("U2", "")}
	for _, tt := range []struct {
		policy Policy
		says   string
	}{
		{Policy{}, "`PGUPGRADE_APPROVERS` is not set"},
		{Policy{Configured: true, Approvers: []Person{person("U9", "a bot")}}, "Nobody in `PGUPGRADE_APPROVERS`"},
		{Policy{Configured: true, Approvers: one}, "only approver"},
		{Policy{Configured: true, Approvers: two}, "must be approved by <@U2>"},
		{Policy{Configured: true, Approvers: two, Approval: ApprovalTyped}, "by typing the app's name"},
		{Policy{Configured: true, Approvers: two, Approval: ApprovalButton}, "yourself"},
		{Policy{Configured: true, Approvers: one, Approval: ApprovalTwo}, "nobody (no other active approver)"},
		{Policy{Configured: true, Approvers: two, Failed: []string{"`S5`"}}, "could not be looked up just now and approve nothing: `S5`"},
	} {
		told, r := tt.policy.Told(person("U1", "")), tt.policy.MayDecide(GateCutover, person("U1", ""), "U1")
		if !strings.Contains(told, tt.says) {
			t.Errorf("%+v tells %q, without %q", tt.policy, told, tt.says)
		}
		if alone := strings.Contains(told, "approve the cutover yourself"); alone != r.Allowed {
			t.Errorf("%+v tells %q, and rules %+v", tt.policy, told, r)
		}
	}
}
