package remote

import (
	"context"
	"slices"
	"testing"

	"github.com/canhub-go/canhub/hub"
	"github.com/canhub-go/canhub/hub/hubtest"
	"github.com/canhub-go/canhub/internal/golden"
)

// goesOn are the odd messages after which this server goes on and Python's does
// not, and ends are the reverse.
var (
	goesOn = []string{
		"msg_data_256", "msg_key_check_true", // an error event says enough
		"periodic_stop_unknown", "periodic_stop_string_id", "periodic_stop_null", "periodic_stop_list", "long_close_reason",
		"periodic_start_no_period", "periodic_start_no_msg", "periodic_start_period_string", "periodic_start_bad_msg_key",
		"periodic_start_period_zero", "periodic_start_period_negative", // Python's floods the bus
		"ws_fragmented_text_two_parts", "ws_fragmented_binary_short_first", // fragments are put together
		"first_bus_request_bad_fd_value", // there is no device that it could not set
		"json_deep",                      // valid, if odd
	}
	ends = []string{
		"ws_unmasked_client_frame", "ws_rsv1_set", "ws_lone_continuation", "ws_ping_oversize_200", // violations of RFC 6455
		"ws_reserved_opcode_3", "ws_reserved_opcode_7", "ws_reserved_opcode_11", "ws_reserved_opcode_15",
	}
)

// Whatever a client says, either its session goes on, or it ends and the client
// is told; other clients notice nothing.
func TestOddMessagesOfClients(t *testing.T) {
	h := hubtest.New(t)
	address := serve(t, h, nil)
	other := rawDial(t, address).open(t)
	for _, v := range malformedVectors(t) {
		t.Run(v.Name, func(t *testing.T) {
			node := hubtest.Open(t, h, "can0", &hub.SubscriberOptions{Policy: hub.DropNewest})
			c := rawDial(t, address)
			if v.Section == "first_message" {
				c.upgrade(t, head)
			} else {
				c.open(t)
			}
			switch {
			case v.Frames != nil:
				for _, f := range v.Frames {
					c.send(t, golden.Hex(t, f))
				}
			case v.Text != nil && v.Name == "ws_unmasked_client_frame":
				c.send(t, append(appendHead(nil, opText, len(*v.Text), 0), *v.Text...))
			case v.Text != nil:
				c.text(t, *v.Text)
			case v.Opcode == opText:
				c.text(t, string(golden.Hex(t, v.Hex)))
			default:
				c.binary(t, golden.Hex(t, v.Hex))
			}
			if v.Name == "ws_length_claims_huge_then_silence" {
				c.Close() // no answer is due
				return
			}
			c.binary(t, appendBinary(nil, &marker))
			c.send(t, appendMasked(nil, opPing, []byte("mark"), 0))

			usable := v.Usable && !slices.Contains(ends, v.Name) || slices.Contains(goesOn, v.Name)
			told := false
			for {
				op, p, err := c.frame()
				if op == opPing+1 && string(p) == "mark" {
					if !usable {
						t.Errorf("the session goes on, want its end; Python: %v", v.Reaction)
					}
					break
				}
				if op == opText {
					e, _ := parseEvent(p)
					told = told || e.name == errorEvent
				}
				if op == opClose && len(p) > maxControl {
					t.Errorf("a CLOSE of %d bytes", len(p))
				}
				if err != nil || op == opClose {
					if usable {
						t.Errorf("%d %q, %v: the session ends, want it to go on; Python: %v", op, p, err, v.Reaction)
					}
					break
				}
			}
			var want []hub.Message
			if v.Frame != nil && possible(t, v.Frame) && !slices.Contains(ends, v.Name) {
				want = append(want, v.Frame.Raw(t))
			} else if v.Name == "msg_id_float" {
				want = append(want, hub.Ext(100, 140, 176)) // Python keeps 100.0
			} else if v.Frame != nil && usable && v.Frames == nil && !told {
				t.Errorf("%+v cannot exist, but no error event says so", *v.Frame)
			}
			if usable {
				want = append(want, marker)
			}
			if v.Name == "ws_two_messages_one_write" || v.Frames != nil && usable {
				drain(t, node, marker)
			} else {
				for _, m := range hubtest.Want(t, node, want...) {
					if m.Flags&hub.Own != 0 {
						t.Errorf("%v is marked Own", m)
					}
				}
			}
			if s := h.Channels(); len(s) != 1 {
				t.Errorf("channels %v, want one", s)
			}
		})
	}
	// The other client has received all of it, and can still speak.
	other.binary(t, appendBinary(nil, &marker))
	other.send(t, appendMasked(nil, opPing, []byte("end"), 0))
	for {
		op, p, err := other.frame()
		if err != nil {
			t.Fatalf("another client was dropped: %v", err)
		}
		if op == opPing+1 && string(p) == "end" {
			break
		}
	}
}

// drain receives up to and with last.
func drain(t testing.TB, b hub.Bus, last hub.Message) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	for {
		m, err := b.Recv(ctx)
		if err != nil {
			t.Fatalf("%v did not come: %v", last, err)
		}
		if m.Equal(last) {
			return
		}
	}
}
