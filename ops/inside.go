package ops

// Inside is what a look inside a database by SQL saw: names and counts of what
// is there, never row data. Each fact may be unknown by itself.
type Inside struct {
	Setup     Fact[Setup]
	Databases []string // of the cluster that were looked into, the connection's first
	Closed    []string // of the cluster that could not be opened, each with the reason

	Things      map[Thing]Fact[Names]
	Objects     Fact[Objects]
	Extensions  Fact[[]Extension]
	TextIndexes Fact[Sized]
	Age         Fact[Age]
	DeadRows    Fact[DeadRows]
	SchemaHash  Fact[string]
	Connections Fact[Sessions]
	// WALRate is how many bytes a second the leader wrote while it was looked at.
	WALRate Fact[int64]
}

// Names is how many there are of something, and what some of them are called.
type Names struct {
	Count int
	First []string // at most ten, sorted
}

// Thing is something that is looked for by name inside a database.
type Thing string

// What is looked for. The numbers of the checks that use it are in ops/check.
const (
	PreparedTransactions   Thing = "prepared transactions"
	RegColumns             Thing = "reg* columns"
	CompositeColumns       Thing = "columns of a system composite type"
	AclitemColumns         Thing = "aclitem columns"
	NullableChildren       Thing = "nullable columns below NOT NULL parents"
	UnicodeObjects         Thing = "objects that depend on built-in Unicode tables"
	ClosedDatabases        Thing = "databases that refuse connections"
	LogicalSlots           Thing = "logical replication slots"
	Subscriptions          Thing = "subscriptions"
	SystemViewUsers        Thing = "views over system views"
	EventTriggers          Thing = "event triggers"
	PathFunctions          Thing = "functions that rely on search_path in indexes, generated columns or materialized views"
	SearchIndexes          Thing = "full text and trigram indexes"
	RoleSettings           Thing = "settings on roles and databases"
	ForeignServers         Thing = "foreign servers"
	StatementsUsers        Thing = "objects that depend on pg_stat_statements, pg_cron, pgaudit or pg_partman"
	UnloggedTables         Thing = "unlogged tables"
	TemporaryTables        Thing = "temporary tables"
	AdvisoryLocks          Thing = "advisory locks"
	Listeners              Thing = "listening sessions"
	FullSequences          Thing = "nearly used up sequences"
	InvalidIndexes         Thing = "invalid indexes"
	UnvalidatedConstraints Thing = "constraints that were not validated"
	CollationMismatches    Thing = "collations of another version"
	StatisticsSettings     Thing = "statistics objects and targets"

	LongTransactions  Thing = "transactions open for more than 15 s"
	IdleTransactions  Thing = "sessions idle in a transaction"
	StrongLocks       Thing = "exclusive locks and lock queues"
	LongWork          Thing = "long work under way"
	ReplayHolders     Thing = "sessions that hold replay back"
	Clients           Thing = "clients"
	HiddenConnections Thing = "connections of other roles"
)

// Setup is how the server and the connection's database are set up.
type Setup struct {
	Major              int
	Follower           bool // in recovery
	Checksums          bool
	PasswordEncryption string
	Provider           string // of the database's collation: "libc", "icu", "builtin"
}

// Objects counts what pg_upgrade has to carry over.
type Objects struct {
	Schemas      int
	Tables       int
	Indexes      int
	All          int // relations, functions and types
	Sequences    int
	LargeObjects int
}

// Extension is one installed extension.
type Extension struct {
	Database string
	Name     string
	Version  string
	Default  string // the version that this server would install now; "" when it offers none
	Schema   string
}

// Sized is how many there are of something, and how large they are together.
type Sized struct {
	Count int
	Bytes int64
}

// Age is how far the transaction ids have gone towards the wraparound, in
// percent of where autovacuum begins to force its way.
type Age struct {
	Percent int    // of autovacuum_freeze_max_age
	Limit   int    // of the two thousand million at which PostgreSQL stops, in percent
	Oldest  string // the database or table that is the oldest
}

// DeadRows is how much a vacuum would find.
type DeadRows struct {
	Tables  int   // whose dead rows are above autovacuum's threshold
	Rows    int64 // dead rows in all tables
	Largest string
}

// Sessions is how many are connected.
type Sessions struct {
	Now   int
	Limit int
}
