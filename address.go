package canhub

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// parse splits a URL, and checks its scheme, one of all, and the names of its
// options.
func parse(text string, all []Scheme, optionsOf func(Scheme) []Option) (Scheme, *address, error) {
	bad := func(format string, args ...any) (Scheme, *address, error) {
		return Scheme{}, nil, fmt.Errorf("canhub: URL %q: %s", withoutToken(text), fmt.Sprintf(format, args...))
	}
	name, rest, found := strings.Cut(text, ":")
	i := slices.IndexFunc(all, func(s Scheme) bool { return strings.EqualFold(s.Name, name) })
	if !found || i < 0 {
		var known []string
		for _, s := range all {
			known = append(known, s.Form)
		}
		what := fmt.Sprintf("unknown scheme %q", name)
		if !found {
			what = "no scheme"
		}
		return bad("%s; known: %s", what, strings.Join(known, ", "))
	}
	s := all[i]
	rest, query, _ := strings.Cut(rest, "?")
	if strings.Contains(rest, "#") || strings.Contains(query, "#") {
		return bad("a # must be written as %%23")
	}
	options, err := url.ParseQuery(query)
	if err != nil {
		return bad("query: %v", err)
	}
	for name := range options {
		if !slices.ContainsFunc(optionsOf(s), func(o Option) bool { return o.Name == name }) {
			var known []string
			for _, o := range optionsOf(s) {
				known = append(known, o.Name)
			}
			return bad("unknown option %q; %s: has %s", name, s.Name, strings.Join(known, ", "))
		}
	}
	a := &address{scheme: s.Name, options: options}
	if host, isHost := strings.CutPrefix(rest, "//"); isHost {
		a.host, a.path, _ = strings.Cut(host, "/")
		if a.host == "" && a.path != "" {
			a.path = "/" + a.path // a whole path, as in file:///FILE
		}
	} else {
		a.path = rest
	}
	for _, part := range []*string{&a.host, &a.path} {
		if *part, err = url.PathUnescape(*part); err != nil {
			return bad("%v", err)
		}
	}
	return s, a, nil
}

var (
	token    = regexp.MustCompile(`(?i)([?&]token=)[^&]*`)
	password = regexp.MustCompile(`(://[^/?@:]*:)[^/?]*@`)
)

// withoutToken returns a URL as it may stand in a log.
func withoutToken(url string) string {
	return password.ReplaceAllString(token.ReplaceAllString(url, "${1}..."), "${1}...@")
}

// An address is a URL without its scheme. Its methods read the options and keep
// the first error.
type address struct {
	scheme  string
	host    string // with the port; what stands behind "//" up to "/"
	path    string // what stands behind the host, or behind the scheme
	options url.Values
	err     error
}

// The ports of the protocols.
const (
	remotePort     = "54701"
	virtualcanPort = "18881"
	zeromcanPort   = "5555"
)

// hostPort returns the address of a, on loopback without a host, and with this
// port without one.
func (a *address) hostPort(port string) string {
	host, given, err := net.SplitHostPort(a.host)
	if err != nil {
		host = strings.Trim(a.host, "[]")
	}
	return net.JoinHostPort(cmp.Or(host, "127.0.0.1"), cmp.Or(given, port))
}

func (a *address) fail(name, value, want string) {
	if a.err == nil {
		a.err = fmt.Errorf("option %s=%s: want %s", name, value, want)
	}
}

// text returns the value of an option that may be there once.
func (a *address) text(name, byDefault string) string {
	switch values := a.options[name]; len(values) {
	case 0:
		return byDefault
	case 1:
		return values[0]
	default:
		v := values[1]
		if name == "token" {
			v = "..."
		}
		a.fail(name, v, "it once")
		return byDefault
	}
}

// token returns the option of that name. An empty one, perhaps from a variable
// that is not set, would mean none, and open a server to everybody.
func (a *address) token() string {
	t := a.text("token", "")
	if t == "" && a.options.Has("token") && a.err == nil {
		a.err = errors.New("option token: it is empty")
	}
	return t
}

// bool takes an option without value for true.
func (a *address) bool(name string, byDefault bool) bool {
	if !a.options.Has(name) {
		return byDefault
	}
	switch v := a.text(name, ""); strings.ToLower(v) {
	case "", "1", "t", "true", "yes", "on":
		return true
	case "0", "f", "false", "no", "off":
		return false
	default:
		a.fail(name, v, "true or false")
		return byDefault
	}
}

// int takes numbers from 1 to most.
func (a *address) int(name string, byDefault, most int) int {
	if !a.options.Has(name) {
		return byDefault
	}
	v := a.text(name, "")
	n, err := strconv.Atoi(v)
	if err != nil || n < 1 || n > most {
		a.fail(name, v, fmt.Sprintf("a number from 1 to %d", most))
	}
	return n
}

func (a *address) duration(name string) time.Duration {
	if !a.options.Has(name) {
		return 0
	}
	v := a.text(name, "")
	d, err := time.ParseDuration(v)
	if err != nil || d <= 0 {
		a.fail(name, v, "a duration such as 100ms")
	}
	return d
}

func (a *address) filters() (all []hub.Filter) {
	for _, v := range a.options["filter"] {
		f, err := hub.ParseFilter(v)
		if err != nil && a.err == nil {
			a.err = fmt.Errorf("option filter: %w", err)
		}
		all = append(all, f)
	}
	return all
}
