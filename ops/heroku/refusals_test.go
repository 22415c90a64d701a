package heroku_test

import "testing"

// said is an error of Heroku's form.
type said struct{ ID, Message, Resource, URL string }

// TestRefusalsOfTheServer: what Heroku refuses, with the status and id that it
// has for it, and nothing changed.
func TestRefusalsOfTheServer(t *testing.T) {
	const old, tiny = "postgresql-curved-41822", "postgresql-small-10101"
	db := "/client/v11/databases/" + old
	type body = map[string]any
	for _, tt := range []struct {
		name, method, path string
		body               any
		header             []string
		status             int
		id                 string
	}{
		{"no such app", "GET", "/apps/nowhere", nil, nil, 404, "not_found"},
		{"no such route", "GET", "/nowhere", nil, nil, 404, "not_found"},
		{"no version asked for", "GET", "/apps/orders", nil, []string{"Accept", "application/json"}, 406, "not_acceptable"},
		{"a wrong key", "GET", "/apps/orders", nil, []string{"Authorization", "Bearer wrong"}, 401, "unauthorized"},
		{"a wrong key, as Basic", "GET", db, nil, []string{"Authorization", "Basic OndyMG5n"}, 401, "unauthorized"},
		{"a range over what cannot be ordered by", "GET", "/apps/orders/releases", nil, []string{"Range", "color ..; max=5"}, 416, "requested_range_not_satisfiable"},
		{"a range of no form", "GET", "/apps/orders/releases", nil, []string{"Range", "5-10"}, 416, "requested_range_not_satisfiable"},
		{"no such plan", "POST", "/apps/orders/addons", body{"plan": "heroku-postgresql:mega-9"}, nil, 422, "invalid_params"},
		{"an add-on's name that is taken", "POST", "/apps/orders/addons", body{"plan": "heroku-postgresql:standard-0", "name": tiny}, nil, 422, "invalid_params"},
		{"an add-on's name that is none", "POST", "/apps/orders/addons", body{"plan": "heroku-postgresql:standard-0", "name": "1 2"}, nil, 422, "invalid_params"},
		{"an attachment's name in use", "POST", "/apps/orders/addons", body{"plan": body{"name": "heroku-postgresql:standard-0"}, "attachment": body{"name": "DATABASE"}}, nil, 423, "confirmation_required"},
		{"the last name of a database, confirmed", "POST", "/apps/orders/addons", body{"plan": "heroku-postgresql:standard-0", "attachment": body{"name": "DATABASE"}, "confirm": "orders"}, nil, 422, "invalid_params"},
		{"an unknown option", "POST", "/apps/orders/addons", body{"plan": "heroku-postgresql:standard-0", "config": body{"fork": "DATABASE"}}, nil, 422, "invalid_params"},
		{"a follower with a version", "POST", "/apps/orders/addons", body{"plan": "heroku-postgresql:standard-0", "config": body{"follow": "DATABASE", "version": "17"}}, nil, 422, "invalid_params"},
		{"attach under a name in use", "POST", "/addon-attachments", body{"addon": "postgresql-flat-77310", "app": "orders", "name": "DATABASE"}, nil, 400, "confirmation_required"},
		{"attach over the last name", "POST", "/addon-attachments", body{"addon": "postgresql-flat-77310", "app": "orders", "name": "DATABASE", "confirm": "orders"}, nil, 422, "invalid_params"},
		{"attach under a name that is none", "POST", "/addon-attachments", body{"addon": old, "app": "orders", "name": "database"}, nil, 422, "invalid_params"},
		{"attach with a credential that is not there", "POST", "/addon-attachments", body{"addon": old, "app": "orders", "namespace": "credential:nobody"}, nil, 422, "invalid_params"},
		{"attach a pooler of an essential database", "POST", "/addon-attachments", body{"addon": tiny, "app": "tiny", "namespace": "connection-pooling:default"}, nil, 422, "invalid_params"},
		{"destroy what others use", "DELETE", "/apps/ledger/addons/postgresql-shared-55120", body{"force": false}, nil, 422, "invalid_params"},
		{"destroy by an app that does not pay", "DELETE", "/apps/reports/addons/postgresql-shared-55120", body{"force": false}, nil, 404, "not_found"},
		{"resolve what is not there", "POST", "/actions/addons/resolve", body{"addon": "nothing", "app": "orders"}, nil, 404, "not_found"},
		{"resolve another service", "POST", "/actions/addon-attachments/resolve", body{"addon_attachment": "DATABASE", "app": "orders", "addon_service": "heroku-redis"}, nil, 404, "not_found"},
		{"a config var of an attachment", "PATCH", "/apps/orders/config-vars", body{"DATABASE_URL": nil}, nil, 422, "invalid_params"},
		{"a quantity that is none", "PATCH", "/apps/orders/formation", body{"updates": []any{body{"type": "web", "quantity": "many"}}}, nil, 422, "invalid_params"},
		{"JSON that is none", "PATCH", "/apps/orders", "maintenance", nil, 400, "bad_request"},

		{"upgrade a leader that is not prepared", "POST", db + "/upgrade/run", body{"version": "17"}, nil, 400, "bad_request"},
		{"prepare for a version that is older", "POST", db + "/upgrade/prepare", body{"version": "14"}, nil, 422, "unprocessable_entity"},
		{"prepare for a version that is a number", "POST", db + "/upgrade/prepare", body{"version": 17}, nil, 422, "unprocessable_entity"},
		{"prepare an essential one", "POST", "/client/v11/databases/" + tiny + "/upgrade/prepare", body{}, nil, 422, "unprocessable_entity"},
		{"cancel what is not scheduled", "POST", db + "/upgrade/cancel", body{}, nil, 422, "bad_request"},
		{"unfollow a leader", "PUT", db + "/unfollow", nil, nil, 422, "unprocessable_entity"},
		{"a credential of an essential one", "POST", "/postgres/v0/databases/" + tiny + "/credentials", body{"name": "reader"}, nil, 422, "unprocessable_entity"},
		{"a second default credential", "POST", "/postgres/v0/databases/" + old + "/credentials", body{"name": "default"}, nil, 422, "unprocessable_entity"},
		{"destroy the default credential", "DELETE", "/postgres/v0/databases/" + old + "/credentials/default", nil, nil, 422, "unprocessable_entity"},
		{"a credential that is not there", "GET", "/postgres/v0/databases/" + old + "/credentials/nobody", nil, nil, 404, "not_found"},
		{"pool an essential one", "POST", "/client/v11/databases/" + tiny + "/connection-pooling", body{"app": "tiny", "credential": "default"}, nil, 422, "unprocessable_entity"},
		{"a setting that is not there", "PATCH", "/postgres/v0/databases/" + old + "/config", body{"fsync": false}, nil, 422, "unprocessable_entity"},
		{"a setting of the wrong kind", "PATCH", "/postgres/v0/databases/" + old + "/config", body{"log_connections": "perhaps"}, nil, 422, "unprocessable_entity"},
		{"a schedule at no hour", "POST", db + "/transfer-schedules", body{"hour": "25", "timezone": "UTC", "schedule_name": "DATABASE_URL"}, nil, 422, "unprocessable_entity"},
		{"a window at no time", "POST", "/data/maintenances/v1/" + old + "/window", body{"day_of_week": "someday", "time_of_day": "06:00"}, nil, 422, "unprocessable_entity"},
		{"a maintenance that is not planned", "POST", "/data/maintenances/v1/" + old + "/run", nil, nil, 422, "unprocessable_entity"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := openPlain(t)
			var got said
			resp := w.send(t, tt.method, tt.path, tt.body, &got, tt.header...)
			if resp.StatusCode != tt.status || got.ID != tt.id || got.Message == "" {
				t.Errorf("HTTP %d, %+v; want %d %s", resp.StatusCode, got, tt.status, tt.id)
			}
			if resp.Header.Get("Request-Id") == "" || resp.Header.Get("Content-Type") != "application/json;charset=utf-8" {
				t.Errorf("headers %v", resp.Header)
			}
			if effects := w.stand.Effects(); len(effects) != 0 {
				t.Errorf("it changed %q", effects)
			}
		})
	}
}
