package monitor_test

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"math"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/coder/websocket"
)

// peer returns the server that the page talks to, for the channels of h: it
// speaks as much of python-can-remote's protocol as the page needs. Plain
// requests go to page. If marks is set it tells a client which messages are its
// own, as this project's server does and python-can-remote does not.
func peer(t *testing.T, h *hub.Hub, page http.Handler, marks bool) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !strings.EqualFold(r.Header.Get("Upgrade"), "websocket") {
			page.ServeHTTP(w, r)
			return
		}
		conn, err := websocket.Accept(w, r, &websocket.AcceptOptions{
			Subprotocols: []string{"can.binary+json.v1", "can.json.v1"},
		})
		if err != nil {
			t.Errorf("websocket: %v", err)
			return
		}
		defer conn.CloseNow()
		name := strings.TrimPrefix(r.URL.Path, "/")
		if name == "" {
			name = "can0"
		}
		if name == "closed" {
			conn.Close(websocket.StatusInternalError, "there is no channel closed")
			return
		}
		if err := (&session{conn: conn, hub: h, marks: marks}).run(r.Context(), name); err != nil && websocket.CloseStatus(err) == -1 && r.Context().Err() == nil {
			t.Logf("session: %v", err)
		}
	})
}

// A session is one page's.
type session struct {
	conn  *websocket.Conn
	hub   *hub.Hub
	marks bool
	tasks map[uint32]*hub.Task
}

type event struct {
	Type    string          `json:"type"`
	Payload json.RawMessage `json:"payload"`
}

type payload struct {
	ID       uint32 `json:"arbitration_id"`
	Extended bool   `json:"is_extended_id"`
	Remote   bool   `json:"is_remote_frame"`
	Error    bool   `json:"is_error_frame"`
	FD       bool   `json:"is_fd"`
	BRS      bool   `json:"bitrate_switch"`
	ESI      bool   `json:"error_state_indicator"`
	DLC      uint8  `json:"dlc"`
	Data     []int  `json:"data"`
}

func (p payload) message() hub.Message {
	m := hub.Message{ID: p.ID, Len: uint8(len(p.Data))}
	for i, b := range p.Data {
		m.Data[i] = byte(b)
	}
	for i, set := range []bool{p.Extended, p.Remote, p.Error, p.FD, p.BRS, p.ESI} {
		if set {
			m.Flags |= 1 << i
		}
	}
	if p.Remote {
		m.Len = p.DLC
	}
	return m
}

func (s *session) run(ctx context.Context, channel string) error {
	var request struct {
		Type    string
		Payload struct {
			Config struct {
				Own bool `json:"receive_own_messages"`
			}
		}
	}
	_, text, err := s.conn.Read(ctx)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(text, &request); err != nil || request.Type != "bus_request" {
		return s.conn.Close(websocket.StatusInternalError, "want a bus_request")
	}
	sub, err := s.hub.Open(channel, &hub.SubscriberOptions{
		OwnMessages: request.Payload.Config.Own, ErrorFrames: true, Queue: 1 << 16, Policy: hub.DropOldest,
	})
	if err != nil {
		return s.conn.Close(websocket.StatusInternalError, err.Error())
	}
	var sending sync.WaitGroup
	defer sending.Wait()
	defer sub.Close()
	answer := `{"type": "bus_response", "payload": {"channel_info": "channel ` + channel + `"}}`
	if err := s.conn.Write(ctx, websocket.MessageText, []byte(answer)); err != nil {
		return err
	}
	sending.Go(func() {
		for m := range sub.All(ctx) {
			kind, text := websocket.MessageBinary, encode(m, s.marks)
			if channel == "json" {
				kind, text = websocket.MessageText, encodeJSON(m)
			}
			if s.conn.Write(ctx, kind, text) != nil {
				return
			}
		}
		s.conn.Close(websocket.StatusServiceRestart, "the hub ends")
	})
	s.tasks = make(map[uint32]*hub.Task)
	for {
		_, text, err := s.conn.Read(ctx)
		if err != nil {
			return err
		}
		var e event
		if err := json.Unmarshal(text, &e); err != nil {
			return err
		}
		if err := s.take(ctx, sub, e); err != nil {
			return s.conn.Close(websocket.StatusInternalError, err.Error())
		}
	}
}

func (s *session) take(ctx context.Context, sub *hub.Subscriber, e event) error {
	switch e.Type {
	case "message":
		var p payload
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return err
		}
		return sub.Send(ctx, p.message())
	case "periodic_start":
		var p struct {
			Period float64
			Msg    payload
		}
		if err := json.Unmarshal(e.Payload, &p); err != nil {
			return err
		}
		task, err := sub.SendPeriodic(&hub.Periodic{
			Messages: []hub.Message{p.Msg.message()},
			Period:   time.Duration(p.Period * float64(time.Second)),
		})
		if err != nil {
			return err
		}
		s.tasks[p.Msg.ID] = task
	case "periodic_stop":
		var id uint32
		if err := json.Unmarshal(e.Payload, &id); err != nil {
			return err
		}
		if s.tasks[id] == nil {
			return hub.ErrInvalid // as python-can-remote does
		}
		s.tasks[id].Stop()
		delete(s.tasks, id)
	}
	return nil
}

func encodeJSON(m hub.Message) []byte {
	p := payload{
		ID: m.ID, DLC: m.Len, Extended: m.Flags&hub.Extended != 0, Remote: m.Flags&hub.Remote != 0,
		Error: m.Flags&hub.Error != 0, FD: m.Flags&hub.FDF != 0, BRS: m.Flags&hub.BRS != 0, ESI: m.Flags&hub.ESI != 0,
	}
	for _, b := range m.Bytes() {
		p.Data = append(p.Data, int(b))
	}
	text, err := json.Marshal(map[string]any{"type": "message", "payload": p})
	if err != nil {
		panic(err)
	}
	return text
}

func encode(m hub.Message, marks bool) []byte {
	if !marks {
		m.Flags &^= hub.Own
	}
	b := make([]byte, 15, 15+64)
	b[0] = 1
	binary.BigEndian.PutUint64(b[1:], math.Float64bits(float64(m.Timestamp)/1e9))
	binary.BigEndian.PutUint32(b[9:], m.ID)
	b[13] = m.Len
	b[14] = byte(m.Flags)
	return append(b, m.Bytes()...)
}
