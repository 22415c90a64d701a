package herokutest

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// answer is what a route says. Effect names what it changed, for the history.
type answer struct {
	status int
	body   any
	effect string
	header http.Header
}

func ok(body any) answer { return answer{status: http.StatusOK, body: body} }

func did(status int, body any, effect string) answer {
	return answer{status: status, body: body, effect: effect}
}

func no(status int, id, message string, args ...any) answer {
	return answer{status: status, body: map[string]any{"id": id, "message": fmt.Sprintf(message, args...)}}
}

func notFound(resource string) answer {
	a := no(http.StatusNotFound, "not_found", "Couldn't find that %s.", strings.ReplaceAll(resource, "_", "-"))
	a.body.(map[string]any)["resource"] = resource
	return a
}

// invalid is a refusal of what was asked for.
func invalid(message string, args ...any) answer {
	return no(http.StatusUnprocessableEntity, "invalid_params", message, args...)
}

// call is one request as a route sees it.
type call struct {
	*http.Request
	body map[string]any
	now  time.Time
}

// text returns a field of the body that holds text.
func (c call) text(field string) string {
	s, _ := c.body[field].(string)
	return s
}

// route answers one request; s.mu is held and the state is at c.now.
type route func(c call) answer

// serve wraps a route: identity, limits, faults, history.
func (s *Server) serve(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			return // the client went away
		}
		req.Body = io.NopCloser(bytes.NewReader(raw))
		h := s.record(req, raw)
		w.Header().Set("Request-Id", h.RequestID)
		if s.fault(w, req, h, Before) {
			return
		}
		s.waitHold(req, Before)
		s.mu.Lock()
		a, left := s.answer(req, raw, r)
		h.Status, h.Effect = a.status, a.effect
		s.mu.Unlock()
		s.waitHold(req, After)
		if s.fault(w, req, h, After) {
			return
		}
		for k, v := range a.header {
			w.Header()[k] = v
		}
		if left >= 0 {
			w.Header().Set("RateLimit-Remaining", strconv.Itoa(left))
		}
		writeTagged(w, req, a)
	})
}

func (s *Server) answer(req *http.Request, raw []byte, r route) (a answer, left int) {
	c := call{Request: req, body: map[string]any{}, now: s.play()}
	s.playServices(c.now)
	if !s.known(req) {
		return no(http.StatusUnauthorized, "unauthorized", "Invalid credentials provided."), -1
	}
	left, ok := s.spend(req, c.now)
	if !ok {
		a := no(http.StatusTooManyRequests, "rate_limit", "Your account reached the API rate limit. Please wait a few minutes before making new requests.")
		a.body.(map[string]any)["url"] = rateLimitURL
		return a, 0
	}
	if !isData(req.URL.Path) && !accepted(req.Header.Get("Accept")) {
		return no(http.StatusNotAcceptable, "not_acceptable", "The request must accept application/vnd.heroku+json; version=3."), left
	}
	if len(raw) > 0 && json.Unmarshal(raw, &c.body) != nil {
		return no(http.StatusBadRequest, "bad_request", "Unable to parse the JSON in the request."), left
	}
	return s.variant(r(c)), left
}

// accepted reports whether a client asks for version 3 of the Platform API, or
// for a variant of it such as 3.sdk, which the CLI uses.
func accepted(header string) bool {
	for part := range strings.SplitSeq(header, ",") {
		kind, rest, _ := strings.Cut(strings.TrimSpace(part), ";")
		if kind == "application/vnd.heroku+json" && strings.HasPrefix(strings.ReplaceAll(rest, " ", ""), "version=3") {
			return true
		}
	}
	return false
}

// variant answers a success with another status of 2xx where that was staged:
// which of them Heroku sends for a create is not documented.
func (s *Server) variant(a answer) answer {
	if s.success != 0 && (a.status == http.StatusCreated || a.status == http.StatusAccepted) {
		a.status = s.success
	}
	return a
}

func (s *Server) known(req *http.Request) bool {
	if s.revoked {
		return false
	}
	if s.cfg.Token == "" {
		return true
	}
	kind, value, _ := strings.Cut(req.Header.Get("Authorization"), " ")
	if strings.EqualFold(kind, "basic") {
		b, err := base64.StdEncoding.DecodeString(value)
		if err != nil {
			return false
		}
		_, value, _ = strings.Cut(string(b), ":")
	}
	return value == s.cfg.Token
}

// The rate limit of an account: 4,500 calls, refilled at 75 a minute. The Data
// API shows none.
const (
	rateLimit    = 4500
	rateRefill   = 75
	rateLimitURL = "https://devcenter.heroku.com/articles/platform-api-reference#rate-limits"
)

type bucket struct {
	left float64
	at   time.Time
}

// tokens returns the account's bucket, filled up to now.
func (s *Server) tokens(now time.Time) *bucket {
	b := s.limits["platform"]
	if b == nil {
		b = &bucket{left: rateLimit, at: now}
		s.limits["platform"] = b
	}
	b.left = min(rateLimit, b.left+now.Sub(b.at).Minutes()*rateRefill)
	b.at = now
	return b
}

func (s *Server) spend(req *http.Request, now time.Time) (left int, ok bool) {
	if isData(req.URL.Path) {
		return -1, true
	}
	b := s.tokens(now)
	if req.URL.Path == "/account/rate-limits" { // free of charge
		return max(0, int(b.left)), true
	}
	if b.left < 1 {
		return 0, false
	}
	b.left--
	return int(b.left), true
}

// writeTagged answers a read with an ETag, and with 304 where the client has it.
func writeTagged(w http.ResponseWriter, req *http.Request, a answer) {
	var body bytes.Buffer
	encode(&body, a.body)
	if req.Method == http.MethodGet && a.status/100 == 2 {
		sum := sha256.Sum256(body.Bytes())
		tag := `W/"` + hex.EncodeToString(sum[:16]) + `"`
		w.Header().Set("ETag", tag)
		if req.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
	}
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(a.status)
	_, _ = w.Write(body.Bytes()) // the client went away
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	encode(w, body)
}

func encode(w io.Writer, body any) {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // the client went away
}
