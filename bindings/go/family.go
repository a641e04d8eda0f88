package terrace

// #include "capi.h"
import "C"

import (
	"runtime"
	"unsafe"
)

// DefaultFamilyName is the name of the column family that every database has.
const DefaultFamilyName = "default"

// Family is a column family of an open database: a set of entries with an order and options of its own. A
// [Batch] over several families is written atomically. Any number of goroutines may use a Family.
//
// A family that was dropped can be read as long as it is referred to, and writes to it fail. Its files are
// removed when the garbage collector has released the Family and no iterator reads it any more.
type Family struct {
	db      *DB
	handle  *familyHandle
	name    string
	id      uint32
	compare func(a, b []byte) int
}

// familyHandle is the C handle of a Family.
type familyHandle struct {
	raw *C.terrace_column_family_handle_t
}

func (h *familyHandle) destroy(*core) {
	if h.raw != nil {
		C.terrace_column_family_handle_destroy(h.raw)
		h.raw = nil
	}
}

// FamilyOptions are the name of a column family and the options that it is opened with. Of the options those
// count that concern a family: comparator, write buffer, cache, sizes of blocks and files, compression, bloom
// filter. Nil options are the defaults.
type FamilyOptions struct {
	Name    string
	Options *Options
}

// OpenFamilies opens a database with its column families. Every family of the database must be named, except
// the default one; the error names those that are missing. A named family that does not exist is created if
// CreateMissingColumnFamilies is set. The families are returned in the order of their names in the call.
func OpenFamilies(path string, options *Options, families []FamilyOptions) (*DB, []*Family, error) {
	name, err := cPath(path)
	if err != nil {
		return nil, nil, err
	}
	defer C.free(unsafe.Pointer(name))
	names := make([]*C.char, len(families)+1) // not empty, so that it has a first element
	defer func() {
		for _, each := range names {
			C.free(unsafe.Pointer(each))
		}
	}()
	for at, each := range families {
		if names[at], err = cString(each.Name, "the name of a column family"); err != nil {
			return nil, nil, err
		}
	}
	all := []*handles{options.handles()}
	ofFamilies := make([]*C.leveldb_options_t, len(names))
	for at, each := range families {
		all = append(all, each.Options.handles())
		ofFamilies[at] = all[at+1].options
	}
	raw := make([]*C.terrace_column_family_handle_t, len(names))
	var failure C.tr_error
	db := C.tr_open_families(all[0].options, name, C.int(len(families)), &names[0], &ofFamilies[0], &raw[0], &failure)
	if err := take(&failure); err != nil {
		for _, each := range all {
			each.destroy()
		}
		return nil, nil, err
	}
	d := newDB(path, db, options, all...)
	opened := make([]*Family, len(families))
	for at, each := range families {
		compare, calling := each.Options.order()
		if each.Name == DefaultFamilyName {
			d.core.compare = compare
		}
		d.core.calling = d.core.calling || calling
		opened[at] = d.know(raw[at], each.Name, compare)
	}
	return d, opened, nil
}

// ListFamilies returns the names of the column families of a database, the default one first. The database
// may be open; nothing is locked or changed.
func ListFamilies(path string, options *Options) ([]string, error) {
	var names []string
	err := onPath(path, options, func(handles *handles, name *C.char, failure *C.tr_error) {
		var count C.size_t
		list := C.tr_list_families(handles.options, name, &count, failure)
		for _, each := range unsafe.Slice(list, count) {
			names = append(names, C.GoString(each))
		}
		C.terrace_list_column_families_destroy(list, count)
	})
	return names, err
}

// know registers a family under its name, in a call on the database, or before anybody else has the database.
func (d *DB) know(raw *C.terrace_column_family_handle_t, name string, compare func(a, b []byte) int) *Family {
	c := d.core
	f := &Family{db: d, handle: &familyHandle{raw}, name: name, compare: compare}
	f.id = uint32(C.terrace_column_family_handle_get_id(raw))
	c.adopt(f.handle)
	runtime.AddCleanup(f, func(h *familyHandle) { c.release(h) }, f.handle)
	d.familiesMu.Lock()
	d.families[name] = f
	d.familiesMu.Unlock()
	return f
}

// CreateFamily creates a column family, durably. Of the options those count that concern a family, see
// [FamilyOptions].
//
// The first family switches the directory to RocksDB's language for good: LevelDB cannot open it any more,
// RocksDB can. From then on, [OpenFamilies] opens the database. The error is [ErrInvalidArgument] if the name
// is empty, too long or taken, and [ErrNotSupported] if the option Language forbids the switch.
func (d *DB) CreateFamily(name string, options *Options) (*Family, error) {
	cName, err := cString(name, "the name of a column family")
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(cName))
	compare, calling := options.order()
	if calling {
		d.core.call()
	}
	var family *Family
	err = d.do(func(c *core) error {
		handles := options.handles()
		var failure C.tr_error
		raw := C.tr_create_family(c.db, handles.options, cName, &failure)
		if err := take(&failure); err != nil {
			handles.destroy()
			return err
		}
		c.childrenMu.Lock()
		c.handles = append(c.handles, handles)
		c.childrenMu.Unlock()
		family = d.know(raw, name, compare)
		return nil
	})
	return family, err
}

