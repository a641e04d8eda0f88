// Package terrace is an embedded key-value store: an LSM tree in a directory of files that LevelDB reads and writes too.
//
// It is a binding of libterrace over its C interface, found by pkg-config. A [DB] is used from any number of goroutines; so is a
// [Snapshot]. An [Iterator] or a [Batch] belongs to one goroutine at a time. Keys and values are byte slices of up to
// 4 GiB less 64 KiB, together; those that are passed in are not kept, those that are returned are the caller's. A nil key or value is an empty one.
//
// # Errors
//
// Every error is an [*Error], which tells what kind it is, which file it is about, and whether the same call may succeed later.
// Kinds are compared with errors.Is: [ErrNotFound], [ErrCorruption], [ErrClosed], [ErrLocked] and so on.
//
// # Closing
//
// [DB.Close] waits for calls that are under way, may be called from any goroutine, and more than once. What hangs off the
// database, its iterators and snapshots, ends with it: their methods then report [ErrClosed]. What is forgotten without being
// closed is released by the garbage collector in its own time, the lock of the directory with it.
//
// # Crossings
//
// A call into C costs more than one in Go. [Iterator] brings a block of entries over in one call, [DB.GetMany] all its values, a [Batch] is
// built in Go and written in one. Where the order of keys is a Go function (see [Comparator]) each comparison is a crossing
// the other way: give keys an order as bytes where that is possible.
package terrace
