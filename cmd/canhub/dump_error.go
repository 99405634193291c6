package main

import (
	"fmt"
	"strings"

	"github.com/canhub-go/canhub/hub"
)

// The classes of error frames (linux/can/error.h) that have no details, or whose
// details are told behind all others. Names are those of candump -e.
var errorClasses = [...]string{
	0: "tx-timeout",
	1: "lost-arbitration",
	2: "controller-problem",
	3: "protocol-violation",
	4: "transceiver-status",
	5: "no-acknowledgement-on-tx",
	6: "bus-off",
	7: "bus-error",
	8: "restarted-after-bus-off",
}

var controllerProblems = [8]string{
	"rx-overflow", "tx-overflow",
	"rx-error-warning", "tx-error-warning",
	"rx-error-passive", "tx-error-passive",
	"back-to-error-active",
}

var protocolViolations = [8]string{
	"single-bit-error", "frame-format-error", "bit-stuffing-error",
	"tx-dominant-bit-error", "tx-recessive-bit-error",
	"bus-overload", "active-error", "error-on-tx",
}

var violationPlaces = map[byte]string{
	0x02: "id.28-to-id.21",
	0x03: "start-of-frame",
	0x04: "bit-srtr",
	0x05: "bit-ide",
	0x06: "id.20-to-id.18",
	0x07: "id.17-to-id.13",
	0x08: "crc-sequence",
	0x09: "reserved-bit-0",
	0x0A: "data",
	0x0B: "dlc",
	0x0C: "bit-rtr",
	0x0D: "reserved-bit-1",
	0x0E: "id.4-to-id.0",
	0x0F: "id.12-to-id.5",
	0x12: "intermission",
	0x18: "crc-delimiter",
	0x19: "acknowledge-slot",
	0x1A: "end-of-frame",
	0x1B: "acknowledge-delimiter",
}

const countersValid = 1 << 9

// errorWords tells what an error frame reports.
func errorWords(m *hub.Message) string {
	var words []string
	for bit, word := range errorClasses {
		if m.ID&(1<<bit) == 0 {
			continue
		}
		switch word {
		case "lost-arbitration":
			word += fmt.Sprintf("{at bit %d}", m.Data[0])
		case "controller-problem":
			word += "{" + bitWords(controllerProblems, m.Data[1]) + "}"
		case "protocol-violation":
			word += "{{" + bitWords(protocolViolations, m.Data[2]) + "}"
			if at := m.Data[3]; at != 0 {
				place, known := violationPlaces[at]
				if !known {
					place = fmt.Sprintf("place-%#02x", at)
				}
				word += "{" + place + "}"
			}
			word += "}"
		}
		words = append(words, word)
	}
	if tx, rx := m.Data[6], m.Data[7]; tx|rx != 0 || m.ID&countersValid != 0 {
		words = append(words, fmt.Sprintf("error-counter-tx-rx{{%d}{%d}}", tx, rx))
	}
	return strings.Join(words, " ")
}

// bitWords lists the names of the bits that are set.
func bitWords(names [8]string, bits byte) string {
	var set []string
	for i, name := range names {
		if bits&(1<<i) != 0 && name != "" {
			set = append(set, name)
		}
	}
	if set == nil {
		return "unspecified"
	}
	return strings.Join(set, ",")
}
