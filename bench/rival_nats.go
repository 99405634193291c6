package main

import (
	"errors"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

var natsServer = &contender{
	name:  "NATS in process",
	kind:  library,
	about: "a nats-server in this process and its in-process connections, one for each publisher and subscriber; carries bytes (96 here). Core NATS cuts off or drops for a slow consumer: lossless by unlimited pending limits on both sides and a Flush after every 256 messages, while memory lasts; in a select loop, where its client drops what a chan cannot take, the publisher also waits for the slowest subscriber to be less than 4096 messages behind. Filters: one subject for even and one for odd identifiers. It is there for more than one machine, which nothing else here can do",
	open:  openNATS,
}

func openNATS(j *job) (system, error) {
	srv, err := server.NewServer(&server.Options{
		DontListen:    true,
		NoLog:         true,
		NoSigs:        true,
		MaxPending:    1 << 32,
		WriteDeadline: time.Minute,
	})
	if err != nil {
		return nil, err
	}
	n := &natsSystem{j: j, srv: srv, taken: make([]atomic.Uint64, j.subscribers)}
	go srv.Start() // Shutdown in close ends it
	if !srv.ReadyForConnections(10 * time.Second) {
		return nil, errors.New("the server does not start")
	}
	for range j.publishers {
		nc, err := n.connect()
		if err != nil {
			return nil, err
		}
		n.pubs = append(n.pubs, nc)
	}
	for s := range j.subscribers {
		nc, err := n.connect()
		if err != nil {
			return nil, err
		}
		subject := "can0.*"
		if j.step(s) == 2 {
			subject = natsSubjects[0]
		}
		sub, out, err := subscribeNATS(nc, subject, j.selects)
		if err != nil {
			return nil, err
		}
		n.subs, n.outs = append(n.subs, sub), append(n.outs, out)
	}
	return n, nil
}

var natsSubjects = [2]string{"can0.even", "can0.odd"}

// subscribeNATS returns when the server knows of the subscription. With a chan,
// the client drops what does not fit in.
func subscribeNATS(nc *nats.Conn, subject string, withChan bool) (sub *nats.Subscription, out chan *nats.Msg, err error) {
	if withChan {
		out = make(chan *nats.Msg, natsChan)
		sub, err = nc.ChanSubscribe(subject, out)
	} else {
		sub, err = nc.SubscribeSync(subject)
		if err == nil {
			err = sub.SetPendingLimits(-1, -1)
		}
	}
	if err != nil {
		return nil, nil, err
	}
	return sub, out, nc.Flush()
}

// natsChan is the size of the chans of select loops.
const natsChan = 8192

type natsSystem struct {
	j    *job
	srv  *server.Server
	pubs []*nats.Conn
	all  []*nats.Conn
	subs []*nats.Subscription
	outs []chan *nats.Msg // for select loops

	taken   []atomic.Uint64 // received from outs
	visitor *nats.Conn      // for churn
}

func (n *natsSystem) connect() (*nats.Conn, error) {
	nc, err := nats.Connect("", nats.InProcessServer(n.srv))
	if err == nil {
		n.all = append(n.all, nc)
	}
	return nc, err
}

func (n *natsSystem) publish(p int, from, to uint64) error {
	nc := n.pubs[p]
	b := make([]byte, encodedSize)
	var m hub.Message
	for i := from; i < to; i++ {
		stamp(&m, p, i)
		encode(b, &m)
		if err := nc.Publish(natsSubjects[m.ID&1], b); err != nil {
			return err
		}
		if i%256 == 255 {
			if err := nc.Flush(); err != nil {
				return err
			}
			n.holdBack(i + 1)
		}
	}
	return nc.Flush()
}

// holdBack waits until no subscriber with a chan is so far behind the one
// publisher that it could overflow.
func (n *natsSystem) holdBack(sent uint64) {
	if !n.j.selects {
		return
	}
	for s := range n.taken {
		for sent > n.taken[s].Load()+natsChan/2 {
			time.Sleep(50 * time.Microsecond)
		}
	}
}

func (n *natsSystem) receive(s int, c *checker) error {
	var m hub.Message
	if out := n.outs[s]; out != nil {
		other := n.j.others[s]
		for {
			select {
			case msg := <-out:
				n.taken[s].Add(1)
				decode(&m, msg.Data)
				if c.see(&m) {
					return nil
				}
			case <-other:
				return errEnded
			}
		}
	}
	for {
		if err := n.recv(s, &m); err != nil {
			return err
		}
		if c.see(&m) {
			return nil
		}
	}
}

func (n *natsSystem) send(p int, m *hub.Message) error {
	b := make([]byte, encodedSize)
	encode(b, m)
	return n.pubs[p].Publish(natsSubjects[m.ID&1], b)
}

func (n *natsSystem) recv(s int, m *hub.Message) error {
	msg, err := n.subs[s].NextMsg(time.Minute)
	if err != nil {
		return err
	}
	decode(m, msg.Data)
	return nil
}

func (n *natsSystem) churn() error {
	if n.visitor == nil {
		var err error
		if n.visitor, err = n.connect(); err != nil {
			return err
		}
	}
	sub, err := n.visitor.SubscribeSync("can0.*")
	if err != nil {
		return err
	}
	if err := n.visitor.Flush(); err != nil { // the server knows of it
		return err
	}
	return sub.Unsubscribe()
}

func (n *natsSystem) close() {
	for _, nc := range n.all {
		nc.Close()
	}
	n.srv.Shutdown()
	n.srv.WaitForShutdown()
}
