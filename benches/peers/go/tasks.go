package main

import (
	"errors"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// yieldNow lets two goroutines yield to each other; nearly half of the yields at least must go to the other one.
func yieldNow() (time.Duration, error) {
	var last, alternated int
	var both sync.WaitGroup
	both.Add(2)
	start := time.Now()
	for name := 1; name <= 2; name++ {
		go func(name int) {
			defer both.Done()
			for range yields {
				if last != name {
					alternated++
				}
				last = name
				runtime.Gosched()
			}
		}(name)
	}
	both.Wait()
	taken := time.Since(start)
	if alternated < 2*yields/100*48 {
		return 0, fmt.Errorf("only %d yields went to the other goroutine", alternated)
	}
	return taken, nil
}

// spawnJoin starts goroutines that count themselves, and waits for each batch through a wait group.
func spawnJoin(batches, batch int, ran *atomic.Uint64) time.Duration {
	start := time.Now()
	for range batches {
		var all sync.WaitGroup
		all.Add(batch)
		for range batch {
			go func() {
				defer all.Done()
				ran.Add(1)
			}()
		}
		all.Wait()
	}
	return time.Since(start)
}

// spawn starts goroutines that count themselves; the last one of a batch tells.
func spawn(batches, batch int, ran *atomic.Uint64) time.Duration {
	over := make(chan struct{}, 1)
	start := time.Now()
	for number := 1; number <= batches; number++ {
		all := uint64(number * batch)
		for range batch {
			go func() {
				if ran.Add(1) == all {
					over <- struct{}{}
				}
			}()
		}
		<-over
	}
	return time.Since(start)
}

// park starts goroutines that sleep for an hour: bytes and nanoseconds for each.
func park(tasks int) ([]float64, error) {
	before, err := usageNow()
	if err != nil {
		return nil, err
	}
	var parked atomic.Uint64
	start := time.Now()
	for range tasks {
		go func() {
			parked.Add(1)
			time.Sleep(time.Hour)
		}()
	}
	for parked.Load() < uint64(tasks) {
		runtime.Gosched()
	}
	taken := time.Since(start)
	after, err := usageNow()
	if err != nil {
		return nil, err
	}
	bytes := float64(after.ResidentBytes) - float64(before.ResidentBytes)
	return []float64{bytes / float64(tasks), float64(taken.Nanoseconds()) / float64(tasks)}, nil
}

// sleep lets goroutines sleep once, as long as the other peers' tasks: lateness (median, 99th percentile, largest) in
// milliseconds, CPU time in seconds.
func sleep(tasks int, shortest, spread time.Duration) ([]float64, error) {
	before, err := usageNow()
	if err != nil {
		return nil, err
	}
	late := make([]time.Duration, tasks)
	var all sync.WaitGroup
	all.Add(tasks)
	for index := range late {
		go func(index int) {
			defer all.Done()
			start := time.Now()
			hash := uint32(index) * 2_654_435_761
			length := shortest + time.Duration(float64(spread)*float64(hash)/float64(^uint32(0)))
			time.Sleep(length)
			late[index] = time.Since(start) - length
		}(index)
	}
	all.Wait()
	after, err := usageNow()
	if err != nil {
		return nil, err
	}
	slices.Sort(late)
	if late[0] < 0 {
		return nil, errors.New("a sleep ended too early")
	}
	millis := func(share float64) float64 {
		return late[int(float64(tasks-1)*share)].Seconds() * 1e3
	}
	cpu := float64(after.CPUNanos-before.CPUNanos) / 1e9
	return []float64{millis(0.5), millis(0.99), millis(1), cpu}, nil
}
