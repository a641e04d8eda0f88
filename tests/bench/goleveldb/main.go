// The benchmark of goleveldb: the workloads of ../src/workload.rs in Go, without a C interface in between.
//
// The benchmark calls it as a child process, `goleveldb-bench --child PLAN`, with a plan in JSON; it prints
// its measurements. Keys, values and operations are those of ../src/keys.rs and ../src/workload.rs: for a
// given row and thread every engine gets the same ones, and the benchmark fails if engines find different
// results. Change both sides together.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/syndtr/goleveldb/leveldb"
	"github.com/syndtr/goleveldb/leveldb/filter"
	"github.com/syndtr/goleveldb/leveldb/opt"
	"github.com/syndtr/goleveldb/leveldb/util"
)

const (
	batchEntries   = 1000
	syncedWrites   = 2000
	recoveredBytes = 4 << 20
	reopenedBytes  = 2 << 20
	openings       = 10
	longestSettle  = 300 * time.Second
)

type profile struct {
	WriteBufferSize int    `json:"write_buffer_size"`
	CacheBytes      *int   `json:"cache_bytes"`
	BloomBits       *int   `json:"bloom_bits"`
	Compressed      bool   `json:"compressed"`
	ValueSize       int    `json:"value_size"`
	Name            string `json:"name"`
}

type plan struct {
	Directory string   `json:"directory"`
	Profile   profile  `json:"profile"`
	Threads   uint64   `json:"threads"`
	Num       uint64   `json:"num"`
	Reads     uint64   `json:"reads"`
	Rows      []string `json:"rows"`
}

// wants reports whether one of these rows is to be measured, by its own name or by the name that its variants
// share.
func (p *plan) wants(rows ...string) bool {
	for _, row := range rows {
		base, _, _ := strings.Cut(row, ".")
		for _, wanted := range p.Rows {
			if wanted == row || wanted == base {
				return true
			}
		}
	}
	return len(p.Rows) == 0
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "goleveldb:", err)
		os.Exit(1)
	}
}

func open(path string, p *profile) *leveldb.DB {
	options := &opt.Options{WriteBuffer: p.WriteBufferSize, Compression: opt.SnappyCompression}
	if p.CacheBytes != nil {
		options.BlockCacheCapacity = *p.CacheBytes
	}
	if p.BloomBits != nil {
		options.Filter = filter.NewBloomFilter(*p.BloomBits)
	}
	if !p.Compressed {
		options.Compression = opt.NoCompression
	}
	db, err := leveldb.OpenFile(path, options)
	check(err)
	return db
}

type bench struct {
	plan  plan
	round round
}

// done is the result of one thread of a row.
type done struct{ operations, found uint64 }

func (b *bench) fresh(name string) string {
	path := filepath.Join(b.plan.Directory, name)
	check(os.RemoveAll(path))
	return path
}

// threads runs work(thread, its share of the operations) on all threads, and records the row.
func (b *bench) threads(row string, operations uint64, agree bool, work func(thread, begin, end uint64) done) {
	threads := b.plan.Threads
	dones := make([]done, threads)
	var ready, ended sync.WaitGroup
	start := make(chan struct{})
	for thread := range threads {
		ready.Add(1)
		ended.Add(1)
		go func() {
			defer ended.Done()
			ready.Done()
			<-start
			dones[thread] = work(thread, operations*thread/threads, operations*(thread+1)/threads)
		}()
	}
	ready.Wait()
	running := begin()
	close(start)
	ended.Wait()
	elapsed := running.stop()
	var total, found uint64
	for _, each := range dones {
		total += each.operations
		found += each.found
	}
	if !agree {
		b.record(row, total, elapsed, nil)
	} else {
		b.record(row, total, elapsed, &found)
	}
}

