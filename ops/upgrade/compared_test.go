package upgrade

import (
	"testing"

	"github.com/pgupgrade/pgupgrade/ops"
)

func TestComparedWords(t *testing.T) {
	whole, skipped := ops.RowsCompared{Whole: true}, ops.RowsCompared{Skipped: "no primary key"}
	for _, tt := range []struct {
		compared []ops.RowsCompared
		want     string
	}{
		{nil, ""},
		{[]ops.RowsCompared{skipped}, ""},
		{[]ops.RowsCompared{whole}, ", and its rows are those of the old one (1 table compared whole)"},
		{[]ops.RowsCompared{whole, skipped, whole}, ", and its rows are those of the old one (2 tables compared whole)"},
		{[]ops.RowsCompared{{Rows: 200}}, ", and its rows are those of the old one (200 rows of 1 larger table picked)"},
		{[]ops.RowsCompared{whole, {Rows: 200}, {Rows: 50}}, ", and its rows are those of the old one (1 table compared whole, 250 rows of 2 larger tables picked)"},
	} {
		if got := comparedWords(tt.compared); got != tt.want {
			t.Errorf("%+v: %q, want %q", tt.compared, got, tt.want)
		}
	}
}
