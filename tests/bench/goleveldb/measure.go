package main

import (
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// The measurements of ../src/measure.rs, and the JSON of ../src/plan.rs.

type measurement struct {
	Row            string  `json:"row"`
	Operations     uint64  `json:"operations"`
	WallMicros     float64 `json:"wall_micros"`
	CPUMicros      float64 `json:"cpu_micros"`
	WrittenBytes   uint64  `json:"written_bytes"`
	DeviceBytes    uint64  `json:"device_bytes"`
	AnonymousBytes uint64  `json:"anonymous_bytes"`
	Found          *uint64 `json:"found"`
}

type round struct {
	Measurements []measurement `json:"measurements"`
	UserBytes    uint64        `json:"user_bytes"`
	WrittenBytes uint64        `json:"written_bytes"`
	DeviceBytes  uint64        `json:"device_bytes"`
	DiskBytes    [2]uint64     `json:"disk_bytes"`
	PeakBytes    uint64        `json:"peak_bytes"`
}

type elapsed struct {
	wallMicros, cpuMicros float64
	calls, device         uint64
}

func (e *elapsed) add(other elapsed) {
	e.wallMicros += other.wallMicros
	e.cpuMicros += other.cpuMicros
	e.calls += other.calls
	e.device += other.device
}

// running are the clocks of a measurement.
type running struct {
	started       time.Time
	cpu           float64
	calls, device uint64
}

func begin() running {
	calls, device := written()
	return running{cpu: cpuMicros(), calls: calls, device: device, started: time.Now()}
}

func (r running) stop() elapsed {
	wall := float64(time.Since(r.started).Nanoseconds()) / 1e3
	cpu := cpuMicros() - r.cpu
	calls, device := written()
	return elapsed{wallMicros: wall, cpuMicros: cpu, calls: calls - r.calls, device: device - r.device}
}

func (b *bench) record(row string, operations uint64, e elapsed, found *uint64) {
	if b.plan.wants(row) {
		b.round.Measurements = append(b.round.Measurements, measurement{
			Row: row, Operations: operations, WallMicros: e.wallMicros, CPUMicros: e.cpuMicros, WrittenBytes: e.calls,
			DeviceBytes: e.device, AnonymousBytes: status("RssAnon:"), Found: found,
		})
	}
}

func cpuMicros() float64 {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage))
	micros := func(t syscall.Timeval) float64 { return float64(t.Sec)*1e6 + float64(t.Usec) }
	return micros(usage.Utime) + micros(usage.Stime)
}

// written returns the bytes passed to write calls, and those that go to the device.
func written() (calls, device uint64) {
	return field("/proc/self/io", "wchar:"), field("/proc/self/io", "write_bytes:")
}

func status(name string) uint64 { return field("/proc/self/status", name) * 1024 }

func field(path, name string) uint64 {
	text, _ := os.ReadFile(path)
	for line := range strings.Lines(string(text)) {
		if rest, found := strings.CutPrefix(line, name); found {
			number, _ := strconv.ParseUint(strings.Fields(rest)[0], 10, 64)
			return number
		}
	}
	return 0
}

func diskBytes(directory string) (bytes uint64) {
	check(filepath.WalkDir(directory, func(_ string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() {
			return nil
		}
		if info, err := entry.Info(); err == nil {
			bytes += uint64(info.Sys().(*syscall.Stat_t).Blocks) * 512
		}
		return nil
	}))
	return bytes
}
