package herokutest

import (
	"bytes"
	"encoding/base64"
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

// call is one request as a route sees it.
type call struct {
	*http.Request
	body map[string]any
	now  time.Time
}

// route answers one request; s.mu is held and the state is at c.now.
type route func(c call) answer

func (s *Server) routes() http.Handler {
	m := http.NewServeMux()
	for pattern, r := range map[string]route{
		"GET /account":                                   s.account,
		"GET /account/rate-limits":                       s.rateLimits,
		"GET /apps":                                      s.listApps,
		"GET /apps/{app}":                                s.onApp(s.getApp),
		"PATCH /apps/{app}":                              s.onApp(s.patchApp),
		"GET /apps/{app}/config-vars":                    s.onApp(s.configVars),
		"GET /apps/{app}/formation":                      s.onApp(s.getFormation),
		"PATCH /apps/{app}/formation":                    s.onApp(s.patchFormation),
		"PATCH /apps/{app}/formation/{type}":             s.onApp(s.patchProcess),
		"GET /apps/{app}/dynos":                          s.onApp(s.listDynos),
		"POST /apps/{app}/dynos":                         s.onApp(s.createDyno),
		"POST /apps/{app}/dynos/{dyno}/actions/stop":     s.onApp(s.stopDyno),
		"GET /apps/{app}/releases":                       s.onApp(s.listReleases),
		"GET /apps/{app}/releases/{release}":             s.onApp(s.getRelease),
		"GET /apps/{app}/releases/{release}/config-vars": s.onApp(s.releaseVars),
		"GET /apps/{app}/builds":                         s.onApp(s.listBuilds),
		"GET /apps/{app}/features":                       s.onApp(s.listFeatures),
		"GET /apps/{app}/addons":                         s.onApp(s.appAddons),
		"POST /apps/{app}/addons":                        s.onApp(s.createAddon),
		"GET /apps/{app}/addons/{addon}":                 s.onApp(func(c call, a *app) answer { return s.getAddon(c, a) }),
		"DELETE /apps/{app}/addons/{addon}":              s.onApp(s.deleteAddon),
		"GET /apps/{app}/addon-attachments":              s.onApp(s.appAttachments),
		"GET /apps/{app}/addon-attachments/{name}":       s.onApp(s.getAttachment),
		"GET /addon-attachments":                         s.allAttachments,
		"POST /addon-attachments":                        s.attach,
		"DELETE /addon-attachments/{id}":                 s.detach,
		"GET /addons":                                    s.allAddons,
		"GET /addons/{addon}":                            func(c call) answer { return s.getAddon(c) },
		"GET /addons/{addon}/addon-attachments":          s.addonAttachments,
		"GET /addon-services/heroku-postgresql/plans":    s.listPlans,
		"POST /actions/addons/resolve":                   s.resolveAddon,
		"POST /actions/addon-attachments/resolve":        s.resolveAttachment,

		"GET /client/v11/databases/{db}":                     s.onDatabase(s.info),
		"GET /client/v11/databases/{db}/wait_status":         s.onDatabase(s.waitStatus),
		"GET /client/v11/databases/{db}/upgrade/wait_status": s.onDatabase(s.upgradeStatus),
		"POST /client/v11/databases/{db}/upgrade/run":        s.onDatabase(s.runUpgrade),
		"POST /client/v11/databases/{db}/upgrade/prepare":    s.onDatabase(s.prepareUpgrade),
		"POST /client/v11/databases/{db}/upgrade/dry_run":    s.onDatabase(s.dryRun),
		"POST /client/v11/databases/{db}/upgrade/cancel":     s.onDatabase(s.cancelUpgrade),
		"PUT /client/v11/databases/{db}/unfollow":            s.onDatabase(s.unfollow),
		"POST /client/v11/databases/{db}/connection_reset":   s.onDatabase(s.connectionReset),
		"POST /client/v11/databases/{db}/backups":            s.onDatabase(s.capture),
		"GET /client/v11/databases/{db}/transfer-schedules":  s.onDatabase(func(call, *database) answer { return ok([]any{}) }),
		"GET /client/v11/databases/{db}/links":               s.onDatabase(func(call, *database) answer { return ok([]any{}) }),
		"GET /client/v11/apps/{app}/transfers":               s.onApp(s.listTransfers),
		"GET /client/v11/apps/{app}/transfers/{id}":          s.onApp(s.getTransfer),
		"GET /postgres/v0/databases/{db}/credentials":        s.onDatabase(s.listCredentials),
		"GET /data/maintenances/v1/{db}":                     s.onDatabase(s.getMaintenance),
	} {
		m.Handle(pattern, s.serve(r))
	}
	m.Handle("GET /_web/{app}/", http.HandlerFunc(s.web))
	m.Handle("/", s.serve(func(call) answer {
		return no(http.StatusNotFound, "not_found", "The requested API endpoint was not found.")
	}))
	return m
}

// API is the handler of both services.
func (s *Server) API() http.Handler { return s.api }

// serve wraps a route: identity, limits, faults, history.
func (s *Server) serve(r route) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		raw, err := io.ReadAll(req.Body)
		if err != nil {
			return // the client went away
		}
		req.Body = io.NopCloser(bytes.NewReader(raw))
		c := call{Request: req, body: map[string]any{}}
		if len(raw) > 0 && json.Unmarshal(raw, &c.body) != nil {
			c.body = map[string]any{}
		}
		h := s.record(req, raw)
		w.Header().Set("Request-Id", h.RequestID)
		if s.fault(w, req, h, Before) {
			return
		}
		s.waitHold(req, Before)
		s.mu.Lock()
		a, left := s.answer(c, r)
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
		writeJSON(w, a.status, a.body)
	})
}

