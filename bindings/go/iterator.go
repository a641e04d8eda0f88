package terrace

// #include "capi.h"
import "C"

import (
	"iter"
	"runtime"
)

// Blocks of entries grow while an iterator goes on in one direction: a seek for one entry is not to pay for hundreds.
const (
	firstEntries, mostEntries = 8, 1024
	firstBytes, mostBytes     = 2 << 10, 64 << 10
)

type position int

const (
	unset position = iota
	before
	on
	after
)

// Iterator walks over the entries of a range in the order of keys, all of one state of the database. For one goroutine at a time.
//
// It begins before the first entry, so that `for it.Next() { ... }` goes over all. When a method has returned false, Err tells whether
// it was the end or a failure.
type Iterator struct {
	db     *DB
	handle *iteratorHandle
	bounds Range

	// Entries [0, count) in the order of going, fetched by one call: parts of block that end at ends[2*i] and ends[2*i+1].
	block    []byte
	ends     []C.size_t
	count    int
	at       int
	backward bool
	more     bool // the next call brings others

	position position
	closed   bool
	never    bool // it could not be made
	err      error
}

// iteratorHandle is its C side.
type iteratorHandle struct {
	raw *C.leveldb_iterator_t
}

func (h *iteratorHandle) destroy(*core) {
	if h.raw != nil {
		C.leveldb_iter_destroy(h.raw)
		h.raw = nil
	}
}

// NewIterator iterates over a range; nil: over everything. It never returns nil: what goes wrong is told by Err. The keys of the
// range are kept, not copied. Close it.
func (d *DB) NewIterator(r *Range, options *ReadOptions) *Iterator {
	it := &Iterator{db: d, handle: new(iteratorHandle)}
	if r != nil {
		it.bounds = *r
	}
	it.err = d.do(func(c *core) error {
		reads, done, err := c.readOptions(options)
		if err != nil {
			return err
		}
		defer done()
		it.handle.raw = C.leveldb_create_iterator(c.db, reads)
		c.adopt(it.handle)
		runtime.AddCleanup(it, func(h *iteratorHandle) { c.release(h) }, it.handle)
		return nil
	})
	it.never = it.err != nil
	return it
}

// Close lets the iterator's state go, and returns Err. Entries that were returned stay valid. Closing again does nothing.
func (it *Iterator) Close() error {
	if it.closed {
		return nil
	}
	err := it.err
	it.closed = true
	it.db.core.release(it.handle)
	if it.err == nil {
		it.err = closedError("the iterator")
	}
	it.count, it.position = 0, after
	runtime.KeepAlive(it)
	return err
}

// Err is the first failure since the last First, Last or Seek; nil if there is none.
func (it *Iterator) Err() error { return it.err }

// Valid tells whether it stands on an entry.
func (it *Iterator) Valid() bool { return it.position == on }

// Key is the key it stands on; nil if on none. The slice is the caller's for good; it keeps the block of entries that it came with, up
// to 64 KiB: copy what is kept for long.
func (it *Iterator) Key() []byte {
	if it.position != on {
		return nil
	}
	begin := C.size_t(0)
	if it.at > 0 {
		begin = it.ends[2*it.at-1]
	}
	end := it.ends[2*it.at]
	return it.block[begin:end:end]
}

// Value is the value it stands on; nil if on none. The slice is as that of Key.
func (it *Iterator) Value() []byte {
	if it.position != on {
		return nil
	}
	begin, end := it.ends[2*it.at], it.ends[2*it.at+1]
	return it.block[begin:end:end]
}

// First moves to the first entry, and tells whether there is one.
func (it *Iterator) First() bool {
	if it.bounds.Start != nil {
		return it.begin(fromKey, it.bounds.Start, false)
	}
	return it.begin(fromFirst, nil, false)
}

