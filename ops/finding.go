package ops

// Verdict is what a check concludes. Unknown on a check that blocks, blocks.
type Verdict string

// The verdicts, worst first.
const (
	Block       Verdict = "block"       // the run cannot go on
	Acknowledge Verdict = "acknowledge" // an approver must see it and say yes
	Warn        Verdict = "warn"
	Inform      Verdict = "inform"
	Pass        Verdict = "pass"
)

// Finding is the result of one check, with its evidence.
type Finding struct {
	Check    string  `json:"check"` // number in the catalogue of checks: "H4"
	Title    string  `json:"title"` // what is checked: "Fork/Follow available"
	Verdict  Verdict `json:"verdict"`
	Unknown  bool    `json:"unknown,omitempty"` // the check could not look; Verdict says what that means
	Evidence string  `json:"evidence"`          // what was seen: names and counts, never row data
	Fix      string  `json:"fix,omitempty"`     // what a person can do about it
}

// Worst returns the worst verdict among the findings, Pass for none.
func Worst(findings []Finding) Verdict {
	order := map[Verdict]int{Block: 4, Acknowledge: 3, Warn: 2, Inform: 1}
	worst := Pass
	for _, f := range findings {
		if order[f.Verdict] > order[worst] {
			worst = f.Verdict
		}
	}
	return worst
}

// With returns the findings that have the given verdict.
func With(findings []Finding, v Verdict) []Finding {
	var out []Finding
	for _, f := range findings {
		if f.Verdict == v {
			out = append(out, f)
		}
	}
	return out
}
