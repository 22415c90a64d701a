package heroku

import "testing"

func TestSizeLimit(t *testing.T) {
	for row, want := range map[string]int64{"39.9 MB / 64 GB (0.06%)": 64e9, "8.21 GB / 1.5 TB (0.5%)": 1.5e12, "5.72 GB": 0, "": 0, "a / b c": 0} {
		if got := sizeLimit(row); got != want {
			t.Errorf("%q holds %d, want %d", row, got, want)
		}
	}
}
