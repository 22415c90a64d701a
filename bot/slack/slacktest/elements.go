package slacktest

import "fmt"

// element checks an element of a section or of an actions block.
func (c *checker) element(at string, e map[string]any) {
	if e["type"] == "image" {
		c.image(at, e)
		return
	}
	c.actionID(at, e)
	if confirm, ok := e["confirm"].(map[string]any); ok {
		c.confirm(at+"/confirm", confirm)
	}
	c.field(at, e, "accessibility_label", 75)
	switch e["type"] {
	case "button", "workflow_button":
		c.text(at+"/text", e["text"], 75, true)
		c.field(at, e, "value", 2000)
		c.field(at, e, "url", 3000)
		if style, ok := e["style"]; ok {
			c.oneOf(at+"/style", style, "primary", "danger")
		}
	case "overflow":
		options := objects(e["options"])
		c.count(at+"/options", len(options), 1, 5)
		c.options(at+"/options", options)
	case "datepicker", "timepicker", "datetimepicker", "feedback_buttons", "icon_button":
		c.optional(at+"/placeholder", e["placeholder"], 150, true)
	default:
		if !c.choice(at, e) {
			c.bad(at+"/type", "unsupported type: %v", e["type"])
		}
	}
}

// input checks the element of an input block.
func (c *checker) input(at string, e map[string]any) {
	c.actionID(at, e)
	c.optional(at+"/placeholder", e["placeholder"], 150, true)
	switch e["type"] {
	case "plain_text_input":
		least, most := c.number(at, e, "min_length", 0, 3000), c.number(at, e, "max_length", 1, 3000)
		if e["min_length"] != nil && e["max_length"] != nil && least > most {
			c.bad(at+"/min_length", "must be less than max_length")
		}
	case "email_text_input", "url_text_input", "number_input", "datepicker", "timepicker", "datetimepicker", "rich_text_input", "file_input":
	default:
		if !c.choice(at, e) {
			c.bad(at+"/type", "unsupported type: %v", e["type"])
		}
	}
}

// choice checks selects, radio buttons and checkboxes; false when e is none.
func (c *checker) choice(at string, e map[string]any) bool {
	options, groups := objects(e["options"]), objects(e["option_groups"])
	switch e["type"] {
	case "radio_buttons", "checkboxes":
		c.count(at+"/options", len(options), 1, 10)
		c.options(at+"/options", options)
	case "static_select", "multi_static_select":
		if (len(options) > 0) == (len(groups) > 0) {
			c.bad(at, "must have either options or option_groups")
		}
		c.count(at+"/options", len(options), 0, 100)
		c.options(at+"/options", options)
		c.count(at+"/option_groups", len(groups), 0, 100)
		for i, g := range groups {
			here := fmt.Sprintf("%s/option_groups/%d", at, i)
			c.text(here+"/label", g["label"], 75, true)
			in := objects(g["options"])
			c.count(here+"/options", len(in), 1, 100)
			c.options(here+"/options", in)
		}
	case "external_select", "users_select", "conversations_select", "channels_select",
		"multi_external_select", "multi_users_select", "multi_conversations_select", "multi_channels_select":
	default:
		return false
	}
	c.optional(at+"/placeholder", e["placeholder"], 150, true)
	return true
}

func (c *checker) options(at string, options []map[string]any) {
	for i, o := range options {
		here := fmt.Sprintf("%s/%d", at, i)
		c.text(here+"/text", o["text"], 75, false)
		c.field(here, o, "value", 150)
		c.optional(here+"/description", o["description"], 75, false)
		c.field(here, o, "url", 3000)
	}
}

func (c *checker) confirm(at string, m map[string]any) {
	c.text(at+"/title", m["title"], 100, true)
	c.text(at+"/text", m["text"], 300, false)
	c.text(at+"/confirm", m["confirm"], 30, true)
	c.text(at+"/deny", m["deny"], 30, true)
	if style, ok := m["style"]; ok {
		c.oneOf(at+"/style", style, "primary", "danger")
	}
}

// actionID checks an action id: unique in its block.
func (c *checker) actionID(at string, e map[string]any) {
	c.field(at, e, "action_id", 255)
	id, _ := e["action_id"].(string)
	if id == "" {
		return // Slack makes one
	}
	if c.actions[id] {
		c.bad(at+"/action_id", "action_id %q already exists in this block", id)
	}
	c.actions[id] = true
}

// number checks a number that may be left out, and returns it.
func (c *checker) number(at string, m map[string]any, name string, least, most float64) float64 {
	v, ok := m[name]
	if !ok {
		return least
	}
	n, ok := v.(float64)
	if !ok || n < least || n > most {
		c.bad(at+"/"+name, "must be between %v and %v", least, most)
	}
	return n
}
