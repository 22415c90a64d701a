package slacktest

import (
	"encoding/json"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

type reply map[string]any

func fails(code string) reply { return reply{"ok": false, "error": code} }

// refused is an answer that says what is wrong with what came.
func refused(code string, problems []string) reply {
	return reply{"ok": false, "error": code, "response_metadata": reply{"messages": problems}}
}

func (s *Server) serveMethod(w http.ResponseWriter, r *http.Request) {
	method := r.PathValue("method")
	args, header, form, err := arguments(r)
	if err != nil {
		writeJSON(w, http.StatusOK, fails("invalid_form_data"))
		return
	}
	token := header
	if token == "" {
		token = form
	}
	if method == "apps.connections.open" && header == "" && form != "" {
		token = "" // in a parameter it is not accepted (docs.slack.dev/reference/methods/apps.connections.open)
	}
	s.struckBy(w, r, method, args, func() reply {
		scopes := strings.Join(s.scopes(), ",")
		if method == "apps.connections.open" {
			scopes = "connections:write"
		}
		w.Header().Set("X-OAuth-Scopes", scopes)
		return s.call(method, args, token)
	})
}

// call does one call and notes it.
func (s *Server) call(method string, args url.Values, token string) reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	out := s.do(method, args, token)
	code, _ := out["error"].(string)
	s.history = append(s.history, Request{Method: method, Error: code, Args: args})
	return out
}

// answer writes what a call came to.
func (s *Server) answer(w http.ResponseWriter, out reply) {
	if wait, ok := out["retry_after"].(int); ok {
		w.Header().Set("Retry-After", strconv.Itoa(wait))
		writeJSON(w, http.StatusTooManyRequests, fails("ratelimited"))
		return
	}
	if e, _ := out["error"].(string); e == "expired_url" || e == "used_url" {
		writeJSON(w, http.StatusNotFound, out)
		return
	}
	writeJSON(w, http.StatusOK, out)
}

// arguments reads a call's arguments wherever Slack allows them: a form, JSON,
// or the query. The token is taken out of them.
func arguments(r *http.Request) (args url.Values, header, form string, err error) {
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/json":
		args = r.URL.Query()
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, "", "", err
		}
		var m map[string]json.RawMessage
		if len(body) > 0 {
			if err := json.Unmarshal(body, &m); err != nil {
				return nil, "", "", err
			}
		}
		for k, v := range m {
			var text string
			if json.Unmarshal(v, &text) == nil {
				args.Set(k, text)
			} else {
				args.Set(k, string(v))
			}
		}
	case "multipart/form-data":
		if err := r.ParseMultipartForm(1 << 20); err != nil {
			return nil, "", "", err
		}
		args = r.Form
	default:
		if err := r.ParseForm(); err != nil {
			return nil, "", "", err
		}
		args = r.Form
	}
	header, _ = strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	form = args.Get("token")
	args.Del("token")
	return args, header, form, nil
}

func writeJSON(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	_ = enc.Encode(body) // the client went away
}
