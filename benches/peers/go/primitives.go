package main

import (
	"runtime"
	"sync"
	"time"
)

// pingPong sends 0 to a goroutine that returns each number plus one, and its answers likewise: the last answer.
func pingPong(room int) (uint64, time.Duration) {
	pings, pongs := make(chan uint64, room), make(chan uint64, room)
	go func() {
		for number := range pings {
			pongs <- number + 1
		}
	}()
	var number uint64
	start := time.Now()
	for range roundTrips {
		pings <- number
		number = <-pongs
	}
	taken := time.Since(start)
	close(pings)
	return number, taken
}

// spsc sends numbers to another goroutine: how many came in their order.
func spsc() (uint64, time.Duration) {
	queue := make(chan uint64, room)
	start := time.Now()
	go func() {
		for item := uint64(0); item < items; item++ {
			queue <- item
		}
		close(queue)
	}()
	var inOrder uint64
	for item := range queue {
		if item == inOrder {
			inOrder++
		}
	}
	return inOrder, time.Since(start)
}

// mutexAlone adds to a number in a mutex: the number.
func mutexAlone() (uint64, time.Duration) {
	var mutex sync.Mutex
	var number uint64
	start := time.Now()
	for range alone {
		mutex.Lock()
		number++
		mutex.Unlock()
	}
	return number, time.Since(start)
}

// mutexContended adds to a number in a mutex from several goroutines, which yield before they write it: the number.
func mutexContended() (uint64, time.Duration) {
	var mutex sync.Mutex
	var number uint64
	taken := contend(func() {
		mutex.Lock()
		read := number
		runtime.Gosched()
		number = read + 1
		mutex.Unlock()
	})
	return number, taken
}

// semaphoreAlone acquires and releases: how often. A buffered channel is Go's idiom for a semaphore.
func semaphoreAlone() (uint64, time.Duration) {
	semaphore := make(chan struct{}, 1)
	var acquired uint64
	start := time.Now()
	for range alone {
		semaphore <- struct{}{}
		acquired++
		<-semaphore
	}
	return acquired, time.Since(start)
}

// semaphoreContended acquires from several goroutines, which yield before they release: how often, and how many held
// a permit at once. All goroutines share one OS thread, so the counters need no atomics.
func semaphoreContended() (uint64, int, time.Duration) {
	semaphore := make(chan struct{}, permits)
	var acquired uint64
	var now, most int
	taken := contend(func() {
		semaphore <- struct{}{}
		acquired++
		now++
		most = max(most, now)
		runtime.Gosched()
		now--
		<-semaphore
	})
	return acquired, most, taken
}

// event lets two goroutines wake each other: how often the second one was woken. A channel with room for one signal is
// Go's idiom for it.
func event() (uint64, time.Duration) {
	ping, pong := make(chan struct{}, 1), make(chan struct{}, 1)
	var woken uint64
	go func() {
		for range roundTrips {
			<-ping
			woken++
			pong <- struct{}{}
		}
	}()
	start := time.Now()
	for range roundTrips {
		ping <- struct{}{}
		<-pong
	}
	return woken, time.Since(start)
}

// contend runs the body often in each of several goroutines.
func contend(body func()) time.Duration {
	var all sync.WaitGroup
	all.Add(contenders)
	start := time.Now()
	for range contenders {
		go func() {
			defer all.Done()
			for range contended {
				body()
			}
		}()
	}
	all.Wait()
	return time.Since(start)
}