// Last moves to the last entry, and tells whether there is one.
func (it *Iterator) Last() bool {
	if it.bounds.Limit != nil {
		return it.begin(fromBefore, it.bounds.Limit, true)
	}
	return it.begin(fromLast, nil, true)
}

// Seek moves to the first entry at or after key, and tells whether there is one.
func (it *Iterator) Seek(key []byte) bool {
	if it.bounds.Start != nil && it.db.core.compare(key, it.bounds.Start) < 0 {
		key = it.bounds.Start
	}
	return it.begin(fromKey, key, false)
}

// Next moves to the next entry, from before the first one to that, and tells whether there is one.
func (it *Iterator) Next() bool {
	switch {
	case it.position == unset || it.position == before:
		return it.First()
	case it.position == after:
		return false
	case it.backward:
		return it.turn(false)
	}
	return it.advance()
}

// Prev moves to the entry before, from behind the last one to that, and tells whether there is one.
func (it *Iterator) Prev() bool {
	switch {
	case it.position == unset || it.position == after:
		return it.Last()
	case it.position == before:
		return false
	case !it.backward:
		return it.turn(true)
	}
	return it.advance()
}

// All goes over all entries from the first on. Ask Err when it has ended.
func (it *Iterator) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for ok := it.First(); ok && yield(it.Key(), it.Value()); ok = it.Next() {
		}
	}
}

// Backward goes over all entries from the last one back. Ask Err when it has ended.
func (it *Iterator) Backward() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for ok := it.Last(); ok && yield(it.Key(), it.Value()); ok = it.Prev() {
		}
	}
}

// begin positions the iterator anew; an iterator that is closed stays so.
func (it *Iterator) begin(from int, key []byte, backward bool) bool {
	if !it.closed && !it.never {
		it.err = nil
	}
	it.backward, it.ends = backward, it.ends[:0]
	return it.fetch(from, key)
}

// advance goes on in the same direction.
func (it *Iterator) advance() bool {
	if it.at++; it.at < it.count {
		return true
	}
	if it.more {
		return it.fetch(fromHere, nil)
	}
	it.end()
	return false
}

// turn goes the other way: to the entry beside the present one, which the iterator finds again first.
func (it *Iterator) turn(backward bool) bool {
	return it.begin(fromKey, it.Key(), backward) && it.advance()
}

func (it *Iterator) end() {
	it.count = 0
	it.position = after
	if it.backward {
		it.position = before
	}
}

// fetch brings the next entries over, into a block of their own.
func (it *Iterator) fetch(from int, key []byte) bool {
	defer runtime.KeepAlive(it)
	c := it.db.core
	err := c.enter()
	defer c.leave()
	if err == nil && it.handle.raw == nil && it.err == nil {
		err = closedError("the iterator")
	}
	if it.err == nil {
		it.err = err
	}
	if it.err != nil {
		it.end()
		return false
	}
	entries, size := firstEntries, firstBytes
	if len(it.ends) > 0 {
		entries, size = min(4*len(it.ends)/2, mostEntries), min(4*cap(it.block), mostBytes)
	}
	if cap(it.ends) < 2*entries {
		it.ends = make([]C.size_t, 2*entries)
	}
	it.ends = it.ends[:2*entries]
	flags, stop := C.TERRACE_READ_KEYS|C.TERRACE_READ_VALUES, it.bounds.Limit
	if it.backward {
		flags, stop = flags|C.TERRACE_READ_BACKWARD|C.TERRACE_READ_STOP_INCLUSIVE, it.bounds.Start
	}
	for {
		it.block = make([]byte, size)
		count, next, err := c.scan(it.handle.raw, from, key, flags, stop, stop != nil, it.block, it.ends)
		if count > 0 {
			// A failure behind them is met again by the next call.
			it.at, it.count, it.position, it.more = 0, count, on, next != absent || err != nil
			return true
		}
		if err != nil || next == absent {
			it.err = err
			it.end()
			return false
		}
		from, size = fromHere, int(next) // one entry that is larger than a block
	}
}
