// Package bot is the Slack edge: an event comes in, one call on ops.Service is
// made, an answer goes out. It owns nothing that must survive a restart: what
// people see is rendered from rows, so any message can be made again.
//
//   - parse.go turns what was typed into a Command.
//   - people.go says who somebody is and who may decide.
//   - handler.go and actions.go take commands, buttons and modals.
//   - views_*.go are pure: a run, its rows and a moment in, blocks and text out.
//   - poster.go puts what changed into the channel, in order, once.
//   - reminders.go repeats what nobody has answered.
//   - startup.go asks Slack, before anything else, whether it can work at all.
package bot