func (b *bench) freshFills() {
	size, num := b.plan.Profile.ValueSize, b.plan.Num
	for _, fill := range []struct {
		row        string
		operations uint64
	}{{"fillseq", num}, {"fillbatch", num}, {"fillsync", min(num, syncedWrites)}} {
		if !b.plan.wants(fill.row) {
			continue
		}
		path := b.fresh(fill.row)
		db := open(path, &b.plan.Profile)
		b.threads(fill.row, fill.operations, false, func(thread, begin, end uint64) done {
			values, key := newValues(size, thread), newKey()
			if fill.row == "fillbatch" {
				fillBatches(db, begin, end, values)
				return done{operations: end - begin}
			}
			options := &opt.WriteOptions{Sync: fill.row == "fillsync"}
			for number := begin; number < end; number++ {
				check(db.Put(key.set(number), values.next(), options))
			}
			return done{operations: end - begin}
		})
		b.round.UserBytes += fill.operations * uint64(keySize+size)
		check(db.Close())
		check(os.RemoveAll(path))
	}
}

func fillBatches(db *leveldb.DB, begin, end uint64, values *values) {
	batch, key := new(leveldb.Batch), newKey()
	for number := begin; number < end; {
		stop := min(number+batchEntries, end)
		batch.Reset()
		for ; number < stop; number++ {
			batch.Put(key.set(number), values.next())
		}
		check(db.Write(batch, nil))
	}
}

func (b *bench) mainDatabase() {
	var compacted []string
	for _, row := range reads {
		compacted = append(compacted, row+".compacted")
	}
	p := &b.plan
	wantsAfter := p.wants("readwhilewriting", "readwhilewriting.writer", "deleterandom", "settle.deleted", "compact.deleted")
	wantsReopened := p.wants("recover", "reopen")
	wantsCompacted := p.wants(compacted...) || wantsReopened
	if !(wantsAfter || wantsCompacted || p.wants(reads[:]...) || p.wants("fillrandom", "overwrite", "settle", "compact")) {
		return
	}
	path := b.fresh("main")
	db := open(path, &p.Profile)
	b.writeRandomly(db, "fillrandom", 100)
	b.writeRandomly(db, "overwrite", 200)
	b.settle("settle")
	b.round.DiskBytes[0] = diskBytes(path)
	b.readRows(db, "")
	if p.wants("compact") || wantsCompacted || wantsAfter {
		b.compact(db, "compact")
		waitUntilIdle()
		b.round.DiskBytes[1] = diskBytes(path)
	}
	b.readRows(db, ".compacted")
	if wantsReopened {
		db = b.reopen(db, path)
	}
	if wantsAfter {
		b.readWhileWriting(db)
		b.threads("deleterandom", p.Num, false, func(thread, begin, end uint64) done {
			key, random := newKey(), newRandom(400+thread)
			for range end - begin {
				check(db.Delete(key.set(random.below(p.Num)), nil))
			}
			return done{operations: end - begin}
		})
		b.round.UserBytes += p.Num * keySize
		b.settle("settle.deleted")
		b.compact(db, "compact.deleted")
	}
	check(db.Close())
	check(os.RemoveAll(path))
}

// reopen opens the database with 2 MiB of writes in its WAL alone, and then again without them.
func (b *bench) reopen(db *leveldb.DB, path string) *leveldb.DB {
	num, size := b.plan.Num, b.plan.Profile.ValueSize
	entries := max(reopenedBytes/uint64(keySize+size), 1)
	key, values, random := newKey(), newValues(size, 600), newRandom(600)
	for range entries {
		check(db.Put(key.set(random.below(num)), values.next(), nil))
	}
	b.round.UserBytes += entries * uint64(keySize+size)
	for _, row := range []string{"recover", "reopen"} {
		check(db.Close())
		running := begin()
		db = open(path, &b.plan.Profile)
		b.record(row, 1, running.stop(), nil)
	}
	return db
}

func (b *bench) writeRandomly(db *leveldb.DB, row string, seed uint64) {
	num, size := b.plan.Num, b.plan.Profile.ValueSize
	b.threads(row, num, false, func(thread, begin, end uint64) done {
		key, values, random := newKey(), newValues(size, seed+thread), newRandom(seed+thread)
		for range end - begin {
			check(db.Put(key.set(random.below(num)), values.next(), nil))
		}
		return done{operations: end - begin}
	})
	b.round.UserBytes += num * uint64(keySize+size)
}

