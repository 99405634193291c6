package hub_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
)

// A guardSource is the parsed source of a package.
type guardSource struct {
	fset  *token.FileSet
	files []*ast.File
	funcs map[string][]*ast.FuncDecl // by name, methods too
	types map[string]*ast.TypeSpec   // of package level
}

func guardParse(sources map[string]string) (*guardSource, error) {
	p := &guardSource{
		fset:  token.NewFileSet(),
		funcs: make(map[string][]*ast.FuncDecl),
		types: make(map[string]*ast.TypeSpec),
	}
	for _, name := range slices.Sorted(maps.Keys(sources)) {
		f, err := parser.ParseFile(p.fset, name, sources[name], parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			return nil, err
		}
		p.files = append(p.files, f)
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				p.funcs[d.Name.Name] = append(p.funcs[d.Name.Name], d)
			case *ast.GenDecl:
				for _, s := range d.Specs {
					if s, ok := s.(*ast.TypeSpec); ok {
						p.types[s.Name.Name] = s
					}
				}
			}
		}
	}
	return p, nil
}

// guardPackage parses all files of package hub that are not tests, whatever
// platform they are for.
func guardPackage(t *testing.T) *guardSource {
	t.Helper()
	entries, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	sources := make(map[string]string)
	for _, e := range entries {
		if name := e.Name(); strings.HasSuffix(name, ".go") && !strings.HasSuffix(name, "_test.go") {
			text, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			sources[name] = string(text)
		}
	}
	for _, name := range []string{"hub.go", "channel.go", "subscriber.go", "queue.go"} {
		if sources[name] == "" {
			t.Fatalf("there is no %s here: what is being guarded?", name)
		}
	}
	p, err := guardParse(sources)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func (p *guardSource) at(n ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s: %s", p.fset.Position(n.Pos()), fmt.Sprintf(format, args...))
}

// guardPath returns what an import imports.
func guardPath(s *ast.ImportSpec) string {
	path, err := strconv.Unquote(s.Path.Value)
	if err != nil {
		return s.Path.Value
	}
	return path
}

// guardUsed returns "sync.Mutex" for the expression sync.Mutex in f, whatever
// the file calls the package, and "" for what is not a name in a package.
func guardUsed(f *ast.File, n ast.Node) string {
	sel, ok := n.(*ast.SelectorExpr)
	if !ok {
		return ""
	}
	x, ok := sel.X.(*ast.Ident)
	if !ok {
		return ""
	}
	for _, s := range f.Imports {
		path := guardPath(s)
		name := path[strings.LastIndexByte(path, '/')+1:]
		if s.Name != nil {
			name = s.Name.Name
		}
		if name == x.Name {
			return path + "." + sel.Sel.Name
		}
	}
	return ""
}

// guardImports finds imports from outside the standard library, and those that
// hide what is used or get around the language.
func guardImports(p *guardSource) (bad []string) {
	for _, f := range p.files {
		for _, s := range f.Imports {
			path := guardPath(s)
			first, _, _ := strings.Cut(path, "/")
			switch {
			case strings.Contains(first, "."):
				bad = append(bad, p.at(s, "imports %s, which is not in the standard library", path))
			case path == "C" || path == "unsafe":
				bad = append(bad, p.at(s, "imports %s", path))
			case s.Name != nil && s.Name.Name == ".":
				bad = append(bad, p.at(s, "imports %s with a dot: name what you use", path))
			}
		}
	}
	return bad
}

// guardLinkname finds names that are linked to those of another package.
func guardLinkname(p *guardSource) (bad []string) {
	for _, f := range p.files {
		for _, g := range f.Comments {
			for _, c := range g.List {
				if strings.HasPrefix(c.Text, "//go:linkname") {
					bad = append(bad, p.at(c, "%s", c.Text))
				}
			}
		}
	}
	return bad
}

// guardUses returns a guard that finds uses of these names.
func guardUses(names ...string) func(*guardSource) []string {
	return func(p *guardSource) (bad []string) {
		for _, f := range p.files {
			ast.Inspect(f, func(n ast.Node) bool {
				if used := guardUsed(f, n); slices.Contains(names, used) {
					bad = append(bad, p.at(n, "uses %s", used))
				}
				return true
			})
		}
		return bad
	}
}

var (
	guardLocks = guardUses("sync.Mutex", "sync.RWMutex", "sync.Locker", "sync.Cond", "sync.NewCond", "sync.Once",
		"sync.OnceFunc", "sync.OnceValue", "sync.OnceValues", "sync.Pool", "sync.Map")
	guardSleep = guardUses("time.Sleep")
)

// guardVars finds package-level variables that hold, or may come to hold,
// something that one Hub could see of another: chans, maps, the types of sync
// and sync/atomic, and whatever a function of the package makes.
func guardVars(p *guardSource) (bad []string) {
	for _, f := range p.files {
		for _, d := range f.Decls {
			g, ok := d.(*ast.GenDecl)
			if !ok || g.Tok != token.VAR {
				continue
			}
			for _, s := range g.Specs {
				v := s.(*ast.ValueSpec)
				for _, e := range append([]ast.Expr{v.Type}, v.Values...) {
					if e == nil {
						continue
					}
					if why := p.state(f, e, nil); why != "" {
						bad = append(bad, p.at(v, "variable %s of package level: %s", v.Names[0].Name, why))
						break
					}
				}
			}
		}
	}
	return bad
}

// state tells what in e is, or makes, state. It follows the package's own types
// as far as a value of them goes: what a pointer or a chan in a struct is nil
// until somebody makes it.
func (p *guardSource) state(f *ast.File, e ast.Expr, inside []string) (why string) {
	ast.Inspect(e, func(n ast.Node) bool {
		if why != "" {
			return false
		}
		switch n := n.(type) {
		case *ast.ChanType:
			why = "a chan"
		case *ast.MapType:
			why = "a map"
		case *ast.SelectorExpr:
			switch used := guardUsed(f, n); {
			case strings.HasPrefix(used, "sync.") || strings.HasPrefix(used, "sync/atomic."):
				why = used
			case used != "":
				return false
			}
		case *ast.CallExpr:
			if fun, ok := n.Fun.(*ast.Ident); ok && len(p.funcs[fun.Name]) > 0 {
				why = "a call of " + fun.Name
			}
		case *ast.Ident:
			t := p.types[n.Name]
			if t == nil || slices.Contains(inside, n.Name) {
				return true
			}
			why = p.stateOf(t, append(inside, n.Name))
		case *ast.KeyValueExpr: // the key is a field or a constant
			if why = p.state(f, n.Value, inside); why == "" {
				return false
			}
		}
		return true
	})
	return why
}

func (p *guardSource) stateOf(t *ast.TypeSpec, inside []string) string {
	var f *ast.File // that t is in: its imports count
	for _, f = range p.files {
		if f.FileStart <= t.Pos() && t.Pos() < f.FileEnd {
			break
		}
	}
	s, ok := t.Type.(*ast.StructType)
	if !ok {
		if _, pointer := t.Type.(*ast.StarExpr); pointer {
			return ""
		}
		return p.state(f, t.Type, inside)
	}
	for _, field := range s.Fields.List {
		switch field.Type.(type) {
		case *ast.StarExpr, *ast.ChanType, *ast.MapType, *ast.FuncType, *ast.InterfaceType:
			continue
		}
		if why := p.state(f, field.Type, inside); why != "" {
			return t.Name.Name + " with " + why
		}
	}
	return ""
}

// guardStart finds goroutines that start with the program: in init or in the
// initial value of a variable, or in a function that these call.
func guardStart(p *guardSource) (bad []string) {
	seen := make(map[*ast.FuncDecl]bool)
	var look func(n ast.Node, from string)
	look = func(n ast.Node, from string) {
		ast.Inspect(n, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				bad = append(bad, p.at(n, "a goroutine that starts with the program: %s", from))
			case *ast.CallExpr:
				name := ""
				switch fun := ast.Unparen(n.Fun).(type) {
				case *ast.Ident:
					name = fun.Name
				case *ast.SelectorExpr: // of any type that has such a method
					name = fun.Sel.Name
				}
				if name == "Go" || name == "AfterFunc" {
					bad = append(bad, p.at(n, "a goroutine that starts with the program: %s", from))
				}
				for _, d := range p.funcs[name] {
					if !seen[d] && d.Body != nil {
						seen[d] = true
						look(d.Body, from+" calls "+name)
					}
				}
			}
			return true
		})
	}
	for _, f := range p.files {
		for _, d := range f.Decls {
			switch d := d.(type) {
			case *ast.FuncDecl:
				if d.Recv == nil && d.Name.Name == "init" {
					look(d.Body, "init")
				}
			case *ast.GenDecl:
				if d.Tok == token.VAR {
					look(d, "a variable of package level")
				}
			}
		}
	}
	return bad
}

