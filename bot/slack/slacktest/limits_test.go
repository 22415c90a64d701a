package slacktest_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

type object = map[string]any

func xs(n int) string { return strings.Repeat("é", n) } // characters count, not bytes

// many makes n of something.
func many(n int, make func(i int) any) []any {
	out := []any{}
	for i := range n {
		out = append(out, make(i))
	}
	return out
}

func plain(n int) object { return object{"type": "plain_text", "text": xs(n)} }
func mrkdwn(n int) object {
	return object{"type": "mrkdwn", "text": xs(n)}
}

func with(o object, key string, value any) object {
	o = maps.Clone(o)
	o[key] = value
	return o
}

func block(kind string, keys ...any) object {
	o := object{"type": kind}
	for i := 0; i < len(keys); i += 2 {
		o[keys[i].(string)] = keys[i+1]
	}
	return o
}

func button(i int) object {
	return block("button", "action_id", fmt.Sprintf("a%d", i), "text", plain(1))
}

func actions(e ...any) object { return block("actions", "elements", e) }

func inputOf(e object) object { return block("input", "label", plain(1), "element", e) }

func option(i int) any { return object{"text": plain(1), "value": fmt.Sprint(i)} }

func options(n int) []any { return many(n, option) }

func cell(int) any { return object{"type": "raw_text", "text": "x"} }

func table(rows, cells int) object {
	return block("table", "rows", many(rows, func(int) any { return many(cells, cell) }))
}

func dataTable(rows int) object {
	return block("data_table", "caption", "x", "rows", many(rows, func(int) any { return many(1, cell) }))
}

func line(series, points, name, label, axis int) object {
	label1 := func(i int) string { return fmt.Sprintf("%0*d", label, i) }
	return block("data_visualization", "title", "x", "chart", object{
		"type": "line", "axis_config": object{"categories": many(points, func(i int) any { return label1(i) }), "x_label": xs(axis), "y_label": xs(axis)},
		"series": many(series, func(int) any {
			return object{"name": xs(name), "data": many(points, func(i int) any { return object{"label": label1(i), "value": 1} })}
		}),
	})
}

func pie(segments, label int) object {
	return block("data_visualization", "title", "x", "chart", object{"type": "pie", "segments": many(segments, func(int) any { return object{"label": xs(label), "value": 1} })})
}

func container(children int) object {
	return block("container", "title", plain(1), "child_blocks", many(children, func(int) any { return block("divider") }))
}

func layout(label, rows, items int) object {
	return block("layout", "label", xs(label), "rows", many(rows, func(int) any {
		return object{"items": many(items, func(int) any { return object{"block": block("divider")} })}
	}))
}

func confirm(title, text, yes, no int) object {
	return actions(with(button(0), "confirm", object{"title": plain(title), "text": mrkdwn(text), "confirm": plain(yes), "deny": plain(no)}))
}

func field(o object, key string) func(n int) any {
	return func(n int) any { return with(o, key, xs(n)) }
}

func sections(n, each int) []any {
	return many(n, func(int) any { return block("section", "text", mrkdwn(each)) })
}

