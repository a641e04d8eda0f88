//! The C interface of an embedded, ordered key-value store, as LevelDB 1.23 defines it: the same functions,
//! the same types, the same ownership rules. Functions that LevelDB does not have are declared in
//! `terrace.h`. They take the same handles, and their names start with `terrace_`.
//!
//! Conventions that hold for every function:
//!
//! (1) Handles are pointers to types whose contents are private. The caller destroys each handle that it
//!     created, once, with the destroy function of its type. Destroying NULL does nothing. A handle passed to
//!     a `set_` function still belongs to the caller.
//!
//! (2) Keys, values and ranges are passed as a pointer and a length in bytes. They may contain any byte and
//!     are not NUL-terminated. The call copies them before it returns. A NULL pointer with length 0 is an
//!     empty string. A key and its value have at most 4 GiB less 64 KiB together; a longer one is refused
//!     without being read.
//!
//! (3) A function that can fail has `errptr` as its last parameter. The caller sets `*errptr` to NULL or to a
//!     malloc()ed message. Success does not change `*errptr`, so an older message stays until the caller
//!     frees it. Failure frees the old message and replaces it by a new malloc()ed one. `errptr` may be NULL:
//!     only `terrace_last_error_code()` then reports the failure. A message starts with its kind:
//!     `NotFound: `, `Corruption: `, `Not implemented: `, `Invalid argument: ` or `IO error: `.
//!
//! (4) Memory that a function returns as malloc()ed belongs to the caller, who frees it with `leveldb_free()`
//!     or `free()`.
//!
//! (5) Booleans are `uint8_t`: 0 is false, any other value is true.
//!
//! (6) A NULL handle is refused and never dereferenced: functions with `errptr` fail with `Invalid argument`,
//!     other functions do nothing and return 0 or NULL. NULL options are the default options.
//!
//! (7) Any number of threads may use a database, a snapshot, a cache, an environment, a comparator and a
//!     filter policy at the same time. An iterator, a write batch and an options handle may be passed from
//!     thread to thread, but only calls that take them as `const` may run at the same time.
//!
//! (8) Callbacks (comparators, filter policies, loggers) run on the caller's threads and on background
//!     threads, several at the same time. They return normally: no exception, no longjmp(). A comparator may
//!     read the database that it orders; any other call on that database fails. A filter policy or a logger
//!     makes no call on the database that uses it.
//!
//! (9) A database belongs to the process that opened it. In a child made by fork(), calls on the parent's
//!     databases, iterators and snapshots fail with an `IO error` that says so; closing and destroying them
//!     in the child does not affect the parent. The child may open other databases, unless other threads of
//!     the parent were inside a call of this library when it forked: then the child should do no more than
//!     exec().

// How this folder is built. A handle a file: its type, and the functions that take it; a file's folder has
// what would make it long (`db/get`, `iterator/read`, `env/callbacks`). Every function is written out by
// hand, because the headers are generated from the source and the generator does not expand macros. A
// function guards, borrows, and calls the core. It holds no logic of its own, so that the tests of the core
// are tests of every binding. `handle` is the only file that turns boxes into pointers and back, `boundary`
// the only one that catches panics, `bytes` the only one that makes slices from pointers, `callback` the only
// one that reads what callbacks return.

mod boundary;
mod bytes;
mod callback;
mod failure;
mod handle;
mod option_header;
mod revocable_callbacks;

pub mod background_error;
pub mod cache;
pub mod column_family;
pub mod comparator;
pub mod db;
pub mod dump;
pub mod env;
pub mod filter_policy;
pub mod iterator;
pub mod last_error;
pub mod logger;
pub mod options;
pub mod read_options;
pub mod snapshot;
pub mod symbol_table;
pub mod table;
pub mod terrace_options;
pub mod transfer;
pub mod version;
pub mod write_batch;
pub mod write_options;

#[cfg(test)]
mod tests;
