package slack

import (
	"errors"
	"fmt"
	"time"

	slackgo "github.com/slack-go/slack"
)

// kinds sorts Slack's error words by what a caller can do about them
// (docs.slack.dev/reference/methods, each method's errors).
var kinds = map[string]error{
	"invalid_auth": ErrAuth, "account_inactive": ErrAuth, "token_revoked": ErrAuth, "token_expired": ErrAuth, "not_authed": ErrAuth,
	"not_allowed_token_type": ErrAuth, "org_login_required": ErrAuth, "app_missing_action_url": ErrAuth,
	"missing_scope": ErrScope, "no_permission": ErrScope,
	"channel_not_found": ErrChannel, "not_in_channel": ErrChannel, "is_archived": ErrChannel, "restricted_action": ErrChannel,
	"restricted_action_read_only_channel": ErrChannel, "restricted_action_non_threadable_channel": ErrChannel, "restricted_action_thread_only_channel": ErrChannel,
	"ekm_access_denied": ErrChannel, "messages_tab_disabled": ErrChannel, "user_is_blocked": ErrChannel,
	"user_not_found": ErrNoUser, "user_not_visible": ErrNoUser, "users_not_found": ErrNoUser,
	"message_not_found": ErrNoMessage, "cant_update_message": ErrNoMessage, "edit_window_closed": ErrNoMessage, "thread_not_found": ErrNoMessage,
	"is_inactive": ErrNoMessage, "cannot_reply_to_message": ErrNoMessage,
	"invalid_blocks": ErrContent, "msg_too_long": ErrContent, "msg_blocks_too_long": ErrContent, "invalid_blocks_format": ErrContent,
	"no_text": ErrContent, "block_mismatch": ErrContent, "invalid_attachments": ErrContent, "metadata_too_large": ErrContent,
	"too_many_attachments": ErrContent, "markdown_text_conflict": ErrContent, "invalid_metadata_format": ErrContent, "invalid_metadata_schema": ErrContent,
}

// said is an error word of Slack's, with the sentinel it belongs to.
type said struct {
	word, needed string
	kind         error
}

func (e said) Error() string {
	s := fmt.Sprintf("%v (Slack says %s", e.kind, e.word)
	if e.needed != "" {
		s += ", needed: " + e.needed
	}
	return s + ")"
}

func (e said) Unwrap() error { return e.kind }

// kind gives an error of slack-go its sentinel, if it has one.
func kind(err error) error {
	if r, ok := errors.AsType[slackgo.SlackErrorResponse](err); ok {
		if k := kinds[r.Err]; k != nil {
			return said{r.Err, r.Needed, k}
		}
	}
	return err
}

// limitedFor is the wait where Slack says that a limit was passed, but not for how long.
const limitedFor = 30 * time.Second

// later is how long Slack asked to wait; false when it did not ask.
func later(err error) (time.Duration, bool) {
	if r, ok := errors.AsType[*slackgo.RateLimitedError](err); ok {
		return max(r.RetryAfter, time.Second), true
	}
	if r, ok := errors.AsType[slackgo.SlackErrorResponse](err); ok && (r.Err == "ratelimited" || r.Err == "rate_limited") {
		return limitedFor, true
	}
	return 0, false
}

// passing are error words of trouble at Slack's that passes; with them it is not
// known whether the call had an effect.
var passing = map[string]bool{"internal_error": true, "fatal_error": true, "service_unavailable": true, "request_timeout": true}

// outage are words that keep everything away for a while, whatever is sent.
var outage = map[string]bool{"team_added_to_org": true, "accesslimited": true}

// definite reports whether Slack understood and answered no: the call had no effect.
func definite(err error) bool {
	r, ok := errors.AsType[slackgo.SlackErrorResponse](err)
	if ok {
		return !passing[r.Err]
	}
	_, busy := later(err)
	s, isSaid := errors.AsType[said](err)
	return busy || isSaid && s.kind != nil
}

// unknown reports whether Slack answered no with a word that is not known here.
func unknown(err error) bool {
	r, ok := errors.AsType[slackgo.SlackErrorResponse](err)
	_, busy := later(err)
	return ok && !busy && !passing[r.Err] && !outage[r.Err]
}
