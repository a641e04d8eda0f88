package terrace

// #include "capi.h"
import "C"

import (
	"runtime"
	"sync"
)

// Snapshot is a state of the database that stays readable. Any number of goroutines may use it. Entries that
// only the snapshot needs take space until it is released.
type Snapshot struct {
	db     *DB
	handle *snapshotHandle
}

// snapshotHandle is the C snapshot of a Snapshot. Reads hold mu for reading; releasing holds it for writing.
type snapshotHandle struct {
	mu    sync.RWMutex
	raw   *C.leveldb_snapshot_t
	reads readOptionSets
}

func (h *snapshotHandle) destroy(c *core) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.raw != nil {
		h.reads.destroy()
		C.leveldb_release_snapshot(c.db, h.raw)
		h.raw = nil
	}
}

// NewSnapshot returns a snapshot of the current state.
func (d *DB) NewSnapshot() (*Snapshot, error) {
	var snapshot *Snapshot
	err := d.do(func(c *core) error {
		handle := &snapshotHandle{raw: C.leveldb_create_snapshot(c.db)}
		handle.reads = newReadOptionSets(handle.raw)
		c.adopt(handle)
		snapshot = &Snapshot{db: d, handle: handle}
		runtime.AddCleanup(snapshot, func(h *snapshotHandle) { c.release(h) }, handle)
		return nil
	})
	return snapshot, err
}

// Release releases the state. Releasing again does nothing.
func (s *Snapshot) Release() {
	s.db.core.release(s.handle)
	runtime.KeepAlive(s)
}

// readOptions returns the C options to read the snapshot with, in a call on its database.
func (s *Snapshot) readOptions(c *core, options *ReadOptions) (*C.leveldb_readoptions_t, func(), error) {
	if s.db.core != c {
		return nil, nil, invalid("the snapshot is of another database: " + s.db.core.path)
	}
	s.handle.mu.RLock()
	if s.handle.raw == nil {
		s.handle.mu.RUnlock()
		return nil, nil, closedError("the snapshot")
	}
	done := func() {
		s.handle.mu.RUnlock()
		runtime.KeepAlive(s)
	}
	return s.handle.reads.of(options), done, nil
}

// Get returns the value of a key in the snapshot.
func (s *Snapshot) Get(key []byte) ([]byte, error) {
	return s.db.Get(key, &ReadOptions{Snapshot: s})
}

// Has reports whether a key is present in the snapshot.
func (s *Snapshot) Has(key []byte) (bool, error) {
	return s.db.Has(key, &ReadOptions{Snapshot: s})
}

// NewIterator returns an iterator over a range of the snapshot; nil: over everything.
func (s *Snapshot) NewIterator(r *Range) *Iterator {
	return s.db.NewIterator(r, &ReadOptions{Snapshot: s})
}
