package main

// A workload is a job with a name.
type workload struct {
	name string // short, for -only and the head of a column
	job  job
}

// workloads are measured in deliveries per second.
var workloads = []workload{
	{"fan-out 1", job{publishers: 1, subscribers: 1}},
	{"fan-out 8", job{publishers: 1, subscribers: 8}},
	{"fan-out 64", job{publishers: 1, subscribers: 64}},
	{"fan-out 512", job{publishers: 1, subscribers: 512}},
	{"fan-in 8", job{publishers: 8, subscribers: 1}},
	{"fan-in 64", job{publishers: 64, subscribers: 1}},
	{"8 x 8", job{publishers: 8, subscribers: 8}},
	{"filter 8", job{publishers: 1, subscribers: 8, filtered: true}},
	{"filter 64", job{publishers: 1, subscribers: 64, filtered: true}},
	{"select 1", job{publishers: 1, subscribers: 1, selects: true}},
	{"select 8", job{publishers: 1, subscribers: 8, selects: true}},
	{"select 64", job{publishers: 1, subscribers: 64, selects: true}},
}

// The other workloads have figures of their own.
const (
	roundTrip   = "round trip"
	idleSenders = "idle senders"
	tenRuns     = "ten runs"
	busyBridge  = "busy bridge"
	openClose   = "open and close"
	neighbours  = "neighbours"
	idle        = "idle channels"
	bigQueue    = "big queue"
	fakeDay     = "fake day"
	// and udpMulticast
)

var otherWorkloads = []string{roundTrip, idleSenders, tenRuns, busyBridge, openClose, neighbours, idle, bigQueue, udpMulticast, remoteServer, virtualcanServer, fakeDay}

// contenders returns all, the floor first.
func contenders(python string) []*contender {
	return []*contender{
		bare,
		hubRecv, hubBatch, hubChan, hubSelect, hubBatchSelect,
		bareSelect, chatHub, mutexHub,
		cskr, dustin, moby, asaskevich, tailscale, watermillChannel, natsServer,
		pythonCan(python), einride,
	}
}

// A cell is what one contender did at one workload.
type cell struct {
	ratios series // deliveries per second, relative to the bare runs just before and after
	rates  series // deliveries per second
	losses series // share lost, of a lossy rival
	note   string // why there is no figure
	err    error  // it failed, though it should not
}

func (c *cell) lossy() bool { return c != nil && len(c.losses) > 0 && c.losses.median() > 0 }

// measured reports whether c has a figure.
func (c *cell) measured() bool { return c != nil && c.err == nil && len(c.ratios) > 0 }
