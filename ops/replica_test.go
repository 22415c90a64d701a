package ops

import (
	"slices"
	"testing"
)

func TestReplicaIsReplacedWithoutAGap(t *testing.T) {
	r := Replica{Ref: Ref{Name: "old-f"}, App: Ref{Name: "shop"}, Plan: "heroku-postgresql:standard-0", Cents: 5000,
		Names: []AppVar{{"shop", "REPLICA"}, {"stats", "DATABASE"}}}
	want := []string{
		"heroku addons:create heroku-postgresql:standard-0 --name new-f -a shop -- --follow new",
		"heroku pg:wait new-f -a shop",
		"heroku addons:attach old-f -a shop",
		"heroku addons:attach new-f --as REPLICA -a shop --confirm shop",
		"heroku addons:attach new-f --as DATABASE -a stats --confirm stats",
		"heroku addons:destroy old-f -a shop --confirm shop",
	}
	if got := r.Replace("new", "new-f"); !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
	if got := r.Words(); got != "`old-f` (`REPLICA` of `shop`, `DATABASE` of `stats`), $50 a month" {
		t.Error(got)
	}
}
