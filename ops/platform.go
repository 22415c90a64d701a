package ops

import (
	"fmt"
	"net/netip"
	"time"
)

// Ref names one object of Heroku's: the id is what identifies it.
type Ref struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// App is one app on Heroku.
type App struct {
	Ref
	Maintenance bool
	Owner       string // e-mail
	Team        string // "" when personal
	Region      string
	Space       string // "" when not in a Private Space
	Shield      bool
	WebURL      string
}

// States of an add-on, as in the Platform API's add-on schema, plus the
// transient "deprovisioning" that the CLI knows.
const (
	AddonProvisioning   = "provisioning"
	AddonProvisioned    = "provisioned"
	AddonDeprovisioning = "deprovisioning"
	AddonDeprovisioned  = "deprovisioned"
)

// Addon is one add-on; for us a database.
type Addon struct {
	Ref
	App           Ref // the billing app, the only one it can be destroyed on
	Service       string
	Plan          string // "heroku-postgresql:standard-0"
	State         string
	CentsPerMonth int // 0 when free, metered or unknown
	ConfigVars    []string
	CreatedAt     time.Time
}

// Attachment is a name under which an app sees an add-on.
type Attachment struct {
	ID        string
	Name      string // "DATABASE"; the config var is Name + "_URL"
	App       Ref    // the app it is attached to
	Addon     Ref
	AddonPlan string // "" when not asked for
	Namespace string // "" is the default credential; "credential:x", "connection-pooling:default"
}

// States of a release, as in the Platform API's release schema.
const (
	ReleasePending   = "pending"
	ReleaseSucceeded = "succeeded"
	ReleaseFailed    = "failed"
	ReleaseExpired   = "expired"
)

// Release is one release of an app.
type Release struct {
	ID          string
	Version     int
	Description string // "Attach DATABASE (@ref:postgresql-curved-12345)"
	Status      string
	Current     bool
	User        string // e-mail
	CreatedAt   time.Time
}

// Build is one build of an app.
type Build struct {
	ID        string
	Status    string // "pending", "succeeded", "failed"
	CreatedAt time.Time
}

// Process is one process type of an app's formation.
type Process struct {
	Type     string `json:"type"`
	Quantity int    `json:"quantity"`
	Size     string `json:"size"`
}

// ReleaseProcess is the process type that marks a release phase. It is never scaled.
const ReleaseProcess = "release"

// Dyno is one running dyno.
type Dyno struct {
	Name    string // "web.1", "run.4859", "scheduler.1234"
	Type    string // "web", "run", "scheduler"
	State   string // "starting", "up", "idle", "crashed", "down"
	Command string
}

// Plan is one plan of heroku-postgresql.
type Plan struct {
	Name          string // "heroku-postgresql:standard-0"
	HumanName     string
	CentsPerMonth int
	Available     bool
}

// Endpoint is where a connection URL points, without user and password, so it
// is no secret. Databases are identified by add-on id; endpoints only tell
// which one a config var holds.
type Endpoint struct {
	Host     string
	Port     string
	Database string
}

// Zero reports whether there is no endpoint.
func (e Endpoint) Zero() bool { return e == Endpoint{} }

// SameServer reports whether both lead to the same server. At Heroku a host is
// one server, also through its pooler, which has a port of its own. On loopback
// every server has the same host, so there the port tells them apart.
func (e Endpoint) SameServer(o Endpoint) bool {
	if e.Host == "" || e.Host != o.Host {
		return false
	}
	ip, err := netip.ParseAddr(e.Host)
	if e.Host == "localhost" || err == nil && ip.IsLoopback() {
		return e.Port == o.Port
	}
	return true
}

// Database is what the Data API says about one database, without its secrets.
type Database struct {
	AddonID   string
	Name      string
	Endpoint  Endpoint
	Version   string   // "15.13"; "" when not said
	Following Endpoint // zero when this is not a follower
	Waiting   bool
	Bytes     int64
	// BytesLimit is what the plan holds, out of the row "Data Size"; 0 when not said.
	BytesLimit int64
	// BehindBy is the number of commits a follower is behind; unknown when the
	// row is missing, which is not zero.
	BehindBy             Fact[int]
	Status               string // row "Status": "Available"
	ForkFollow           string // row "Fork/Follow"
	Rollback             string // row "Rollback"
	ContinuousProtection string // row "Continuous Protection": "On"
	Maintenance          string // row "Maintenance"
	Connections          Fact[int]
	ConnectionLimit      int        // 0 when not said
	Followers            []Endpoint // row "Followers"; may be empty though there are some
	Forks                []Endpoint // row "Forks"
	Credentials          Fact[int]  // row "Credentials"
	HA                   string     // row "HA Status"; "" when not said, as the next three
	EncryptionKey        string     // row "Customer Encryption Key"
	Certificates         string     // row "Enhanced Certificates"
	MutualTLS            string     // row "Mutual TLS"
}

// Follower reports whether the database follows another one.
func (d Database) Follower() bool { return !d.Following.Zero() }

// Wait is the answer of wait_status: not waiting means neither caught up nor upgraded.
type Wait struct {
	Waiting bool
	Error   bool
	Message string
	Step    string // upgrade only: "1/3"
}

// Transfer is one backup (or restore or copy) of a database.
type Transfer struct {
	ID         string // uuid
	Num        int
	FromName   string
	ToType     string // "gof3r" for a backup
	Succeeded  Fact[bool]
	CreatedAt  time.Time
	FinishedAt time.Time // zero while running
	Bytes      int64
	DatabaseID string // "" when the service does not say
}

// BackupSchedule is a daily backup of a database.
type BackupSchedule struct {
	ID       string `json:"id"`
	Name     string `json:"name"` // a config var name: "DATABASE_URL"
	Hour     int    `json:"hour"`
	Timezone string `json:"timezone"`
}

func (s BackupSchedule) String() string { return fmt.Sprintf("at %02d:00 %s", s.Hour, s.Timezone) }

// Credential is one Postgres credential; "default" always exists.
type Credential struct {
	Name  string
	State string
}

// Account is the owner of the API key.
type Account struct {
	ID    string
	Email string
}

// Access is what the bot's account may do with an app, as its collaborator.
type Access struct {
	Role        string   // in the app's team; "" when Heroku says none
	Permissions []string // "view", "deploy", "operate", "manage"
}

// FollowerSpec is what it takes to create a follower.
type FollowerSpec struct {
	App        string // billing app
	Plan       string // "heroku-postgresql:standard-0"
	Name       string // globally unique; a repeated create is refused
	Attachment string // "PGUPGRADE_17"
	LeaderID   string // sent as the leader's name or id in config.follow
	LeaderName string
}

// AttachSpec is what it takes to attach an add-on to an app. An existing
// attachment of that name on the app is replaced.
type AttachSpec struct {
	App       string
	AddonID   string
	Name      string // "" lets Heroku pick a colour
	Namespace string
}
