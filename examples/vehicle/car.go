package vehicle

import (
	"encoding/binary"
	"time"

	"github.com/canhub-go/canhub/hub"
)

// A car is its state at one instant, in whole numbers: floating point may
// differ in the last bit from one processor to another.
type car struct {
	ms       int // since the start of this drive
	total    int // ms since the start of the first one
	speed    int // 0.01 km/h
	pedal    int // accelerator, percent
	brake    int // pressure, 0.1 bar
	steering int // 0.1 degree, left is positive
	gear     int
	rpm      int
	door     bool // the driver's is open
	blinker  bool // the left one is lit
}

// drive is the ten seconds: get in, pull away, turn left, brake. In between the
// values change evenly.
var drive = []struct{ ms, speed, pedal, brake, steering int }{
	{0, 0, 0, 220, 0},
	{1200, 0, 0, 260, 0},
	{1500, 0, 25, 0, -15},
	{3000, 1650, 62, 0, 10},
	{4500, 3800, 70, 0, -5},
	{5500, 5120, 45, 0, 0},
	{6500, 4600, 0, 60, 350},
	{7500, 3000, 10, 140, 1450},
	{8500, 2900, 38, 0, 900},
	{9400, 2100, 0, 180, 20},
	{10000, 0, 0, 480, 0},
}

// firstOf is the speed above which a gear is used, perRPM what 1000 rpm make in
// it, both in 0.01 km/h.
var (
	firstOf = []int{0, 0, 1500, 3200, 4800}
	perRPM  = []int{1, 780, 1420, 2150, 3000}
)

const idleRPM = 820

// at returns the state of the car at time t of the drive.
func at(t time.Duration) car {
	length := drive[len(drive)-1].ms
	total := int(t.Milliseconds())
	ms := total % length
	c := car{ms: ms, total: total}
	i := 1
	for drive[i].ms <= ms {
		i++
	}
	a, b := drive[i-1], drive[i]
	between := func(from, to int) int { return from + (to-from)*(ms-a.ms)/(b.ms-a.ms) }
	c.speed = between(a.speed, b.speed)
	c.pedal = between(a.pedal, b.pedal)
	c.brake = between(a.brake, b.brake)
	c.steering = between(a.steering, b.steering)
	c.gear = 1
	for c.gear+1 < len(firstOf) && c.speed >= firstOf[c.gear+1] {
		c.gear++
	}
	c.rpm = max(idleRPM+5*c.pedal, 1000*c.speed/perRPM[c.gear])
	c.door = ms < 700
	c.blinker = 5400 < ms && ms < 8400 && ms/350%2 == 0
	return c
}

const (
	idEngine = 0x0C0
	idWheels = 0x0D0
)

// comfortNodes are those for the people in the car.
var comfortNodes = []string{"doors", "lights", "climate", "cluster", "body"}

