package main

import (
	"errors"
	"fmt"
	"sync/atomic"
	"time"
)

// The sizes of a slice, as in the files of benches/src.
const (
	yields     = 50_000
	batches    = 10
	batch      = 1_000
	roundTrips = 10_000
	items      = 20_000
	room       = 128
	alone      = 100_000
	contended  = 2_500
	contenders = 4
	permits    = 2
)

// micro measures one task and answers with its numbers.
func micro(task string, seconds float64, tasks int) error {
	window := time.Duration(seconds * float64(time.Second))
	switch task {
	case "park":
		return several(park(tasks))
	case "sleep-smoke":
		return several(sleep(tasks, 0, 20*time.Millisecond))
	case "sleep-up-to-one":
		return several(sleep(tasks, 0, time.Second))
	case "sleep-one-to-two":
		return several(sleep(tasks, time.Second, time.Second))
	}
	nanos, err := nanosPerOperation(task, window)
	if err != nil {
		return err
	}
	return answer([]float64{nanos})
}

func several(numbers []float64, err error) error {
	if err != nil {
		return err
	}
	return answer(numbers)
}

// nanosPerOperation does one slice to warm up, then slices until they took the window together.
func nanosPerOperation(task string, window time.Duration) (float64, error) {
	if _, _, err := slice(task); err != nil {
		return 0, err
	}
	var taken time.Duration
	var done uint64
	for taken < window {
		operations, duration, err := slice(task)
		if err != nil {
			return 0, err
		}
		taken += duration
		done += operations
	}
	return float64(taken.Nanoseconds()) / float64(done), nil
}

// slice does a part of a task and checks it: how many operations it had, and how long they took.
func slice(task string) (uint64, time.Duration, error) {
	var expected, got uint64
	var taken time.Duration
	var ran atomic.Uint64
	switch task {
	case "yield-now":
		taken, err := yieldNow()
		return 2 * yields, taken, err
	case "spawn-join":
		expected, taken = batches*batch, spawnJoin(batches, batch, &ran)
		got = ran.Load()
	case "spawn":
		expected, taken = batches*batch, spawn(batches, batch, &ran)
		got = ran.Load()
	case "queue-one":
		expected = roundTrips
		got, taken = pingPong(1)
	case "queue-none":
		expected = roundTrips
		got, taken = pingPong(0)
	case "spsc-bounded":
		expected = items
		got, taken = spsc()
	case "mutex-alone":
		expected = alone
		got, taken = mutexAlone()
	case "mutex-contended":
		expected = contenders * contended
		got, taken = mutexContended()
	case "semaphore-alone":
		expected = alone
		got, taken = semaphoreAlone()
	case "semaphore-contended":
		var most int
		expected = contenders * contended
		got, most, taken = semaphoreContended()
		if most > permits {
			return 0, 0, errors.New("too many held the semaphore")
		}
	case "event":
		expected = roundTrips
		got, taken = event()
	default:
		return 0, 0, fmt.Errorf("no task %q", task)
	}
	if got != expected {
		return 0, 0, fmt.Errorf("%s: %d instead of %d", task, got, expected)
	}
	return expected, taken, nil
}
