package canlog_test

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/canhub-go/canhub/canlog"
	"github.com/canhub-go/canhub/hub"
)

func ExampleReader_Entries() {
	const log = `(1700000000.000000)  can0 123#AABBCC
(1700000000.000250) vcan0 18FEF100##1AABB
`
	for e, err := range canlog.NewReader(strings.NewReader(log), "drive.log").Entries() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Message.Time().UTC().Format(time.TimeOnly), e.Channel, e.Message)
	}
	// Output:
	// 22:13:20 can0 123#AABBCC
	// 22:13:20 vcan0 18FEF100##1AABB
}

// Lines that cannot be read are told, and the others read.
func ExampleLineError() {
	const log = `(1700000000.000000) can0 123#AABBCC
(1700000000.000250) can0 123#AABBC
(1700000000.000500) can0 123#AA
`
	for e, err := range canlog.NewReader(strings.NewReader(log), "drive.log").Entries() {
		var le *canlog.LineError
		switch {
		case errors.As(err, &le):
			fmt.Printf("skipped line %d: %s\n", le.Line, le.Reason)
		case err != nil:
			fmt.Println(err) // the disk is broken
			return
		default:
			fmt.Println(e.Message)
		}
	}
	// Output:
	// 123#AABBCC
	// skipped line 2: half a data byte
	// 123#AA
}

func ExampleReader_Dropped() {
	const log = `(1700000000.000000) can0 123#AABBCC
DROPCOUNT: dropped 3 CAN frames on 'can0' socket (total drops 3)
(1700000000.000500) can0 123#AA
`
	n := 0
	r := canlog.NewReader(strings.NewReader(log), "drive.log")
	for _, err := range r.Entries() {
		if err != nil {
			fmt.Println(err)
			return
		}
		n++
	}
	fmt.Printf("%d frames, %d more were lost\n", n, r.Dropped())
	// Output: 2 frames, 3 more were lost
}

func ExampleWriter() {
	w := canlog.NewWriter(os.Stdout, &canlog.WriterOptions{Direction: true})
	m := hub.Std(0x123, 0xAA, 0xBB)
	m.Timestamp = time.Date(2023, time.November, 14, 22, 13, 20, 0, time.UTC).UnixNano()
	if err := w.Write(canlog.Entry{Channel: "can0", Message: m, Dir: canlog.DirSent}); err != nil {
		fmt.Println(err)
	}
	m = hub.RTR(0x7FF, 8)
	if err := w.Write(canlog.Entry{Channel: "can0", Message: m}); err != nil {
		fmt.Println(err)
	}
	if err := w.Flush(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// (1700000000.000000) can0 123#AABB T
	// (0000000000.000000) can0 7FF#R8
}

func ExampleCandumpName() {
	start := time.Date(2024, time.March, 5, 17, 8, 9, 0, time.UTC)
	fmt.Println(canlog.CandumpName(start))
	// Output: candump-2024-03-05_170809.log
}

// A log of one format becomes one of another; what that cannot hold is told.
func ExampleNewReaderWith() {
	const log = `(1700000000.000000) can0 123#AABBCC
(1700000000.000250) can0 18FEF100##1AABB
`
	w := canlog.NewWriter(os.Stdout, &canlog.WriterOptions{Format: canlog.CSV})
	r := canlog.NewReaderWith(strings.NewReader(log), "drive.log", &canlog.ReaderOptions{Format: canlog.Candump})
	for e, err := range r.Entries() {
		if err == nil {
			err = w.Write(e)
		}
		if err != nil {
			fmt.Println(err)
		}
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// canlog: entry refused: CSV: it has no CAN FD frames: nothing would tell them from others
	// timestamp,arbitration_id,extended,remote,error,dlc,data
	// 1700000000.000000,0x123,0,0,0,3,qrvM
}

func ExampleReader_Skipped() {
	const log = `date Tue Nov 14 22:13:20.000 2023
base hex  timestamps absolute
   0.100000 1  Statistic: D 0 R 0 XD 0 XR 0 E 0 O 0 B 0.0%
   0.200000 1  123             Rx   d 3 AA BB CC
`
	r := canlog.NewReaderWith(strings.NewReader(log), "drive.asc", &canlog.ReaderOptions{
		Format:   canlog.ASC,
		Channels: []string{"body"},
		Location: time.UTC,
	})
	for e, err := range r.Entries() {
		if err != nil {
			fmt.Println(err)
			return
		}
		fmt.Println(e.Message.Time().UTC().Format(time.StampMilli), e.Channel, e.Message, e.Dir)
	}
	fmt.Printf("%d other event\n", r.Skipped())
	// Output:
	// Nov 14 22:13:20.200 body 123#AABBCC received
	// 1 other event
}

func ExampleFormat() {
	w := canlog.NewWriter(os.Stdout, &canlog.WriterOptions{Format: canlog.ASC, Location: time.UTC})
	m := hub.Std(0x123, 0xAA, 0xBB)
	m.Timestamp = time.Date(2023, time.November, 14, 22, 13, 20, 0, time.UTC).UnixNano()
	if err := w.Write(canlog.Entry{Channel: "can0", Message: m, Dir: canlog.DirSent}); err != nil {
		fmt.Println(err)
	}
	if err := w.Close(); err != nil {
		fmt.Println(err)
	}
	// Output:
	// date Tue Nov 14 22:13:20.000 2023
	// base hex  timestamps absolute
	// internal events logged
	// Begin Triggerblock Tue Nov 14 22:13:20.000 2023
	//  0.000000 Start of measurement
	//  0.000000 1  123             Tx   d 2 AA BB
	// End TriggerBlock
}
