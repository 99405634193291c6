package hubtest

import (
	"time"

	"go.uber.org/goleak"
)

// leakPatience is how long goroutines may take to end. Only tests change it.
var leakPatience = 2 * time.Second

// watchLeaks returns a function that returns an error if goroutines are there
// that were not there when watchLeaks was called, and that do not end.
//
// In a synctest bubble it sleeps in fake time, so what is about to end has ended
// when it looks again, and a leak is found at once. The goroutine that looks,
// those of package testing and, by way of IgnoreCurrent, the bubble's own are
// not counted.
func watchLeaks() func() error {
	before := goleak.IgnoreCurrent()
	return func() error {
		for start := time.Now(); ; { // one Find takes less than half a second
			err := goleak.Find(before)
			if err == nil || time.Since(start) >= leakPatience {
				return err
			}
		}
	}
}
