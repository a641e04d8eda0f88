//! The C interface of an embedded, ordered key-value store, as LevelDB 1.23 defines it: same functions, same types,
//! same ownership. What LevelDB does not have is in `terrace.h`, on the same handles, under names that start with
//! `terrace_`.
//!
//! Conventions that hold for every function:
//!
//! (1) Handles are pointers to types whose contents are private. The caller destroys what it created, each with the
//!     function made for it, once. Destroying NULL does nothing. Handles given to a `set_` function stay the caller's.
//!
//! (2) Keys, values and ranges are a pointer and a length in bytes; any byte may occur in them, and none follows them.
//!     They are copied before a call returns. A NULL pointer with length 0 is an empty string. A key and a
//!     value have at most 4 GiB less 64 KiB together; what is longer is refused without being read.
//!
//! (3) A function that can fail has `errptr` as its last parameter. `*errptr` is NULL or a malloc()ed message when it is
//!     called. Success leaves `*errptr` as it was, so a message stays until somebody frees it. Failure frees the old
//!     message and puts a new malloc()ed one in its place. `errptr` may be NULL: the failure is then only told by
//!     `terrace_last_error_code()`. A message starts with its kind: `NotFound: `, `Corruption: `,
//!     `Not implemented: `, `Invalid argument: ` or `IO error: `.
//!
//! (4) What is returned as malloc()ed is the caller's, who frees it with `leveldb_free()` or `free()`.
//!
//! (5) Booleans are `uint8_t`: 0 is false, anything else is true.
//!
//! (6) A NULL handle is refused, never read: functions with `errptr` fail with `Invalid argument`, others do nothing
//!     and return 0 or NULL. NULL options are the default options.
//!
//! (7) A database, a snapshot, a cache, an environment, a comparator and a filter policy may be used from any thread at
//!     once. An iterator, a write batch and an options handle may be handed from thread to thread, but only calls that
//!     take them as `const` may run at the same time.
//!
//! (8) Callbacks (comparators, filter policies, loggers) are called on the caller's threads and on background threads,
//!     also at once. They return normally: no exception, no longjmp(). A comparator may read the database that it orders;
//!     any other call on that database fails. A filter policy or a logger makes no call on the database that uses it.
//!
//! (9) A database belongs to the process that opened it. In a child made by fork(), calls on the databases, iterators and
//!     snapshots of the parent fail with an `IO error` that says so, closing and destroying them does nothing to the
//!     parent's. The child may open other databases, unless other threads of the parent were inside of calls when it forked:
//!     then it should do no more than exec().

// How this folder is built: every function is written out by hand, because the headers are generated from the source
// and the generator does not see into macros. A function guards, borrows, and calls the core; it holds no logic of its
// own, so that the tests of the core are tests of every binding. `handle` is the only file that turns boxes into
// pointers and back, `boundary` the only one that catches panics, `bytes` the only one that makes slices of pointers.

pub mod background_error;
mod boundary;
mod bytes;
mod handle;
mod option_head;
mod revocable;

pub mod cache;
pub mod comparator;
pub mod db;
pub mod direct;
pub mod dump;
pub mod env;
pub mod env_callbacks;
pub mod env_files;
pub mod filter_policy;
pub mod filter_use;
pub mod get_into;
pub mod iterator;
pub mod iterator_read;
pub mod last_error;
pub mod leveldb_function;
pub mod logger;
pub mod options;
pub mod read_options;
pub mod snapshot;
pub mod table;
pub mod terrace_options;
pub mod version;
pub mod write_batch;
pub mod write_options;

#[cfg(test)]
mod tests;
