package vehicle

import (
	"context"
	"encoding/binary"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// Identifiers of OBD diagnosis on CAN (ISO 15765-4): a tester asks all, or the
// engine, and the engine answers.
const (
	idRequestAll = 0x7DF
	idRequest    = 0x7E0
	idResponse   = 0x7E8
)

// diagnose answers requests for the present values (SAE J1979, service 01): of
// coolant (PID 05), engine speed (0C), vehicle speed (0D) and throttle (11), and
// which of them there are (00). "7DF#02010C" asks for the engine speed.
func diagnose(ctx context.Context, engine *hub.Subscriber, start time.Time) {
	for m := range engine.All(ctx) {
		if m.Flags != 0 || m.Len < 3 || m.Data[0] != 2 || m.Data[1] != 0x01 {
			continue // service 01 is asked for in one frame of two bytes
		}
		value := present(m.Data[2], at(time.Since(start)))
		if value == nil || !sleepUntil(ctx, time.Now().Add(5*time.Millisecond)) {
			continue
		}
		r := hub.Std(idResponse, make([]byte, 8)...)
		r.Data = [64]byte{byte(2 + len(value)), 0x41, m.Data[2]}
		copy(r.Data[3:], value)
		if engine.Send(ctx, r) != nil {
			return
		}
	}
}

// present returns the value of a PID, or nil if the car does not have it.
func present(pid byte, c car) []byte {
	switch pid {
	case 0x00: // bits for PIDs 01 to 20 from the highest
		return []byte{0x08, 0x18, 0x80, 0x00}
	case 0x05:
		return []byte{byte(40 + 84 + c.ms/2500)}
	case 0x0C:
		return binary.BigEndian.AppendUint16(nil, uint16(4*c.rpm))
	case 0x0D:
		return []byte{byte(c.speed / 100)}
	case 0x11:
		return []byte{byte(255 * c.pedal / 100)}
	}
	return nil
}