// waitsForDisk reports whether a thread of the process waits for a disk: it then uses no CPU time, but is not
// idle.
func waitsForDisk() bool {
	threads, _ := filepath.Glob("/proc/self/task/*/stat")
	for _, path := range threads {
		line, _ := os.ReadFile(path)
		// `number (name) state ...`; the name may contain any character.
		if _, rest, _ := strings.Cut(string(line[max(strings.LastIndexByte(string(line), ')'), 0):]), " "); strings.HasPrefix(rest, "D") {
			return true
		}
	}
	return false
}

// settle waits until the process is idle: it measures the work that the writes have deferred.
func (b *bench) settle(row string) {
	b.record(row, 1, waitUntilIdle(), nil)
	syscall.Sync()
}

// waitUntilIdle waits until the process is idle, and returns how long it was busy.
func waitUntilIdle() elapsed {
	const (
		glance         = 10 * time.Millisecond
		quietGlances   = 20
		quietCPUMicros = 500.0
	)
	running, started := begin(), time.Now()
	quiet, seen, lastBusy := 0, cpuMicros(), running.stop()
	for quiet < quietGlances && time.Since(started) < longestSettle {
		time.Sleep(glance)
		now := cpuMicros()
		if now-seen < quietCPUMicros && !waitsForDisk() {
			quiet++
		} else {
			quiet, lastBusy = 0, running.stop()
		}
		seen = now
	}
	return lastBusy
}

func (b *bench) compact(db *leveldb.DB, row string) {
	running := begin()
	check(db.CompactRange(util.Range{}))
	b.record(row, 1, running.stop(), nil)
}

var reads = [...]string{"readrandom", "readmissing", "readhot", "readseq", "readreverse", "seekrandom", "newiter"}

func (b *bench) readRows(db *leveldb.DB, suffix string) {
	num := b.plan.Num
	for _, read := range reads {
		if !b.plan.wants(read + suffix) {
			continue
		}
		operations := b.plan.Reads
		if read == "seekrandom" || read == "newiter" {
			operations = max(operations/4, 10)
		}
		b.threads(read+suffix, operations, true, func(thread, begin, end uint64) done {
			random, count := newRandom(1000+thread), end-begin
			switch read {
			case "readrandom":
				return get(db, count, num, random)
			case "readmissing":
				return getMissing(db, count, num, random)
			case "readhot":
				return get(db, count, (num+99)/100, random)
			case "readseq":
				return scan(db, count, true)
			case "readreverse":
				return scan(db, count, false)
			case "seekrandom":
				return seek(db, count, num, random)
			default:
				return newIterators(db, count, num, random)
			}
		})
	}
}

func get(db *leveldb.DB, count, keys uint64, random *random) done {
	key, found := newKey(), uint64(0)
	for range count {
		if _, err := db.Get(key.set(random.below(keys)), nil); err == nil {
			found++
		} else if err != leveldb.ErrNotFound {
			check(err)
		}
	}
	return done{count, found}
}

func getMissing(db *leveldb.DB, count, keys uint64, random *random) done {
	key, found := newKey(), uint64(0)
	for range count {
		if _, err := db.Get(key.setMissing(random.below(keys)), nil); err == nil {
			found++
		} else if err != leveldb.ErrNotFound {
			check(err)
		}
	}
	return done{count, found}
}

func scan(db *leveldb.DB, count uint64, forward bool) done {
	found, left := uint64(0), count
	for left > 0 {
		iterator := db.NewIterator(nil, nil)
		valid := iterator.First()
		if !forward {
			valid = iterator.Last()
		}
		if !valid {
			check(fmt.Errorf("the database is empty"))
		}
		for left > 0 && valid {
			found += uint64(len(iterator.Key()) + len(iterator.Value()))
			if forward {
				valid = iterator.Next()
			} else {
				valid = iterator.Prev()
			}
			left--
		}
		check(iterator.Error())
		iterator.Release()
	}
	return done{count, found}
}

