// Package pg reads the customer's databases, and fences them, over SQL.
//
// Everything is a method of Database, which Reach gives out by add-on:
//
//	Server, Position, Activity, Stillness   what it is and whether it moves
//	Fenced, Fence, Clear, EndSessions       the read-only default and who is connected
//	Writable, Objects, CompareRows,
//	SequencesBehind, Busiest, Analyze       is the new database as good as the old one
//	Reading, WriteTimes, Export             the loss meter
//
// What the answers mean is decided by pure functions in ops: ops.Replayed,
// ops.StillBetween, ops.Measure, ops.UseBetween.
//
// The order in a cutover: Fenced, and keep the answer before anything else; Fence,
// and keep that answer too (or what Fenced says while it stands); EndSessions;
// Stillness until it is still; Position of both until ops.Replayed. Behind the
// upgrade: Writable, Clear with what was recorded, Writable again, CompareRows,
// Objects of both, SequencesBehind, Analyze; Reading, kept as the meter's
// beginning, last before users are let in.
//
// A read is one read-only transaction that ends after five seconds, waits for a
// lock at most one second, and takes no lock stronger than a plain SELECT does.
// Only Fence, Clear, EndSessions, Analyze and Writable act, each on a connection
// of its own that asks for read-write in its options. A Database holds at most
// two connections. No error holds a connection URL, a user name or a password.
package pg
