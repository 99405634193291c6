package main

import (
	"errors"
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A system is a contender at work on one job.
type system interface {
	// publish sends messages from (inclusive) to (exclusive) of publisher p.
	publish(p int, from, to uint64) error
	// receive receives as subscriber s, and shows every message to c, until
	// c has seen the last.
	receive(s int, c *checker) error
	// close ends the system, when all messages have been received.
	close()
}

// A stepper is a system that also sends and receives single messages, for the
// round trip.
type stepper interface {
	system
	send(p int, m *hub.Message) error
	recv(s int, m *hub.Message) error
}

// A churner is a system whose subscribers come and go while it is used.
type churner interface {
	system
	// churn opens one more subscriber and closes it. It takes what that one
	// receives in between.
	churn() error
}

type kind int

const (
	floor    kind = iota // the bare chan fan-out
	hubKind              // this project
	handmade             // what one would write by hand
	library              // somebody else's
)

// A contender can do jobs.
type contender struct {
	name  string // short, for tables and -only
	kind  kind
	about string // what it is, what it cannot do, how it was made lossless
	// open makes a system with its subscribers subscribed.
	open func(*job) (system, error)
	// cannot tells why a job is not for this contender, or "".
	cannot func(*job) string
	// measure, if not nil, does the job outside of this process, for about d.
	measure func(j *job, d time.Duration) (outcome, error)
}

// An outcome is what came of a job.
type outcome struct {
	rate float64 // deliveries per second
	loss float64 // share of the messages that were lost; 0 but for a lossy rival
	side int     // what happened beside it

	sideTook time.Duration
}

var errUnavailable = errors.New("not available")

// A harness runs jobs.
type harness struct {
	patience time.Duration // after which a job counts as stuck: messages were lost
	target   time.Duration // how long a cell is to take
	counts   map[string]uint64
}

// run has ct do a job: a short round to get going, one of n messages per
// publisher against the clock, and one that tells whether the round before left
// anything behind. beside, if not nil, runs beside the middle round until stop
// is closed; it returns when it has ended what it opened.
func (h *harness) run(ct *contender, j job, n uint64, beside func(system, <-chan struct{}) (int, error)) (o outcome, err error) {
	runtime.GC()
	j.others = make([]chan struct{}, j.subscribers)
	for s := range j.others {
		j.others[s] = make(chan struct{})
	}
	sys, err := ct.open(&j)
	if err != nil {
		return o, fmt.Errorf("%s: open: %w", ct.name, err)
	}
	checkers := make([]*checker, j.subscribers)
	for s := range checkers {
		checkers[s] = newChecker(&j, s)
	}
	n += n % 2
	warm := max(2, min(n/8, 512)/2*2)
	if _, err := h.round(sys, &j, checkers, 0, warm); err != nil {
		return o, fmt.Errorf("%s: at the start: %w", ct.name, err)
	}
	stop, ended := make(chan struct{}), make(chan struct{})
	var sideErr error
	if beside != nil {
		go func() {
			defer close(ended)
			start := time.Now()
			o.side, sideErr = beside(sys, stop)
			o.sideTook = time.Since(start)
		}()
		time.Sleep(5 * time.Millisecond) // it gets going too
	}
	took, err := h.round(sys, &j, checkers, warm, warm+n)
	if beside != nil {
		close(stop)
		<-ended
	}
	if err != nil {
		return o, fmt.Errorf("%s: %w", ct.name, err)
	}
	if sideErr != nil {
		return o, fmt.Errorf("%s: beside: %w", ct.name, sideErr)
	}
	if _, err := h.round(sys, &j, checkers, warm+n, warm+n+2); err != nil {
		return o, fmt.Errorf("%s: at the end: %w", ct.name, err)
	}
	sys.close()
	deliveries := uint64(0)
	for s := range j.subscribers {
		deliveries += n * j.sources() / j.step(s)
	}
	o.rate = float64(deliveries) / took.Seconds()
	return o, nil
}

// round has all publishers send messages from to to and all subscribers receive
// them, and checks that they did. After an error, goroutines of the system may
// be left, waiting for messages that never come.
func (h *harness) round(sys system, j *job, checkers []*checker, from, to uint64) (time.Duration, error) {
	var (
		wg     sync.WaitGroup
		failed atomic.Pointer[error]
		behind atomic.Int64
	)
	broken := make(chan struct{}) // closed when failed is set
	fail := func(err error) {
		if failed.CompareAndSwap(nil, &err) {
			close(broken)
		}
	}
	behind.Store(int64(len(checkers)))
	for s, c := range checkers {
		c.left = (to - from) * j.sources() / c.step
		wg.Go(func() {
			err := sys.receive(s, c)
			if err == nil {
				err = c.err()
			}
			if err != nil {
				fail(fmt.Errorf("subscriber %d: %w", s, err))
			}
			behind.Add(-1)
		})
	}
	start := time.Now()
	for p := range j.publishers {
		wg.Go(func() {
			if err := sys.publish(p, from, to); err != nil {
				fail(fmt.Errorf("publisher %d: %w", p, err))
			}
		})
	}
	end := make(chan time.Duration, 1)
	go func() {
		wg.Wait()
		end <- time.Since(start)
	}()
	var took time.Duration
	patience := time.NewTimer(h.patience)
	defer patience.Stop()
	select {
	case took = <-end:
	case <-broken: // the others may wait for ever
	case <-patience.C:
		fail(fmt.Errorf("after %v, %d of %d subscribers still wait for messages", h.patience, behind.Load(), len(checkers)))
	}
	if err := failed.Load(); err != nil {
		return 0, *err
	}
	return took, nil
}

// count returns how many messages per publisher keep ct at job j for about the
// target time. It finds out once for each key.
func (h *harness) count(key string, ct *contender, j job) (uint64, error) {
	key += "\x00" + ct.name
	if n := h.counts[key]; n > 0 {
		return n, nil
	}
	enough := min(25*time.Millisecond, h.target)
	for n := uint64(16); ; {
		o, err := h.run(ct, j, n, nil)
		if err != nil {
			return 0, err
		}
		total := float64(n) * deliveriesPerRound(&j)
		took := time.Duration(total / o.rate * float64(time.Second))
		if took >= enough {
			n = max(2, uint64(float64(n)*float64(h.target)/float64(took)))
			h.counts[key] = n
			return n, nil
		}
		n = uint64(float64(n) * min(20, 1+1.5*float64(enough)/float64(max(took, 1))))
	}
}

// deliveriesPerRound is what one message of each publisher amounts to.
func deliveriesPerRound(j *job) float64 {
	sum := 0.0
	for s := range j.subscribers {
		sum += float64(j.sources()) / float64(j.step(s))
	}
	return sum
}

// cell measures ct at job j once.
func (h *harness) cell(key string, ct *contender, j job) (outcome, error) {
	if ct.measure != nil {
		return ct.measure(&j, h.target)
	}
	n, err := h.count(key, ct, j)
	if err != nil {
		return outcome{}, err
	}
	return h.run(ct, j, n, nil)
}
