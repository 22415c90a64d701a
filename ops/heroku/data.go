package heroku

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pgupgrade/pgupgrade/ops"
)

// The Data API is not documented; the shapes here are those that the CLI reads
// (heroku/cli src/lib/pg/types.ts) and that were recorded from the service
// (coorasse/heroku-api-postgres spec/vcr_cassettes). Decoding is lenient, and
// what is missing is unknown.

// text is a string, or a number, kept as a string.
type text string

func (t *text) UnmarshalJSON(b []byte) error {
	var s string
	if json.Unmarshal(b, &s) == nil {
		*t = text(s)
		return nil
	}
	var n json.Number
	if err := json.Unmarshal(b, &n); err == nil {
		*t = text(n)
		return nil
	}
	return nil // an object or null: nothing that is read here
}

// info is the answer of GET /client/v11/databases/:id. It holds live passwords,
// so it does not leave this file.
type info struct {
	AddonID   string `json:"addon_id"`
	Name      string `json:"name"`
	URL       text   `json:"resource_url"`
	Version   text   `json:"postgres_version"`
	Following text   `json:"following"`
	Waiting   bool   `json:"waiting?"`
	Bytes     int64  `json:"num_bytes"`
	Info      []struct {
		Name   string
		Values []text
	}
}

func (i info) row(name string) []text {
	for _, r := range i.Info {
		if r.Name == name {
			return r.Values
		}
	}
	return nil
}

func (i info) first(name string) string {
	if v := i.row(name); len(v) > 0 {
		return string(v[0])
	}
	return ""
}

// database keeps what is no secret.
func (i info) database() ops.Database {
	d := ops.Database{AddonID: i.AddonID, Name: i.Name, Version: string(i.Version), Waiting: i.Waiting, Bytes: i.Bytes}
	d.Endpoint, _ = endpoint(string(i.URL))
	if i.Following != "" {
		var ok bool
		if d.Following, ok = endpoint(string(i.Following)); !ok {
			d.Following = ops.Endpoint{Host: "unreadable"} // a follower all the same
		}
	}
	if d.Version == "" {
		d.Version = i.first("PG Version")
	}
	d.BehindBy = leading(i.row("Behind By"), "Heroku shows no Behind By row")
	d.Status, d.ForkFollow, d.Rollback = i.first("Status"), i.first("Fork/Follow"), i.first("Rollback")
	d.ContinuousProtection, d.Maintenance = i.first("Continuous Protection"), i.first("Maintenance")
	d.Connections = leading(i.row("Connections"), "Heroku shows no Connections row")
	if _, limit, ok := strings.Cut(i.first("Connections"), "/"); ok {
		d.ConnectionLimit, _ = strconv.Atoi(limit) // 0: not said
	}
	d.Credentials = leading(i.row("Credentials"), "Heroku shows no Credentials row")
	d.BytesLimit = sizeLimit(i.first("Data Size"))
	d.HA, d.EncryptionKey = i.first("HA Status"), i.first("Customer Encryption Key")
	d.Certificates, d.MutualTLS = i.first("Enhanced Certificates"), i.first("Mutual TLS")
	d.Followers, d.Forks = urls(i.row("Followers")), urls(i.row("Forks"))
	return d
}

// leading reads the number with which a row's first value begins.
func leading(values []text, missing string) ops.Fact[int] {
	if len(values) == 0 {
		return ops.Unknown[int](missing)
	}
	s := strings.TrimSpace(string(values[0]))
	end := 0
	for end < len(s) && s[end] >= '0' && s[end] <= '9' {
		end++
	}
	n, err := strconv.Atoi(s[:end])
	if err != nil {
		return ops.Unknown[int](missing)
	}
	return ops.Known(n)
}

// sizeLimit reads the second number of "39.9 MB / 64 GB (0.06%)"; 0 when there is none.
func sizeLimit(row string) int64 {
	_, limit, ok := strings.Cut(row, " / ")
	fields := strings.Fields(limit)
	if !ok || len(fields) < 2 {
		return 0
	}
	n, err := strconv.ParseFloat(fields[0], 64)
	unit := map[string]float64{"bytes": 1, "kB": 1e3, "KB": 1e3, "MB": 1e6, "GB": 1e9, "TB": 1e12}[fields[1]]
	if err != nil {
		return 0
	}
	return int64(n * unit)
}