// guardTable has the promises of package hub about its own source, each with
// sources that break it and sources that look a little like that and do not.
var guardTable = []struct {
	name      string
	guard     func(*guardSource) []string
	bad, good []string
}{
	{
		name:  "imports the standard library only",
		guard: guardImports,
		bad: []string{
			`import "golang.org/x/sync/errgroup"`,
			`import "github.com/canhub-go/canhub/bridge"`,
			`import g "example.com/g"`,
			`import _ "example.com/g"`,
			`import "unsafe"`,
			`import "C"`,
			`import . "time"`,
			"import (\n\"fmt\"\n`gopkg.in/yaml.v3`\n)",
		},
		good: []string{
			`import "fmt"`,
			`import ("sync/atomic"; "encoding/json"; l "log/slog")`,
			`const url = "example.com/g"`,
		},
	},
	{
		name:  "links to no other package's names",
		guard: guardLinkname,
		bad: []string{
			"//go:linkname nanotime runtime.nanotime\nfunc nanotime() int64",
			"var x int\n\n//go:linkname x",
		},
		good: []string{
			"// We could use go:linkname here.\nfunc f() {}",
			"const s = `\n//go:linkname a b\n`",
		},
	},
	{
		name:  "uses no locks of package sync",
		guard: guardLocks,
		bad: []string{
			`import "sync"; type t struct { mu sync.Mutex }`,
			`import "sync"; type t struct { sync.RWMutex }`,
			`import "sync"; var l sync.Locker`,
			`import "sync"; type t struct { c *sync.Cond }`,
			`import "sync"; func f() { var l *x; l.c = sync.NewCond(l) }`,
			`import "sync"; func f() { var o sync.Once; o.Do(f) }`,
			`import "sync"; var f = sync.OnceFunc(func() {})`,
			`import "sync"; var f = sync.OnceValue(func() int { return 1 })`,
			`import "sync"; var f = sync.OnceValues(func() (int, int) { return 1, 2 })`,
			`import "sync"; func f() { p := sync.Pool{}; _ = p.Get() }`,
			`import "sync"; func f() any { return new(sync.Map) }`,
			`import locks "sync"; type t struct { mu locks.Mutex }`,
		},
		good: []string{
			`import "sync"; func f() { var wg sync.WaitGroup; wg.Wait() }`,
			`import "sync/atomic"; type t struct { n atomic.Uint64 }`,
			`type t struct { Mutex int }; func f(x t) int { return x.Mutex }`,
			`// not a sync.Mutex
			const s = "sync.Mutex"`,
		},
	},
	{
		name:  "does not sleep",
		guard: guardSleep,
		bad: []string{
			`import "time"; func f() { time.Sleep(1) }`,
			`import "time"; var wait = time.Sleep`,
			`import clock "time"; func f() { go clock.Sleep(1) }`,
		},
		good: []string{
			`import "time"; func f() { <-time.NewTimer(time.Second).C }`,
			`func f(x interface{ Sleep(int) }) { x.Sleep(1) }`,
		},
	},
	{
		name:  "has no state outside a Hub",
		guard: guardVars,
		bad: []string{
			`var in chan int`,
			`var in <-chan int`,
			`var in = make(chan int)`,
			`var in = make(chan struct{}, 3)`,
			`var all []chan int`,
			`var all = [...]chan int{make(chan int)}`,
			`var a, in = 1, make(chan int)`,
			`var ( a = 1; in = make(chan int) )`,
			`type inbox chan int; var in inbox`,
			`type inbox chan int; var in = make(inbox)`,
			`type inbox chan int; type mail = inbox; var in mail`,
			`type c struct { in chan int }; var one = c{in: make(chan int)}`,
			`type c struct { in chan int }; var one = &c{make(chan int)}`,
			`var one = struct{ in chan int }{}`,
			`var one = func() chan int { return make(chan int) }()`,
			`import "sync"; var wg sync.WaitGroup`,
			`import "sync"; var mu = new(sync.Mutex)`,
			`import "sync/atomic"; var n atomic.Uint64`,
			`import "sync/atomic"; var p = &atomic.Pointer[int]{}`,
			`import a "sync/atomic"; var n [4]a.Int32`,
			`import "sync/atomic"; type c struct { n atomic.Int32 }; var one c`,
			`import "sync/atomic"; type c struct { n atomic.Int32 }; type d struct { c }; var one = new(d)`,
			`import "sync/atomic"; type c struct { n atomic.Int32 }; var all [3]c`,
			`var names = map[string]int{}`,
			`type c struct{}; var names map[string]*c`,
			`type names map[string]int; var all names`,
			`type Hub struct{}; func New() *Hub { return nil }; var standard = New()`,
		},
		good: []string{
			`import "errors"; var errClosed = errors.New("closed")`,
			`type op struct { reply chan int; next *op }; var seal = new(op)`,
			`type op struct { kind int; reply chan int }; var wake = &op{kind: 1}`,
			`var table = [16]uint8{1, 2, 3}`,
			`import "sync/atomic"; type c struct { n atomic.Int32 }; func f() { var one c; one.n.Add(1) }`,
			`import "sync/atomic"; type c struct { n atomic.Int32 }; type d struct { c *c }; var none d`,
			`func f() { in := make(chan int); close(in) }`,
			`func f() { var in chan int; _ = in }`,
			`type c struct { in chan int }`,
			`const none = 0`,
		},
	},
	{
		name:  "starts no goroutine by itself",
		guard: guardStart,
		bad: []string{
			`func init() { go f() }; func f() {}`,
			`func init() { if true { go func() {}() } }`,
			`func init() { f() }; func f() { g() }; func g() { go f() }`,
			`type c struct{}; func (c) run() { go f() }; func f() {}; func init() { c{}.run() }`,
			`var x = func() int { go f(); return 1 }(); func f() {}`,
			`var x = start(); func start() int { go f(); return 1 }; func f() {}`,
			`import "sync"; func init() { var wg sync.WaitGroup; wg.Go(f) }; func f() {}`,
			`import "time"; var t = time.AfterFunc(1, func() {})`,
		},
		good: []string{
			`func f() { go f() }`,
			`type c struct{}; func (c) init() { go f() }; func f() {}`,
			`func init() { f() }; func f() { f() }`,
			`var x = f(); func f() int { return 1 }`,
		},
	},
}

