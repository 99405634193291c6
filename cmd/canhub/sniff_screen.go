package main

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync"
	"time"

	"github.com/gdamore/tcell/v3"
)

// sniffEvery is how often the screen is drawn: messages do not make it more.
const sniffEvery = 50 * time.Millisecond

const sniffHelp = "q quit  space pause  s sort  n mute changing bits, N none  c clear  arrows scroll  ? help"

// A sniffer is the screen of "canhub sniff". Its run goroutine owns it, but for
// the table and the buses that ended.
type sniffer struct {
	screen tcell.Screen
	buses  []string
	table  *sniffTable
	ended  nameList

	sort   sniffSort
	first  int // row on the screen
	help   bool
	frozen *sniffTable // when paused
	paused time.Time

	rate     float64 // messages/s
	rateAt   time.Time
	rateFrom uint64
}

func newSniffer(screen tcell.Screen, buses []string) *sniffer {
	return &sniffer{screen: screen, buses: buses, table: newSniffTable(), rateAt: time.Now()}
}

// run draws and takes keys until one says to quit or ctx is done.
func (s *sniffer) run(ctx context.Context) error {
	tick := time.NewTicker(sniffEvery)
	defer tick.Stop()
	s.draw(time.Now())
	for {
		select {
		case <-ctx.Done():
			return nil
		case now := <-tick.C:
			s.draw(now)
		case event := <-s.screen.EventQ():
			switch e := event.(type) {
			case *tcell.EventError:
				return fmt.Errorf("sniff: terminal: %w", e)
			case *tcell.EventResize:
				s.screen.Sync()
			case *tcell.EventKey:
				if s.key(e) {
					return nil
				}
			}
		}
	}
}

// key returns true for one that quits.
func (s *sniffer) key(e *tcell.EventKey) bool {
	_, height := s.screen.Size()
	page := max(1, sniffRows(height, s.helpLine()))
	switch e.Key() {
	case tcell.KeyEscape, tcell.KeyCtrlC:
		return true
	case tcell.KeyUp:
		s.first = max(0, s.first-1)
	case tcell.KeyDown:
		s.first++ // draw takes back what is too far
	case tcell.KeyPgUp:
		s.first = max(0, s.first-page)
	case tcell.KeyPgDn:
		s.first += page
	case tcell.KeyHome:
		s.first = 0
	case tcell.KeyEnd:
		s.first = math.MaxInt32
	case tcell.KeyRune:
		switch e.Str() {
		case "q", "Q":
			return true
		case " ":
			s.pause()
		case "c":
			s.table.clear()
			s.frozen, s.first, s.rateFrom = nil, 0, 0
		case "s":
			s.sort = (s.sort + 1) % sniffSorts
		case "S":
			s.sort = (s.sort + sniffSorts - 1) % sniffSorts
		case "n", "N":
			s.table.mute(e.Str() == "n")
			if s.frozen != nil {
				s.frozen.mute(e.Str() == "n")
			}
		case "?", "h":
			s.help = !s.help
		}
	}
	return false
}

func (s *sniffer) pause() {
	if s.frozen != nil {
		s.frozen = nil
		return
	}
	s.frozen, s.paused = s.table.clone(), time.Now()
}

func (s *sniffer) draw(now time.Time) {
	f := &sniffFrame{status: s.status(now), help: s.helpLine(), buses: s.buses, now: now}
	table := s.table
	if s.frozen != nil {
		table, f.now = s.frozen, s.paused
	}
	_, height := s.screen.Size()
	f.rows, s.first = table.view(s.sort, s.first, sniffRows(height, f.help))
	f.draw(s.screen)
	s.screen.Show()
}

func (s *sniffer) helpLine() string {
	if s.help {
		return sniffHelp
	}
	return ""
}

// status is the top line.
func (s *sniffer) status(now time.Time) string {
	messages, rows, unshown := s.table.totals()
	if d := now.Sub(s.rateAt); d >= time.Second {
		s.rate = float64(messages-min(s.rateFrom, messages)) / d.Seconds()
		s.rateAt, s.rateFrom = now, messages
	}
	var b strings.Builder
	if s.frozen != nil {
		b.WriteString("PAUSED  ")
	}
	fmt.Fprintf(&b, "%d messages  %.0f/s  %d ids by %v", messages, s.rate, rows, s.sort)
	if unshown > 0 {
		fmt.Fprintf(&b, "  %d of more ids", unshown)
	}
	for _, name := range s.ended.all() {
		fmt.Fprintf(&b, "  %s ended", name)
	}
	b.WriteString("  ? help")
	return b.String()
}

// A nameList is added to by the receivers.
type nameList struct {
	mu    sync.Mutex
	names []string
}

func (l *nameList) add(name string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.names = append(l.names, name)
}

func (l *nameList) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.names // only ever appended to
}
