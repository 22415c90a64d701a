package slacktest

import (
	"encoding/json"
	"fmt"
)

// checkBlocks checks blocks as strictly as Slack documents it
// (docs.slack.dev/reference/block-kit/blocks) and returns what is wrong.
func checkBlocks(raw json.RawMessage, most int) []string {
	var blocks []map[string]any
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return []string{"[ERROR] blocks must be a list of objects"}
	}
	c := &checker{ids: map[string]bool{}, actions: map[string]bool{}}
	if len(blocks) > most {
		c.bad("/blocks", "no more than %d items allowed", most)
	}
	for i, b := range blocks {
		at := fmt.Sprintf("/blocks/%d", i)
		if id, _ := b["block_id"].(string); id != "" {
			if c.ids[id] {
				c.bad(at+"/block_id", "block_id already exists")
			}
			c.ids[id] = true
			c.length(at+"/block_id", id, 1, 255)
		}
		c.block(at, b)
	}
	return c.problems
}

type checker struct {
	problems []string
	ids      map[string]bool
	actions  map[string]bool
}

func (c *checker) bad(at, format string, args ...any) {
	c.problems = append(c.problems, "[ERROR] "+fmt.Sprintf(format, args...)+" [json-pointer:"+at+"]")
}

func (c *checker) length(at, s string, least, most int) {
	if n := len([]rune(s)); n < least || n > most {
		c.bad(at, "must be between %d and %d characters, has %d", least, most, n)
	}
}

func (c *checker) text(at string, v any, most int, plainOnly bool) {
	m, ok := v.(map[string]any)
	if !ok {
		c.bad(at, "missing required field")
		return
	}
	switch m["type"] {
	case "plain_text":
	case "mrkdwn":
		if plainOnly {
			c.bad(at+"/type", "must be plain_text")
		}
		if _, ok := m["emoji"]; ok {
			c.bad(at+"/emoji", "not allowed for mrkdwn")
		}
	default:
		c.bad(at+"/type", "must be plain_text or mrkdwn")
	}
	s, _ := m["text"].(string)
	c.length(at+"/text", s, 1, most)
}

func (c *checker) block(at string, b map[string]any) {
	elements, _ := b["elements"].([]any)
	switch b["type"] {
	case "header":
		c.text(at+"/text", b["text"], 150, true)
	case "divider":
	case "section":
		fields, _ := b["fields"].([]any)
		if b["text"] == nil && len(fields) == 0 {
			c.bad(at, "needs text or fields")
		}
		if b["text"] != nil {
			c.text(at+"/text", b["text"], 3000, false)
		}
		if len(fields) > 10 {
			c.bad(at+"/fields", "no more than 10 items allowed")
		}
		for i, f := range fields {
			c.text(fmt.Sprintf("%s/fields/%d", at, i), f, 2000, false)
		}
		if e, ok := b["accessory"].(map[string]any); ok {
			c.element(at+"/accessory", e)
		}
	case "context":
		if len(elements) < 1 || len(elements) > 10 {
			c.bad(at+"/elements", "must have 1 to 10 items")
		}
		for i, e := range elements {
			if m, _ := e.(map[string]any); m["type"] != "image" {
				c.text(fmt.Sprintf("%s/elements/%d", at, i), e, 3000, false)
			}
		}
	case "actions":
		if len(elements) < 1 || len(elements) > 25 {
			c.bad(at+"/elements", "must have 1 to 25 items")
		}
		for i, e := range elements {
			m, _ := e.(map[string]any)
			c.element(fmt.Sprintf("%s/elements/%d", at, i), m)
		}
	case "image":
		alt, _ := b["alt_text"].(string)
		c.length(at+"/alt_text", alt, 1, 2000)
	case "input":
		c.text(at+"/label", b["label"], 2000, true)
		e, ok := b["element"].(map[string]any)
		if !ok {
			c.bad(at+"/element", "missing required field")
		} else if e["type"] != "plain_text_input" {
			c.bad(at+"/element/type", "this stand-in knows plain_text_input only")
		}
	case "rich_text", "markdown":
	default:
		c.bad(at+"/type", "unsupported type: %v", b["type"])
	}
}

func (c *checker) element(at string, e map[string]any) {
	if e["type"] != "button" {
		c.bad(at+"/type", "this stand-in knows buttons only")
		return
	}
	c.text(at+"/text", e["text"], 75, true)
	id, _ := e["action_id"].(string)
	if id == "" || c.actions[id] {
		c.bad(at+"/action_id", "must be given and be unique in the message, is %q", id)
	}
	c.actions[id] = true
	c.length(at+"/action_id", id, 1, 255)
	value, _ := e["value"].(string)
	c.length(at+"/value", value, 0, 2000)
	if style, ok := e["style"]; ok && style != "primary" && style != "danger" {
		c.bad(at+"/style", "must be primary or danger")
	}
	if confirm, ok := e["confirm"].(map[string]any); ok {
		c.text(at+"/confirm/title", confirm["title"], 100, true)
		c.text(at+"/confirm/text", confirm["text"], 300, false)
		c.text(at+"/confirm/confirm", confirm["confirm"], 30, true)
		c.text(at+"/confirm/deny", confirm["deny"], 30, true)
	}
}
