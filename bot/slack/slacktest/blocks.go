package slacktest

import (
	"encoding/json"
	"fmt"
	"unicode/utf8"
)

// surface is where blocks stand.
type surface struct {
	name   string
	blocks int // the most
	total  int // characters over all blocks; 0: no limit is known
}

// Limits of a whole message or view. That of all characters of a message is not
// documented; it was met near this number.
var (
	surfaceMessage = surface{"message", 50, 13_200}
	surfaceModal   = surface{"modal", 100, 0}
	surfaceHome    = surface{"home", 100, 0}
)

// checkBlocks checks blocks as strictly as Slack documents them
// (docs.slack.dev/reference/block-kit; the limits that only the clients know are
// those of @slack/types 3.2.0 and slack-go 0.35.0). It returns Slack's error word
// and what is wrong; "" when nothing is.
func checkBlocks(raw json.RawMessage, on surface) (code string, problems []string) {
	var blocks []map[string]any
	if err := json.Unmarshal(raw, &blocks); err != nil {
		return "invalid_blocks_format", []string{"[ERROR] blocks must be a list of objects [json-pointer:/blocks]"}
	}
	c := &checker{on: on, ids: map[string]bool{}}
	c.count("/blocks", len(blocks), 0, on.blocks)
	c.list("/blocks", blocks)
	switch {
	case c.tables > 1:
		return "invalid_attachments", append(c.problems, "[ERROR] only_one_table_allowed [json-pointer:/blocks]")
	case len(c.problems) > 0:
		return "invalid_blocks", c.problems
	case on.total > 0 && c.total > on.total:
		return "msg_blocks_too_long", []string{fmt.Sprintf("[ERROR] the blocks hold %d characters [json-pointer:/blocks]", c.total)}
	}
	return "", nil
}

// checker collects what is wrong with one message or view.
type checker struct {
	on       surface
	problems []string
	ids      map[string]bool // block ids
	actions  map[string]bool // action ids of the block being checked
	total    int
	markdown int
	tables   int
}

func length(s string) int { return utf8.RuneCountInString(s) }

func (c *checker) bad(at, format string, args ...any) {
	c.problems = append(c.problems, "[ERROR] "+fmt.Sprintf(format, args...)+" [json-pointer:"+at+"]")
}

// count checks how many there are.
func (c *checker) count(at string, n, least, most int) {
	if n < least {
		c.bad(at, "no fewer than %d items allowed", least)
	}
	if n > most {
		c.bad(at, "no more than %d items allowed", most)
	}
}

// length checks a string's length in characters.
func (c *checker) length(at, s string, least, most int) {
	switch n := length(s); {
	case n < least:
		c.bad(at, "must be more than %d characters", least-1)
	case n > most:
		c.bad(at, "must be less than %d characters", most+1)
	}
}

// field checks a string that may be left out.
func (c *checker) field(at string, m map[string]any, name string, most int) {
	switch s := m[name].(type) {
	case nil:
	case string:
		c.length(at+"/"+name, s, 0, most)
	default:
		c.bad(at+"/"+name, "must be a string")
	}
}

// required checks a string that must be there.
func (c *checker) required(at string, m map[string]any, name string, most int) {
	s, ok := m[name].(string)
	if !ok {
		c.bad(at+"/"+name, "missing required field: %s", name)
		return
	}
	c.length(at+"/"+name, s, 1, most)
}

func (c *checker) oneOf(at string, v any, allowed ...string) {
	for _, a := range allowed {
		if v == a {
			return
		}
	}
	c.bad(at, "must be one of %v", allowed)
}

