package store

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"time"
)

// encode makes the JSON document of a row.
func encode(v any) (string, error) {
	b, err := json.Marshal(v)
	if err != nil {
		return "", fmt.Errorf("encode a row: %w", err)
	}
	return withoutNUL(string(b)), nil
}

// withoutNUL replaces the escape of NUL, which jsonb refuses
// (postgresql.org/docs/current/datatype-json.html).
func withoutNUL(doc string) string {
	const nul = `\u0000`
	if !strings.Contains(doc, nul) {
		return doc
	}
	var b strings.Builder
	for len(doc) > 0 {
		n := 1
		switch {
		case strings.HasPrefix(doc, nul):
			b.WriteString("\ufffd")
			doc = doc[len(nul):]
			continue
		case doc[0] == '\\':
			n = 2 // an escaped backslash is not the beginning of an escape
		}
		b.WriteString(doc[:n])
		doc = doc[n:]
	}
	return b.String()
}

// decode reads the JSON document of a row. Its times are in UTC.
func decode(doc string, into any) error {
	if err := json.Unmarshal([]byte(doc), into); err != nil {
		return fmt.Errorf("decode a row: %w", err)
	}
	utc(reflect.ValueOf(into))
	return nil
}

// utc sets every time that can be reached from v to UTC. Values of maps stay as
// they are; no document has times there.
func utc(v reflect.Value) {
	if t, ok := reflect.TypeAssert[time.Time](v); ok {
		v.Set(reflect.ValueOf(t.UTC()))
		return
	}
	switch v.Kind() {
	case reflect.Pointer:
		if !v.IsNil() {
			utc(v.Elem())
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if v.Type().Field(i).IsExported() {
				utc(v.Field(i))
			}
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			utc(v.Index(i))
		}
	}
}

// keepUnknown returns doc, the document of a T, with the top-level fields of the
// document before it that T does not have: a newer program wrote them, and
// needs them when it comes back.
func keepUnknown[T any](before, doc string) (string, error) {
	var was, is map[string]json.RawMessage
	if err := json.Unmarshal([]byte(before), &was); err != nil {
		return "", fmt.Errorf("decode the row as it was: %w", err)
	}
	for _, f := range reflect.VisibleFields(reflect.TypeFor[T]()) {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		delete(was, name)
	}
	if len(was) == 0 {
		return doc, nil
	}
	if err := json.Unmarshal([]byte(doc), &is); err != nil {
		return "", fmt.Errorf("decode a row: %w", err)
	}
	for name, value := range was {
		is[name] = value
	}
	return encode(is)
}