// limits is every limit on what a message holds: most is taken, one more is
// refused with the word. make returns a block, or the list of all blocks.
var limits = []struct {
	name string
	most int
	word string
	make func(n int) any
}{
	{"blocks in a message", 50, "invalid_blocks", func(n int) any { return many(n, func(int) any { return block("divider") }) }},
	{"block_id", 255, "invalid_blocks", field(block("divider"), "block_id")},
	{"header text", 150, "invalid_blocks", func(n int) any { return block("header", "text", plain(n)) }},
	{"header level", 4, "invalid_blocks", func(n int) any { return block("header", "text", plain(1), "level", n) }},
	{"section text", 3000, "invalid_blocks", func(n int) any { return block("section", "text", mrkdwn(n)) }},
	{"section fields", 10, "invalid_blocks", func(n int) any { return block("section", "fields", many(n, func(int) any { return mrkdwn(1) })) }},
	{"section field", 2000, "invalid_blocks", func(n int) any { return block("section", "fields", []any{mrkdwn(n)}) }},
	{"context elements", 10, "invalid_blocks", func(n int) any { return block("context", "elements", many(n, func(int) any { return mrkdwn(1) })) }},
	{"context text", 3000, "invalid_blocks", func(n int) any { return block("context", "elements", []any{mrkdwn(n)}) }},
	{"actions elements", 25, "invalid_blocks", func(n int) any { return actions(many(n, func(i int) any { return button(i) })...) }},
	{"context_actions elements", 5, "invalid_blocks", func(n int) any {
		return block("context_actions", "elements", many(n, func(int) any { return block("icon_button") }))
	}},
	{"image alt_text", 2000, "invalid_blocks", func(n int) any { return block("image", "image_url", "https://example.com/x.png", "alt_text", xs(n)) }},
	{"image url", 3000, "invalid_blocks", func(n int) any { return block("image", "image_url", xs(n), "alt_text", "x") }},
	{"image title", 2000, "invalid_blocks", func(n int) any {
		return block("image", "image_url", "https://example.com/x.png", "alt_text", "x", "title", plain(n))
	}},
	{"input label", 2000, "invalid_blocks", func(n int) any { return with(inputOf(block("plain_text_input", "action_id", "a")), "label", plain(n)) }},
	{"input hint", 2000, "invalid_blocks", func(n int) any { return with(inputOf(block("plain_text_input", "action_id", "a")), "hint", plain(n)) }},
	{"input placeholder", 150, "invalid_blocks", func(n int) any { return inputOf(block("plain_text_input", "placeholder", plain(n))) }},
	{"input min_length", 3000, "invalid_blocks", func(n int) any { return inputOf(block("plain_text_input", "min_length", n)) }},
	{"input max_length", 3000, "invalid_blocks", func(n int) any { return inputOf(block("plain_text_input", "max_length", n)) }},
	{"markdown", 12_000, "invalid_blocks", func(n int) any { return block("markdown", "text", xs(n)) }},
	{"markdown over all blocks", 12_000, "invalid_blocks", func(n int) any {
		return []any{block("markdown", "text", xs(6000)), block("markdown", "text", xs(n-6000))}
	}},
	{"table rows", 100, "invalid_blocks", func(n int) any { return table(n, 1) }},
	{"table cells", 20, "invalid_blocks", func(n int) any { return table(1, n) }},
	{"table column_settings", 20, "invalid_blocks", func(n int) any {
		return with(table(1, 1), "column_settings", many(n, func(int) any { return object{"align": "left"} }))
	}},
	{"tables in a message", 1, "invalid_attachments", func(n int) any { return many(n, func(int) any { return table(1, 1) }) }},
	{"tables of both kinds", 1, "invalid_attachments", func(n int) any { return []any{table(1, 1), dataTable(2)}[:n] }},
	{"data_table rows beside the header", 101, "invalid_blocks", func(n int) any { return dataTable(n) }},
	{"data_table page_size", 100, "invalid_blocks", func(n int) any { return with(dataTable(2), "page_size", n) }},
	{"data_visualization title", 50, "invalid_blocks", func(n int) any { return with(pie(1, 1), "title", xs(n)) }},
	{"pie segments", 6, "invalid_blocks", func(n int) any { return pie(n, 1) }},
	{"pie label", 20, "invalid_blocks", func(n int) any { return pie(1, n) }},
	{"line series", 6, "invalid_blocks", func(n int) any { return line(n, 2, 1, 2, 1) }},
	{"line points", 20, "invalid_blocks", func(n int) any { return line(1, n, 1, 2, 1) }},
	{"line series name", 20, "invalid_blocks", func(n int) any { return line(1, 1, n, 2, 1) }},
	{"line category and point label", 20, "invalid_blocks", func(n int) any { return line(1, 1, 1, n, 1) }},
	{"line axis labels", 50, "invalid_blocks", func(n int) any { return line(1, 1, 1, 1, n) }},
	{"card title", 150, "invalid_blocks", func(n int) any { return block("card", "title", mrkdwn(n)) }},
	{"card subtitle", 150, "invalid_blocks", func(n int) any { return block("card", "title", mrkdwn(1), "subtitle", mrkdwn(n)) }},
	{"card body", 200, "invalid_blocks", func(n int) any { return block("card", "body", mrkdwn(n)) }},
	{"carousel cards", 10, "invalid_blocks", func(n int) any {
		return block("carousel", "elements", many(n, func(int) any { return block("card", "body", mrkdwn(1)) }))
	}},
	{"container children", 10, "invalid_blocks", func(n int) any { return container(n) }},
	{"container title", 150, "invalid_blocks", func(n int) any { return with(container(1), "title", plain(n)) }},
	{"container subtitle", 150, "invalid_blocks", func(n int) any { return with(container(1), "subtitle", plain(n)) }},
	{"layout label", 150, "invalid_blocks", func(n int) any { return layout(n, 1, 1) }},
	{"layout rows", 5, "invalid_blocks", func(n int) any { return layout(1, n, 1) }},
	{"layout items", 3, "invalid_blocks", func(n int) any { return layout(1, 1, n) }},
	{"button text", 75, "invalid_blocks", func(n int) any { return actions(with(button(0), "text", plain(n))) }},
	{"button value", 2000, "invalid_blocks", func(n int) any { return actions(with(button(0), "value", xs(n))) }},
	{"button url", 3000, "invalid_blocks", func(n int) any { return actions(with(button(0), "url", xs(n))) }},
	{"button accessibility_label", 75, "invalid_blocks", func(n int) any { return actions(with(button(0), "accessibility_label", xs(n))) }},
	{"action_id", 255, "invalid_blocks", func(n int) any { return actions(with(button(0), "action_id", xs(n))) }},
	{"confirm title", 100, "invalid_blocks", func(n int) any { return confirm(n, 1, 1, 1) }},
	{"confirm text", 300, "invalid_blocks", func(n int) any { return confirm(1, n, 1, 1) }},
	{"confirm confirm", 30, "invalid_blocks", func(n int) any { return confirm(1, 1, n, 1) }},
	{"confirm deny", 30, "invalid_blocks", func(n int) any { return confirm(1, 1, 1, n) }},
	{"option text", 75, "invalid_blocks", func(n int) any {
		return actions(block("static_select", "options", []any{object{"text": plain(n), "value": "x"}}))
	}},
	{"option value", 150, "invalid_blocks", func(n int) any {
		return actions(block("static_select", "options", []any{object{"text": plain(1), "value": xs(n)}}))
	}},
	{"option description", 75, "invalid_blocks", func(n int) any {
		return actions(block("static_select", "options", []any{object{"text": plain(1), "description": plain(n)}}))
	}},
	{"option url", 3000, "invalid_blocks", func(n int) any {
		return actions(block("overflow", "options", []any{object{"text": plain(1), "url": xs(n)}}))
	}},
	{"select options", 100, "invalid_blocks", func(n int) any { return actions(block("static_select", "options", options(n))) }},
	{"select option_groups", 100, "invalid_blocks", func(n int) any {
		return actions(block("static_select", "option_groups", many(n, func(int) any { return object{"label": plain(1), "options": options(1)} })))
	}},
	{"select placeholder", 150, "invalid_blocks", func(n int) any { return actions(block("users_select", "placeholder", plain(n))) }},
	{"radio options", 10, "invalid_blocks", func(n int) any { return actions(block("radio_buttons", "options", options(n))) }},
	{"checkbox options", 10, "invalid_blocks", func(n int) any { return actions(block("checkboxes", "options", options(n))) }},
	{"overflow options", 5, "invalid_blocks", func(n int) any { return actions(block("overflow", "options", options(n))) }},
	{"characters over all blocks", 13_200, "msg_blocks_too_long", func(n int) any { return append(sections(4, 3000), sections(1, n-12_000)...) }},
}

