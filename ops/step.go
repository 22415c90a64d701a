package ops

// Step is where a run stands. The names are stored in rows: a renamed step must
// stay known as an alias, and a step that the program does not know never acts.
type Step string

// The steps of the follower method, in order, then the steps of the way back.
const (
	StepSurvey         Step = "survey"
	StepGateCreate     Step = "gate.create"
	StepBackup         Step = "backup"
	StepFollowerCreate Step = "follower.create"
	StepCatchUp        Step = "follower.catch-up"
	StepGateCutover    Step = "gate.cutover"
	StepFence          Step = "fence"
	StepCatchUpExact   Step = "catch-up.exact"
	StepUpgrade        Step = "upgrade"
	StepVerifyNew      Step = "verify.new"
	StepPromote        Step = "promote"
	StepUnfence        Step = "unfence"
	StepVerifyApp      Step = "verify.app"
	StepSoak           Step = "soak"
	StepGateDestroy    Step = "gate.destroy"
	StepDestroy        Step = "destroy"

	StepReturnAttach   Step = "return.attach"   // a switch that could not end: attach the old database again
	StepReturnUnfence  Step = "return.unfence"  // lift maintenance, restore the formation
	StepReturnFollower Step = "return.follower" // destroy the follower this run created

	StepRollbackFence   Step = "rollback.fence"   // stop the writers of the new database
	StepRollbackMeter   Step = "rollback.meter"   // say what would be lost, and ask once more
	StepRollbackAttach  Step = "rollback.attach"  // attach the old database again
	StepRollbackUnfence Step = "rollback.unfence" // open again, on the old database
	StepRollbackLift    Step = "rollback.lift"    // given up: open again, on the new database

	StepEnd Step = "end" // nothing is left to do; the run's Outcome says how it went
)

// Steps is the way forward, in order.
func Steps() []Step {
	return []Step{
		StepSurvey, StepGateCreate, StepBackup, StepFollowerCreate, StepCatchUp, StepGateCutover,
		StepFence, StepCatchUpExact, StepUpgrade, StepVerifyNew, StepPromote, StepUnfence,
		StepVerifyApp, StepSoak, StepGateDestroy, StepDestroy, StepEnd,
	}
}

// Known reports whether the program knows the step.
func (s Step) Known() bool {
	return s.index() >= 0 || s == StepReturnAttach || s == StepReturnUnfence || s == StepReturnFollower || s.Rollback()
}

func (s Step) index() int {
	for i, k := range Steps() {
		if k == s {
			return i
		}
	}
	return -1
}

// Before reports whether s comes before t on the way forward. It is false when
// either is not on it.
func (s Step) Before(t Step) bool {
	i, j := s.index(), t.index()
	return i >= 0 && j >= 0 && i < j
}

// Following returns the step after s on the way forward, or StepEnd.
func (s Step) Following() Step {
	all := Steps()
	if i := s.index(); i >= 0 && i+1 < len(all) {
		return all[i+1]
	}
	return StepEnd
}

// Rollback reports whether s is one of the steps of a rollback.
func (s Step) Rollback() bool {
	switch s {
	case StepRollbackFence, StepRollbackMeter, StepRollbackAttach, StepRollbackUnfence, StepRollbackLift:
		return true
	}
	return false
}

// Cutover reports whether s lies between a fence and its unfence, both
// included, on the way forward or back: the time in which users are kept out.
func (s Step) Cutover() bool {
	if s.Rollback() {
		return true
	}
	switch s {
	case StepFence, StepCatchUpExact, StepUpgrade, StepVerifyNew, StepPromote, StepUnfence, StepReturnAttach, StepReturnUnfence:
		return true
	}
	return false
}
