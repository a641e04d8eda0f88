package terrace

// The C functions that are called often, each with its error's particulars in one crossing, and in two variants: that of
// databases in the order of bytes never calls back into Go, which makes the call cheaper, and lets arguments and results stay on the
// stack; that of a Go comparator may. The methods for that (...Calling) share no memory with the others, and copy what they are
// given: what could reach a function that calls back is put on the heap, whether the branch is taken or not.

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

#include "capi.h"
*/
import "C"

import (
	"bytes"
	"syscall"
	"unsafe"
)

// pointer is what C gets for a slice; Go's own of an empty one may point past the end of something.
func pointer(bytes []byte) *C.char {
	if len(bytes) == 0 {
		return nil
	}
	return (*C.char)(unsafe.Pointer(unsafe.SliceData(bytes)))
}

// take makes a Go error of a C one, and frees what that holds; nil if nothing went wrong.
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

// get reads a value into buffer; a longer one is not read, but its length returned, or absent, or failed.
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

// getMany reads the values of the keys that lie behind each other in keys, from the first on, until buffer is full; how many. Of
// the one that did not fit, if any, the length is there.
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

// Where a scan begins: where the iterator stands, at an end, at or after a key, or before one.
const (
	fromHere   = C.TR_ON
	fromFirst  = C.TR_FIRST
	fromLast   = C.TR_LAST
	fromKey    = C.TR_SEEK
	fromBefore = C.TR_BEFORE
)

// scan moves an iterator, and copies entries into buffer; how many, and the size of the next one (absent: there is none).
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

// emptyKey is a bound that is empty, where NULL would be none.
var emptyKey = C.CString("")
