package terrace

// #include "capi.h"
import "C"

import (
	"runtime"
	"strings"
	"sync"
	"time"
	"unsafe"
)

const (
	// absent and failed are the results of C for an absent key and for a failure.
	absent = ^uintptr(0)
	failed = ^uintptr(1)
	// mostKeys is the largest number of keys that one call looks up.
	mostKeys = 4096
	// firstGuess is the size of the buffer for a value whose length is not known, in bytes.
	firstGuess = 512
)

// DB is an open database. Any number of goroutines may use it. Its methods that read and write entries are
// about the default column family; a [Family] has its own.
type DB struct {
	core *core

	familiesMu sync.Mutex
	families   map[string]*Family
}

// core is the state that a DB shares with its iterators and snapshots. It does not refer to the DB, so that
// the garbage collector can find an unused DB and close it.
//
// Calls into C hold mu for reading. Closing holds mu for writing, and sets db to nil.
type core struct {
	path    string
	compare func(a, b []byte) int // of the default family
	reads   readOptionSets
	writes  [2]*C.leveldb_writeoptions_t

	mu      sync.RWMutex
	db      *C.leveldb_t
	calling bool // a comparator of a family is in Go: calls into C may call back

	childrenMu sync.Mutex
	children   map[child]struct{}
	handles    []*handles // of the database and of its families
}

// child is a C object that is destroyed with its database, at the latest.
type child interface {
	// destroy frees the object, once. No call uses the object: mu is held for writing, or nobody else has the
	// object.
	destroy(c *core)
}

// Open opens the database in a directory. Nil options are the defaults, which do not create a database. If
// the database has column families, Open fails and names them: see [OpenFamilies].
func Open(path string, options *Options) (*DB, error) {
	name, err := cPath(path)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(name))
	handles := options.handles()
	var failure C.tr_error
	db := C.tr_open(handles.options, name, &failure)
	if err := take(&failure); err != nil {
		handles.destroy()
		return nil, err
	}
	return newDB(path, db, options, handles), nil
}

// newDB returns a DB that was opened with options. It owns their handles.
func newDB(path string, db *C.leveldb_t, options *Options, of ...*handles) *DB {
	c := &core{path: path, handles: of, db: db, children: make(map[child]struct{})}
	c.compare, c.calling = options.order()
	c.reads = newReadOptionSets(nil)
	for sync := range c.writes {
		c.writes[sync] = C.leveldb_writeoptions_create()
		C.leveldb_writeoptions_set_sync(c.writes[sync], C.uchar(sync))
	}
	d := &DB{core: c, families: make(map[string]*Family)}
	// In a goroutine: closing waits for background work, and cleanups run one after the other.
	runtime.AddCleanup(d, func(c *core) { go c.close() }, c)
	return d
}

// cPath returns a path for C, which the caller frees.
func cPath(path string) (*C.char, error) { return cString(path, "the path") }

func cString(text, what string) (*C.char, error) {
	if strings.IndexByte(text, 0) >= 0 {
		return nil, invalid(what + " has a NUL byte: " + strings.ReplaceAll(text, "\x00", "\\0"))
	}
	return C.CString(text), nil
}

// Repair repairs a database that cannot be opened any more, keeping all entries that can be read. It must not
// be open. The options are those with which it is opened.
func Repair(path string, options *Options) error {
	return onPath(path, options, func(handles *handles, name *C.char, failure *C.tr_error) {
		C.tr_repair(handles.options, name, failure)
	})
}

// Destroy removes a database that is not open: its files, and the directory if it is then empty.
func Destroy(path string, options *Options) error {
	return onPath(path, options, func(handles *handles, name *C.char, failure *C.tr_error) {
		C.tr_destroy(handles.options, name, failure)
	})
}

func onPath(path string, options *Options, do func(*handles, *C.char, *C.tr_error)) error {
	name, err := cPath(path)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(name))
	handles := options.handles()
	defer handles.destroy()
	var failure C.tr_error
	do(handles, name, &failure)
	return take(&failure)
}

// Version is the version of the library, "0.1.0".
func Version() string { return C.GoString(C.terrace_version()) }