// web calls the stand-in as any client may.
func web(t *testing.T, base, method string, args url.Values) (status int, out object, header http.Header) {
	t.Helper()
	token := "xoxb-1"
	if method == "apps.connections.open" {
		token = "xapp-1"
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, base+method, strings.NewReader(args.Encode()))
	must(t, err)
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	r.Header.Set("Authorization", "Bearer "+token)
	a, err := http.DefaultClient.Do(r)
	must(t, err)
	defer a.Body.Close()
	must(t, json.NewDecoder(a.Body).Decode(&out))
	return a.StatusCode, out, a.Header
}

func encode(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	must(t, err)
	return string(b)
}

// TestLimits: each limit at its edge, and one over it.
func TestLimits(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	post := func(blocks any) object {
		if _, one := blocks.(object); one {
			blocks = []any{blocks}
		}
		clock.Move(2 * time.Second) // below the limit of posts
		_, out, _ := web(t, base, "chat.postMessage", url.Values{"channel": {"C1"}, "text": {"x"}, "blocks": {encode(t, blocks)}})
		return out
	}
	for _, l := range limits {
		if out := post(l.make(l.most)); out["ok"] != true {
			t.Errorf("%s: %d is refused: %v", l.name, l.most, out)
		}
		n := len(s.Messages("C1", ""))
		if out := post(l.make(l.most + 1)); out["error"] != l.word {
			t.Errorf("%s: %d is answered with %v, want %s", l.name, l.most+1, out, l.word)
		} else if out["response_metadata"] == nil {
			t.Errorf("%s: the refusal does not say why", l.name)
		}
		if len(s.Messages("C1", "")) != n {
			t.Errorf("%s: what was refused was posted", l.name)
		}
	}
}