// senders are the messages of the car, in the order of their slots.
var senders = []sender{
	{"engine", 1, 10 * time.Millisecond, hub.Std(idEngine, make([]byte, 8)...),
		func(b []byte, c car, noise func(int) int) {
			put16(b[0:], c.rpm+noise(16))
			b[2] = byte(c.pedal)
			put16(b[3:], 9*c.pedal+noise(4)) // torque, 0.1 Nm
			b[5] = byte(40 + 84 + c.ms/2500) // coolant, degrees above -40
			count(b)
		}},
	{"brakes", 3, 20 * time.Millisecond, hub.Std(idWheels, make([]byte, 8)...),
		func(b []byte, c car, noise func(int) int) {
			for wheel := range 4 { // the inner ones, left, turn slower
				v := c.speed
				if wheel%2 == 0 {
					v -= c.speed * c.steering / 20000
				} else {
					v += c.speed * c.steering / 20000
				}
				if v > 0 {
					v += noise(5)
				}
				put16(b[2*wheel:], v)
			}
		}},
	{"steering", 5, 20 * time.Millisecond, hub.Std(0x0C6, make([]byte, 6)...),
		func(b []byte, c car, noise func(int) int) {
			put16(b[0:], c.steering+noise(3)-1)
			put16(b[2:], c.steering/8) // torque, 0.01 Nm
			count(b)
		}},
	{"brakes", 7, 20 * time.Millisecond, hub.Std(0x0D4, make([]byte, 6)...),
		func(b []byte, c car, noise func(int) int) {
			put16(b[0:], c.brake)
			if c.brake > 0 {
				put16(b[0:], c.brake+noise(6))
				b[2] = 1 // the brake light
			} else {
				b[2] = 0
			}
			count(b)
		}},
	{"airbag", 9, 20 * time.Millisecond, hub.Std(0x130, make([]byte, 8)...),
		func(b []byte, c car, noise func(int) int) {
			put16(b[0:], 9*c.pedal-2*c.brake+noise(12))       // along, mm/s²
			put16(b[2:], c.speed*c.steering/9000+noise(12)-6) // across
			put16(b[4:], c.speed*c.steering/40000+noise(4)-2) // yaw, 0.01 degree/s
			count(b)
		}},
	{"gearbox", 11, 20 * time.Millisecond, hub.Std(0x1A0, make([]byte, 5)...),
		func(b []byte, c car, noise func(int) int) {
			b[0] = 'D'
			if c.ms < 1200 {
				b[0] = 'P'
			}
			b[1] = byte(c.gear)
			put16(b[2:], max(0, c.rpm-noise(40))) // behind the converter
			b[4] = byte(40 + 71)
		}},
	// As trucks have it: J1939 EEC1, engine speed in 0.125 rpm.
	{"telematics", 13, 50 * time.Millisecond, hub.Ext(0x0CF00400, 0xF1, 0x7D, 0, 0, 0, 0, 0xFF, 0xFF),
		func(b []byte, c car, noise func(int) int) {
			b[2] = byte(125 + c.pedal)
			binary.LittleEndian.PutUint16(b[3:], uint16(8*c.rpm+noise(64)))
		}},
	{"doors", 15, 100 * time.Millisecond, hub.Std(0x2C0, 0, 0, 0),
		func(b []byte, c car, _ func(int) int) {
			b[0] = bit(c.door, 0x01)
			b[1] = bit(c.speed > 1000, 0xFF) // locked
		}},
	{"lights", 17, 100 * time.Millisecond, hub.Std(0x2D0, 0, 0, 0, 0),
		func(b []byte, c car, _ func(int) int) {
			b[0] = bit(c.ms > 900, 0x03) | bit(c.blinker, 0x10) | bit(c.brake > 0, 0x40)
		}},
	{"climate", 19, 200 * time.Millisecond, hub.Std(0x350, make([]byte, 6)...),
		func(b []byte, c car, noise func(int) int) {
			put16(b[0:], 215+noise(3)) // inside, 0.1 degree
			put16(b[2:], 83)           // outside
			b[4] = byte(3 + c.ms/4000) // fan
		}},
	{"cluster", 21, 500 * time.Millisecond, hub.Std(0x3D0, make([]byte, 8)...),
		func(b []byte, c car, _ func(int) int) {
			binary.BigEndian.PutUint32(b[0:], uint32(48127+c.total/10000)) // km
			put16(b[4:], c.speed)
			b[6] = 127 // fuel
		}},
	// CAN FD: what the camera sees of the lane and of eight others, and a
	// radar. Their slots leave room, for these are long.
	{"camera", 23, 100 * time.Millisecond, fast(0x460, 48),
		func(b []byte, c car, noise func(int) int) {
			put16(b[0:], c.steering/10) // curvature
			for i := 1; i < 9; i++ {
				put16(b[4*i:], 900*i+noise(40)-c.ms/20)
				put16(b[4*i+2:], 180*(i%3)+noise(10))
			}
			count(b)
		}},
	{"radar", 26, 100 * time.Millisecond, fast(0x464, 20),
		func(b []byte, c car, noise func(int) int) {
			for i := range 4 {
				put16(b[4*i:], 2500*(i+1)-c.speed/4+noise(30))
				put16(b[4*i+2:], c.speed/2+noise(9))
			}
			count(b)
		}},
	{"body", 29, time.Second, hub.Std(0x5E0, 0, 0, 0),
		func(b []byte, c car, _ func(int) int) { // the clock
			s := 8*3600 + 41*60 + 52 + c.total/1000
			b[0], b[1], b[2] = byte(s/3600%24), byte(s/60%60), byte(s%60)
		}},
	{"body", 31, 2 * time.Second, hub.RTR(idBattery, 4), nil}, // battery answers
}

// Speed returns the speed in km/h if m is the message that has it.
func Speed(m hub.Message) (kmh float64, ok bool) {
	if m.ID != idWheels || m.Flags != 0 || m.Len != 8 {
		return 0, false
	}
	sum := 0
	for i := 0; i < 8; i += 2 {
		sum += int(binary.BigEndian.Uint16(m.Data[i:]))
	}
	return float64(sum) / 400, true
}

// RPM returns the engine speed in 1/min if m is the message that has it.
func RPM(m hub.Message) (rpm int, ok bool) {
	if m.ID != idEngine || m.Flags != 0 || m.Len != 8 {
		return 0, false
	}
	return int(binary.BigEndian.Uint16(m.Data[:])), true
}

// fast returns a CAN FD frame of n bytes at the higher bit rate.
func fast(id uint32, n int) hub.Message {
	m := hub.FD(id, make([]byte, n)...)
	m.Flags |= hub.BRS
	return m
}

func put16(b []byte, v int) { binary.BigEndian.PutUint16(b, uint16(v)) }

func bit(on bool, mask byte) byte {
	if on {
		return mask
	}
	return 0
}

// count puts a counter from 0 to 15 into the last byte but one of b, by which a
// receiver knows that the sender is alive, and a checksum into the last.
func count(b []byte) {
	n := len(b) - 2
	b[n] = (b[n] + 1) & 15
	b[n+1] = 0
	for _, v := range b[:n+1] {
		b[n+1] ^= v
	}
}