func (s *Server) answer(c call, r route) (a answer, left int) {
	c.now = s.play()
	if !s.known(c.Request) {
		return no(http.StatusUnauthorized, "unauthorized", "Invalid credentials provided."), -1
	}
	left, ok := s.spend(c.Request, c.now)
	if !ok {
		a := no(http.StatusTooManyRequests, "rate_limit", "Your account reached the API rate limit. Please wait a few minutes before making new requests.")
		a.body.(map[string]any)["url"] = "https://devcenter.heroku.com/articles/platform-api-reference#rate-limits"
		return a, 0
	}
	return r(c), left
}

func (s *Server) known(req *http.Request) bool {
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

// bucket is the rate limit: 4,500 calls, refilled at 75 a minute. The Data API
// shows none.
type bucket struct {
	left float64
	at   time.Time
}

func (s *Server) spend(req *http.Request, now time.Time) (left int, ok bool) {
	if isData(req.URL.Path) || req.URL.Path == "/account/rate-limits" {
		return -1, true
	}
	b := s.limits["platform"]
	if b == nil {
		b = &bucket{left: 4500, at: now}
		s.limits["platform"] = b
	}
	b.left = min(4500, b.left+now.Sub(b.at).Minutes()*75)
	b.at = now
	if b.left < 1 {
		return 0, false
	}
	b.left--
	return int(b.left), true
}

func isData(path string) bool {
	return strings.HasPrefix(path, "/client/") || strings.HasPrefix(path, "/postgres/") || strings.HasPrefix(path, "/data/")
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json;charset=utf-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // the client went away
}

func (s *Server) onApp(r func(call, *app) answer) route {
	return func(c call) answer {
		a := s.state.app(c.PathValue("app"))
		if a == nil {
			return notFound("app")
		}
		return r(c, a)
	}
}

func (s *Server) onDatabase(r func(call, *database) answer) route {
	return func(c call) answer {
		d := s.state.database(c.PathValue("db"))
		if d == nil {
			return no(http.StatusNotFound, "not_found", "Not found.")
		}
		return r(c, d)
	}
}

// identity reads a value that may be a string or an object with a name or id.
func identity(v any) string {
	switch x := v.(type) {
	case string:
		return x
	case map[string]any:
		for _, k := range []string{"id", "name"} {
			if s, ok := x[k].(string); ok && s != "" {
				return s
			}
		}
	}
	return ""
}