// Close waits for running calls and for background work, and releases the lock of the directory. Entries in
// memtables stay in the WAL, and the next Open recovers them. Iterators, snapshots and column families end
// with the database. Closing again does nothing.
func (d *DB) Close() error {
	err := d.core.close()
	runtime.KeepAlive(d)
	return err
}

func (c *core) close() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.db == nil {
		return nil
	}
	for each := range c.children {
		each.destroy(c)
	}
	c.children = nil
	var failure C.tr_error
	C.tr_close(c.db, &failure)
	c.db = nil
	c.reads.destroy()
	for _, options := range c.writes {
		C.leveldb_writeoptions_destroy(options)
	}
	for _, each := range c.handles {
		each.destroy()
	}
	return take(&failure)
}

// enter begins a call; leave ends it, also after an error of enter.
func (c *core) enter() error {
	c.mu.RLock()
	if c.db == nil {
		return closedError(c.path)
	}
	return nil
}

func (c *core) leave() { c.mu.RUnlock() }

// adopt registers a child to be destroyed with the database.
func (c *core) adopt(each child) {
	c.childrenMu.Lock()
	c.children[each] = struct{}{}
	c.childrenMu.Unlock()
}

// release destroys a child that nobody uses any more, if the database has not done so.
func (c *core) release(each child) {
	if c.enter() == nil {
		c.childrenMu.Lock()
		_, found := c.children[each]
		delete(c.children, each)
		c.childrenMu.Unlock()
		if found {
			each.destroy(c)
		}
	}
	c.leave()
}

// do runs a call that needs the database to be open.
func (d *DB) do(call func(c *core) error) error {
	defer runtime.KeepAlive(d)
	defer d.core.leave()
	if err := d.core.enter(); err != nil {
		return err
	}
	return call(d.core)
}

// Path is the directory of the database, as passed to Open.
func (d *DB) Path() string { return d.core.path }

// Put stores a value under a key.
func (d *DB) Put(key, value []byte, options *WriteOptions) error {
	c := d.core
	err := c.enter()
	if err == nil {
		err = c.put(c.writeOptions(options), key, value)
	}
	c.leave()
	runtime.KeepAlive(d)
	return err
}

// Delete removes a key. Deleting an absent key succeeds.
func (d *DB) Delete(key []byte, options *WriteOptions) error {
	c := d.core
	err := c.enter()
	if err == nil {
		err = c.delete(c.writeOptions(options), key)
	}
	c.leave()
	runtime.KeepAlive(d)
	return err
}

// Write applies a batch atomically: all of it or nothing. The batch is not changed.
func (d *DB) Write(batch *Batch, options *WriteOptions) error {
	c := d.core
	err := c.enter()
	if err == nil {
		err = batch.check(c)
	}
	if err == nil {
		err = c.write(c.writeOptions(options), batch.finished())
	}
	c.leave()
	runtime.KeepAlive(d)
	return err
}

func (c *core) writeOptions(options *WriteOptions) *C.leveldb_writeoptions_t {
	if options != nil && options.Sync {
		return c.writes[1]
	}
	return c.writes[0]
}

// Get returns the value of a key. The error is [ErrNotFound] for an absent key.
func (d *DB) Get(key []byte, options *ReadOptions) ([]byte, error) {
	var guess [firstGuess]byte
	value, err := d.getTo(guess[:0], key, options)
	if err != nil {
		return nil, err
	}
	if len(value) <= len(guess) {
		value = append(make([]byte, 0, len(value)), value...)
	}
	return value, nil
}

// GetTo appends the value of a key to buffer and returns the result. It allocates only if the capacity of
// buffer is too small. After an error, buffer is returned unchanged.
func (d *DB) GetTo(buffer, key []byte, options *ReadOptions) ([]byte, error) {
	return d.getTo(buffer, key, options)
}

func (d *DB) getTo(buffer, key []byte, options *ReadOptions) ([]byte, error) {
	c := d.core
	err := c.enter()
	defer runtime.KeepAlive(d)
	defer c.leave()
	if err != nil {
		return buffer, err
	}
	reads, done, err := c.readOptions(options)
	if err != nil {
		return buffer, err
	}
	defer done()
	given, used := buffer, len(buffer)
	room := buffer[used:cap(buffer)]
	for {
		length, err := c.get(reads, key, room)
		switch {
		case length == absent && err == nil:
			return given, errNotFound
		case err != nil:
			return given, err
		case length <= uintptr(len(room)):
			return append(buffer, room[:length]...), nil
		}
		room = make([]byte, length)
		if used == 0 {
			buffer = room[:0]
		}
	}
}

