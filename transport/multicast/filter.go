package multicast

import "github.com/canhub-go/canhub/hub"

// wanted reports whether m passes the filters as it would in package hub: any
// filter is enough, none means all, and error frames always pass.
func wanted(filters []hub.Filter, m *hub.Message) bool {
	if len(filters) == 0 || m.Flags&hub.Error != 0 {
		return true
	}
	extended := m.Flags&hub.Extended != 0
	for i := range filters {
		f := &filters[i]
		if f.StandardOnly && extended || f.ExtendedOnly && !extended {
			continue
		}
		const identifier = 1<<29 - 1
		if ((m.ID^f.ID)&f.Mask&identifier == 0) != f.Invert {
			return true
		}
	}
	return false
}
