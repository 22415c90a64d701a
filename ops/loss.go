package ops

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// Reading is everything in a database that can tell that something was written
// to it. Two of them make the loss meter: one from before users were let in,
// one from behind the fence.
type Reading struct {
	Activity
	// Cut is the oldest transaction id that could still have been open: rows of
	// this id and later ones may be newer than the reading.
	Cut       uint64                    `json:"cut"`
	Sequences Fact[map[string]Sequence] `json:"sequences"`
	// Schema maps each object ("table public.orders", "function public.f(integer)")
	// to a fingerprint of its definition.
	Schema Fact[map[string]string] `json:"schema"`
}

// Sequence is where a sequence stands.
type Sequence struct {
	Last   int64 `json:"l"`
	Called bool  `json:"c"`
}

// SequenceChange is a sequence that gave out numbers, or was set.
type SequenceChange struct {
	Name string   `json:"name"`
	From Sequence `json:"from"`
	To   Sequence `json:"to"`
}

// Loss is what would be lost by leaving a database: everything that changed in
// it since the first reading.
type Loss struct {
	// Unknown says what could not be told and why; while it is not empty the
	// rest is the least that would be lost, never all of it.
	Unknown   []string         `json:"unknown"`
	Since     time.Time        `json:"since"`
	At        time.Time        `json:"at"`
	Tables    []TableChange    `json:"tables"` // large objects too; largest first
	Sequences []SequenceChange `json:"sequences"`
	Schema    []string         `json:"schema"` // "table public.orders changed"
}

// Known reports whether everything could be told.
func (l Loss) Known() bool { return len(l.Unknown) == 0 }

// Zero reports whether nothing would be lost. Unknown is never zero.
func (l Loss) Zero() bool {
	return l.Known() && len(l.Tables) == 0 && len(l.Sequences) == 0 && len(l.Schema) == 0
}

// Rows sums what was counted.
func (l Loss) Rows() TableChange {
	sum := TableChange{Table: "all tables"}
	for _, t := range l.Tables {
		sum.Inserted += t.Inserted
		sum.Updated += t.Updated
		sum.Deleted += t.Deleted
	}
	return sum
}

// String is the loss in one sentence.
func (l Loss) String() string {
	if l.Zero() {
		return "nothing was written since " + l.Since.UTC().Format("15:04:05 MST")
	}
	var parts []string
	if sum := l.Rows(); sum.rows() > 0 {
		parts = append(parts, fmt.Sprintf("%s in %s", strings.TrimPrefix(sum.String(), sum.Table+": "), Count(l.counted(), "table")))
	}
	for _, t := range l.Tables {
		if t.Note != "" {
			parts = append(parts, t.Table+" "+t.Note)
		}
	}
	if n := len(l.Sequences); n > 0 {
		parts = append(parts, Count(n, "sequence")+" moved")
	}
	if n := len(l.Schema); n > 0 {
		parts = append(parts, Count(n, "change")+" of the schema")
	}
	if len(parts) > 6 {
		parts = append(parts[:5], fmt.Sprintf("and %d more", len(parts)-5))
	}
	s := strings.Join(parts, ", ")
	switch {
	case l.Known():
		return s
	case s == "":
		return "unknown: " + strings.Join(l.Unknown, "; ")
	}
	return "at least " + s + "; unknown: " + strings.Join(l.Unknown, "; ")
}

func (l Loss) counted() int {
	n := 0
	for _, t := range l.Tables {
		if t.rows() > 0 {
			n++
		}
	}
	return n
}

// CountsWords belongs under every counted list: what the counts mean.
const CountsWords = "Writes that were rolled back are counted too, so fewer rows may be concerned."

// Lines is the counted list, at most so many lines: unknowns, tables, schema,
// sequences.
func (l Loss) Lines(most int) []string {
	var out []string
	for _, u := range l.Unknown {
		out = append(out, "unknown: "+u)
	}
	for _, t := range l.Tables {
		s := t.String()
		if !t.First.IsZero() {
			s += fmt.Sprintf(" (first %s, last %s)", t.First.UTC().Format(time.DateTime), t.Last.UTC().Format(time.DateTime+" MST"))
		}
		out = append(out, s)
	}
	out = append(out, l.Schema...)
	for _, s := range l.Sequences {
		out = append(out, fmt.Sprintf("sequence %s: from %d to %d; on the old database it gives those numbers out again", s.Name, s.From.Last, s.To.Last))
	}
	if len(out) > most {
		out = append(out[:most-1], fmt.Sprintf("and %d more", len(out)-most+1))
	}
	return out
}