func TestPackageHub(t *testing.T) {
	p := guardPackage(t)
	for _, g := range guardTable {
		t.Run(g.name, func(t *testing.T) {
			for _, bad := range g.guard(p) {
				t.Error(bad)
			}
		})
	}
}

func TestGuardsSeeWhatTheyGuardAgainst(t *testing.T) {
	check := func(t *testing.T, guard func(*guardSource) []string, text string, bad bool) {
		t.Helper()
		// In two files, for a package has many.
		p, err := guardParse(map[string]string{
			"a.go": "package hub\n\nimport \"errors\"\n\nvar errA = errors.New(\"a\")\n",
			"b.go": "package hub\n" + text + "\n",
		})
		if err != nil {
			t.Errorf("%s: %v", text, err)
			return
		}
		got := guard(p)
		if bad && len(got) == 0 {
			t.Errorf("not seen:\n%s", text)
		}
		if !bad && len(got) > 0 {
			t.Errorf("nothing is wrong here:\n%s\nbut: %q", text, got)
		}
	}
	for _, g := range guardTable {
		t.Run(g.name, func(t *testing.T) {
			for _, text := range g.bad {
				check(t, g.guard, text, true)
			}
			for _, text := range g.good {
				check(t, g.guard, text, false)
			}
		})
	}
}
