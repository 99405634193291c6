package remote

import "encoding/binary"

// A closeWatch reads along what a server sends, from the head of its HTTP answer
// on, for a CLOSE whose reason is longer than RFC 6455 allows. python-can-remote
// sends the text of an exception there. The library takes it for a violation of
// the protocol and so does not tell what it says.
type closeWatch struct {
	newlines int    // of the empty line that ends the HTTP head, how many bytes came
	skip     uint64 // bytes of a payload still to come
	head     []byte // of a frame, as far as it has come

	found   bool
	left    uint64 // bytes of the CLOSE still to come
	payload []byte // of the CLOSE
}

const (
	httpEnd    = "\r\n\r\n"
	maxControl = 125
	maxReason  = 4096 // what is kept of one
)

func (c *closeWatch) see(p []byte) {
	for len(p) > 0 {
		switch {
		case c.newlines < len(httpEnd):
			switch p[0] {
			case httpEnd[c.newlines]:
				c.newlines++
			case httpEnd[0]:
				c.newlines = 1
			default:
				c.newlines = 0
			}
			p = p[1:]
		case c.found:
			n := min(uint64(len(p)), c.left)
			c.payload = append(c.payload, p[:min(int(n), maxReason-len(c.payload))]...)
			c.left -= n
			return // nothing comes behind a CLOSE
		case c.skip > 0:
			n := min(uint64(len(p)), c.skip)
			c.skip -= n
			p = p[n:]
		default:
			c.head = append(c.head, p[0])
			p = p[1:]
			c.frame()
		}
	}
}

// frame looks whether the head of a frame is complete.
func (c *closeWatch) frame() {
	if len(c.head) < 2 {
		return
	}
	n, size := uint64(c.head[1]&0x7F), 2
	switch n {
	case 126:
		size = 4
	case 127:
		size = 10
	}
	masked := c.head[1]&0x80 != 0
	if masked {
		size += 4
	}
	if len(c.head) < size {
		return
	}
	switch c.head[1] & 0x7F {
	case 126:
		n = uint64(binary.BigEndian.Uint16(c.head[2:]))
	case 127:
		n = binary.BigEndian.Uint64(c.head[2:])
	}
	if c.head[0]&0x0F == opClose && n > maxControl && !masked {
		c.found, c.left = true, n
	} else {
		c.skip = n
	}
	c.head = c.head[:0]
}

// whole reports whether all of the CLOSE that was found is there.
func (c *closeWatch) whole() bool { return c.left == 0 || len(c.payload) == maxReason }

// err returns what the CLOSE that was found says.
func (c *closeWatch) err() error {
	if len(c.payload) < 2 {
		return &CloseError{Code: 1002, Reason: "a CLOSE that is cut off"}
	}
	return &CloseError{
		Code:   int(binary.BigEndian.Uint16(c.payload)),
		Reason: printable(string(c.payload[2:]), maxReason),
	}
}
