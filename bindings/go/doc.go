// Package terrace is an embedded key-value store: an LSM tree in a directory whose files LevelDB reads and
// writes too.
//
// It is a binding of libterrace's C interface, which pkg-config finds. Any number of goroutines may use a
// [DB], a [Family] and a [Snapshot]. One goroutine at a time may use an [Iterator] and a [Batch]. Keys and
// values are byte slices; a key and its value have up to 4 GiB less 64 KiB together. Slices that are passed
// in are not kept (except the bounds of an iterator), slices that are returned belong to the caller. A nil
// key or value is an empty one.
//
// # Errors
//
// Every error is an [*Error], which has its kind, the file that it concerns, and whether the same call may
// succeed later. Compare kinds with errors.Is: [ErrNotFound], [ErrCorruption], [ErrClosed], [ErrLocked] and
// so on.
//
// # Closing
//
// [DB.Close] waits for running calls. Any goroutine may call it, and more than once. Iterators, snapshots and
// column families end with their database: their methods then report [ErrClosed]. Objects that are not closed
// are released by the garbage collector at some later time, and so is the lock of the directory.
//
// # Column families
//
// A [Family] is a set of entries with an order and options of its own: [DB.CreateFamily] creates one,
// [OpenFamilies] opens a database that has some. The methods of [DB] that read and write entries are about the
// default family. A [Batch] with [Batch.PutTo] and [Batch.DeleteFrom] is written to all its families or to
// none, a [Snapshot] and [DB.NewIterators] are of one state of all families, and [DB.Flush] flushes all.
//
// The first family switches the directory to RocksDB's language for good: LevelDB cannot open it any more,
// RocksDB can. The option Language forbids the switch.
//
// # Calls into C
//
// A call into C is more expensive than a call of Go. An [Iterator] copies a block of entries in one call,
// [DB.GetMany] as many values as fit, and a [Batch] is built in Go and written in one call. If the order of
// keys is a Go function (see [Comparator]), each comparison is a call from C into Go, and every call into C
// is more expensive, those for other column families too: if possible, encode keys so that their bytes have
// the wanted order.
package terrace
