package bot

import (
	"strings"

	"github.com/pgupgrade/pgupgrade/ops"
)

// Settings is what is set for an app. changed is the key that was just set, "" when
// they are only shown.
func Settings(app string, kept map[string]string, changed string) View {
	lines := []string{"*Settings of " + code(app) + "*"}
	for _, k := range ops.SettingKinds() {
		line := "• *" + k.Key + "*: "
		switch value := kept[k.Key]; {
		case value != "":
			line += code(shown(k.Key, value))
		default:
			line += "not set (" + k.Default + ")"
		}
		if k.Key == changed {
			line += " ← just set"
		}
		lines = append(lines, line+" · "+k.Does)
	}
	lines = append(lines, "An upgrade under way takes up a changed window, freeze, soak or one-off policy before its cutover; a changed one-off policy asks for the approval anew.",
		"*To change:* `/pgupgrade set "+escape(app)+" window sun 02:00-05:00`; `off` takes a setting back.")
	return fit(View{Text: unmark(strings.Join(lines, "\n")), Blocks: sections(lines)})
}

// shown is a setting's value as people read it.
func shown(key, value string) string {
	if s, err := ops.ReadSettings(map[string]string{key: value}); err == nil && s.Soak > 0 {
		return ops.FormatDuration(s.Soak)
	}
	return value
}

// settingsLine is what is set for an app, in one line; "" when nothing is.
func settingsLine(kept map[string]string) string {
	var parts []string
	for _, k := range ops.SettingKinds() {
		if value := kept[k.Key]; value != "" {
			parts = append(parts, k.Key+" "+code(shown(k.Key, value)))
		}
	}
	if len(parts) == 0 {
		return ""
	}
	return "*Set for this app:* " + strings.Join(parts, ", ")
}
