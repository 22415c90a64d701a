package slacktest

import (
	"encoding/json"
	"net/http"
)

// Control is the second handler: it makes things happen and tells what happened.
//
//	POST /stage     {"what": "fail chat.postMessage with 503 once"}; see Stages
//	POST /event     an event, sent to the app until it is acknowledged
//	GET  /stages    the forms of what can be staged
//	GET  /history   every call of the Web API
//	GET  /envelopes what was sent down the connections, and what came back
//	GET  /state     connections, faults and messages
func (s *Server) Control() http.Handler {
	m := http.NewServeMux()
	m.HandleFunc("POST /stage", func(w http.ResponseWriter, r *http.Request) {
		var x struct{ What string }
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&x); err != nil {
			writeJSON(w, http.StatusBadRequest, reply{"error": err.Error()})
			return
		}
		if err := s.Stage(x.What); err != nil {
			writeJSON(w, http.StatusUnprocessableEntity, reply{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, reply{"ok": true})
	})
	m.HandleFunc("POST /event", func(w http.ResponseWriter, r *http.Request) {
		var event map[string]any
		if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 1<<20)).Decode(&event); err != nil {
			writeJSON(w, http.StatusBadRequest, reply{"error": err.Error()})
			return
		}
		if err := s.Event(r.Context(), event); err != nil {
			writeJSON(w, http.StatusGatewayTimeout, reply{"error": err.Error()})
			return
		}
		writeJSON(w, http.StatusOK, reply{"ok": true})
	})
	m.HandleFunc("GET /stages", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte(Stages + "\n")) // the client went away
	})
	m.HandleFunc("GET /history", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.History()) })
	m.HandleFunc("GET /envelopes", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.Envelopes()) })
	m.HandleFunc("GET /state", func(w http.ResponseWriter, _ *http.Request) { writeJSON(w, http.StatusOK, s.state()) })
	return m
}

func (s *Server) state() reply {
	s.mu.Lock()
	defer s.mu.Unlock()
	faults := []string{}
	for _, f := range s.faults {
		if f.Times == 0 || f.left > 0 {
			faults = append(faults, f.Method+" "+f.String())
		}
	}
	return reply{"sockets": len(s.sockets), "storm": s.storm, "faults": faults, "channels": s.channels, "messages": s.posts, "views": s.views}
}
