-- oldest: 1
CREATE TABLE readings (
	run TEXT NOT NULL REFERENCES runs (id),
	name TEXT NOT NULL,
	doc {{json}} NOT NULL,
	PRIMARY KEY (run, name)
)
