package ops

import (
	"strings"
	"testing"
)

func person(id, barred string) Person { return Person{Actor: Actor{ID: id}, Barred: barred} }

// TestMayDecide is the table of who may answer at a gate.
func TestMayDecide(t *testing.T) {
	two := []Person{person("U1", ""), person("U2", "")}
	one := []Person{person("U1", ""), person("U9", "a deactivated member")}
	tests := []struct {
		name      string
		policy    Policy
		gate      Gate
		who       Person
		requester string
		allowed   bool
		typed     bool
		why       string
	}{
		{"nobody is configured", Policy{}, GateCutover, person("U7", ""), "U1", false, false, "PGUPGRADE_APPROVERS=U7"},
		{"configured, but nobody is active", Policy{Configured: true, Approvers: one[1:]}, GateCutover, person("U7", ""), "U1", false, false, "Nobody in `PGUPGRADE_APPROVERS`"},
		{"not an approver", Policy{Configured: true, Approvers: two}, GateCutover, person("U7", ""), "U1", false, false, "add `U7`"},
		{"a guest never", Policy{Configured: true, Approvers: []Person{person("U3", "a guest of this workspace")}}, GateCutover, person("U3", "a guest of this workspace"), "U1", false, false, "guest"},
		{"another approver", Policy{Configured: true, Approvers: two}, GateCutover, person("U2", ""), "U1", true, false, ""},
		{"the requester, with another approver there", Policy{Configured: true, Approvers: two}, GateCutover, person("U1", ""), "U1", false, false, "<@U2>"},
		{"the requester, the only active approver", Policy{Configured: true, Approvers: one}, GateCutover, person("U1", ""), "U1", true, true, ""},
		{"the requester, the only one, but two are demanded", Policy{Configured: true, Approvers: one, Approval: ApprovalTwo}, GateCutover, person("U1", ""), "U1", false, false, "somebody else"},
		{"typed for all", Policy{Configured: true, Approvers: two, Approval: ApprovalTyped}, GateCutover, person("U1", ""), "U1", true, true, ""},
		{"button for all", Policy{Configured: true, Approvers: two, Approval: ApprovalButton}, GateCutover, person("U1", ""), "U1", true, false, ""},
		{"create by the requester", Policy{Configured: true, Approvers: two}, GateCreate, person("U1", ""), "U1", true, false, ""},
		{"destroy is typed by anybody allowed", Policy{Configured: true, Approvers: two}, GateDestroy, person("U2", ""), "U1", true, true, ""},
		{"destroy by somebody else", Policy{Configured: true, Approvers: two}, GateDestroy, person("U7", ""), "U1", false, false, "not an approver"},
		{"a failed group is said", Policy{Configured: true, Approvers: two, Failed: []string{"S5"}}, GateCutover, person("U7", ""), "U1", false, false, "S5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := tt.policy.MayDecide(tt.gate, tt.who, tt.requester)
			if r.Allowed != tt.allowed || r.Typed != tt.typed || !strings.Contains(r.Why, tt.why) {
				t.Errorf("MayDecide = %+v; want allowed %v, typed %v, why with %q", r, tt.allowed, tt.typed, tt.why)
			}
			if !r.Allowed && r.Why == "" {
				t.Error("a refusal must say why")
			}
		})
	}
}
