package ops

// Refusal names one thing that pgupgrade will not do. Every sentence that
// refuses something in Slack carries one; Refusals says when.
type Refusal string

// What was typed.
const (
	RefusedWord     Refusal = "word"
	RefusedArgument Refusal = "argument"
	RefusedMissing  Refusal = "missing"
	RefusedName     Refusal = "name"
	RefusedValue    Refusal = "value"
	RefusedTime     Refusal = "time"
	RefusedClosed   Refusal = "closed" // a time outside the window or in a freeze
	RefusedSetting  Refusal = "setting"
	RefusedLong     Refusal = "long"
	RefusedMode     Refusal = "mode"
	RefusedButton   Refusal = "button-only"
)

// Where it was typed, and by whom.
const (
	RefusedChannel     Refusal = "channel"
	RefusedDirect      Refusal = "direct"
	RefusedShared      Refusal = "shared"
	RefusedUnseen      Refusal = "shared-unknown"
	RefusedToken       Refusal = "bot-token"
	RefusedPerson      Refusal = "person-unknown"
	RefusedBarred      Refusal = "barred"
	RefusedNobody      Refusal = "nobody"
	RefusedNotApprover Refusal = "not-approver"
	RefusedOwn         Refusal = "own-run"
)

// The app and its database.
const (
	RefusedNoApp      Refusal = "app"
	RefusedNoRights   Refusal = "rights"
	RefusedNoPostgres Refusal = "postgres"
	RefusedNoDatabase Refusal = "database"
	RefusedGone       Refusal = "gone"
	RefusedVersion    Refusal = "version"
	RefusedCreate     Refusal = "create" // by Heroku, in the run
	RefusedActive     Refusal = "active"
)

// An upgrade that is where it is.
const (
	RefusedNone       Refusal = "none"
	RefusedNever      Refusal = "never"
	RefusedEnded      Refusal = "ended"
	RefusedPast       Refusal = "past"
	RefusedLapsed     Refusal = "lapsed"
	RefusedForged     Refusal = "forged"
	RefusedUnknownRun Refusal = "unknown-run"
	RefusedSeveral    Refusal = "several"
	RefusedTyped      Refusal = "typed"
	RefusedCancel     Refusal = "cancel"
	RefusedRollback   Refusal = "rollback"
	RefusedRetry      Refusal = "retry"
	RefusedExtend     Refusal = "extend"
	RefusedSnooze     Refusal = "snooze"
	RefusedDestroy    Refusal = "destroy"
)

// A dry run.
const (
	RefusedTrial      Refusal = "dry-run"        // where Heroku would not try it
	RefusedTrialTwice Refusal = "dry-run-twice"  // one was asked for and has not told
	RefusedTrialThere Refusal = "dry-run-heroku" // Heroku itself refused
)

// A check that blocks. Those that people run into most have a row of their own.
const (
	RefusedOwnDatabase Refusal = "check OWN"
	RefusedPlan        Refusal = "check H1"
	RefusedFollower    Refusal = "check H2"
	RefusedAlready     Refusal = "check H5"
	RefusedUnpaid      Refusal = "check H7"
	RefusedReleasing   Refusal = "check H22"
	RefusedCheck       Refusal = "check"
)

// refusedBy is the refusal of a start because a check blocks; number is the
// check's in the catalogue of checks.
func refusedBy(number string) Refusal {
	switch r := Refusal("check " + number); r {
	case RefusedOwnDatabase, RefusedPlan, RefusedFollower, RefusedAlready, RefusedUnpaid, RefusedReleasing:
		return r
	}
	return RefusedCheck
}

// RefusalRow is one row of the table of refusals.
type RefusalRow struct {
	Code Refusal
	When string // what somebody did, or how things are
}

// Refusals is everything that pgupgrade refuses in Slack, in the order in which
// people read it. A code may have several rows.
func Refusals() []RefusalRow {
	return []RefusalRow{
		{RefusedWord, "a word that is no command"},
		{RefusedArgument, "an argument that the command does not take"},
		{RefusedMissing, "something is missing"},
		{RefusedName, "an app's name with characters that Heroku does not know"},
		{RefusedValue, "a value that cannot be read"},
		{RefusedTime, "a time that cannot be read, is past, or does not exist"},
		{RefusedClosed, "a time outside the app's window, or in its freeze"},
		{RefusedSetting, "a setting that there is not"},
		{RefusedLong, "10,000 characters"},
		{RefusedMode, "a read-only cutover of a database that cannot be reached by SQL"},
		{RefusedButton, "an approval without what is approved"},

		{RefusedChannel, "another channel"},
		{RefusedDirect, "an order in a direct message"},
		{RefusedShared, "a channel that another organisation can see"},
		{RefusedUnseen, "whether the channel is shared cannot be seen"},
		{RefusedToken, "Slack refuses the bot's own token"},
		{RefusedPerson, "Slack does not say who somebody is"},
		{RefusedBarred, "a guest, a bot, somebody deactivated or of another workspace"},
		{RefusedNobody, "nobody may approve"},
		{RefusedNotApprover, "somebody who is not an approver"},
		{RefusedOwn, "the requester, where somebody else must approve"},

		{RefusedNoApp, "an app that does not exist, or that the bot's account cannot see"},
		{RefusedNoRights, "an app on which the bot's account has no rights"},
		{RefusedNoPostgres, "an app without Heroku Postgres"},
		{RefusedNoDatabase, "a database that the app does not have"},
		{RefusedGone, "a database that is being destroyed meanwhile"},
		{RefusedVersion, "a version that is not offered"},
		{RefusedOwnDatabase, "the database with the bot's own state"},
		{RefusedPlan, "an Essential plan"},
		{RefusedPlan, "an Advanced plan"},
		{RefusedFollower, "a follower"},
		{RefusedAlready, "the version that it has already"},
		{RefusedAlready, "a lower version"},
		{RefusedUnpaid, "a paid add-on that the bot's account may not create: somebody else's personal app"},
		{RefusedUnpaid, "the same in a team, without the permission manage"},
		{RefusedReleasing, "a release or a build under way"},
		{RefusedCheck, "anything else that blocks; `check` lists it all"},
		{RefusedCreate, "Heroku refuses to create the follower: the thread says so, and the upgrade ends"},
		{RefusedActive, "an upgrade of that database is under way"},

		{RefusedNone, "an order, and no upgrade is under way"},
		{RefusedNever, "the state of an app that was never upgraded"},
		{RefusedEnded, "a button of an upgrade that has ended"},
		{RefusedPast, "a button of a question that is no longer open"},
		{RefusedLapsed, "a button about a plan that has changed since"},
		{RefusedForged, "a button or a window with a value that the bot did not write"},
		{RefusedUnknownRun, "a button of an upgrade that the bot does not know"},
		{RefusedSeveral, "a button, and another upgrade of the same app is under way"},
		{RefusedTyped, "another name typed than the app's"},
		{RefusedCancel, "a cancel where it can no longer undo"},
		{RefusedRollback, "a rollback where there is nothing to go back from"},
		{RefusedRetry, "a retry, and no help was asked for"},
		{RefusedExtend, "more time, and none was asked for"},
		{RefusedSnooze, "a snooze, and there is no reminder"},
		{RefusedDestroy, "a destroy, and nothing was retired yet"},

		{RefusedTrial, "a dry run where Heroku would not try the upgrade"},
		{RefusedTrialThere, "a dry run that Heroku itself refuses"},
		{RefusedTrialTwice, "a second dry run within a day, while the first has not told"},
	}
}