// call makes later calls into C of the kind that may call back. It waits for running ones: a write of theirs
// may be made together with a write to the family whose comparator is in Go.
func (c *core) call() {
	c.mu.Lock()
	c.calling = true
	c.mu.Unlock()
}

// DropFamily drops a column family, durably, with all its entries. The default family cannot be dropped. See
// [Family] for what can still be done with it.
func (d *DB) DropFamily(f *Family) error {
	return d.do(func(c *core) error {
		if f.db != d {
			return foreign(f)
		}
		var failure C.tr_error
		C.tr_drop_family(c.db, f.handle.raw, &failure)
		if err := take(&failure); err != nil {
			return err
		}
		d.familiesMu.Lock()
		if d.families[f.name] == f {
			delete(d.families, f.name)
		}
		d.familiesMu.Unlock()
		return nil
	})
}

// ExportLevelDB writes the contents of the family, as they are at one moment of this call, to a new LevelDB
// database in a directory, which is created if it is missing and must have no file of a database. Writes go on
// meanwhile. LevelDB opens the new database with the comparator of the family. After a crash it is there
// whole, or the directory has no file CURRENT; after an error everything that was made is removed again.
func (f *Family) ExportLevelDB(directory string) error {
	path, err := cPath(directory)
	if err != nil {
		return err
	}
	defer C.free(unsafe.Pointer(path))
	return f.db.do(func(c *core) error {
		var failure C.tr_error
		C.tr_export(c.db, f.handle.raw, path, &failure)
		return take(&failure)
	})
}

// ImportLevelDB creates a column family with the contents of the database in a directory, durably. LevelDB or
// this package has written that database; it has only the default family, has the comparator of this
// database, and is not open. Nothing in the directory changes but the file LOCK. The options of the family are
// those of the default one.
//
// The first family switches the directory of this database to RocksDB's language: see [DB.CreateFamily].
// After a crash the family is there whole or not at all. Every snapshot shows it, also an older one.
func (d *DB) ImportLevelDB(name, directory string) (*Family, error) {
	cName, err := cString(name, "the name of a column family")
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(cName))
	path, err := cPath(directory)
	if err != nil {
		return nil, err
	}
	defer C.free(unsafe.Pointer(path))
	var family *Family
	err = d.do(func(c *core) error {
		var failure C.tr_error
		raw := C.tr_import(c.db, cName, path, &failure)
		if err := take(&failure); err != nil {
			return err
		}
		family = d.know(raw, name, c.compare)
		return nil
	})
	return family, err
}

func foreign(f *Family) error {
	return invalid("the column family " + f.name + " is of another database: " + f.db.core.path)
}

// Family returns the column family with a name, and whether this DB has opened or created it.
func (d *DB) Family(name string) (*Family, bool) {
	if name == DefaultFamilyName {
		return d.DefaultFamily(), true
	}
	d.familiesMu.Lock()
	defer d.familiesMu.Unlock()
	f, found := d.families[name]
	return f, found
}

// DefaultFamily returns the column family that every database has, and that the methods of DB are about.
func (d *DB) DefaultFamily() *Family {
	d.familiesMu.Lock()
	f := d.families[DefaultFamilyName]
	d.familiesMu.Unlock()
	if f != nil {
		return f
	}
	err := d.do(func(c *core) error {
		f = d.know(C.terrace_get_default_column_family_handle(c.db), DefaultFamilyName, c.compare)
		return nil
	})
	if err != nil { // the database is closed, and all methods say so
		return &Family{db: d, handle: new(familyHandle), name: DefaultFamilyName, compare: d.core.compare}
	}
	return f
}

// NewIterators returns an iterator over each column family, all of one state of the database: of a batch over
// several families they show everything or nothing. The caller closes the iterators.
func (d *DB) NewIterators(families []*Family, options *ReadOptions) ([]*Iterator, error) {
	if len(families) == 0 {
		return nil, nil
	}
	iterators := make([]*Iterator, len(families))
	err := d.do(func(c *core) error {
		raw := make([]*C.terrace_column_family_handle_t, len(families))
		for at, each := range families {
			if each.db != d {
				return foreign(each)
			}
			raw[at] = each.handle.raw
		}
		reads, done, err := c.readOptions(options)
		if err != nil {
			return err
		}
		defer done()
		made := make([]*C.leveldb_iterator_t, len(families))
		var failure C.tr_error
		C.tr_create_iterators(c.db, reads, &raw[0], &made[0], C.size_t(len(raw)), &failure)
		if err := take(&failure); err != nil {
			return err
		}
		for at, each := range families {
			iterators[at] = newIterator(d, each.compare, nil)
			iterators[at].own(made[at])
		}
		return nil
	})
	runtime.KeepAlive(families)
	if err != nil {
		return nil, err
	}
	return iterators, nil
}

