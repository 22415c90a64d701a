package ops

import (
	"fmt"
	"slices"
	"strings"
)

// Person is what the workspace says about somebody.
type Person struct {
	Actor
	// Barred says why this person never decides anything ("a guest of this
	// workspace"); empty for an active full member.
	Barred string
}

// Approval is how a requester who is an approver may approve their own run.
type Approval string

// The values of PGUPGRADE_APPROVAL.
const (
	ApprovalDefault Approval = ""       // typed when the requester is the only active approver, else somebody else
	ApprovalTwo     Approval = "two"    // always somebody else
	ApprovalTyped   Approval = "typed"  // the requester may, by typing the app's name
	ApprovalButton  Approval = "button" // the requester may, with the button
)

// Policy is who may decide, as of one look at the workspace.
type Policy struct {
	Configured bool     // PGUPGRADE_APPROVERS is set
	Approvers  []Person // active and barred ones alike
	Approval   Approval
	Failed     []string // groups that could not be looked up: they approve nobody
}

// Ruling is what the policy says to one person at one gate.
type Ruling struct {
	Allowed bool
	Typed   bool   // allowed, by typing the app's name
	Why     string // when not allowed: one sentence with what to do
	Code    Refusal
}

func (p Policy) active() []string {
	var ids []string
	for _, a := range p.Approvers {
		if a.Barred == "" && !slices.Contains(ids, a.ID) {
			ids = append(ids, a.ID)
		}
	}
	return ids
}

// Active returns the ids of the approvers who may decide.
func (p Policy) Active() []string { return p.active() }

// IsApprover reports whether the person is one of the active approvers.
func (p Policy) IsApprover(who Person) bool {
	return who.Barred == "" && slices.Contains(p.active(), who.ID)
}

// MayDecide rules on an answer at a gate by who, of a run that requester asked for.
func (p Policy) MayDecide(gate Gate, who Person, requester string) Ruling {
	if r, ok := p.refusal(who); !ok {
		return r
	}
	if gate == GateDestroy || gate == GateRollback {
		return Ruling{Allowed: true, Typed: true}
	}
	if gate != GateCutover || who.ID != requester {
		return Ruling{Allowed: true}
	}
	switch p.Approval {
	case ApprovalTyped:
		return Ruling{Allowed: true, Typed: true}
	case ApprovalButton:
		return Ruling{Allowed: true}
	case ApprovalDefault:
		// Whoever could not be looked up may be the second one.
		if len(p.active()) == 1 && len(p.Failed) == 0 {
			return Ruling{Allowed: true, Typed: true}
		}
	}
	return Ruling{Code: RefusedOwn, Why: fmt.Sprintf("You asked for this upgrade, so somebody else must approve it: %s.", p.mentions(who.ID))}
}

// MayStart rules on asking for an upgrade: every active full member may. What
// it costs and stops is decided at the gates.
func (p Policy) MayStart(who Person) Ruling {
	if who.Barred != "" {
		return Ruling{Code: RefusedBarred, Why: fmt.Sprintf("You cannot start an upgrade: you are %s.", who.Barred)}
	}
	return Ruling{Allowed: true}
}

// MaySet rules on the settings of an app: they say when users may be locked out
// and what is stopped, so approvers alone.
func (p Policy) MaySet(who Person) Ruling {
	if r, ok := p.refusal(who); !ok {
		return r
	}
	return Ruling{Allowed: true}
}

// MayOrder rules on cancel, retry, return and the answer to "does the app look
// good": the requester may, and every approver.
func (p Policy) MayOrder(who Person, requester string) Ruling {
	if who.Barred == "" && who.ID == requester {
		return Ruling{Allowed: true}
	}
	r, ok := p.refusal(who)
	if !ok {
		return r
	}
	return Ruling{Allowed: true}
}

// Told says, at start and before money is spent, who will have to approve the cutover.
func (p Policy) Told(requester Person) string {
	r := p.MayDecide(GateCutover, requester, requester.ID)
	switch {
	case !p.Configured || len(p.active()) == 0:
		return p.MayDecideNobody(requester.ID)
	case r.Allowed && r.Typed && len(p.active()) > 1:
		return "You may approve the cutover yourself, by typing the app's name."
	case r.Allowed && r.Typed:
		return "You are the only approver, so you will approve the cutover yourself by typing the app's name."
	case r.Allowed:
		return "You may approve the cutover yourself."
	}
	told := "The cutover must be approved by " + p.mentions(requester.ID) + "."
	if len(p.Failed) > 0 {
		told += " These could not be looked up just now and approve nothing: " + strings.Join(p.Failed, ", ") + "."
	}
	return told
}

// MayDecideNobody is the sentence for a workspace in which nobody may approve.
func (p Policy) MayDecideNobody(caller string) string {
	if p.Configured {
		s := "Nobody in `PGUPGRADE_APPROVERS` is an active full member of this workspace, so nobody can approve."
		if len(p.Failed) > 0 {
			s += " These groups could not be looked up: " + strings.Join(p.Failed, ", ") + "."
		}
		return s
	}
	return fmt.Sprintf("Nobody can approve yet: `PGUPGRADE_APPROVERS` is not set. To name yourself, run `heroku config:set PGUPGRADE_APPROVERS=%s` on the bot's app.", caller)
}

func (p Policy) refusal(who Person) (Ruling, bool) {
	switch {
	case who.Barred != "":
		return Ruling{Code: RefusedBarred, Why: "You cannot decide this: you are " + who.Barred + "."}, false
	case !p.Configured || len(p.active()) == 0:
		return Ruling{Code: RefusedNobody, Why: p.MayDecideNobody(who.ID)}, false
	case !p.IsApprover(who):
		why := fmt.Sprintf("You are not an approver. Ask %s, or add `%s` to `PGUPGRADE_APPROVERS`.", p.mentions(""), who.ID)
		if len(p.Failed) > 0 {
			why += " These groups could not be looked up just now and approve nobody: " + strings.Join(p.Failed, ", ") + "."
		}
		return Ruling{Code: RefusedNotApprover, Why: why}, false
	}
	return Ruling{}, true
}

func (p Policy) mentions(except string) string {
	var names []string
	for _, id := range p.active() {
		if id != except {
			names = append(names, "<@"+id+">")
		}
	}
	switch len(names) {
	case 0:
		return "nobody (no other active approver)"
	case 1:
		return names[0]
	}
	if len(names) > 6 {
		names = append(names[:6], fmt.Sprintf("%d others", len(names)-6))
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}
