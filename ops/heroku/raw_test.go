package heroku_test

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
	"testing"
)

// send makes a request by hand, as no client of ours would, and decodes what is
// answered into v, which may be nil.
func (w *world) send(t *testing.T, method, path string, body, v any, header ...string) *http.Response {
	t.Helper()
	var r io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		r = bytes.NewReader(b)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, w.url+path, r)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/vnd.heroku+json; version=3")
	req.Header.Set("Authorization", "Bearer "+key)
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if v != nil {
		if err := json.Unmarshal(b, v); err != nil {
			t.Fatalf("%s %s: %v: %s", method, path, err, b)
		}
	}
	return resp
}

func (w *world) get(t *testing.T, path string, v any) {
	t.Helper()
	if resp := w.send(t, http.MethodGet, path, nil, v); resp.StatusCode/100 != 2 {
		t.Fatalf("GET %s: HTTP %d", path, resp.StatusCode)
	}
}
