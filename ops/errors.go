package ops

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// Sentinels on which callers act.
var (
	// ErrNotFound: the thing does not exist or is not visible to this account.
	ErrNotFound = errors.New("not found")
	// ErrStale: a compare-and-set lost; somebody else saved the row first. Read again.
	ErrStale = errors.New("changed by somebody else meanwhile")
	// ErrActive: another run is already active for this database.
	ErrActive = errors.New("another run is active for this database")
	// ErrRefused: the other side understood and said no; nothing happened.
	ErrRefused = errors.New("refused")
	// ErrBusy: the other side asked to come back later; nothing happened.
	ErrBusy = errors.New("busy")
	// ErrUnknownOutcome: the answer was lost; the call may have taken effect.
	ErrUnknownOutcome = errors.New("outcome unknown")
)

// CallError is the failure of one call to Heroku. It unwraps to one of
// ErrNotFound, ErrRefused, ErrBusy or ErrUnknownOutcome, which say whether the
// call can have taken effect. No field holds a secret.
type CallError struct {
	Call       string        // "create add-on", "GET /apps/orders"
	Status     int           // HTTP status; 0 when no answer came
	ID         string        // Heroku's error id, such as "rate_limit"
	Message    string        // Heroku's words, redacted
	RequestID  string        // Request-Id of the answer
	RetryAfter time.Duration // for ErrBusy; 0 when not said
	Kind       error         // one of the sentinels above
}

func (e *CallError) Error() string {
	s := e.Call + ": "
	if e.Message != "" {
		s += e.Message
	} else {
		s += e.Kind.Error()
	}
	if e.Status != 0 {
		s += fmt.Sprintf(" (HTTP %d", e.Status)
		if e.ID != "" {
			s += " " + e.ID
		}
		s += ")"
	}
	return s
}

// KeyRefused reports whether Heroku refused the bot's key itself (HTTP 401), not
// what was asked with it.
func KeyRefused(err error) bool {
	c, ok := errors.AsType[*CallError](err)
	return ok && c.Status == 401
}

// Said is what the other side said about a call that failed, in its own words
// where there are any: what people read, without the address that was asked.
func Said(err error) string {
	if c, ok := errors.AsType[*CallError](err); ok && c.Message != "" {
		return c.Message
	}
	return err.Error()
}

func (e *CallError) Unwrap() error { return e.Kind }

// UserError is something a person can put right. Its text is one or two
// sentences that say what was wrong and what to do; it is shown as it is.
type UserError struct {
	Text string
	Code Refusal // which row of Refusals it is; "" for what only a terminal says
}

func (e *UserError) Error() string { return e.Text }

// Refuse returns a UserError that is a row of Refusals.
func Refuse(code Refusal, format string, args ...any) error {
	return &UserError{Text: fmt.Sprintf(format, args...), Code: code}
}

// Userf returns a UserError of a terminal or of the start of the program. What
// people in Slack can run into is refused with Refuse.
func Userf(format string, args ...any) error {
	return &UserError{Text: fmt.Sprintf(format, args...)}
}

// marks are what means something in Slack's messages: mentions, links, code,
// emphasis.
var marks = strings.NewReplacer("<", "‹", ">", "›", "`", "'", "*", "∗")

// Quote puts what somebody typed into a sentence: on one line, cut at most runes,
// in quotes, and so that it mentions nobody and marks up nothing.
func Quote(s string, most int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > most {
		s = string(r[:most-1]) + "…"
	}
	return "“" + marks.Replace(s) + "”"
}

// quote is Quote for what should be short.
func quote(s string) string { return Quote(s, 60) }
