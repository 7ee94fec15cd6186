package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
)

// usage is what the process has used so far.
type usage struct {
	// CPU time of all threads, user and system mode, in nanoseconds.
	CPUNanos uint64 `json:"cpu_nanos"`
	// The part in user mode, in nanoseconds.
	UserNanos uint64 `json:"user_nanos"`
	// Resident memory, in bytes.
	ResidentBytes uint64 `json:"resident_bytes"`
}

func usageNow() (usage, error) {
	var times syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &times); err != nil {
		return usage{}, err
	}
	resident, err := kibibytes("/proc/self/smaps_rollup", "Rss:")
	user, system := uint64(times.Utime.Nano()), uint64(times.Stime.Nano())
	return usage{CPUNanos: user + system, UserNanos: user, ResidentBytes: resident}, err
}

// kibibytes reads the field of a file of the kernel that counts in KiB; in bytes.
func kibibytes(file, field string) (uint64, error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, err
	}
	for _, line := range strings.Split(string(text), "\n") {
		if rest, found := strings.CutPrefix(line, field); found {
			count, err := strconv.ParseUint(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 10, 64)
			return count * 1024, err
		}
	}
	return 0, fmt.Errorf("no %s in %s", field, file)
}