// Name is the name of the family.
func (f *Family) Name() string { return f.name }

// ID is the number of the family in its database. The default family has 0. No other family ever gets the
// number of a dropped one.
func (f *Family) ID() uint32 { return f.id }

// do runs a call that needs the database to be open.
func (f *Family) do(call func(c *core) error) error {
	defer runtime.KeepAlive(f)
	return f.db.do(call)
}

// Put stores a value under a key of the family.
func (f *Family) Put(key, value []byte, options *WriteOptions) error {
	c := f.db.core
	err := c.enter()
	if err == nil {
		err = c.putTo(f.handle.raw, c.writeOptions(options), key, value)
	}
	c.leave()
	runtime.KeepAlive(f)
	return err
}

// Delete removes a key of the family. Deleting an absent key succeeds.
func (f *Family) Delete(key []byte, options *WriteOptions) error {
	c := f.db.core
	err := c.enter()
	if err == nil {
		err = c.deleteFrom(f.handle.raw, c.writeOptions(options), key)
	}
	c.leave()
	runtime.KeepAlive(f)
	return err
}

// Get returns the value of a key of the family. The error is [ErrNotFound] for an absent key.
func (f *Family) Get(key []byte, options *ReadOptions) ([]byte, error) {
	value, err := f.getTo(nil, key, options)
	switch {
	case err != nil:
		return nil, err
	case value == nil:
		value = []byte{}
	}
	return value, nil
}

// GetTo appends the value of a key of the family to buffer and returns the result. It allocates only if the
// capacity of buffer is too small. After an error, buffer is returned unchanged.
func (f *Family) GetTo(buffer, key []byte, options *ReadOptions) ([]byte, error) {
	return f.getTo(buffer, key, options)
}

func (f *Family) getTo(buffer, key []byte, options *ReadOptions) ([]byte, error) {
	c := f.db.core
	err := c.enter()
	defer runtime.KeepAlive(f)
	defer c.leave()
	if err != nil {
		return buffer, err
	}
	reads, done, err := c.readOptions(options)
	if err != nil {
		return buffer, err
	}
	defer done()
	return c.getFrom(f.handle.raw, reads, key, buffer)
}

// NewIterator returns an iterator over a range of the family; nil: over everything. The rules are those of
// [DB.NewIterator].
func (f *Family) NewIterator(r *Range, options *ReadOptions) *Iterator {
	it := newIterator(f.db, f.compare, r)
	it.err = f.do(func(c *core) error {
		reads, done, err := c.readOptions(options)
		if err != nil {
			return err
		}
		defer done()
		family := f.handle.raw
		var raw *C.leveldb_iterator_t
		var failure C.tr_error
		C.tr_create_iterators(c.db, reads, &family, &raw, 1, &failure)
		if err := take(&failure); err != nil {
			return err
		}
		it.own(raw)
		return nil
	})
	it.never = it.err != nil
	return it
}

// CompactRange compacts a range of the family (nil: everything), and waits until this is done.
func (f *Family) CompactRange(r *Range) error {
	if r == nil {
		r = new(Range)
	}
	return f.do(func(c *core) error {
		var failure C.tr_error
		C.tr_compact_cf(c.db, f.handle.raw, bound(r.Start), C.size_t(len(r.Start)), bound(r.Limit), C.size_t(len(r.Limit)), &failure)
		return take(&failure)
	})
}

// Property returns a property by its name, of the family if the property is about a family: those of
// [DB.Property], "terrace.language", "terrace.tables-to-upgrade" and "terrace.wal-pinned-by". It is
// ErrNotFound for an unknown name, and for a family that was dropped.
func (f *Family) Property(name string) (string, error) {
	var text string
	err := f.do(func(c *core) error {
		cName, err := cString(name, "the name of a property")
		if err != nil {
			return err
		}
		defer C.free(unsafe.Pointer(cName))
		value := C.terrace_property_value_cf(c.db, f.handle.raw, cName)
		if value == nil {
			return &Error{Kind: ErrNotFound, Message: "no property " + name + " of the column family " + f.name}
		}
		text = C.GoString(value)
		C.leveldb_free(unsafe.Pointer(value))
		return nil
	})
	return text, err
}

// ApproximateSizes returns about how many bytes the keys of each range take in the family, see
// [DB.ApproximateSizes].
func (f *Family) ApproximateSizes(ranges []Range) ([]uint64, error) {
	sizes := make([]uint64, len(ranges))
	err := f.do(func(c *core) error {
		for at, each := range ranges {
			start, limit := each.Start, each.Limit
			var failure C.tr_error
			sizes[at] = uint64(C.tr_approximate_size_cf(c.db, f.handle.raw, pointer(start), C.size_t(len(start)), pointer(limit), C.size_t(len(limit)), &failure))
			if err := take(&failure); err != nil {
				return err
			}
		}
		return nil
	})
	return sizes, err
}