// Has reports whether a key is present.
func (d *DB) Has(key []byte, options *ReadOptions) (bool, error) {
	var found bool
	err := d.do(func(c *core) error {
		reads, done, err := c.readOptions(options)
		if err != nil {
			return err
		}
		defer done()
		length, err := c.get(reads, key, nil)
		found = err == nil && length != absent
		return err
	})
	return found, err
}

var nothing = func() {}

// readOptions returns the C options to read with. The caller calls done after reading.
func (c *core) readOptions(options *ReadOptions) (reads *C.leveldb_readoptions_t, done func(), err error) {
	if options == nil {
		return c.reads[0], nothing, nil
	}
	if options.Snapshot == nil {
		return c.reads.of(options), nothing, nil
	}
	return options.Snapshot.readOptions(c, options)
}

// GetMany returns the values of keys: nil for an absent key, and an empty slice that is not nil for an empty
// value. All values are from one state of the database. One call into C reads as many as fit into a buffer.
func (d *DB) GetMany(keys [][]byte, options *ReadOptions) ([][]byte, error) {
	if len(keys) == 0 {
		return nil, nil
	}
	if options == nil || options.Snapshot == nil {
		snapshot, err := d.NewSnapshot()
		if err != nil {
			return nil, err
		}
		defer snapshot.Release()
		same := ReadOptions{Snapshot: snapshot}
		if options != nil {
			same.VerifyChecksums, same.DontFillCache = options.VerifyChecksums, options.DontFillCache
		}
		options = &same
	}
	values := make([][]byte, len(keys))
	err := d.do(func(c *core) error {
		reads, done, err := c.readOptions(options)
		if err != nil {
			return err
		}
		defer done()
		return c.getAll(reads, keys, values)
	})
	if err != nil {
		return nil, err
	}
	return values, nil
}

// getAll fills values with the values of keys, one buffer at a time.
func (c *core) getAll(reads *C.leveldb_readoptions_t, keys, values [][]byte) error {
	most := min(mostKeys, len(keys))
	lengths := make([]C.size_t, most)
	ends := make([]C.size_t, 0, most)
	var joined []byte
	size := min(256*len(keys), 1<<20)
	for first := 0; first < len(keys); {
		joined, ends = joined[:0], ends[:0]
		for _, key := range keys[first:min(first+mostKeys, len(keys))] {
			joined = append(joined, key...)
			ends = append(ends, C.size_t(len(joined)))
		}
		buffer := make([]byte, size)
		count, err := c.getMany(reads, joined, ends, buffer, lengths)
		if err != nil {
			return err
		}
		used := 0
		for at, length := range lengths[:count] {
			if uintptr(length) != absent {
				values[first+at] = buffer[used : used+int(length) : used+int(length)]
				used += int(length)
			}
		}
		first += count
		if count == len(ends) {
			continue
		}
		// The next value did not fit: start with an empty buffer that is large enough for it.
		size = min(256*(len(keys)-first), 1<<20)
		if uintptr(lengths[count]) > uintptr(size) {
			value := make([]byte, lengths[count])
			length, err := c.get(reads, keys[first], value)
			if err != nil {
				return err
			}
			values[first] = value[:length]
			first++
		}
	}
	return nil
}

// Property returns a property of the database by its name, for example "leveldb.stats" or
// "leveldb.num-files-at-level0". An unknown name is ErrNotFound.
func (d *DB) Property(name string) (string, error) {
	var text string
	err := d.do(func(c *core) error {
		cName, err := cPath(name)
		if err != nil {
			return err
		}
		defer C.free(unsafe.Pointer(cName))
		value := C.leveldb_property_value(c.db, cName)
		if value == nil {
			return &Error{Kind: ErrNotFound, Message: "no property " + name}
		}
		text = C.GoString(value)
		C.leveldb_free(unsafe.Pointer(value))
		return nil
	})
	return text, err
}

