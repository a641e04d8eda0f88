package terrace

// The C functions that are called often. Each returns the details of an error in the same call, and has two
// variants. The first is for databases in the order of bytes: it never calls back into Go, so the call is
// cheaper, and arguments and results can stay on the stack. The second is for databases with a Go comparator,
// of any column family (a call may write for another goroutine, into another family), and may call back. The
// methods for the second (...Calling) share no memory with the others and copy their arguments: Go moves
// every variable that could reach a function that calls back to the heap, even if that branch is not taken.

/*
#cgo pkg-config: terrace
#cgo noescape tr_get
#cgo nocallback tr_get
#cgo noescape tr_get_calling
#cgo noescape tr_put
#cgo nocallback tr_put
#cgo noescape tr_put_calling
#cgo noescape tr_delete
#cgo nocallback tr_delete
#cgo noescape tr_delete_calling
#cgo noescape tr_write
#cgo nocallback tr_write
#cgo noescape tr_write_calling
#cgo noescape tr_scan
#cgo nocallback tr_scan
#cgo noescape tr_scan_calling
#cgo noescape tr_get_many
#cgo nocallback tr_get_many
#cgo noescape tr_get_many_calling
#cgo noescape tr_get_cf
#cgo nocallback tr_get_cf
#cgo noescape tr_get_cf_calling
#cgo noescape tr_put_cf
#cgo nocallback tr_put_cf
#cgo noescape tr_put_cf_calling
#cgo noescape tr_delete_cf
#cgo nocallback tr_delete_cf
#cgo noescape tr_delete_cf_calling

#include "capi.h"
*/
import "C"

import (
	"bytes"
	"syscall"
	"unsafe"
)

// pointer returns the pointer that C gets for a slice: NULL for an empty slice, whose Go pointer may be past
// the end of an object.
func pointer(bytes []byte) *C.char {
	if len(bytes) == 0 {
		return nil
	}
	return (*C.char)(unsafe.Pointer(unsafe.SliceData(bytes)))
}

// take converts a C error to a Go error and frees its strings; nil if there is none.
func take(e *C.tr_error) error {
	if e.message == nil {
		return nil
	}
	err := &Error{Message: C.GoString(e.message), Errno: syscall.Errno(e.system), Retryable: e.retryable != 0}
	err.Kind = kindOf(e.code, err.Message)
	if e.path != nil {
		err.Path = C.GoString(e.path)
		C.leveldb_free(unsafe.Pointer(e.path))
	}
	C.leveldb_free(unsafe.Pointer(e.message))
	return err
}

func flag(set bool) C.uchar {
	if set {
		return 1
	}
	return 0
}

// get reads a value into buffer and returns its length, or absent, or failed. A value that is longer than
// buffer is not read.
func (c *core) get(options *C.leveldb_readoptions_t, key, buffer []byte) (uintptr, error) {
	if c.calling {
		return c.getCalling(options, key, buffer)
	}
	var failure C.tr_error
	length := C.tr_get(c.db, options, pointer(key), C.size_t(len(key)), pointer(buffer), C.size_t(len(buffer)), &failure)
	return uintptr(length), take(&failure)
}

func (c *core) getCalling(options *C.leveldb_readoptions_t, key, buffer []byte) (uintptr, error) {
	key = bytes.Clone(key)
	result := buffer
	buffer = make([]byte, len(result))
	var failure C.tr_error
	length := C.tr_get_calling(c.db, options, pointer(key), C.size_t(len(key)), pointer(buffer), C.size_t(len(buffer)), &failure)
	copy(result, buffer)
	return uintptr(length), take(&failure)
}

func (c *core) put(options *C.leveldb_writeoptions_t, key, value []byte) error {
	if c.calling {
		return c.putCalling(options, key, value)
	}
	var failure C.tr_error
	C.tr_put(c.db, options, pointer(key), C.size_t(len(key)), pointer(value), C.size_t(len(value)), &failure)
	return take(&failure)
}

func (c *core) putCalling(options *C.leveldb_writeoptions_t, key, value []byte) error {
	key = bytes.Clone(key)
	value = bytes.Clone(value)
	var failure C.tr_error
	C.tr_put_calling(c.db, options, pointer(key), C.size_t(len(key)), pointer(value), C.size_t(len(value)), &failure)
	return take(&failure)
}

