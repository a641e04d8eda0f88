// Package terrace is an embedded key-value store: an LSM tree in a directory whose files LevelDB reads and
// writes too.
//
// It is a binding of libterrace's C interface, which pkg-config finds. Any number of goroutines may use a
// [DB] and a [Snapshot]. One goroutine at a time may use an [Iterator] and a [Batch]. Keys and values are
// byte slices; a key and its value have up to 4 GiB less 64 KiB together. Slices that are passed in are not
// kept (except the bounds of an iterator), slices that are returned belong to the caller. A nil key or value
// is an empty one.
//
// # Errors
//
// Every error is an [*Error], which has its kind, the file that it concerns, and whether the same call may
// succeed later. Compare kinds with errors.Is: [ErrNotFound], [ErrCorruption], [ErrClosed], [ErrLocked] and
// so on.
//
// # Closing
//
// [DB.Close] waits for running calls. Any goroutine may call it, and more than once. Iterators and snapshots
// end with their database: their methods then report [ErrClosed]. Objects that are not closed are released by
// the garbage collector at some later time, and so is the lock of the directory.
//
// # Calls into C
//
// A call into C is more expensive than a call of Go. An [Iterator] copies a block of entries in one call,
// [DB.GetMany] as many values as fit, and a [Batch] is built in Go and written in one call. If the order of
// keys is a Go function (see [Comparator]), each comparison is a call from C into Go: if possible, encode
// keys so that their bytes have the wanted order.
package terrace
