// Package upgrade is the procedure: World looks, Next chooses, acts are carried out.
//
// Next is pure. Every rule of the procedure, and everything that must never
// happen, is decided there, in the step_*.go files, and shown by a table test.
// Runner.Tick is the loop around it: look, choose, write the intent, act, write
// the outcome.
package upgrade
