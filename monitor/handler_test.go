package monitor_test

import (
	"compress/gzip"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/canhub-go/canhub/monitor"
	"github.com/google/go-cmp/cmp"
)

func get(h http.Handler, method, target string, head ...string) *http.Response {
	r := httptest.NewRequest(method, target, nil)
	for i := 0; i < len(head); i += 2 {
		r.Header.Set(head[i], head[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestEveryFileHasItsTypeAndHeaders(t *testing.T) {
	h := monitor.Handler(nil)
	for target, want := range map[string]string{
		"/":              "text/html; charset=utf-8",
		"/can0":          "text/html; charset=utf-8",
		"/a%2Fb":         "text/html; charset=utf-8",
		"/style.css":     "text/css; charset=utf-8",
		"/app.js":        "text/javascript; charset=utf-8",
		"/icon.svg":      "image/svg+xml",
		"/labels.json":   "application/json",
		"/channels.json": "application/json",
	} {
		r := get(h, "GET", target)
		if r.StatusCode != 200 || r.Header.Get("Content-Type") != want {
			t.Errorf("%s: %d %s, want 200 %s", target, r.StatusCode, r.Header.Get("Content-Type"), want)
		}
		for name, value := range map[string]string{"X-Content-Type-Options": "nosniff", "Referrer-Policy": "no-referrer"} {
			if got := r.Header.Get(name); got != value {
				t.Errorf("%s: %s: %q, want %q", target, name, got, value)
			}
		}
		csp := r.Header.Get("Content-Security-Policy")
		if !strings.HasPrefix(csp, "default-src 'none'; ") || strings.Contains(csp, "unsafe") {
			t.Errorf("%s: policy %q", target, csp)
		}
	}
}

func TestPageIsTheSameForEveryChannel(t *testing.T) {
	h := monitor.Handler(nil)
	page := body(t, get(h, "GET", "/"))
	if !strings.HasPrefix(page, "<!doctype html>") {
		t.Fatalf("the page is %.40q", page)
	}
	for _, target := range []string{"/can0", "/can0?token=x", "/%C3%BC", "/..", "/index.html"} {
		if body(t, get(h, "GET", target)) != page {
			t.Errorf("%s is not the page", target)
		}
	}
}

func TestPathsOfSeveralSegmentsAreNotFound(t *testing.T) {
	r := get(monitor.Handler(nil), "GET", "/a/b")
	if r.StatusCode != 404 || !strings.Contains(body(t, r), "%2F") {
		t.Errorf("status %d, want 404 and how to write it", r.StatusCode)
	}
}

// Whatever the path, the answer is the page, one of its files, or an error, and
// never leads elsewhere.
func TestPathTricks(t *testing.T) {
	h := monitor.Handler(nil)
	page := body(t, get(h, "GET", "/"))
	for target, status := range map[string]int{
		"//example.com": 404, "//example.com/..": 404, "/web/app.js": 404, "/../handler.go": 404, "/a/../app.js": 404,
		"/app.js/": 404, "/%2e%2e%2fhandler.go": 200, "/..%2f..%2fgo.mod": 200, "/web%2Fapp.js": 200, "/app.js%00": 200,
		"/handler.go": 200, "/%5c%5cexample.com": 200, "/%FF": 200,
	} {
		r := get(h, "GET", target)
		if r.StatusCode != status || r.Header.Get("Location") != "" {
			t.Errorf("%s: %d, Location %q, want %d", target, r.StatusCode, r.Header.Get("Location"), status)
		}
		if text := body(t, r); status == 200 && text != page {
			t.Errorf("%s is not the page but %.60q", target, text)
		}
	}
}

func TestHeadHasTheHeadersOfGet(t *testing.T) {
	s := httptest.NewServer(monitor.Handler(nil))
	t.Cleanup(s.Close)
	for _, name := range []string{"/", "/app.js", "/labels.json", "/channels.json", "/a/b"} {
		var heads [2]http.Header
		for i, method := range []string{"GET", "HEAD"} {
			r, err := http.NewRequest(method, s.URL+name, nil)
			if err != nil {
				t.Fatal(err)
			}
			r.Header.Set("Accept-Encoding", "br") // neither asks for gzip by itself
			answer, err := s.Client().Do(r)
			if err != nil {
				t.Fatal(err)
			}
			if text := body(t, answer); method == "HEAD" && text != "" {
				t.Errorf("HEAD %s has a body", name)
			}
			answer.Body.Close()
			answer.Header.Del("Date")
			heads[i] = answer.Header
		}
		if diff := cmp.Diff(heads[0], heads[1]); diff != "" {
			t.Errorf("%s (-GET +HEAD):\n%s", name, diff)
		}
	}
}

func TestOnlyGetAndHead(t *testing.T) {
	h := monitor.Handler(nil)
	for _, method := range []string{"POST", "PUT", "DELETE", "OPTIONS"} {
		r := get(h, method, "/")
		if r.StatusCode != 405 || r.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("%s: %d, Allow %q", method, r.StatusCode, r.Header.Get("Allow"))
		}
	}
	if r := get(h, "HEAD", "/"); r.StatusCode != 200 || body(t, r) != "" {
		t.Errorf("HEAD: %d", r.StatusCode)
	}
}

func TestFilesAreCachedByTag(t *testing.T) {
	h := monitor.Handler(&monitor.Options{Labels: carLabels})
	for _, target := range []string{"/", "/app.js", "/labels.json"} {
		r := get(h, "GET", target)
		tag := r.Header.Get("ETag")
		if tag == "" || r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: ETag %q, Cache-Control %q", target, tag, r.Header.Get("Cache-Control"))
		}
		if r := get(h, "GET", target, "If-None-Match", tag); r.StatusCode != 304 || body(t, r) != "" {
			t.Errorf("%s again: %d, want 304", target, r.StatusCode)
		}
	}
	other := monitor.Handler(nil)
	if get(h, "GET", "/labels.json").Header.Get("ETag") == get(other, "GET", "/labels.json").Header.Get("ETag") {
		t.Error("other names have the same tag")
	}
}

func TestFilesAreCompressedForThoseWhoTakeIt(t *testing.T) {
	h := monitor.Handler(nil)
	plain := get(h, "GET", "/app.js")
	for encodings, want := range map[string]string{"gzip": "gzip", "br, gzip": "gzip", "": "", "br": "", "gzip;q=0": ""} {
		r := get(h, "GET", "/app.js", "Accept-Encoding", encodings)
		if got := r.Header.Get("Content-Encoding"); got != want || r.Header.Get("Vary") != "Accept-Encoding" {
			t.Errorf("%q: encoding %q, want %q", encodings, got, want)
			continue
		}
		if want == "" {
			continue
		}
		if r.Header.Get("ETag") == plain.Header.Get("ETag") {
			t.Error("plain and compressed have one tag")
		}
		z, err := gzip.NewReader(r.Body)
		if err != nil {
			t.Fatal(err)
		}
		text, err := io.ReadAll(z)
		if err != nil || string(text) != body(t, get(h, "GET", "/app.js")) {
			t.Errorf("unpacked it is something else: %v", err)
		}
	}
}

func TestChannelsAreListedAsTheyAre(t *testing.T) {
	names := []string{"can0"}
	h := monitor.Handler(&monitor.Options{Channels: func() []string { return names }})
	for _, want := range []string{`["can0"]`, `["can0","\u003cb\u003e\"/ü"]`, `[]`} {
		r := get(h, "GET", "/channels.json")
		if got := body(t, r); got != want || r.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("got %s, want %s", got, want)
		}
		if len(names) == 1 {
			names = append(names, `<b>"/ü`)
		} else {
			names = nil
		}
	}
	if got := body(t, get(monitor.Handler(nil), "GET", "/channels.json")); got != "[]" {
		t.Errorf("without a list: %s", got)
	}
}

func TestLabelsAreServedByTextOfTheirIdentifier(t *testing.T) {
	labels := monitor.Labels{{Value: 0x12}: "A", {Value: 0x12, Extended: true}: "B"}
	h := monitor.Handler(&monitor.Options{Labels: labels})
	labels[monitor.ID{Value: 1}] = "later" // the handler has a copy
	var got map[string]string
	if err := json.Unmarshal([]byte(body(t, get(h, "GET", "/labels.json"))), &got); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(map[string]string{"012": "A", "00000012": "B"}, got); diff != "" {
		t.Error(diff)
	}
}

// What the page is made of is small, plain, and asks nobody else for anything.
func TestPageStandsAlone(t *testing.T) {
	files, err := filepath.Glob("web/*")
	if err != nil || len(files) < 5 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	elsewhere := regexp.MustCompile(`(?i)\bhttps?://|\bsrc="?//|@import|\beval\(|innerHTML|\sstyle=|\son[a-z]+="`)
	h := monitor.Handler(nil)
	total, fetched := 0, 0
	for _, name := range files {
		text, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		total += len(text)
		fetched += len(body(t, get(h, "GET", "/"+filepath.Base(name), "Accept-Encoding", "gzip")))
		plain := strings.ReplaceAll(string(text), `xmlns="http://www.w3.org/2000/svg"`, "")
		if found := elsewhere.FindString(plain); found != "" {
			t.Errorf("%s has %q", name, found)
		}
	}
	if total >= 60_000 {
		t.Errorf("the files have %d bytes, want less than 60,000", total)
	}
	if fetched > 30_000 {
		t.Errorf("a browser fetches %d bytes", fetched)
	}
}
