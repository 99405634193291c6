package canlog

const upperHex = "0123456789ABCDEF"

// appendHex appends v in upper case, with zeros in front of it up to digits.
func appendHex(b []byte, v uint32, digits int) []byte {
	for shift := 28; shift >= 0; shift -= 4 {
		if v>>shift != 0 || shift/4 < digits {
			b = append(b, upperHex[v>>shift&15])
		}
	}
	return b
}

// appendSpaced appends data as "AA BB CC".
func appendSpaced(b, data []byte) []byte {
	for i, c := range data {
		if i > 0 {
			b = append(b, ' ')
		}
		b = append(b, upperHex[c>>4], upperHex[c&15])
	}
	return b
}

// appendRight appends text with spaces in front of it up to width.
func appendRight(b, text []byte, width int) []byte {
	for range width - len(text) {
		b = append(b, ' ')
	}
	return append(b, text...)
}