func (c *core) delete(options *C.leveldb_writeoptions_t, key []byte) error {
	if c.calling {
		return c.deleteCalling(options, key)
	}
	var failure C.tr_error
	C.tr_delete(c.db, options, pointer(key), C.size_t(len(key)), &failure)
	return take(&failure)
}

func (c *core) deleteCalling(options *C.leveldb_writeoptions_t, key []byte) error {
	key = bytes.Clone(key)
	var failure C.tr_error
	C.tr_delete_calling(c.db, options, pointer(key), C.size_t(len(key)), &failure)
	return take(&failure)
}

func (c *core) write(options *C.leveldb_writeoptions_t, rep []byte) error {
	if c.calling {
		return c.writeCalling(options, rep)
	}
	var failure C.tr_error
	C.tr_write(c.db, options, pointer(rep), C.size_t(len(rep)), &failure)
	return take(&failure)
}

func (c *core) writeCalling(options *C.leveldb_writeoptions_t, rep []byte) error {
	rep = bytes.Clone(rep)
	var failure C.tr_error
	C.tr_write_calling(c.db, options, pointer(rep), C.size_t(len(rep)), &failure)
	return take(&failure)
}

// getMany reads the values of the keys, which are concatenated in keys, in order, until buffer is full. It
// returns how many were read, and sets their lengths, and the length of the first value that did not fit.
func (c *core) getMany(options *C.leveldb_readoptions_t, keys []byte, ends []C.size_t, buffer []byte, lengths []C.size_t) (int, error) {
	if c.calling {
		return c.getManyCalling(options, keys, ends, buffer, lengths)
	}
	var failure C.tr_error
	count := C.size_t(len(ends))
	done := C.tr_get_many(c.db, options, pointer(keys), &ends[0], count, pointer(buffer), C.size_t(len(buffer)), &lengths[0], &failure)
	return int(done), take(&failure)
}

func (c *core) getManyCalling(options *C.leveldb_readoptions_t, keys []byte, ends []C.size_t, buffer []byte, lengths []C.size_t) (int, error) {
	keys = bytes.Clone(keys)
	result := buffer
	buffer = make([]byte, len(result))
	var failure C.tr_error
	count := C.size_t(len(ends))
	done := C.tr_get_many_calling(c.db, options, pointer(keys), &ends[0], count, pointer(buffer), C.size_t(len(buffer)), &lengths[0], &failure)
	copy(result, buffer)
	return int(done), take(&failure)
}

// getFrom appends a value of a column family to buffer. The error is errNotFound for an absent key; buffer is
// then unchanged.
func (c *core) getFrom(family *C.terrace_column_family_handle_t, options *C.leveldb_readoptions_t, key, buffer []byte) ([]byte, error) {
	if c.calling {
		return c.getFromCalling(family, options, key, buffer)
	}
	var failure C.tr_error
	var whole *C.char
	room := buffer[len(buffer):cap(buffer)]
	length := C.tr_get_cf(c.db, options, family, pointer(key), C.size_t(len(key)), pointer(room), C.size_t(len(room)), &whole, &failure)
	switch {
	case failure.message != nil:
		return buffer, take(&failure)
	case uintptr(length) == absent:
		return buffer, errNotFound
	case whole != nil:
		return takeWhole(whole, length, buffer), nil
	}
	return buffer[:len(buffer)+int(length)], nil
}

func (c *core) getFromCalling(family *C.terrace_column_family_handle_t, options *C.leveldb_readoptions_t, key, buffer []byte) ([]byte, error) {
	key = bytes.Clone(key)
	var failure C.tr_error
	var whole *C.char
	length := C.tr_get_cf_calling(c.db, options, family, pointer(key), C.size_t(len(key)), nil, 0, &whole, &failure)
	switch {
	case failure.message != nil:
		return buffer, take(&failure)
	case uintptr(length) == absent:
		return buffer, errNotFound
	}
	return takeWhole(whole, length, buffer), nil
}

