// Package testharness shows how to test a component that sits on a CAN bus,
// with its timeouts, on any machine and in no time.
//
// The component is a small control unit that answers diagnostic requests (UDS,
// ISO 14229, in single frames of ISO 15765-2). It is written against [hub.Bus]
// and so does not know whether the tester is a goroutine or a car. Its test is
// the point of this example: read ecu_test.go.
package testharness

import (
	"context"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// Identifiers of diagnostics as in ISO 15765-4.
const (
	idToAll   = 0x7DF // requests to every unit
	idRequest = 0x7E0 // requests to this one
	idAnswer  = 0x7E8
)

// Sessions. The unit moves its window only in the extended one, and falls back
// to the default one when it has not been asked anything for sessionTimeout
// (S3 server, ISO 14229-2).
const (
	defaultSession  = 0x01
	extendedSession = 0x03

	sessionTimeout = 5 * time.Second
)

// Reasons for a negative answer.
const (
	serviceNotSupported     = 0x11
	subFunctionNotSupported = 0x12
	wrongLength             = 0x13
	outOfRange              = 0x31
	notInThisSession        = 0x7F
)

// Serve answers requests until ctx is done or the bus is closed, and returns
// the reason.
func Serve(ctx context.Context, bus hub.Bus) error {
	session := byte(defaultSession)
	var sessionEnd time.Time // of any but the default session
	for {
		m, err := recvUntil(ctx, bus, session, sessionEnd)
		if err == context.DeadlineExceeded && ctx.Err() == nil {
			session = defaultSession // the tester has gone away
			continue
		}
		if err != nil {
			return err
		}
		toAll := m.ID == idToAll
		if m.Flags != 0 || m.ID != idRequest && !toAll {
			continue // not for us
		}
		n := int(m.Data[0]) // a single frame begins with its length
		if n < 1 || n > 7 || n >= int(m.Len) {
			continue
		}
		answer := handle(&session, m.Data[1:1+n])
		sessionEnd = time.Now().Add(sessionTimeout)
		if answer == nil || toAll && answer[0] == 0x7F && answer[2] != wrongLength {
			continue // what it cannot do, another one that was asked too may
		}
		data := append([]byte{byte(len(answer))}, answer...)
		if err := bus.Send(ctx, hub.Std(idAnswer, data...)); err != nil {
			return err
		}
	}
}

// recvUntil receives the next message. The end of the session is a deadline:
// a timer of one's own is not needed.
func recvUntil(ctx context.Context, bus hub.Bus, session byte, end time.Time) (hub.Message, error) {
	if session != defaultSession {
		var cancel context.CancelFunc
		ctx, cancel = context.WithDeadline(ctx, end)
		defer cancel()
	}
	return bus.Recv(ctx)
}

// handle returns the answer to a request, or nil if there is to be none.
func handle(session *byte, request []byte) []byte {
	service := request[0]
	refuse := func(reason byte) []byte { return []byte{0x7F, service, reason} }
	is := func(b ...byte) bool { return string(request[1:]) == string(b) }
	switch service {
	case 0x10: // change the session
		if len(request) != 2 {
			return refuse(wrongLength)
		}
		if !is(defaultSession) && !is(extendedSession) {
			return refuse(subFunctionNotSupported)
		}
		*session = request[1]
		return []byte{0x50, *session, 0x00, 0x32, 0x01, 0xF4} // it answers within 50 ms, or 5 s
	case 0x22: // read a value: F186 is the session, the only one that there is
		if !is(0xF1, 0x86) {
			return refuse(outOfRange)
		}
		return []byte{0x62, 0xF1, 0x86, *session}
	case 0x31: // start a routine: 0201 closes the window
		if *session != extendedSession {
			return refuse(notInThisSession)
		}
		if !is(0x01, 0x02, 0x01) {
			return refuse(outOfRange)
		}
		return []byte{0x71, 0x01, 0x02, 0x01}
	case 0x3E: // the tester is present: 80 wants no answer
		if is(0x80) {
			return nil
		}
		if !is(0x00) {
			return refuse(subFunctionNotSupported)
		}
		return []byte{0x7E, 0x00}
	}
	return refuse(serviceNotSupported)
}
