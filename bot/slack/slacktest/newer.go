package slacktest

import "fmt"

// newer checks the blocks that came in 2025 and 2026.
func (c *checker) newer(at string, b map[string]any) {
	switch b["type"] {
	case "alert":
		if c.on.name == "message" {
			c.bad(at+"/type", "alert is not allowed in messages")
		}
		c.text(at+"/text", b["text"], 3000, false)
		if level, ok := b["level"]; ok {
			c.oneOf(at+"/level", level, "default", "info", "warning", "error", "success")
		}
	case "table":
		c.table(at, b)
	case "data_table":
		c.dataTable(at, b)
	case "data_visualization":
		c.required(at, b, "title", 50)
		chart, _ := b["chart"].(map[string]any)
		c.chart(at+"/chart", chart)
	case "task_card":
		c.taskCard(at, b)
	case "plan":
		for i, t := range objects(b["tasks"]) {
			c.taskCard(fmt.Sprintf("%s/tasks/%d", at, i), t)
		}
	case "card":
		c.card(at, b)
	case "carousel":
		cards := objects(b["elements"])
		c.count(at+"/elements", len(cards), 1, 10)
		for i, e := range cards {
			c.card(fmt.Sprintf("%s/elements/%d", at, i), e)
		}
	case "container":
		if b["title"] == nil && b["rich_text_title"] == nil {
			c.bad(at, "missing required field: title or rich_text_title")
		}
		c.optional(at+"/title", b["title"], 150, true)
		c.optional(at+"/subtitle", b["subtitle"], 150, false)
		children := objects(b["child_blocks"])
		c.count(at+"/child_blocks", len(children), 1, 10)
		c.list(at+"/child_blocks", children)
	case "layout":
		c.layout(at, b)
	default:
		c.bad(at+"/type", "unsupported type: %v", b["type"])
	}
}

func (c *checker) table(at string, b map[string]any) {
	c.tables++
	rows, _ := b["rows"].([]any)
	c.count(at+"/rows", len(rows), 1, 100)
	for i, r := range rows {
		cells := objects(r)
		here := fmt.Sprintf("%s/rows/%d", at, i)
		c.count(here, len(cells), 1, 20)
		for j, x := range cells {
			c.oneOf(fmt.Sprintf("%s/%d/type", here, j), x["type"], "raw_text", "raw_number", "rich_text")
			c.richParts(x)
		}
	}
	c.count(at+"/column_settings", len(objects(b["column_settings"])), 0, 20)
}

func (c *checker) dataTable(at string, b map[string]any) {
	c.tables++
	if s, _ := b["caption"].(string); s == "" {
		c.bad(at+"/caption", "missing required field: caption")
	}
	rows, _ := b["rows"].([]any)
	c.count(at+"/rows", len(rows), 2, 101) // the first is the header
	for i, r := range rows {
		for j, x := range objects(r) {
			if i == 0 {
				c.oneOf(fmt.Sprintf("%s/rows/0/%d/type", at, j), x["type"], "raw_text")
			}
			c.richParts(x)
		}
	}
	c.number(at, b, "page_size", 1, 100)
}

func (c *checker) chart(at string, chart map[string]any) {
	switch chart["type"] {
	case "pie":
		segments := objects(chart["segments"])
		c.count(at+"/segments", len(segments), 1, 6)
		for i, s := range segments {
			c.required(fmt.Sprintf("%s/segments/%d", at, i), s, "label", 20)
		}
		return
	case "bar", "line", "area":
	default:
		c.bad(at+"/type", "unsupported type: %v", chart["type"])
		return
	}
	axis, _ := chart["axis_config"].(map[string]any)
	c.field(at+"/axis_config", axis, "x_label", 50)
	c.field(at+"/axis_config", axis, "y_label", 50)
	categories, _ := axis["categories"].([]any)
	c.count(at+"/axis_config/categories", len(categories), 1, 20)
	for i, x := range categories {
		s, _ := x.(string)
		c.length(fmt.Sprintf("%s/axis_config/categories/%d", at, i), s, 1, 20)
	}
	series := objects(chart["series"])
	c.count(at+"/series", len(series), 1, 6)
	for i, s := range series {
		here := fmt.Sprintf("%s/series/%d", at, i)
		c.required(here, s, "name", 20)
		points := objects(s["data"])
		c.count(here+"/data", len(points), 1, 20)
		if len(points) != len(categories) {
			c.bad(here+"/data", "must have one point per category")
		}
		for j, p := range points {
			c.required(fmt.Sprintf("%s/data/%d", here, j), p, "label", 20)
		}
	}
}

func (c *checker) taskCard(at string, b map[string]any) {
	if status, ok := b["status"]; ok {
		c.oneOf(at+"/status", status, "pending", "in_progress", "complete", "error")
	}
	for _, part := range []string{"details", "output"} {
		if p, ok := b[part].(map[string]any); ok {
			c.oneOf(at+"/"+part+"/type", p["type"], "rich_text")
			c.richParts(p)
		}
	}
}

func (c *checker) card(at string, b map[string]any) {
	c.optional(at+"/title", b["title"], 150, false)
	c.optional(at+"/subtitle", b["subtitle"], 150, false)
	c.optional(at+"/body", b["body"], 200, false)
	if b["hero_image"] == nil && b["title"] == nil && b["actions"] == nil && b["body"] == nil {
		c.bad(at, "must have one of hero_image, title, actions and body")
	}
	for i, e := range objects(b["actions"]) {
		c.element(fmt.Sprintf("%s/actions/%d", at, i), e)
	}
}

func (c *checker) layout(at string, b map[string]any) {
	c.required(at, b, "label", 150)
	rows := objects(b["rows"])
	c.count(at+"/rows", len(rows), 1, 5)
	for i, r := range rows {
		items := objects(r["items"])
		here := fmt.Sprintf("%s/rows/%d/items", at, i)
		c.count(here, len(items), 1, 3)
		for j, item := range items {
			child, _ := item["block"].(map[string]any)
			if child["type"] == "markdown" {
				c.bad(fmt.Sprintf("%s/%d/block/type", here, j), "markdown is not allowed in a layout")
				continue
			}
			c.block(fmt.Sprintf("%s/%d/block", here, j), child)
		}
	}
}