// takeWhole appends a value of C (nil: an empty one) to buffer, and frees it.
func takeWhole(value *C.char, length C.size_t, buffer []byte) []byte {
	if value == nil {
		return buffer
	}
	buffer = append(buffer, unsafe.Slice((*byte)(unsafe.Pointer(value)), length)...)
	C.leveldb_free(unsafe.Pointer(value))
	return buffer
}

func (c *core) putTo(family *C.terrace_column_family_handle_t, options *C.leveldb_writeoptions_t, key, value []byte) error {
	if c.calling {
		return c.putToCalling(family, options, key, value)
	}
	var failure C.tr_error
	C.tr_put_cf(c.db, options, family, pointer(key), C.size_t(len(key)), pointer(value), C.size_t(len(value)), &failure)
	return take(&failure)
}

func (c *core) putToCalling(family *C.terrace_column_family_handle_t, options *C.leveldb_writeoptions_t, key, value []byte) error {
	key = bytes.Clone(key)
	value = bytes.Clone(value)
	var failure C.tr_error
	C.tr_put_cf_calling(c.db, options, family, pointer(key), C.size_t(len(key)), pointer(value), C.size_t(len(value)), &failure)
	return take(&failure)
}

func (c *core) deleteFrom(family *C.terrace_column_family_handle_t, options *C.leveldb_writeoptions_t, key []byte) error {
	if c.calling {
		return c.deleteFromCalling(family, options, key)
	}
	var failure C.tr_error
	C.tr_delete_cf(c.db, options, family, pointer(key), C.size_t(len(key)), &failure)
	return take(&failure)
}

func (c *core) deleteFromCalling(family *C.terrace_column_family_handle_t, options *C.leveldb_writeoptions_t, key []byte) error {
	key = bytes.Clone(key)
	var failure C.tr_error
	C.tr_delete_cf_calling(c.db, options, family, pointer(key), C.size_t(len(key)), &failure)
	return take(&failure)
}

// Where a scan begins: at the current entry, at the first or last one, at or after a key, or before a key.
const (
	fromHere   = C.TR_ON
	fromFirst  = C.TR_FIRST
	fromLast   = C.TR_LAST
	fromKey    = C.TR_SEEK
	fromBefore = C.TR_BEFORE
)

// scan moves an iterator and copies entries into buffer. It returns their number, and the size of the next
// entry (absent: there is none).
func (c *core) scan(iterator *C.leveldb_iterator_t, from int, key []byte, flags int, stop []byte, hasStop bool, buffer []byte, ends []C.size_t) (int, uintptr, error) {
	if c.calling {
		return c.scanCalling(iterator, from, key, flags, stop, hasStop, buffer, ends)
	}
	var failure C.tr_error
	var next C.size_t
	bound := pointer(stop)
	if hasStop && bound == nil {
		bound = emptyKey
	}
	most := C.size_t(len(ends) / 2)
	count := C.tr_scan(iterator, C.int(from), pointer(key), C.size_t(len(key)), C.int(flags), bound, C.size_t(len(stop)),
		pointer(buffer), C.size_t(len(buffer)), &ends[0], most, &next, &failure)
	return int(count), uintptr(next), take(&failure)
}

func (c *core) scanCalling(iterator *C.leveldb_iterator_t, from int, key []byte, flags int, stop []byte, hasStop bool, buffer []byte, ends []C.size_t) (int, uintptr, error) {
	key = bytes.Clone(key)
	stop = bytes.Clone(stop)
	result := buffer
	buffer = make([]byte, len(result))
	var failure C.tr_error
	var next C.size_t
	bound := pointer(stop)
	if hasStop && bound == nil {
		bound = emptyKey
	}
	most := C.size_t(len(ends) / 2)
	count := C.tr_scan_calling(iterator, C.int(from), pointer(key), C.size_t(len(key)), C.int(flags), bound, C.size_t(len(stop)),
		pointer(buffer), C.size_t(len(buffer)), &ends[0], most, &next, &failure)
	copy(result, buffer)
	return int(count), uintptr(next), take(&failure)
}

// emptyKey is the bound of an empty key; NULL would be no bound.
var emptyKey = C.CString("")