// TestRefusedBlocks: what is wrong whatever its length.
func TestRefusedBlocks(t *testing.T) {
	t.Parallel()
	_, clock, base := standIn(t)
	for name, blocks := range map[string][]any{
		"an alert in a message":               {block("alert", "text", plain(1))},
		"an unknown type":                     {block("fireworks")},
		"an empty text":                       {block("section", "text", mrkdwn(0))},
		"neither text nor fields":             {block("section")},
		"mrkdwn in a header":                  {block("header", "text", mrkdwn(1))},
		"emoji for mrkdwn":                    {block("section", "text", with(mrkdwn(1), "emoji", true))},
		"verbatim for plain_text":             {block("section", "text", with(plain(1), "verbatim", true))},
		"one block_id twice":                  {block("divider", "block_id", "b"), block("divider", "block_id", "b")},
		"one action_id twice in a block":      {actions(button(1), button(1))},
		"a style that is none":                {actions(with(button(1), "style", "green"))},
		"plan beside task_card":               {block("plan", "title", "x"), block("task_card", "title", "x")},
		"a task that is completed":            {block("task_card", "title", "x", "status", "completed")},
		"an image without alt_text":           {block("image", "image_url", "https://example.com/x.png")},
		"an image with url and slack_file":    {block("image", "alt_text", "x", "image_url", "u", "slack_file", object{"id": "F1"})},
		"a slack_file with id and url":        {block("image", "alt_text", "x", "slack_file", object{"id": "F1", "url": "u"})},
		"a data_table without caption":        {with(dataTable(2), "caption", "")},
		"a data_table with a number in front": {block("data_table", "caption", "x", "rows", []any{[]any{object{"type": "raw_number", "value": 1}}, many(1, cell)})},
		"a chart with a point too few":        {block("data_visualization", "title", "x", "chart", object{"type": "bar", "axis_config": object{"categories": []any{"a", "b"}}, "series": []any{object{"name": "n", "data": []any{object{"label": "a", "value": 1}}}}})},
		"markdown in a layout":                {block("layout", "label", "x", "rows", []any{object{"items": []any{object{"block": block("markdown", "text", "x")}}}})},
		"an empty card":                       {block("card")},
		"min_length above max_length":         {inputOf(block("plain_text_input", "min_length", 5, "max_length", 4))},
		"no options":                          {actions(block("static_select"))},
	} {
		clock.Move(2 * time.Second)
		if _, out, _ := web(t, base, "chat.postMessage", url.Values{"channel": {"C1"}, "text": {"x"}, "blocks": {encode(t, blocks)}}); out["error"] != "invalid_blocks" {
			t.Errorf("%s: %v", name, out)
		}
	}
	// The same action_id in two blocks is Slack's to allow.
	if _, out, _ := web(t, base, "chat.postMessage", url.Values{"channel": {"C1"}, "text": {"x"}, "blocks": {encode(t, []any{actions(button(1)), actions(button(1))})}}); out["ok"] != true {
		t.Errorf("one action_id in two blocks: %v", out)
	}
}

