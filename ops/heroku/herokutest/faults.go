package herokutest

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// When says whether a fault or a hold strikes before the request acts or after.
type When string

// The moments.
const (
	Before When = "before"
	After  When = "after"
)

// Fault makes requests fail. It strikes requests of that method whose path
// holds Path, Times times (0: until it is removed).
type Fault struct {
	Method string        `json:"method"`
	Path   string        `json:"path"`
	When   When          `json:"when"`
	Skip   int           `json:"skip"` // lets so many matching requests through first
	Times  int           `json:"times"`
	Status int           `json:"status"` // 0: no answer, see Hang and Delay
	Body   string        `json:"body"`   // "": an error of Heroku's shape
	Type   string        `json:"type"`   // of Body; "": application/json, as the Data API said of HTML
	Hang   bool          `json:"hang"`   // the connection stays open without a word until the client gives up
	Delay  time.Duration `json:"delay"`  // with Status 0: the answer comes, this much later by the machine's clock
	left   int
}

// The zero Status without Hang and Delay drops the connection.
var faultKinds = map[string]Fault{
	"reset":       {},
	"no answer":   {Hang: true},
	"slow":        {Delay: 2 * time.Second},
	"401":         {Status: http.StatusUnauthorized},
	"403":         {Status: http.StatusForbidden},
	"two-factor":  {Status: http.StatusForbidden, Body: `{"id":"two_factor","message":"Two-factor authentication is required."}`},
	"422":         {Status: http.StatusUnprocessableEntity},
	"429":         {Status: http.StatusTooManyRequests},
	"500":         {Status: http.StatusInternalServerError},
	"503 as text": {Status: http.StatusServiceUnavailable, Body: "Service Unavailable\n", Type: "text/plain"},
	"404 as HTML": {Status: http.StatusNotFound, Body: "<h1>Not Found</h1>"},
	"malformed":   {Status: http.StatusOK, Body: `{"id": "01234567-89ab`},
}

var faultForm = regexp.MustCompile(`^([A-Z]+|anything) (/\S*): (.+?)((?:, (?:once|always|\d+ times|before acting|after acting))*)$`)

// ParseFault reads a fault as a scenario has it: "POST /upgrade/run: reset,
// once, after acting". The method may be "anything"; without more words it
// strikes always, before the request acts.
func ParseFault(text string) (Fault, error) {
	m := faultForm.FindStringSubmatch(text)
	if m == nil {
		return Fault{}, fmt.Errorf(`%q is no fault; one looks like "POST /upgrade/run: reset, once, after acting"`, text)
	}
	f, ok := faultKinds[m[3]]
	if !ok {
		return Fault{}, fmt.Errorf("there is no fault named %q; there are %s", m[3], strings.Join(FaultKinds(), ", "))
	}
	if m[1] != "anything" {
		f.Method = m[1]
	}
	f.Path, f.When = m[2], Before
	for word := range strings.SplitSeq(m[4], ", ") {
		count, _, _ := strings.Cut(word, " ")
		n, err := strconv.Atoi(count)
		switch {
		case word == "once":
			f.Times = 1
		case word == "after acting":
			f.When = After
		case err == nil:
			f.Times = n
		}
	}
	return f, nil
}

// FaultKinds lists the names of faults.
func FaultKinds() []string { return slices.Sorted(maps.Keys(faultKinds)) }

// Fault adds a fault.
func (s *Server) Fault(f Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f.left = f.Times
	s.faults = append(s.faults, &f)
}

// ClearFaults removes all faults.
func (s *Server) ClearFaults() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = nil
}

func (s *Server) struck(req *http.Request, when When) *Fault {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, f := range s.faults {
		if f.When == when && (f.Method == "" || f.Method == req.Method) && strings.Contains(req.URL.Path, f.Path) && (f.Times == 0 || f.left > 0) {
			if f.Skip > 0 {
				f.Skip--
				continue
			}
			f.left--
			return f
		}
	}
	return nil
}

// fault answers, or gives no answer, when a fault strikes.
func (s *Server) fault(w http.ResponseWriter, req *http.Request, h *Request, when When) bool {
	f := s.struck(req, when)
	switch {
	case f == nil:
		return false
	case f.Hang:
		<-req.Context().Done()
		panic(http.ErrAbortHandler)
	case f.Status == 0 && f.Delay > 0:
		select {
		case <-time.After(f.Delay):
			return false
		case <-req.Context().Done():
			panic(http.ErrAbortHandler)
		}
	case f.Status == 0:
		panic(http.ErrAbortHandler) // net/http drops the connection
	}
	if when == Before {
		s.mu.Lock()
		h.Status = f.Status
		s.mu.Unlock()
	}
	if f.Body != "" {
		w.Header().Set("Content-Type", cmp.Or(f.Type, "application/json"))
		w.WriteHeader(f.Status)
		_, _ = w.Write([]byte(f.Body)) // the client went away
		return true
	}
	id := map[int]string{429: "rate_limit", 401: "unauthorized", 403: "forbidden", 422: "invalid_params"}[f.Status]
	body := map[string]any{"id": id, "message": "scripted fault"}
	if f.Status == http.StatusTooManyRequests {
		w.Header().Set("RateLimit-Remaining", "0")
		body["url"] = rateLimitURL
	}
	writeJSON(w, f.Status, body)
	return true
}