func urls(values []text) []ops.Endpoint {
	var out []ops.Endpoint
	for _, v := range values {
		if e, ok := endpoint(string(v)); ok {
			out = append(out, e)
		}
	}
	return out
}

func getData[T any](ctx context.Context, c *Client, path string) (T, error) {
	return read(ctx, func(ctx context.Context) (T, error) {
		var v T
		_, err := c.call(ctx, http.MethodGet, c.data+path, nil, &v, nil)
		return v, err
	})
}

const databases = "/client/v11/databases/"

// Database returns what the Data API says about a database.
func (c *Client) Database(ctx context.Context, addonID string) (ops.Database, error) {
	if err := known(addonID); err != nil {
		return ops.Database{}, err
	}
	i, err := getData[info](ctx, c, databases+addonID)
	return i.database(), err
}

type wait struct {
	Waiting bool `json:"waiting?"`
	Error   bool `json:"error?"`
	Message text `json:"message"`
	Step    text `json:"step"`
}

func (c *Client) wait(ctx context.Context, addonID, path string) (ops.Wait, error) {
	if err := known(addonID); err != nil {
		return ops.Wait{}, err
	}
	w, err := getData[wait](ctx, c, databases+addonID+path)
	return ops.Wait{Waiting: w.Waiting, Error: w.Error, Message: clean(string(w.Message)), Step: string(w.Step)}, err
}

// WaitStatus says whether a database is being prepared. Not waiting does not
// mean caught up.
func (c *Client) WaitStatus(ctx context.Context, addonID string) (ops.Wait, error) {
	return c.wait(ctx, addonID, "/wait_status")
}

// UpgradeStatus says whether an upgrade is under way. Not waiting does not mean
// upgraded.
func (c *Client) UpgradeStatus(ctx context.Context, addonID string) (ops.Wait, error) {
	return c.wait(ctx, addonID, "/upgrade/wait_status")
}

// RunUpgrade starts the upgrade of a follower, which ends its following. The
// version is always sent: without it Heroku takes the newest.
func (c *Client) RunUpgrade(ctx context.Context, addonID, version string) (string, error) {
	if err := known(addonID); err != nil {
		return "", err
	}
	return act(ctx, func(ctx context.Context) (string, error) {
		var answer struct{ Message text }
		_, err := c.call(ctx, http.MethodPost, c.data+databases+addonID+"/upgrade/run", map[string]string{"version": version}, &answer, nil)
		return clean(string(answer.Message)), err
	})
}

// DryRun has Heroku try the upgrade on a copy that it makes and destroys itself.
// The result is sent by e-mail to the owner (heroku/cli
// src/commands/pg/upgrade/dryrun.ts). The version is always sent.
func (c *Client) DryRun(ctx context.Context, addonID, version string) (string, error) {
	if err := known(addonID); err != nil {
		return "", err
	}
	return act(ctx, func(ctx context.Context) (string, error) {
		var answer struct{ Message text }
		_, err := c.call(ctx, http.MethodPost, c.data+databases+addonID+"/upgrade/dry_run", map[string]string{"version": version}, &answer, nil)
		return clean(string(answer.Message)), err
	})
}

type transfer struct {
	UUID       string
	Num        int
	FromName   string `json:"from_name"`
	ToType     string `json:"to_type"`
	Succeeded  *bool
	CreatedAt  stamp `json:"created_at"`
	FinishedAt stamp `json:"finished_at"`
	Processed  int64 `json:"processed_bytes"`
}

// stamp is a time as transfers have it: "2020-12-13 16:22:40 +0000", or null.
type stamp struct{ time.Time }

func (s *stamp) UnmarshalJSON(b []byte) error {
	var v string
	if json.Unmarshal(b, &v) != nil || v == "" {
		return nil
	}
	for _, layout := range []string{"2006-01-02 15:04:05 -0700", time.RFC3339Nano} {
		if t, err := time.Parse(layout, v); err == nil {
			s.Time = t.UTC()
			return nil
		}
	}
	return nil
}

func (t transfer) ops() ops.Transfer {
	x := ops.Transfer{ID: t.UUID, Num: t.Num, FromName: t.FromName, ToType: t.ToType, CreatedAt: t.CreatedAt.Time, FinishedAt: t.FinishedAt.Time, Bytes: t.Processed}
	if t.Succeeded != nil {
		x.Succeeded = ops.Known(*t.Succeeded)
	}
	return x
}

