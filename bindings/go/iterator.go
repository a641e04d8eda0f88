package terrace

// #include "capi.h"
import "C"

import (
	"iter"
	"runtime"
)

// Blocks of entries grow while an iterator continues in one direction, so that a seek for one entry does not
// copy hundreds.
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

// Iterator iterates over the entries of a range in the order of keys, all of one state of the database. One
// goroutine at a time may use it.
//
// It begins before the first entry, so that `for it.Next() { ... }` visits all entries. When a method has
// returned false, Err reports whether the reason was the end or a failure.
type Iterator struct {
	db     *DB
	handle *iteratorHandle
	// compare is the order of the keys.
	compare func(a, b []byte) int
	bounds  Range

	// Entries [0, count) in the direction of the scan, fetched by one call. The key of entry i ends in block at
	// ends[2*i], its value at ends[2*i+1].
	block    []byte
	ends     []C.size_t
	count    int
	at       int
	backward bool
	more     bool // the next call may fetch more entries

	position position
	closed   bool
	never    bool // the C iterator could not be created
	err      error
}

// iteratorHandle is the C iterator of an Iterator.
type iteratorHandle struct {
	raw *C.leveldb_iterator_t
}

func (h *iteratorHandle) destroy(*core) {
	if h.raw != nil {
		C.leveldb_iter_destroy(h.raw)
		h.raw = nil
	}
}

// NewIterator returns an iterator over a range; nil: over everything. It never returns nil: Err reports a
// failure. The keys of the range are kept, not copied. The caller closes the iterator.
func (d *DB) NewIterator(r *Range, options *ReadOptions) *Iterator {
	it := newIterator(d, d.core.compare, r)
	it.err = d.do(func(c *core) error {
		reads, done, err := c.readOptions(options)
		if err != nil {
			return err
		}
		defer done()
		it.own(C.leveldb_create_iterator(c.db, reads))
		return nil
	})
	it.never = it.err != nil
	return it
}

func newIterator(d *DB, compare func(a, b []byte) int, r *Range) *Iterator {
	it := &Iterator{db: d, handle: new(iteratorHandle), compare: compare}
	if r != nil {
		it.bounds = *r
	}
	return it
}

// own takes the C iterator, in a call on the database.
func (it *Iterator) own(raw *C.leveldb_iterator_t) {
	c := it.db.core
	it.handle.raw = raw
	c.adopt(it.handle)
	runtime.AddCleanup(it, func(h *iteratorHandle) { c.release(h) }, it.handle)
}

// Close releases the state that the iterator reads, and returns Err. Entries that were returned stay valid.
// Closing again does nothing.
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

// Valid reports whether the iterator stands on an entry.
func (it *Iterator) Valid() bool { return it.position == on }

// Key is the key of the current entry; nil if there is none. The slice belongs to the caller permanently. It
// retains the block of entries with which it was fetched, up to 64 KiB: copy keys that are kept for long.
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

// Value is the value of the current entry; nil if there is none. The rules for the slice are those of Key.
func (it *Iterator) Value() []byte {
	if it.position != on {
		return nil
	}
	begin, end := it.ends[2*it.at], it.ends[2*it.at+1]
	return it.block[begin:end:end]
}

// First moves to the first entry, and reports whether there is one.
func (it *Iterator) First() bool {
	if it.bounds.Start != nil {
		return it.begin(fromKey, it.bounds.Start, false)
	}
	return it.begin(fromFirst, nil, false)
}

// Last moves to the last entry, and reports whether there is one.
func (it *Iterator) Last() bool {
	if it.bounds.Limit != nil {
		return it.begin(fromBefore, it.bounds.Limit, true)
	}
	return it.begin(fromLast, nil, true)
}

// Seek moves to the first entry at or after key, and reports whether there is one.
func (it *Iterator) Seek(key []byte) bool {
	if it.bounds.Start != nil && it.compare(key, it.bounds.Start) < 0 {
		key = it.bounds.Start
	}
	return it.begin(fromKey, key, false)
}

// Next moves to the next entry, and reports whether there is one. From before the first entry, it moves to
// the first one.
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

// Prev moves to the previous entry, and reports whether there is one. From after the last entry, it moves to
// the last one.
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

// All iterates over all entries, from the first to the last. Check Err when it has ended.
func (it *Iterator) All() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for ok := it.First(); ok && yield(it.Key(), it.Value()); ok = it.Next() {
		}
	}
}

// Backward iterates over all entries, from the last to the first. Check Err when it has ended.
func (it *Iterator) Backward() iter.Seq2[[]byte, []byte] {
	return func(yield func(key, value []byte) bool) {
		for ok := it.Last(); ok && yield(it.Key(), it.Value()); ok = it.Prev() {
		}
	}
}

// begin positions the iterator independently of its current position. A closed iterator stays closed.
func (it *Iterator) begin(from int, key []byte, backward bool) bool {
	if !it.closed && !it.never {
		it.err = nil
	}
	it.backward, it.ends = backward, it.ends[:0]
	return it.fetch(from, key)
}

// advance moves on in the current direction.
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

// turn changes the direction: it seeks the current entry again, and moves to the entry beside it.
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

// fetch copies the next entries into a new block.
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
			// The next call meets a failure after these entries again.
			it.at, it.count, it.position, it.more = 0, count, on, next != absent || err != nil
			return true
		}
		if err != nil || next == absent {
			it.err = err
			it.end()
			return false
		}
		from, size = fromHere, int(next) // the next entry is larger than a block
	}
}