// ApproximateSizes returns about how many bytes the keys of each range take in table files and in memtables
// that wait for a flush. The active memtable does not count. A nil limit is an empty key here.
func (d *DB) ApproximateSizes(ranges []Range) ([]uint64, error) {
	sizes := make([]uint64, len(ranges))
	err := d.do(func(c *core) error {
		for at, each := range ranges {
			start, limit := each.Start, each.Limit
			sizes[at] = uint64(C.tr_approximate_size(c.db, pointer(start), C.size_t(len(start)), pointer(limit), C.size_t(len(limit))))
		}
		return nil
	})
	return sizes, err
}

// CompactRange compacts a range (nil: everything), so that deleted and overwritten entries are removed, and
// waits until this is done.
func (d *DB) CompactRange(r *Range) error {
	if r == nil {
		r = new(Range)
	}
	return d.do(func(c *core) error {
		var failure C.tr_error
		C.tr_compact(c.db, bound(r.Start), C.size_t(len(r.Start)), bound(r.Limit), C.size_t(len(r.Limit)), &failure)
		return take(&failure)
	})
}

// bound returns a key for C: nil is no bound, an empty key is a bound.
func bound(key []byte) *C.char {
	if key != nil && len(key) == 0 {
		return emptyKey
	}
	return pointer(key)
}

// Flush writes all memtables to tables, and waits until this is done.
func (d *DB) Flush() error {
	return d.do(func(c *core) error {
		var failure C.tr_error
		C.tr_flush(c.db, &failure)
		return take(&failure)
	})
}

// UpgradeTables upgrades all tables that are in LevelDB's language, which RocksDB from version 11 on does not
// read, and waits until this is done. The database also does so by itself when there is nothing else to do; the
// property "terrace.tables-to-upgrade" tells how many are left. It is ErrInvalidArgument if the directory is in
// LevelDB's language. A damaged table stays as it is, and the error names it.
func (d *DB) UpgradeTables() error {
	return d.do(func(c *core) error {
		var failure C.tr_error
		C.tr_upgrade_tables(c.db, &failure)
		return take(&failure)
	})
}

// Severity says what has stopped, and what cures it.
type Severity int

const (
	// Retrying: a flush or compaction failed and is retried; writes continue until they would have to wait for
	// it.
	Retrying Severity = C.TERRACE_SEVERITY_RETRYING
	// WritesRefused: writes are refused until a retry of the database succeeds, for example after a full disk
	// has space again.
	WritesRefused Severity = C.TERRACE_SEVERITY_WRITES_REFUSED
	// UntilReopened: writes are refused until the database is closed and opened again.
	UntilReopened Severity = C.TERRACE_SEVERITY_UNTIL_REOPENED
)

// BackgroundError says why background work or writes have stopped. Reads continue in any case.
type BackgroundError struct {
	// Err is the first error.
	Err error
	// Severity says what has stopped.
	Severity Severity
	// Since is the time of the error.
	Since time.Time
}

// BackgroundError returns why background work or writes have stopped; nil if they have not.
func (d *DB) BackgroundError() (*BackgroundError, error) {
	var result *BackgroundError
	err := d.do(func(c *core) error {
		failure := C.terrace_background_error(c.db)
		if failure == nil {
			return nil
		}
		defer C.terrace_background_error_destroy(failure)
		taken := C.tr_error{
			message: C.terrace_background_error_message(failure),
			path:    C.terrace_background_error_path(failure),
			code:    C.terrace_background_error_code(failure),
			system:  C.terrace_background_error_errno(failure),
		}
		result = &BackgroundError{
			Err:      take(&taken),
			Severity: Severity(C.terrace_background_error_severity(failure)),
			Since:    time.UnixMicro(int64(C.terrace_background_error_since_micros(failure))),
		}
		return nil
	})
	return result, err
}

// Resume retries failed background work at once, and waits for the outcome. The error is the failure that
// remains.
func (d *DB) Resume() error {
	return d.do(func(c *core) error {
		var failure C.tr_error
		C.tr_resume(c.db, &failure)
		return take(&failure)
	})
}
