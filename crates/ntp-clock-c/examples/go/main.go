// Prints the time with its error, by cgo.
//
//	go build . && ./now [host[:port]]
package main

/*
#cgo pkg-config: ntp-clock
#include <stdlib.h>
#include <ntp_clock.h>
*/
import "C"

import (
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"
)

// Reading is what the time is, and how wrong that can be.
type Reading struct {
	Time     time.Time
	MaxError time.Duration
	EstError time.Duration
	Epoch    uint64
}

// Clock is safe for use by all goroutines.
type Clock struct{ handle *C.ntp_clock_t }

// Open begins to synchronise with the server, and does not wait for it.
func Open(server string) (*Clock, error) {
	options := C.ntp_clock_options_t{size: C.sizeof_ntp_clock_options_t}
	if server != "" {
		options.server = C.CString(server)
		defer C.free(unsafe.Pointer(options.server))
	}
	clock := &Clock{}
	var problem C.ntp_clock_error_t
	if C.ntp_clock_open(&options, &clock.handle, &problem) != C.NTP_CLOCK_OK {
		return nil, errors.New(C.GoString(&problem.text[0]))
	}
	return clock, nil
}

// Close ends the clock.
func (c *Clock) Close() {
	C.ntp_clock_close(c.handle)
	c.handle = nil
}

// WaitSynced waits until there is a time, at most so long.
func (c *Clock) WaitSynced(limit time.Duration) error {
	return problem(C.ntp_clock_wait_synced(c.handle, C.int64_t(limit)))
}

// Now is the time now; an error while there is none.
func (c *Clock) Now() (Reading, error) {
	var now C.ntp_clock_reading_t
	if err := problem(C.ntp_clock_now(c.handle, &now)); err != nil {
		return Reading{}, err
	}
	return Reading{
		Time:     time.Unix(0, int64(now.time_ns)).UTC(),
		MaxError: time.Duration(now.max_error_ns),
		EstError: time.Duration(now.est_error_ns),
		Epoch:    uint64(now.epoch),
	}, nil
}

func problem(result C.ntp_clock_result_t) error {
	if result == C.NTP_CLOCK_OK {
		return nil
	}
	return errors.New(C.GoString(C.ntp_clock_result_text(C.int32_t(result))))
}

func run() error {
	server := ""
	if len(os.Args) > 1 {
		server = os.Args[1]
	}
	clock, err := Open(server)
	if err != nil {
		return err
	}
	defer clock.Close()
	if err := clock.WaitSynced(5 * time.Second); err != nil {
		return err
	}
	now, err := clock.Now()
	if err != nil {
		return err
	}
	fmt.Printf("%s, off by at most %v, probably by %v\n",
		now.Time.Format(time.RFC3339Nano), now.MaxError, now.EstError)
	return nil
}

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
