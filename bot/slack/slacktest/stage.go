package slacktest

import (
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Stages is what Stage understands, one form a line.
const Stages = `fail METHOD with HOW [after acting] [once|N times]   METHOD: chat.postMessage, ... , response_url, or everything
                                                     HOW: 429 retry SECONDS, 500, 503, reset, no answer, malformed, slow DURATION, error WORD
stop failing
go away | come back                                  503 to everything and every connection cut, until it comes back
disconnect REASON                                    warning, refresh_requested, link_disabled: the oldest connection
cut | cut everything                                 the oldest connection, or all, without a word
silence | notice                                     the oldest connection goes half open; Slack notices
storm REASON | end the storm                         every connection is ended at once
send TEXT                                            a text frame down the oldest connection
leave TCP open | close TCP                           after the closing handshake
deliver twice                                        the next press or submission comes twice
revoke app token | revoke bot token
remove the bot from CHANNEL | invite the bot to CHANNEL
archive CHANNEL | unarchive CHANNEL | delete CHANNEL`

// stages are the forms of Stages without the faults.
var stages = []struct {
	re *regexp.Regexp
	do func(s *Server, m []string) error
}{
	{form(`stop failing`), func(s *Server, _ []string) error { s.ClearFaults(); return nil }},
	{form(`go away`), func(s *Server, _ []string) error { s.Away(true); return nil }},
	{form(`come back`), func(s *Server, _ []string) error { s.Away(false); return nil }},
	{form(`disconnect (warning|refresh_requested|link_disabled)`), func(s *Server, m []string) error { s.Disconnect(m[1]); return nil }},
	{form(`cut`), func(s *Server, _ []string) error { s.Disconnect(""); return nil }},
	{form(`cut everything`), func(s *Server, _ []string) error { s.CutAll(); return nil }},
	{form(`silence`), func(s *Server, _ []string) error { s.Silence(); return nil }},
	{form(`notice`), func(s *Server, _ []string) error { s.Notice(); return nil }},
	{form(`storm (warning|refresh_requested|link_disabled|too_many_websockets)`), func(s *Server, m []string) error { s.Storm(m[1]); return nil }},
	{form(`end the storm`), func(s *Server, _ []string) error { s.Storm(""); return nil }},
	{form(`send (.+)`), func(s *Server, m []string) error { return s.SendText(m[1]) }},
	{form(`leave TCP open`), func(s *Server, _ []string) error { s.LeaveOpen(true); return nil }},
	{form(`close TCP`), func(s *Server, _ []string) error { s.LeaveOpen(false); return nil }},
	{form(`deliver twice`), func(s *Server, _ []string) error { s.Twice(1); return nil }},
	{form(`revoke (app|bot) token`), func(s *Server, m []string) error { return s.Revoke(m[1]) }},
	{form(`remove the bot from (\w+)`), func(s *Server, m []string) error { return s.alter(m[1], func(c *Channel) { c.Member = false }) }},
	{form(`invite the bot to (\w+)`), func(s *Server, m []string) error { return s.alter(m[1], func(c *Channel) { c.Member = true }) }},
	{form(`archive (\w+)`), func(s *Server, m []string) error { return s.alter(m[1], func(c *Channel) { c.Archived = true }) }},
	{form(`unarchive (\w+)`), func(s *Server, m []string) error { return s.alter(m[1], func(c *Channel) { c.Archived = false }) }},
	{form(`delete (\w+)`), func(s *Server, m []string) error { return s.deleteChannel(m[1]) }},
}

func form(re string) *regexp.Regexp { return regexp.MustCompile("^" + re + "$") }

// CheckStage reports whether Stage would understand a sentence.
func CheckStage(what string) error {
	if _, ok, err := parseFault(what); ok {
		return err
	}
	for _, f := range stages {
		if f.re.MatchString(what) {
			return nil
		}
	}
	return fmt.Errorf("%q is nothing that can happen at Slack; the forms are\n%s", what, Stages)
}

// Stage makes something happen, as a sentence says it: see Stages.
func (s *Server) Stage(what string) error {
	if f, ok, err := parseFault(what); ok {
		if err == nil {
			s.Fault(f)
		}
		return err
	}
	for _, f := range stages {
		if m := f.re.FindStringSubmatch(what); m != nil {
			return f.do(s, m)
		}
	}
	return CheckStage(what)
}

var faultForm = regexp.MustCompile(`^fail (everything|[a-zA-Z._]+) with (429|5\d\d|reset|no answer|malformed|slow (\S+)|error ([a-z_]+))(?: retry (\d+))?( after acting)?(?: (once|\d+ times|always))?$`)

// parseFault reads a fault; ok is false when the sentence is none.
func parseFault(what string) (f Fault, ok bool, err error) {
	if !strings.HasPrefix(what, "fail ") {
		return f, false, nil
	}
	m := faultForm.FindStringSubmatch(what)
	if m == nil {
		return f, true, fmt.Errorf("%q is no fault that I know; the forms are\n%s", what, Stages)
	}
	if f.Method = m[1]; f.Method == "everything" {
		f.Method = ""
	}
	if f.Method != "" && f.Method != "response_url" && tiers[f.Method] == 0 {
		return f, true, fmt.Errorf("this stand-in has no method %s", f.Method)
	}
	switch how, _, _ := strings.Cut(m[2], " "); how {
	case "reset":
		f.Drop = true
	case "no":
		f.Hang = true
	case "malformed":
		f.Malformed = true
	case "slow":
		if f.Delay, err = time.ParseDuration(m[3]); err != nil || f.Delay <= 0 {
			return f, true, fmt.Errorf("slow by how long? %q is no duration", m[3])
		}
	case "error":
		f.Error = m[4]
	default:
		f.Status, _ = strconv.Atoi(how) // the form has digits there
	}
	f.Retry, _ = strconv.Atoi(m[5])
	if f.Retry > 0 && f.Status != http.StatusTooManyRequests {
		return f, true, fmt.Errorf("retry belongs to 429 only")
	}
	f.After = m[6] != ""
	if n, _, _ := strings.Cut(m[7], " "); n == "once" {
		f.Times = 1
	} else {
		f.Times, _ = strconv.Atoi(n) // "" and "always": 0
	}
	return f, true, nil
}

// Away makes Slack unreachable, or reachable again.
func (s *Server) Away(yes bool) {
	if !yes {
		s.ClearFaults()
		return
	}
	s.Fault(Fault{Status: http.StatusServiceUnavailable})
	s.CutAll()
}

func (s *Server) alter(channel string, f func(*Channel)) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := s.channel(channel)
	if c == nil {
		return fmt.Errorf("there is no channel %s", channel)
	}
	f(c)
	s.change()
	return nil
}

func (s *Server) deleteChannel(id string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := len(s.channels)
	if s.channels = slices.DeleteFunc(s.channels, func(c *Channel) bool { return c.ID == id }); len(s.channels) == n {
		return fmt.Errorf("there is no channel %s", id)
	}
	s.change()
	return nil
}
