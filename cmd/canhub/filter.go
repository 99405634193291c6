package main

import (
	"slices"
	"strings"

	"github.com/canhub-go/canhub/hub"
)

// filterForms is how the -h of all commands explains a `FILTER`.
const filterForms = "ID:MASK, ID~MASK, ID or ~ID, in hex; may be given several times"

// A selection lets messages through as the filters of a command line ask for:
// those that match any of them, and none that an inverse one excludes.
type selection struct{ any, not []hub.Filter }

// parseSelection returns what the texts behind a flag ask for.
func parseSelection(flag string, texts []string) (selection, error) {
	var s selection
	for _, text := range texts {
		f, err := hub.ParseFilter(text)
		if err != nil {
			return s, usagef("%s %s", flag, strings.TrimPrefix(err.Error(), "hub: filter "))
		}
		if f.Invert {
			s.not = append(s.not, f)
		} else {
			s.any = append(s.any, f)
		}
	}
	return s, nil
}

func (s *selection) match(m hub.Message) bool {
	for _, f := range s.not {
		if !f.Match(m) {
			return false
		}
	}
	return len(s.any) == 0 || slices.ContainsFunc(s.any, func(f hub.Filter) bool { return f.Match(m) })
}
