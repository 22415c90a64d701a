package ops

import (
	"fmt"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Settings are what people set for one app. Zero fields were not set.
type Settings struct {
	HealthURL    string        // asked before and after the cutover; else the app's web address
	OneOffs      OneOffPolicy  // else OneOffWait
	Soak         time.Duration // else the program's
	ReadOnlyFlag string        // config var by which the app lives read-only
	Windows      []Window      // else a cutover may begin at any time
	Freezes      []Freeze
}

// SettingKind is one thing that can be set for an app.
type SettingKind struct {
	Key     string
	Takes   string // how its value is written
	Does    string // what it means, in a few words
	Default string // what holds when it is not set
	read    func(s *Settings, value string) (string, error)
}

// SettingKinds lists what can be set, in the order in which people read it.
func SettingKinds() []SettingKind {
	return []SettingKind{
		{"health", "URL", "the address that is asked before and after the cutover", "the app's web address", readHealth},
		{"one-offs", "wait|stop", "what the cutover does about one-off and scheduler dynos: wait until none runs, or stop them", "wait", readOneOffs},
		{"soak", "TIME", "how long both databases are watched after the switch: `3d`, `36h`", "`PGUPGRADE_SOAK`", readSoak},
		{"window", "DAYS FROM-TO", "when a cutover may take place, every week: `sun 02:00-05:00`, `mon-fri 23:00-01:00`, `daily 02:00-04:00`", "any time", readWindow},
		{"freeze", "DAY..DAY", "days on which no cutover begins: `2026-12-20..2027-01-03`, `2026-12-24`", "none", readFreeze},
		{"read-only", "FLAG", "the config var that tells the app to live read-only: a read-only cutover sets it to `true` and takes it away after it", "none", readFlag},
	}
}

// settingOff are the words that take a setting back.
var settingOff = map[string]bool{"off": true, "default": true, "none": true}

// ParseSetting checks a setting as it was typed and returns its value as it is
// kept: "" takes it back. Its errors are UserErrors.
func ParseSetting(key, value string) (string, error) {
	for _, k := range SettingKinds() {
		if k.Key != key {
			continue
		}
		if settingOff[strings.ToLower(value)] {
			return "", nil
		}
		return k.read(&Settings{}, value)
	}
	return "", Refuse(RefusedSetting, "There is no setting %s. There are: %s. Nothing was set.", quote(key), settingKeys())
}

func settingKeys() string {
	var keys []string
	for _, k := range SettingKinds() {
		keys = append(keys, k.Key)
	}
	return strings.Join(keys, ", ")
}

// ReadSettings reads what is kept. A key that this program does not know, set by
// a newer one, is left out; a value that cannot be read is an error, so that
// nothing is begun on a guess.
func ReadSettings(kept map[string]string) (Settings, error) {
	var s Settings
	for _, k := range SettingKinds() {
		value := kept[k.Key]
		if value == "" {
			continue
		}
		if _, err := k.read(&s, value); err != nil {
			return Settings{}, fmt.Errorf("read the setting %s: %w", k.Key, err)
		}
	}
	return s, nil
}

func readHealth(s *Settings, value string) (string, error) {
	u, err := url.Parse(value)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" || len(value) > 500 {
		return "", Refuse(RefusedValue, "%s is not a web address such as https://orders.example.com/health. Nothing was set.", quote(value))
	}
	if u.User != nil || u.RawQuery != "" {
		return "", Refuse(RefusedValue, "A health address is shown in the channel, so it must not hold a password or a query. Nothing was set.")
	}
	s.HealthURL = u.String()
	return s.HealthURL, nil
}

func readOneOffs(s *Settings, value string) (string, error) {
	p := OneOffPolicy(strings.ToLower(value))
	if p != OneOffWait && p != OneOffStop {
		return "", Refuse(RefusedValue, "%s is neither *wait* nor *stop*. Nothing was set.", quote(value))
	}
	s.OneOffs = p
	return string(p), nil
}

// Bounds of a soak.
const (
	soakLeast = time.Hour
	soakMost  = 90 * 24 * time.Hour
)

func readSoak(s *Settings, value string) (string, error) {
	d, ok := parsePeriod(value)
	if !ok {
		return "", Refuse(RefusedValue, "%s is not a time such as 3d, 36h or 2w. Nothing was set.", quote(value))
	}
	if d < soakLeast || d > soakMost {
		return "", Refuse(RefusedValue, "A soak lasts from %s to %s. Nothing was set.", FormatDuration(soakLeast), FormatDuration(soakMost))
	}
	s.Soak = d
	return d.String(), nil
}

var period = regexp.MustCompile(`^(\d{1,5})(w|d|h|m|s)`)

// parsePeriod reads "3d", "2w", "36h", "3d12h", and what time.Duration prints.
func parsePeriod(text string) (total time.Duration, ok bool) {
	text = strings.ToLower(strings.ReplaceAll(text, " ", ""))
	units := map[string]time.Duration{"w": 7 * 24 * time.Hour, "d": 24 * time.Hour, "h": time.Hour, "m": time.Minute, "s": time.Second}
	for text != "" {
		m := period.FindStringSubmatch(text)
		if m == nil {
			return 0, false
		}
		n, err := strconv.Atoi(m[1])
		if err != nil || total > soakMost {
			return 0, false
		}
		total += time.Duration(n) * units[m[2]]
		text, ok = text[len(m[0]):], true
	}
	return total, ok
}

func readWindow(s *Settings, value string) (string, error) {
	w, err := ParseWindows(value)
	s.Windows = w
	return FormatWindows(w), err
}

func readFreeze(s *Settings, value string) (string, error) {
	f, err := ParseFreezes(value)
	s.Freezes = f
	return FormatFreezes(f), err
}

// configVar is how names of config vars are written.
var configVar = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,99}$`)

func readFlag(s *Settings, value string) (string, error) {
	if !configVar.MatchString(value) {
		return "", Refuse(RefusedValue, "%s is not the name of a config var such as READ_ONLY. Nothing was set.", quote(value))
	}
	s.ReadOnlyFlag = value
	return value, nil
}