// text checks a text object.
func (c *checker) text(at string, v any, most int, plainOnly bool) {
	m, ok := v.(map[string]any)
	if !ok {
		c.bad(at, "missing required field")
		return
	}
	switch m["type"] {
	case "plain_text":
		if _, ok := m["verbatim"]; ok {
			c.bad(at+"/verbatim", "not allowed for plain_text")
		}
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
	c.total += length(s)
	c.length(at+"/text", s, 1, most)
}

// optional checks a text object that may be left out.
func (c *checker) optional(at string, v any, most int, plainOnly bool) {
	if v != nil {
		c.text(at, v, most, plainOnly)
	}
}

func objects(v any) []map[string]any {
	list, _ := v.([]any)
	out := make([]map[string]any, len(list))
	for i, x := range list {
		out[i], _ = x.(map[string]any) // nil has no type, and is refused for that
	}
	return out
}

func (c *checker) list(at string, blocks []map[string]any) {
	plans, cards := 0, 0
	for i, b := range blocks {
		here := fmt.Sprintf("%s/%d", at, i)
		if id, _ := b["block_id"].(string); id != "" {
			if c.ids[id] {
				c.bad(here+"/block_id", "block_id already exists")
			}
			c.ids[id] = true
		}
		c.field(here, b, "block_id", 255)
		c.block(here, b)
		switch b["type"] {
		case "plan":
			plans++
		case "task_card":
			cards++
		}
	}
	if plans > 0 && cards > 0 {
		c.bad(at, "plan and task_card cannot be mixed")
	}
}

func (c *checker) block(at string, b map[string]any) {
	c.actions = map[string]bool{}
	switch b["type"] {
	case "header":
		c.text(at+"/text", b["text"], 150, true)
		if v, ok := b["level"]; ok {
			if n, _ := v.(float64); n < 1 || n > 4 {
				c.bad(at+"/level", "must be between 1 and 4")
			}
		}
	case "divider":
	case "section":
		c.section(at, b)
	case "context":
		elements := objects(b["elements"])
		c.count(at+"/elements", len(elements), 1, 10)
		for i, e := range elements {
			here := fmt.Sprintf("%s/elements/%d", at, i)
			if e["type"] == "image" {
				c.image(here, e)
				continue
			}
			c.text(here, e, 3000, false)
		}
	case "actions":
		elements := objects(b["elements"])
		c.count(at+"/elements", len(elements), 1, 25)
		for i, e := range elements {
			c.element(fmt.Sprintf("%s/elements/%d", at, i), e)
		}
	case "context_actions":
		elements := objects(b["elements"])
		c.count(at+"/elements", len(elements), 1, 5)
		for i, e := range elements {
			c.oneOf(fmt.Sprintf("%s/elements/%d/type", at, i), e["type"], "feedback_buttons", "icon_button")
		}
	case "image":
		c.image(at, b)
		c.optional(at+"/title", b["title"], 2000, true)
	case "input":
		c.text(at+"/label", b["label"], 2000, true)
		c.optional(at+"/hint", b["hint"], 2000, true)
		if e, ok := b["element"].(map[string]any); ok {
			c.input(at+"/element", e)
		} else {
			c.bad(at+"/element", "missing required field: element")
		}
	case "rich_text":
		c.richText(at, b)
	case "markdown":
		s, _ := b["text"].(string)
		c.length(at+"/text", s, 1, longestMarkdown)
		c.total += length(s)
		if before := c.markdown; before <= longestMarkdown {
			if c.markdown += length(s); c.markdown > longestMarkdown && before > 0 {
				c.bad(at+"/text", "all markdown blocks together must be less than %d characters", longestMarkdown+1)
			}
		}
	default:
		c.newer(at, b)
	}
}

func (c *checker) section(at string, b map[string]any) {
	fields := objects(b["fields"])
	if b["text"] == nil && len(fields) == 0 {
		c.bad(at, "missing required field: text or fields")
	}
	c.optional(at+"/text", b["text"], 3000, false)
	c.count(at+"/fields", len(fields), 0, 10)
	for i, f := range fields {
		c.text(fmt.Sprintf("%s/fields/%d", at, i), f, 2000, false)
	}
	if e, ok := b["accessory"].(map[string]any); ok {
		c.element(at+"/accessory", e)
	}
}

// image checks an image, which is a block and an element.
func (c *checker) image(at string, b map[string]any) {
	c.required(at, b, "alt_text", 2000)
	c.field(at, b, "image_url", 3000)
	file, hasFile := b["slack_file"].(map[string]any)
	if _, hasURL := b["image_url"]; hasURL == hasFile {
		c.bad(at, "must have either image_url or slack_file")
	}
	if hasFile && (file["id"] == nil) == (file["url"] == nil) {
		c.bad(at+"/slack_file", "must have either id or url")
	}
}

// richText counts what it holds; Slack documents no length of a single part.
func (c *checker) richText(at string, b map[string]any) {
	elements := objects(b["elements"])
	if len(elements) == 0 {
		c.bad(at+"/elements", "missing required field: elements")
	}
	for i, e := range elements {
		here := fmt.Sprintf("%s/elements/%d", at, i)
		c.oneOf(here+"/type", e["type"], "rich_text_section", "rich_text_list", "rich_text_quote", "rich_text_preformatted")
		c.richParts(e)
	}
}

func (c *checker) richParts(e map[string]any) {
	if s, ok := e["text"].(string); ok {
		c.total += length(s)
	}
	for _, x := range objects(e["elements"]) {
		c.richParts(x)
	}
}
