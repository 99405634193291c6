package multicast

import (
	"slices"

	"github.com/canhub-go/canhub/hub"
)

// wanted reports whether m passes the filters as it would in package hub: any
// filter is enough, and none means all.
func wanted(filters []hub.Filter, m *hub.Message) bool {
	return len(filters) == 0 || slices.ContainsFunc(filters, func(f hub.Filter) bool { return f.Match(*m) })
}
