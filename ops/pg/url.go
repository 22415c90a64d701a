package pg

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgupgrade/pgupgrade/ops"
)

// parse turns a connection URL into the bot's way of connecting. Its errors are
// in our own words, since those of the parsers repeat the URL.
func parse(secret ops.Secret) (*pgxpool.Config, error) {
	u, err := url.Parse(secret.Reveal())
	if err != nil || u.Scheme != "postgres" && u.Scheme != "postgresql" || u.Hostname() == "" && u.Query().Get("host") == "" {
		return nil, errors.New("the config var does not hold a PostgreSQL connection URL")
	}
	q := u.Query()
	host := u.Hostname()
	if host == "" {
		host = q.Get("host")
	}
	// Heroku refuses plain connections from outside; a weaker mode would also
	// fall back to one.
	if mode := q.Get("sslmode"); !local(host) && (mode == "" || mode == "disable" || mode == "allow" || mode == "prefer") {
		q.Set("sslmode", "require")
	}
	u.RawQuery = q.Encode()
	pool, err := pgxpool.ParseConfig(u.String())
	if err != nil {
		return nil, errors.New("the config var's connection URL cannot be used")
	}
	conf := pool.ConnConfig
	conf.ConnectTimeout = connectLimit
	// Nothing of the URL's or the environment's own settings: only these.
	conf.RuntimeParams = map[string]string{
		"application_name":                    AppName,
		"default_transaction_read_only":       "on",
		"statement_timeout":                   fmt.Sprint(statementLimit.Milliseconds()),
		"lock_timeout":                        fmt.Sprint(lockWait.Milliseconds()),
		"idle_in_transaction_session_timeout": "10000",
		// No function or operator of the customer's is called by accident, and
		// definitions read the same for everybody.
		"search_path": "pg_catalog",
		"TimeZone":    "UTC", "DateStyle": "ISO, YMD", "IntervalStyle": "postgres",
		"extra_float_digits": "1", "bytea_output": "hex", "client_encoding": "UTF8",
	}
	// Without prepared statements of a name, a definition that changes under the
	// bot never makes a later read fail.
	conf.DefaultQueryExecMode = pgx.QueryExecModeExec
	return pool, nil
}

func local(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || strings.HasPrefix(host, "/") || ip != nil && ip.IsLoopback()
}

// failed says what could not be done and why, in words that hold no secret. It
// keeps what callers ask for: a context's end.
func (d *Database) failed(what string, err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, context.Canceled):
		return fmt.Errorf("%s: %w", what, context.Canceled)
	case errors.Is(err, context.DeadlineExceeded):
		return fmt.Errorf("%s: no answer in time: %w", what, context.DeadlineExceeded)
	}
	return fmt.Errorf("%s: %s", what, d.clean(why(err)))
}

// why puts an error into words.
func why(err error) string {
	var pe *pgconn.PgError
	if errors.As(err, &pe) {
		switch {
		case strings.HasPrefix(pe.Code, "28"):
			return "the database refuses the credential (" + pe.Code + ")"
		case pe.Code == "53300":
			return "the database has no connection left"
		case pe.Code == "57P03":
			return "the database is starting or stopping"
		case pe.Code == "57P01":
			return "the connection was ended by an administrator"
		case pe.Code == "57014":
			return "no answer within the statement limit"
		case pe.Code == "55P03":
			return "somebody holds a lock on it"
		case pe.Code == "42501":
			return "the credential may not do it: " + pe.Message
		}
		// Not Detail and not Where: they can hold rows.
		return fmt.Sprintf("%s (%s)", pe.Message, pe.Code)
	}
	var dns *net.DNSError
	var cert *tls.CertificateVerificationError
	var op *net.OpError
	switch {
	case errors.As(err, &dns):
		return "the host is not known"
	case errors.As(err, &cert):
		return "the server's certificate is not trusted"
	case strings.Contains(err.Error(), "server refused TLS connection"):
		return "the server refuses TLS"
	case errors.As(err, &op):
		return fmt.Sprintf("cannot %s: %s", op.Op, op.Err)
	}
	var ce *pgconn.ConnectError
	if errors.As(err, &ce) && ce.Unwrap() != nil {
		return "cannot connect: " + lastWords(ce.Unwrap())
	}
	return err.Error()
}

// lastWords is the innermost error: the outer ones repeat user and address.
func lastWords(err error) string {
	for {
		next := errors.Unwrap(err)
		if next == nil {
			return err.Error()
		}
		err = next
	}
}

// clean takes every part of the URL that is a secret out of a text.
func (d *Database) clean(s string) string {
	secrets := []string{d.url.Reveal()}
	if d.conf.Password != "" {
		secrets = append(secrets, d.conf.Password)
	}
	if d.conf.User != "" { // in quotes, since a short name may be part of a word
		secrets = append(secrets, strconv.Quote(d.conf.User), "user="+d.conf.User)
	}
	for _, secret := range secrets {
		s = strings.ReplaceAll(s, secret, "[redacted]")
	}
	return s
}