// Transfers returns the backups, restores and copies of an app's databases.
func (c *Client) Transfers(ctx context.Context, app string) ([]ops.Transfer, error) {
	if err := known(app); err != nil {
		return nil, err
	}
	all, err := getData[[]transfer](ctx, c, "/client/v11/apps/"+app+"/transfers")
	var out []ops.Transfer
	for _, t := range all {
		out = append(out, t.ops())
	}
	return out, err
}

// Transfer returns one of them.
func (c *Client) Transfer(ctx context.Context, app, id string) (ops.Transfer, error) {
	if err := known(app, id); err != nil {
		return ops.Transfer{}, err
	}
	t, err := getData[transfer](ctx, c, "/client/v11/apps/"+app+"/transfers/"+id)
	return t.ops(), err
}

// CaptureBackup starts a logical backup.
func (c *Client) CaptureBackup(ctx context.Context, addonID string) (ops.Transfer, error) {
	if err := known(addonID); err != nil {
		return ops.Transfer{}, err
	}
	return act(ctx, func(ctx context.Context) (ops.Transfer, error) {
		var t transfer
		_, err := c.call(ctx, http.MethodPost, c.data+databases+addonID+"/backups", struct{}{}, &t, nil)
		return t.ops(), err
	})
}

// Credentials returns the names of a database's credentials.
func (c *Client) Credentials(ctx context.Context, addonID string) ([]ops.Credential, error) {
	if err := known(addonID); err != nil {
		return nil, err
	}
	all, err := getData[[]struct{ Name, State string }](ctx, c, "/postgres/v0/databases/"+addonID+"/credentials")
	var out []ops.Credential
	for _, x := range all {
		out = append(out, ops.Credential{Name: x.Name, State: x.State})
	}
	return out, err
}

// ResetConnections ends the connections of all credentials.
func (c *Client) ResetConnections(ctx context.Context, addonID string) error {
	if err := known(addonID); err != nil {
		return err
	}
	_, err := act(ctx, func(ctx context.Context) (struct{}, error) {
		_, err := c.call(ctx, http.MethodPost, c.data+databases+addonID+"/connection_reset", nil, nil, nil)
		return struct{}{}, err
	})
	return err
}

type schedule struct {
	UUID     string
	Name     string
	Hour     text
	Timezone string
}

func (s schedule) ops() ops.BackupSchedule {
	hour, _ := strconv.Atoi(string(s.Hour)) // what Heroku sends is a number
	return ops.BackupSchedule{ID: s.UUID, Name: s.Name, Hour: hour, Timezone: s.Timezone}
}

// Schedules returns the daily backups of a database.
func (c *Client) Schedules(ctx context.Context, addonID string) ([]ops.BackupSchedule, error) {
	if err := known(addonID); err != nil {
		return nil, err
	}
	all, err := getData[[]schedule](ctx, c, databases+addonID+"/transfer-schedules")
	var out []ops.BackupSchedule
	for _, s := range all {
		out = append(out, s.ops())
	}
	return out, err
}

// CreateSchedule makes a daily backup of a database.
func (c *Client) CreateSchedule(ctx context.Context, addonID string, s ops.BackupSchedule) (ops.BackupSchedule, error) {
	if err := known(addonID); err != nil {
		return ops.BackupSchedule{}, err
	}
	return act(ctx, func(ctx context.Context) (ops.BackupSchedule, error) {
		var made schedule
		_, err := c.call(ctx, http.MethodPost, c.data+databases+addonID+"/transfer-schedules",
			map[string]string{"hour": strconv.Itoa(s.Hour), "timezone": s.Timezone, "schedule_name": s.Name}, &made, nil)
		return made.ops(), err
	})
}

// Maintenance says whether Heroku maintains the database, or soon must.
func (c *Client) Maintenance(ctx context.Context, addonID string) (status string, requiredBy time.Time, err error) {
	if err := known(addonID); err != nil {
		return "", time.Time{}, err
	}
	m, err := getData[struct {
		Status     string
		RequiredBy stamp `json:"required_by"`
	}](ctx, c, "/data/maintenances/v1/"+addonID)
	return m.Status, m.RequiredBy.Time, err
}
