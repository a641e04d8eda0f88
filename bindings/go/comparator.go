package terrace

/*
#include <leveldb/c.h>
#include <stdint.h>
#include <stdlib.h>
#include <terrace.h>

extern int terraceGoCompare(uintptr_t state, char *a, size_t a_length, char *b, size_t b_length);

typedef struct {
    uintptr_t handle;
    const char *name;
} tr_order;

static int tr_compare(void *state, const char *a, size_t a_length, const char *b, size_t b_length) {
    return terraceGoCompare(((tr_order *)state)->handle, (char *)a, a_length, (char *)b, b_length);
}

static const char *tr_name(void *state) {
    return ((tr_order *)state)->name;
}

static leveldb_comparator_t *tr_new_comparator(uintptr_t handle, const char *name) {
    tr_order *order = malloc(sizeof *order);
    if (order == NULL) abort();
    order->handle = handle;
    order->name = name;
    return leveldb_comparator_create(order, free, tr_compare, tr_name);
}
*/
import "C"

import (
	"fmt"
	"runtime/cgo"
	"unsafe"
)

// Comparator is an order of keys other than that of their bytes. Its methods are called from any goroutine
// and from threads of the library, by several at the same time.
type Comparator interface {
	// Name is stored with the database, which cannot be opened with a comparator of another name.
	Name() string
	// Compare returns a negative number, 0 or a positive number if a is before, equal to or after b. The slices
	// belong to the library, and are valid during the call. Compare must not call the database that it orders.
	//
	// If Compare panics, no order is guessed: the call that needed it fails with [ErrInternal] or [ErrIO], and
	// the database takes no writes until it is opened again.
	Compare(a, b []byte) int
}

func newComparator(handle cgo.Handle, name *C.char) *C.leveldb_comparator_t {
	return C.tr_new_comparator(C.uintptr_t(handle), name)
}

//export terraceGoCompare
func terraceGoCompare(state C.uintptr_t, a *C.char, aLength C.size_t, b *C.char, bLength C.size_t) (order C.int) {
	defer func() {
		if cause := recover(); cause != nil {
			message := C.CString(fmt.Sprintf("the comparator panicked: %v", cause))
			C.terrace_comparator_fail(message)
			C.free(unsafe.Pointer(message))
		}
	}()
	comparator := cgo.Handle(state).Value().(Comparator)
	bytes := func(at *C.char, length C.size_t) []byte { return unsafe.Slice((*byte)(unsafe.Pointer(at)), length) }
	switch result := comparator.Compare(bytes(a, aLength), bytes(b, bLength)); {
	case result < 0:
		return -1
	case result > 0:
		return 1
	}
	return 0
}
