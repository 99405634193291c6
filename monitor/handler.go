package monitor

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/json"
	"io/fs"
	"net/http"
	"path"
	"strings"
	"time"
)

// Options are what the page can show beyond the traffic. A nil *Options is one
// without anything.
type Options struct {
	// Labels are names of messages. The handler keeps a copy. Default: none.
	Labels Labels
	// Channels returns the names of the channels there are, in the order in
	// which the page lists them. It is called from several goroutines, for
	// each page every ten seconds. Default: the page lists only its own.
	Channels func() []string
}

//go:embed web
var web embed.FS

// contentTypes of the files in web: what the system knows of suffixes may be
// wrong.
var contentTypes = map[string]string{
	".html": "text/html; charset=utf-8",
	".css":  "text/css; charset=utf-8",
	".js":   "text/javascript; charset=utf-8",
	".svg":  "image/svg+xml",
	".json": "application/json",
}

// policy lets the page have what it came with and talk to its own server.
const policy = "default-src 'none'; script-src 'self'; worker-src 'self'; style-src 'self'; img-src 'self'; " +
	"connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

type handler struct {
	files    map[string]file // by name
	channels func() []string
}

type file struct {
	name       string
	body       []byte
	compressed []byte
	tag        string // of the contents
}

func newFile(name string, body []byte) file {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	z.Write(body) // a Buffer takes everything
	z.Close()
	sum := sha256.Sum256(body)
	return file{name, body, b.Bytes(), base64.RawURLEncoding.EncodeToString(sum[:12])}
}

// Handler returns the handler that serves the page and its files.
func Handler(o *Options) http.Handler {
	if o == nil {
		o = new(Options)
	}
	h := &handler{files: make(map[string]file), channels: o.Channels}
	entries, err := web.ReadDir("web")
	if err != nil {
		panic(err) // it is part of the program
	}
	for _, e := range entries {
		body, err := fs.ReadFile(web, "web/"+e.Name())
		if err != nil {
			panic(err)
		}
		h.files[e.Name()] = newFile(e.Name(), body)
	}
	h.files["labels.json"] = newFile("labels.json", o.Labels.json())
	return h
}

func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	head := w.Header()
	head.Set("Content-Security-Policy", policy)
	head.Set("X-Content-Type-Options", "nosniff")
	head.Set("Referrer-Policy", "no-referrer")
	head.Set("Cross-Origin-Opener-Policy", "same-origin")
	head.Set("Cross-Origin-Resource-Policy", "same-origin")
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		head.Set("Allow", "GET, HEAD")
		http.Error(w, "monitor: only GET and HEAD", http.StatusMethodNotAllowed)
		return
	}
	// The escaped path tells a slash of a name from one between segments.
	segment := strings.TrimPrefix(r.URL.EscapedPath(), "/")
	if strings.Contains(segment, "/") {
		http.Error(w, "monitor: no such page: a channel is one segment of the path, "+
			"and a slash in its name is %2F", http.StatusNotFound)
		return
	}
	name := strings.TrimPrefix(r.URL.Path, "/")
	if name == "channels.json" {
		h.serveChannels(w)
		return
	}
	f, ok := h.files[name]
	if !ok {
		f = h.files["index.html"]
	}
	head.Set("Content-Type", contentTypes[path.Ext(f.name)])
	head.Set("Cache-Control", "no-cache") // ask each time, which the tag makes cheap
	head.Set("Vary", "Accept-Encoding")
	body, tag := f.body, f.tag
	if takesGzip(r) {
		body, tag = f.compressed, tag+"-gzip"
		head.Set("Content-Encoding", "gzip")
	}
	head.Set("ETag", `"`+tag+`"`)
	http.ServeContent(w, r, f.name, time.Time{}, bytes.NewReader(body))
}

// takesGzip reports whether the client lists gzip without conditions, as
// browsers do.
func takesGzip(r *http.Request) bool {
	for name := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		if strings.TrimSpace(name) == "gzip" {
			return true
		}
	}
	return false
}

func (h *handler) serveChannels(w http.ResponseWriter) {
	names := []string{} // not null
	if h.channels != nil {
		names = append(names, h.channels()...)
	}
	body, err := json.Marshal(names)
	if err != nil {
		panic(err) // strings can always be encoded
	}
	w.Header().Set("Content-Type", contentTypes[".json"])
	w.Header().Set("Cache-Control", "no-store")
	w.Write(body)
}
