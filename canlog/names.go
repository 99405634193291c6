package canlog

// names keeps the names of channels, so that a log of a million lines does not
// make a million strings. It keeps maxNames of them, 64 kB; a log with more of
// them is no log of a car and pays for its own.
type names struct {
	last string
	seen map[string]string
}

const maxNames = 256

func (n *names) intern(b []byte) string {
	if n.last == string(b) { // compares without allocating, like the lookup below
		return n.last
	}
	name, ok := n.seen[string(b)]
	if !ok {
		name = string(b)
		if n.seen == nil {
			n.seen = make(map[string]string)
		}
		if len(n.seen) < maxNames {
			n.seen[name] = name
		}
	}
	n.last = name
	return name
}
