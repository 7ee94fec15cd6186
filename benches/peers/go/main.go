// The benchmarks' Go peer: goroutines, started by the bench program with GOMAXPROCS set and the process pinned.
//
//	green-bench-go serve SERVICE              a server; SERVICE is echo, echo-large or stream
//	green-bench-go micro TASK SECONDS TASKS   one measurement
//	green-bench-go start-up                   the shortest program
//
// Each answers on stdout with one JSON value a line, as the other peers do; see benches/src/child.rs.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync/atomic"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "green-bench-go:", err)
		os.Exit(1)
	}
}

func run(arguments []string) error {
	switch {
	case len(arguments) == 2 && arguments[0] == "serve":
		return serve(arguments[1])
	case len(arguments) == 4 && arguments[0] == "micro":
		seconds, err := strconv.ParseFloat(arguments[2], 64)
		if err != nil {
			return err
		}
		tasks, err := strconv.Atoi(arguments[3])
		if err != nil {
			return err
		}
		return micro(arguments[1], seconds, tasks)
	case len(arguments) == 1 && arguments[0] == "start-up":
		return startUp()
	}
	return errors.New("see the head of main.go for the arguments")
}

// startUp runs one goroutine and tells the peak of resident memory, in bytes.
func startUp() error {
	var ran atomic.Uint64
	spawnJoin(1, 1, &ran)
	if ran.Load() != 1 {
		return errors.New("the goroutine did not run")
	}
	peak, err := kibibytes("/proc/self/status", "VmHWM:")
	if err != nil {
		return err
	}
	return answer(peak)
}

// answer writes one value to the parent.
func answer(value any) error {
	return json.NewEncoder(os.Stdout).Encode(value)
}