func view(keys ...any) object {
	v := object{"type": "modal", "title": plain(1), "blocks": []any{block("divider")}}
	for i := 0; i < len(keys); i += 2 {
		v[keys[i].(string)] = keys[i+1]
	}
	return v
}

// TestViewLimits: the same for views.
func TestViewLimits(t *testing.T) {
	t.Parallel()
	s, clock, base := standIn(t)
	_, out, _ := web(t, base, "views.open", url.Values{"trigger_id": {trigger(t, s, connect(t, base)).Payload.TriggerID}, "view": {encode(t, view())}})
	id, _ := out["view"].(object)["id"].(string)
	update := func(v object) object {
		clock.Move(time.Second) // below the limit of calls
		_, out, _ := web(t, base, "views.update", url.Values{"view_id": {id}, "view": {encode(t, v)}})
		return out
	}
	for _, l := range []struct {
		name string
		most int
		make func(n int) object
	}{
		{"blocks", 100, func(n int) object { return view("blocks", many(n, func(int) any { return block("divider") })) }},
		{"title", 24, func(n int) object { return view("title", plain(n)) }},
		{"submit", 24, func(n int) object { return view("submit", plain(n)) }},
		{"close", 24, func(n int) object { return view("close", plain(n)) }},
		{"private_metadata", 3000, func(n int) object { return view("private_metadata", xs(n)) }},
		{"callback_id", 255, func(n int) object { return view("callback_id", xs(n)) }},
		{"external_id", 255, func(n int) object { return view("external_id", xs(n)) }},
	} {
		if out := update(l.make(l.most)); out["ok"] != true {
			t.Errorf("%s: %d is refused: %v", l.name, l.most, out)
		}
		if out := update(l.make(l.most + 1)); out["error"] != "invalid_arguments" || out["response_metadata"] == nil {
			t.Errorf("%s: %d is answered with %v", l.name, l.most+1, out)
		}
	}
	for name, v := range map[string]object{
		"an input without submit": view("blocks", []any{inputOf(block("plain_text_input"))}),
		"no title":                {"type": "modal", "blocks": []any{block("divider")}},
		"a type that is none":     view("type", "window"),
		"a Home tab":              view("type", "home"),
	} {
		if out := update(v); out["error"] != "invalid_arguments" {
			t.Errorf("%s: %v", name, out)
		}
	}
	if out := update(view("blocks", sections(90, 3000))); out["error"] != "view_too_large" {
		t.Errorf("a view of more than 250 kB: %v", out)
	}
	if out := update(view("blocks", []any{block("alert", "text", plain(1), "level", "warning")})); out["ok"] != true {
		t.Errorf("an alert in a modal: %v", out)
	}
}