func seek(db *leveldb.DB, count, keys uint64, random *random) done {
	key, found := newKey(), uint64(0)
	iterator := db.NewIterator(nil, nil)
	defer iterator.Release()
	for range count {
		valid := iterator.Seek(key.set(random.below(keys)))
		for i := 0; i < 10 && valid; i++ {
			found += uint64(len(iterator.Key()) + len(iterator.Value()))
			valid = iterator.Next()
		}
	}
	check(iterator.Error())
	return done{count, found}
}

func newIterators(db *leveldb.DB, count, keys uint64, random *random) done {
	key, found := newKey(), uint64(0)
	for range count {
		iterator := db.NewIterator(nil, nil)
		if iterator.Seek(key.set(random.below(keys))) {
			found += uint64(len(iterator.Key()) + len(iterator.Value()))
		}
		check(iterator.Error())
		iterator.Release()
	}
	return done{count, found}
}

func (b *bench) readWhileWriting(db *leveldb.DB) {
	num, size := b.plan.Num, b.plan.Profile.ValueSize
	if !b.plan.wants("readwhilewriting", "readwhilewriting.writer") {
		return
	}
	var stop atomic.Bool
	written := make(chan uint64)
	running := begin()
	go func() {
		key, values, random := newKey(), newValues(size, 300), newRandom(300)
		count := uint64(0)
		for !stop.Load() {
			check(db.Put(key.set(random.below(num)), values.next(), nil))
			count++
		}
		written <- count
	}()
	b.threads("readwhilewriting", b.plan.Reads, false, func(thread, begin, end uint64) done {
		return get(db, end-begin, num, newRandom(2000+thread))
	})
	stop.Store(true)
	count := <-written
	b.record("readwhilewriting.writer", count, running.stop(), nil)
	b.round.UserBytes += count * uint64(keySize+size)
}

// open opens a crash image: a copy of an open database whose last 4 MiB are in the WAL alone.
func (b *bench) open() {
	path, image := b.fresh("open"), b.fresh("open-image")
	roomy := b.plan.Profile
	roomy.WriteBufferSize = 64 << 20
	entries := max(recoveredBytes/uint64(keySize+roomy.ValueSize), 1)
	db := open(path, &roomy)
	key, values, random := newKey(), newValues(roomy.ValueSize, 500), newRandom(500)
	for range entries {
		check(db.Put(key.set(random.below(b.plan.Num)), values.next(), nil))
	}
	copyDirectory(path, image)
	check(db.Close())
	var total elapsed
	for range openings {
		check(os.RemoveAll(path))
		copyDirectory(image, path)
		running := begin()
		db := open(path, &b.plan.Profile)
		total.add(running.stop())
		check(db.Close())
	}
	b.record("open", openings, total, nil)
	check(os.RemoveAll(path))
	check(os.RemoveAll(image))
}

func copyDirectory(from, to string) {
	check(os.MkdirAll(to, 0o755))
	entries, err := os.ReadDir(from)
	check(err)
	for _, entry := range entries {
		if entry.Name() == "LOCK" {
			continue
		}
		contents, err := os.ReadFile(filepath.Join(from, entry.Name()))
		check(err)
		check(os.WriteFile(filepath.Join(to, entry.Name()), contents, 0o644))
	}
}

func main() {
	if len(os.Args) != 3 || os.Args[1] != "--child" {
		fmt.Fprintln(os.Stderr, "goleveldb-bench: run by terrace-bench, as `goleveldb-bench --child PLAN`")
		os.Exit(2)
	}
	var b bench
	check(json.Unmarshal([]byte(os.Args[2]), &b.plan))
	b.round.Measurements = []measurement{}
	b.freshFills()
	b.mainDatabase()
	if b.plan.wants("open") {
		b.open()
	}
	b.round.WrittenBytes, b.round.DeviceBytes = written()
	b.round.PeakBytes = status("VmHWM:")
	check(json.NewEncoder(os.Stdout).Encode(b.round))
}
