package main

import (
	"encoding/binary"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/canhub-go/canhub/hub"
)

func TestMain(m *testing.M) {
	if line := os.Getenv(isolatedEnv); line != "" {
		os.Exit(isolatedMain(line))
	}
	if os.Getenv(remoteEnv) != "" {
		if err := remoteMain(); err != nil {
			fmt.Fprintln(os.Stderr, "remote:", err)
			os.Exit(1)
		}
		return
	}
	if kind := os.Getenv(virtualcanEnv); kind != "" {
		if err := virtualcanMain(kind); err != nil {
			fmt.Fprintln(os.Stderr, "virtualcan:", err)
			os.Exit(1)
		}
		return
	}
	if line := os.Getenv(oneRunEnv); line != "" {
		if err := oneRunMain(line); err != nil {
			fmt.Fprintln(os.Stderr, "one run:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// broken is the bare fan-out with a fault: fault gets every message for the
// last subscriber, and says what to send instead.
type broken struct {
	*bareChans
	fault func(m hub.Message) []hub.Message
}

func (b *broken) publish(p int, from, to uint64) error {
	var m hub.Message
	for n := from; n < to; n++ {
		stamp(&m, p, n)
		last := len(b.ins) - 1
		for s, out := range b.ins {
			if s != last {
				out <- m
				continue
			}
			for _, m := range b.fault(m) {
				out <- m
			}
		}
	}
	return nil
}

func brokenContender(fault func(m hub.Message) []hub.Message) *contender {
	return &contender{name: "broken", open: func(j *job) (system, error) {
		return &broken{openBare(j, 1024), fault}, nil
	}}
}

// number of the message that goes wrong: of 100 that are sent after 12 to get
// going, one in the middle and the last one.
const (
	inTheMiddle = 50
	theLast     = 111
)

func isMessage(m hub.Message, n uint64) bool {
	var want hub.Message
	stamp(&want, 0, n)
	return m == want
}

func runBroken(fault func(m hub.Message) []hub.Message) error {
	h := harness{patience: 300 * time.Millisecond}
	_, err := h.run(brokenContender(fault), job{publishers: 1, subscribers: 3}, 100, nil)
	return err
}

func TestHarnessAcceptsAContenderThatWorks(t *testing.T) {
	if err := runBroken(func(m hub.Message) []hub.Message { return []hub.Message{m} }); err != nil {
		t.Error(err)
	}
}

func TestHarnessDetectsLossDuplicatesAndDisorder(t *testing.T) {
	for _, n := range []uint64{inTheMiddle, theLast} {
		var held []hub.Message
		faults := map[string]func(m hub.Message) []hub.Message{
			"loss": func(m hub.Message) []hub.Message {
				if isMessage(m, n) {
					return nil
				}
				return []hub.Message{m}
			},
			"duplicate": func(m hub.Message) []hub.Message {
				if isMessage(m, n) {
					return []hub.Message{m, m}
				}
				return []hub.Message{m}
			},
			"disorder": func(m hub.Message) []hub.Message {
				if isMessage(m, n-1) {
					held = []hub.Message{m}
					return nil
				}
				out := append([]hub.Message{m}, held...)
				held = nil
				return out
			},
			"wrong data": func(m hub.Message) []hub.Message {
				if isMessage(m, n) {
					m.Data[0] ^= 0x80
				}
				return []hub.Message{m}
			},
		}
		for name, fault := range faults {
			if err := runBroken(fault); err == nil {
				t.Errorf("%s at message %d: no error", name, n)
			} else {
				t.Logf("%s at message %d: %v", name, n, err)
			}
		}
	}
}

func TestHarnessDetectsAPublisherOutOfOrderAmongSeveral(t *testing.T) {
	fault := func(m hub.Message) []hub.Message {
		var want hub.Message
		stamp(&want, 1, 60)
		if m == want {
			return []hub.Message{m, m}
		}
		return []hub.Message{m}
	}
	h := harness{patience: time.Second}
	_, err := h.run(brokenContender(fault), job{publishers: 3, subscribers: 2}, 100, nil)
	if err == nil || !strings.Contains(err.Error(), "publisher 1") {
		t.Errorf("error %v, want one about publisher 1", err)
	}
}

type failing struct{ *bareChans }

var errFailing = errors.New("it fails")

func (f *failing) receive(int, *checker) error { return errFailing }

func TestHarnessReportsErrorsOfContenders(t *testing.T) {
	h := harness{patience: time.Minute}
	ct := &contender{name: "failing", open: func(j *job) (system, error) { return &failing{openBare(j, 1)}, nil }}
	if _, err := h.run(ct, job{publishers: 1, subscribers: 1}, 100, nil); !errors.Is(err, errFailing) {
		t.Errorf("error %v, want %v", err, errFailing)
	}
}

func TestEncodeAndDecode(t *testing.T) {
	m := hub.FD(0x123, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
	m.Timestamp, m.Seq, m.Data[63] = 1<<62+3, 1<<63+5, 9
	var b [encodedSize]byte
	encode(b[:], &m)
	var got hub.Message
	if decode(&got, b[:]); got != m {
		t.Errorf("decoded %+v, want %+v", got, m)
	}
}

func TestMedian(t *testing.T) {
	for _, tt := range []struct {
		x    []float64
		want float64
	}{
		{[]float64{7}, 7},
		{[]float64{3, 1}, 2},
		{[]float64{9, 1, 4}, 4},
		{[]float64{4, 100, 1, 2}, 3},
	} {
		if got := median(tt.x); got != tt.want {
			t.Errorf("median(%v) = %v, want %v", tt.x, got, tt.want)
		}
	}
	if got := median(nil); !math.IsNaN(got) {
		t.Errorf("median of nothing = %v", got)
	}
	x := []float64{3, 1, 2}
	if median(x); x[0] != 3 {
		t.Error("median sorts its argument")
	}
}

func TestPercentile(t *testing.T) {
	var x []float64
	for i := range 200 {
		x = append(x, float64(i+1))
	}
	for p, want := range map[float64]float64{0: 1, 50: 100, 99: 198, 100: 200} {
		if got := percentile(x, p); got != want {
			t.Errorf("percentile %v = %v, want %v", p, got, want)
		}
	}
}

func TestNumber(t *testing.T) {
	for x, want := range map[float64]string{0: "0.00", 0.00123: "0.0012", 0.0123: "0.012", 0.123: "0.12", 9.94: "9.94", 9.96: "10.0", 99.6: "100", 1234.5: "1234"} {
		if got := number(x); got != want {
			t.Errorf("number(%v) = %q, want %q", x, got, want)
		}
	}
}

// made up results: every contender has the ratio that figure says.
func madeUp(figure func(*contender) float64) *results {
	r := &results{contenders: contenders("python3"), repeats: 3, cells: map[string]map[string]*cell{}, trips: map[string]*trip{}, links: map[string]*trip{}, comings: map[string]*coming{}, kept: map[string]series{}}
	for _, w := range workloads {
		r.cells[w.name] = map[string]*cell{}
		for _, ct := range r.contenders {
			c := &cell{}
			r.cells[w.name][ct.name] = c
			if ct.cannot != nil {
				c.note = ct.cannot(&w.job)
			}
			if x := figure(ct); c.note == "" {
				c.ratios, c.rates, c.losses = series{x, 0.9 * x, 1.1 * x}, series{1e6 * x}, series{0}
			}
			if ct == einride {
				c.losses = series{0.5}
			}
		}
	}
	for _, ct := range r.contenders {
		if !oneBus.can(ct) {
			continue
		}
		x := figure(ct)
		r.trips[ct.name] = &trip{ratios: series{2 / x}, p50: series{1000 / x}, p99: series{2000 / x}, p99Ratios: series{2 / x}}
	}
	for _, n := range nuisances {
		r.kept[n.name] = series{0.95}
	}
	r.senders = &besideSenders{senders: 10, with: series{1000}, without: series{1000}, ratios: series{1}}
	r.runs = []oneRun{{Recv: 1.2, Batch: 3, Line: 30}, {Recv: 1.1, Batch: 2, Line: 200}}
	r.bridge = &busy{both: series{1e6}, oneWay: series{1e6}, ratios: series{1}}
	r.big = 4096
	r.crowd = &crowd{channels: 10, bytes: 8000, goroutines: 1}
	r.relays = madeUpRelays(100, 50_000, 20<<20)
	r.vcan = madeUpVcan(20)
	r.day, r.dayLong = series{9}, 24*time.Hour
	r.multicast = madeUpMulticast(flood{Sent: 100, Received: 95, Dropped: 5, Seconds: 1}, 0.95)
	return r
}

// madeUpMulticast has this overrun, and we have that ratio; can-go has a third.
func madeUpMulticast(overrun flood, ratio float64) *multicasts {
	m := &multicasts{nodes: nodes("python3"), by: map[string]*flooded{}}
	for _, n := range m.nodes {
		m.by[n.name] = &flooded{ratios: series{1.0 / 3}, received: series{1}, sent: series{1}, losses: series{0.3}}
	}
	m.by[ourMulticast].ratios = series{ratio}
	m.by[canGoEmulator].ratios = series{0.15}
	m.by[pythonNodes] = &flooded{note: errUnavailable.Error()}
	m.paced.add(flood{Sent: pacedCount, Received: pacedCount, Seconds: 2})
	m.pacedLost = series{0}
	m.addOverrun(overrun)
	return m
}

func madeUpRelays(ratio, latency, idle float64) *relays {
	v := &relays{ours: map[int]series{}, theirs: map[int]series{}, ratios: map[int]series{}, latency: series{latency}, idle: idle}
	for _, n := range remoteClients {
		v.ours[n], v.theirs[n], v.ratios[n] = series{1000 * ratio}, series{1000}, series{ratio}
	}
	return v
}

func madeUpVcan(ratio float64) *vcanRates {
	v := newVcanRates()
	for _, n := range virtualcanClients {
		v.ours[n], v.bare[n], v.original[n] = series{1000 * ratio}, series{1000}, series{1000}
		v.toBare[n], v.toRelay[n], v.toOriginal[n], v.kept[n] = series{ratio}, series{ratio}, series{ratio}, series{ratio}
	}
	return v
}

func good(ct *contender) float64 {
	switch ct {
	case einride:
		return 100 // lossy: it does not count
	case hubRecv, hubBatch, hubChan, hubSelect, hubBatchSelect:
		return 20
	}
	return 0.5
}

func TestMarksPassAndFail(t *testing.T) {
	for _, v := range judge(marks(), madeUp(good)) {
		if !v.passed {
			t.Errorf("missed: %v", v.String())
		}
	}
	bad := madeUp(func(ct *contender) float64 {
		if ct.kind == hubKind {
			return 0.4
		}
		return 0.5
	})
	bad.relays = madeUpRelays(4, 201_000, 65<<20)
	bad.vcan = madeUpVcan(0.7)
	bad.crowd = &crowd{bytes: 17 * 1024, goroutines: 2}
	bad.senders.ratios, bad.bridge.ratios, bad.big = series{1.3}, series{0.4}, 65*1024
	bad.runs[1].Recv = 0.9
	for _, n := range nuisances {
		bad.kept[n.name] = series{0.8, 1}[:1]
	}
	bad.multicast = madeUpMulticast(flood{Sent: 100, Received: 95, Dropped: 4, Seconds: 1}, 0.6)
	bad.multicast.pacedLost = series{1, 0, 1}
	for _, v := range judge(marks(), bad) {
		if v.passed || !v.measured {
			t.Errorf("not missed: %v", v.String())
		}
	}
	for _, v := range judge(marks(), &results{}) {
		if v.passed || v.measured {
			t.Errorf("passed without a figure: %v", v.String())
		}
	}
}

// Where there is no multicast nothing is asked of it; where it was too slow or
// lost nothing, there is no figure to pass.
func TestMarksOfMulticastAreNotPassedWithoutFigures(t *testing.T) {
	r := madeUp(good)
	all := len(judge(marks(), r))
	r.multicast.paced.sent = series{30_000}
	r.multicast.counted = series{0}
	missing := 0
	for _, v := range judge(marks(), r) {
		if !v.measured {
			missing++
		}
	}
	if missing != 2 {
		t.Errorf("%d marks have no figure, want 2", missing)
	}
	r.multicast = &multicasts{note: errUnavailable.Error() + ": no network namespace"}
	if got := len(judge(marks(), r)); got != all-len(multicastMarks()) {
		t.Errorf("%d marks are judged of %d, want %d less", got, all, len(multicastMarks()))
	}
	md, err := r.report(nil, nil)
	if err != nil || !strings.Contains(string(md), "not available: no network namespace. Its marks are not judged.") {
		t.Errorf("the report does not say that there is no multicast: %v", err)
	}
}

// A lossy link is a chan that loses, repeats and swaps messages.
func TestFloodCountsWhatArrives(t *testing.T) {
	for name, tt := range map[string]struct {
		fault func(n uint64) []uint64 // what comes for message n
		want  flood
	}{
		"nothing lost":  {func(n uint64) []uint64 { return []uint64{n} }, flood{Sent: 100, Received: 100}},
		"every 10th":    {func(n uint64) []uint64 { return []uint64{n}[:min(n%10, 1)] }, flood{Sent: 100, Received: 90}},
		"one twice":     {func(n uint64) []uint64 { return []uint64{n, n}[:1+n/99] }, flood{Sent: 100, Received: 101, Disorder: 1}},
		"one too late":  {func(n uint64) []uint64 { return []uint64{n ^ n/98} }, flood{Sent: 100, Received: 100, Disorder: 1}},
		"known as lost": {func(uint64) []uint64 { return nil }, flood{Sent: 100, Dropped: 7}},
	} {
		wire := make(chan hub.Message, 200)
		l := &link{
			send: func(m *hub.Message) error {
				for _, n := range tt.fault(binary.LittleEndian.Uint64(m.Data[:8])) {
					stamp(m, 0, n)
					wire <- *m
				}
				return nil
			},
			recv: func(m *hub.Message) error {
				got, ok := <-wire
				if !ok {
					return io.EOF
				}
				*m = got
				return nil
			},
			dropped: func() uint64 { return tt.want.Dropped },
			close:   func() { close(wire) },
		}
		r, err := l.flood(func(sent uint64, _ time.Time) bool { return sent < 100 })
		r.Seconds = 0
		if err != nil || r != tt.want {
			t.Errorf("%s: %+v, %v, want %+v", name, r, err, tt.want)
		}
	}
}

func TestReportAndChart(t *testing.T) {
	r := madeUp(good)
	r.cells["fan-out 1"][pythonCan("").name] = &cell{note: errUnavailable.Error() + ": not installed"}
	md, err := r.report(judge(marks(), r), []string{"-check", "-python", "/secret/python", "-dir=/secret"})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"hub Send/Recv", "50 % lost", "## udp_multicast", "| 30.0 % |", "not available", "## Marks", "What limits the hub", "| 64 | 100000 | 1000 | 100 ", "| hub Send/Recv | 1.20 | 1.10 | 1.10 | 1.15 | 1.20 |", "## A busy bridge", "of 1048576 messages, is 4.0 KiB", "with 10 more subscribers", "-check -python PATH`"} {
		if !strings.Contains(string(md), want) {
			t.Errorf("the report has no %q", want)
		}
	}
	for _, bad := range []string{"NaN", "/secret", "%!"} {
		if strings.Contains(string(md), bad) {
			t.Errorf("the report has %q", bad)
		}
	}
	d := xml.NewDecoder(strings.NewReader(string(r.chart())))
	for {
		if _, err := d.Token(); err == io.EOF {
			break
		} else if err != nil {
			t.Fatal(err)
		}
	}
	if s := string(r.chart()); strings.Contains(s, "NaN") || strings.Contains(s, "Inf") {
		t.Error("the chart has NaN or Inf in it")
	}
}

func TestOnly(t *testing.T) {
	b := &benchmark{contenders: contenders(""), workloads: workloads, others: otherWorkloads}
	if err := b.only([]string{"fan-out 8", "cskr", "Hub Send/Recv"}); err != nil {
		t.Fatal(err)
	}
	if len(b.contenders) != 3 || b.contenders[0] != bare || len(b.workloads) != 1 || len(b.others) != 0 {
		t.Errorf("%d contenders, %d workloads, %d others", len(b.contenders), len(b.workloads), len(b.others))
	}
	if err := b.only([]string{"nonesuch"}); err == nil {
		t.Error("no error for an unknown name")
	}
}

// Everything works, and nothing is written.
func TestQuickRun(t *testing.T) {
	dir := t.TempDir()
	var out, log strings.Builder
	if err := run([]string{"-quick", "-dir", dir}, &out, &log); err != nil {
		t.Fatalf("%v\n%s", err, log.String())
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*")); len(files) > 0 {
		t.Errorf("it wrote %v", files)
	}
	if !strings.Contains(out.String(), "everything works") {
		t.Errorf("it says %q", out.String())
	}
	for _, ct := range contenders("python3") {
		if !strings.Contains(log.String(), ct.name) {
			t.Errorf("no word of %s", ct.name)
		}
	}
	if !strings.Contains(log.String(), udpMulticast) {
		t.Errorf("no word of %s", udpMulticast)
	}
}
