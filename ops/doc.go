// Package ops holds what the product means: runs, plans, findings, gates and
// decisions, who may decide, and the nouns of Heroku that they speak of.
//
// It imports the standard library only. Adapters (Heroku, the store, the
// carrier, Slack) depend on it and never on each other.
package ops