// Count is "1 row", "3 rows", for a noun that takes an s.
func Count(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// Measure compares a reading from before users were let in with one from
// behind the fence. What cannot be told is unknown, never zero.
func Measure(base, now Fact[Reading]) Loss {
	l := Loss{Since: base.Value.At, At: now.Value.At}
	unknown := func(format string, args ...any) { l.Unknown = append(l.Unknown, fmt.Sprintf(format, args...)) }
	switch {
	case !base.Known:
		unknown("what was there before users were let in was not read (%s)", base.Why)
		return l
	case !now.Known:
		unknown("the database cannot be read (%s)", now.Why)
		return l
	}
	a, b := base.Value, now.Value
	switch {
	case a.System != b.System:
		unknown("this is not the server that was read before users were let in")
		return l
	case a.Reset != b.Reset:
		unknown("its row counters began anew since (a reset, a crash or a failover)")
	default:
		var ok bool
		if l.Tables, ok = changes(a.Tables, b.Tables); !ok {
			unknown("its row counters began anew since (a reset, a crash or a failover)")
		}
	}
	// Nothing can be held back where no transaction id was drawn.
	if held := b.Unsettled(LastID{}); held != "" && b.NextXID != a.NextXID {
		unknown("%s", held)
	}
	if b.Writing > 0 {
		unknown("%s still open", Count(b.Writing, "writing transaction"))
	}
	if b.Prepared > 0 {
		unknown("%s still to be committed or rolled back", Count(b.Prepared, "prepared transaction"))
	}
	if why := unread(a.Sequences, b.Sequences); why != "" {
		unknown("sequences could not be read (%s)", why)
	} else {
		l.Sequences = sequenceChanges(a.Sequences.Value, b.Sequences.Value)
	}
	if why := unread(a.Schema, b.Schema); why != "" {
		unknown("the schema could not be read (%s)", why)
	} else {
		l.Schema = schemaChanges(a.Schema.Value, b.Schema.Value)
	}
	return l
}

func unread[T any](a, b Fact[T]) string {
	switch {
	case !a.Known:
		return a.Why + ", before users were let in"
	case !b.Known:
		return b.Why
	}
	return ""
}

// Sequences that came or went are told by the schema.
func sequenceChanges(a, b map[string]Sequence) []SequenceChange {
	var out []SequenceChange
	for _, name := range slices.Sorted(maps.Keys(b)) {
		if was, ok := a[name]; ok && was != b[name] {
			out = append(out, SequenceChange{Name: name, From: was, To: b[name]})
		}
	}
	return out
}

func schemaChanges(a, b map[string]string) []string {
	var out []string
	for _, name := range slices.Sorted(maps.Keys(b)) {
		switch was, ok := a[name]; {
		case !ok:
			out = append(out, name+" is new")
		case was != b[name]:
			out = append(out, name+" was changed")
		}
	}
	for _, name := range slices.Sorted(maps.Keys(a)) {
		if _, ok := b[name]; !ok {
			out = append(out, name+" was dropped")
		}
	}
	return out
}

// Export is what was written of the rows that are newer than a reading.
type Export struct {
	Tables []ExportedTable `json:"tables"`
	Bytes  int64           `json:"bytes"`
	// Notes say what is not in it: deletes, tables that were cut or refused.
	Notes []string `json:"notes"`
}

// ExportedTable is one table of an export.
type ExportedTable struct {
	Table string `json:"table"`
	Rows  int    `json:"rows"`
	Cut   string `json:"cut,omitempty"` // why there are more rows than were written
}

// ExportLimits bound an export; zero means no limit of that kind.
type ExportLimits struct {
	RowsPerTable int
	Bytes        int64
	PerTable     time.Duration // statement limit; 0: a minute
}
