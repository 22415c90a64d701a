-- oldest: 1
CREATE TABLE changes (
	one INTEGER PRIMARY KEY CHECK (one = 1),
	last BIGINT NOT NULL
);
INSERT INTO changes (one, last) VALUES (1, 0);
CREATE TABLE runs (
	id TEXT PRIMARY KEY,
	number BIGINT NOT NULL UNIQUE,
	app_id TEXT NOT NULL,
	app_name TEXT NOT NULL,
	database_id TEXT NOT NULL,
	step TEXT NOT NULL,
	active INTEGER NOT NULL,
	epoch BIGINT NOT NULL,
	touched BIGINT NOT NULL,
	created_at BIGINT NOT NULL,
	doc {{json}} NOT NULL
);
CREATE UNIQUE INDEX runs_one_active ON runs (database_id) WHERE active = 1;
CREATE INDEX runs_by_app_id ON runs (app_id);
CREATE INDEX runs_by_app_name ON runs (app_name);
CREATE INDEX runs_by_touched ON runs (touched);
CREATE TABLE events (
	id {{serial}},
	run TEXT NOT NULL,
	at BIGINT NOT NULL,
	doc {{json}} NOT NULL
);
CREATE INDEX events_by_run ON events (run, id);
CREATE TABLE acts (
	id {{serial}},
	run TEXT NOT NULL REFERENCES runs (id),
	outcome TEXT NOT NULL,
	doc {{json}} NOT NULL
);
CREATE INDEX acts_by_run ON acts (run, id);
CREATE TABLE decisions (
	id {{serial}},
	run TEXT NOT NULL REFERENCES runs (id),
	doc {{json}} NOT NULL
);
CREATE INDEX decisions_by_run ON decisions (run, id);
CREATE TABLE samples (
	id {{serial}},
	run TEXT NOT NULL REFERENCES runs (id),
	doc {{json}} NOT NULL
);
CREATE INDEX samples_by_run ON samples (run, id);
CREATE TABLE messages (
	grp TEXT NOT NULL,
	name TEXT NOT NULL,
	channel TEXT NOT NULL,
	ts TEXT NOT NULL,
	hash TEXT NOT NULL,
	intended BIGINT NOT NULL,
	PRIMARY KEY (grp, name)
);
CREATE TABLE envelopes (
	id TEXT PRIMARY KEY,
	at BIGINT NOT NULL
);
CREATE INDEX envelopes_by_at ON envelopes (at);
CREATE TABLE firings (
	run TEXT NOT NULL,
	at BIGINT NOT NULL,
	PRIMARY KEY (run, at)
);
CREATE TABLE settings (
	id {{serial}},
	app TEXT NOT NULL,
	name TEXT NOT NULL,
	value TEXT NOT NULL,
	set_by TEXT NOT NULL,
	set_at BIGINT NOT NULL
);
CREATE INDEX settings_by_app ON settings (app, name, id);
CREATE TABLE beats (
	name TEXT PRIMARY KEY,
	at BIGINT NOT NULL
);
CREATE TABLE leases (
	name TEXT PRIMARY KEY,
	owner TEXT NOT NULL,
	until BIGINT NOT NULL
);
