//! Comparators, filter policies and loggers implemented in C: when their callbacks and destructors are
//! called.

use super::super::comparator::*;
use super::super::filter_policy::*;
use super::super::handle;
use super::super::logger::*;
use super::super::options::*;
use super::super::revocable_callbacks::Revocable;
use crate::options::Options;
use std::cmp::Ordering;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

/// The state of a test's callbacks.
#[derive(Default)]
struct State {
    destroyed: AtomicUsize,
    called: AtomicUsize,
}

impl State {
    fn pointer(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    fn counts(&self) -> (usize, usize) {
        (self.destroyed.load(SeqCst), self.called.load(SeqCst))
    }
}

fn state<'a>(pointer: *mut c_void) -> &'a State {
    // SAFETY: the tests pass the pointer of a State that outlives every handle that uses it.
    unsafe { &*pointer.cast::<State>() }
}

unsafe extern "C" fn destroy(pointer: *mut c_void) {
    state(pointer).destroyed.fetch_add(1, SeqCst);
}

/// Compares the first bytes; returns the extreme values, so that only the sign can be used.
unsafe extern "C" fn compare(
    pointer: *mut c_void,
    a: *const c_char,
    alen: usize,
    b: *const c_char,
    blen: usize,
) -> c_int {
    state(pointer).called.fetch_add(1, SeqCst);
    assert!(a.addr() > 4096 && b.addr() > 4096);
    // SAFETY: keys with their lengths.
    let first = |key: *const c_char, len| if len == 0 { 0 } else { unsafe { *key.cast::<u8>() } };
    match first(a, alen).cmp(&first(b, blen)) {
        Ordering::Less => c_int::MIN,
        Ordering::Equal => 0,
        Ordering::Greater => c_int::MAX,
    }
}

unsafe extern "C" fn name(pointer: *mut c_void) -> *const c_char {
    state(pointer).called.fetch_add(1, SeqCst);
    c"test.Name".as_ptr()
}

unsafe extern "C" fn create_filter(
    pointer: *mut c_void,
    keys: *const *const c_char,
    lengths: *const usize,
    count: c_int,
    filter_length: *mut usize,
) -> *mut c_char {
    state(pointer).called.fetch_add(1, SeqCst);
    let total: usize = (0..count as usize)
        .map(|index| {
            // SAFETY: two arrays of `count` elements.
            let (key, length) = unsafe { (*keys.add(index), *lengths.add(index)) };
            assert!(key.addr() > 4096);
            length
        })
        .sum();
    // SAFETY: one byte is allocated, filled and announced.
    unsafe {
        let filter = libc::malloc(1).cast::<u8>();
        *filter = total as u8;
        *filter_length = 1;
        filter.cast()
    }
}

unsafe extern "C" fn key_may_match(
    pointer: *mut c_void,
    _key: *const c_char,
    length: usize,
    filter: *const c_char,
    filter_length: usize,
) -> u8 {
    state(pointer).called.fetch_add(1, SeqCst);
    // SAFETY: a filter with its length.
    u8::from(filter_length == 1 && unsafe { *filter } as usize == length)
}

unsafe extern "C" fn log(pointer: *mut c_void, line: *const c_char, length: usize) {
    state(pointer).called.fetch_add(1, SeqCst);
    // SAFETY: a line with its length.
    assert_eq!(unsafe { std::slice::from_raw_parts(line.cast::<u8>(), length) }, b"line 7");
}

/// Calls `body` with options that `set` has changed.
fn with_options<R>(
    set: impl FnOnce(*mut leveldb_options_t),
    body: impl FnOnce(*mut leveldb_options_t) -> R,
) -> R {
    let options = leveldb_options_create();
    set(options);
    let result = body(options);
    // SAFETY: a handle of the function above, destroyed once.
    unsafe { leveldb_options_destroy(options) };
    result
}

fn resolve(options: *mut leveldb_options_t) -> crate::error::Result<Options> {
    // SAFETY: the tests pass a live handle.
    unsafe { core_options(options) }
}

fn make_comparator(state: &State) -> *mut leveldb_comparator_t {
    // SAFETY: callbacks that agree with the state.
    unsafe { leveldb_comparator_create(state.pointer(), Some(destroy), Some(compare), Some(name)) }
}

#[test]
fn a_comparator_compares_by_sign_and_copies_its_name() {
    let state = State::default();
    let comparator = make_comparator(&state);
    assert_eq!(state.counts(), (0, 0), "the name is asked for lazily");
    // SAFETY: live handles, each destroyed once.
    with_options(
        |options| unsafe { leveldb_options_set_comparator(options, comparator) },
        |options| {
            let resolved = resolve(options).expect("options").comparator;
            assert_eq!(resolved.compare(b"a", b"b"), Ordering::Less);
            assert_eq!(resolved.compare(b"b", b"a"), Ordering::Greater);
            assert_eq!(resolved.compare(b"ab", b"ac"), Ordering::Equal);
            assert_eq!(resolved.compare(b"", b""), Ordering::Equal);
            assert_eq!(resolved.name(), b"test.Name");
            assert!(!resolved.is_bytewise());
            let mut key = b"abcd".to_vec();
            resolved.find_shortest_separator(&mut key, b"z");
            resolved.find_short_successor(&mut key);
            assert_eq!(key, b"abcd", "keys are not shortened");
            // Destroyed while in use: it continues to work, and the destructor runs when the last user is
            // gone.
            // SAFETY: a live handle, destroyed once.
            unsafe { leveldb_comparator_destroy(comparator) };
            assert_eq!(state.counts().0, 0);
            assert_eq!(resolved.compare(b"a", b"b"), Ordering::Less);
            drop(resolved);
            assert_eq!(state.counts().0, 1);
            let error = resolve(options).err().expect("no comparator").to_string();
            assert!(error.contains("was destroyed"), "{error}");
        },
    );
    assert_eq!(state.counts().0, 1);
}

#[test]
fn options_do_not_delay_the_destructor_of_a_comparator() {
    let state = State::default();
    let comparator = make_comparator(&state);
    // SAFETY: live handles, each destroyed once.
    with_options(
        |options| unsafe { leveldb_options_set_comparator(options, comparator) },
        |_| {
            // SAFETY: as above.
            unsafe { leveldb_comparator_destroy(comparator) };
            assert_eq!(state.counts().0, 1);
        },
    );
    assert_eq!(state.counts().0, 1);
}

#[test]
fn a_comparator_without_callbacks_opens_nothing() {
    // SAFETY: live handles, each destroyed once.
    unsafe {
        let comparator = leveldb_comparator_create(ptr::null_mut(), None, None, None);
        with_options(
            |options| leveldb_options_set_comparator(options, comparator),
            |options| assert!(resolve(options).is_err()),
        );
        leveldb_comparator_destroy(comparator);
    }
}

#[test]
fn a_filter_policy_ends_with_its_handle() {
    let state = State::default();
    // SAFETY: callbacks that agree with the state; live handles, each destroyed once.
    unsafe {
        let policy = leveldb_filterpolicy_create(
            state.pointer(),
            Some(destroy),
            Some(create_filter),
            Some(key_may_match),
            Some(name),
        );
        with_options(
            |options| leveldb_options_set_filter_policy(options, policy),
            |options| {
                let used = resolve(options).expect("options").filter_policy.expect("a policy");
                assert_eq!(used.name(), b"test.Name");
                let mut filter = b"kept".to_vec();
                used.create_filter(&[b"abc", b"", b"de"], &mut filter);
                assert_eq!(filter, b"kept\x05");
                assert!(used.key_may_match(b"12345", b"\x05"));
                assert!(!used.key_may_match(b"1234", b"\x05"));
                assert!(!used.key_may_match(b"12345", b""));
                assert_eq!(state.counts(), (0, 5));

                leveldb_filterpolicy_destroy(policy);
                assert_eq!(state.counts(), (1, 5));
                assert!(used.key_may_match(b"1234", b"\x05"));
                used.create_filter(&[b"abc"], &mut filter);
                assert_eq!(filter, b"kept\x05");
                assert_ne!(used.name(), b"test.Name", "tables without filters must not pass for others");
                assert_eq!(state.counts(), (1, 5));
                assert!(resolve(options).expect("options").filter_policy.is_none());
            },
        );
    }
    assert_eq!(state.counts(), (1, 5));
}

#[test]
fn a_bloom_filter_outlives_its_handle() {
    // SAFETY: live handles, each destroyed once.
    unsafe {
        let policy = leveldb_filterpolicy_create_bloom(10);
        with_options(
            |options| leveldb_options_set_filter_policy(options, policy),
            |options| {
                leveldb_filterpolicy_destroy(policy);
                let used = resolve(options).expect("options").filter_policy.expect("a policy");
                assert_eq!(used.name(), b"leveldb.BuiltinBloomFilter2");
            },
        );
    }
}

#[test]
fn a_logger_ends_with_its_handle() {
    let state = State::default();
    // SAFETY: callbacks that agree with the state; live handles, each destroyed once.
    unsafe {
        let logger = terrace_logger_create(state.pointer(), Some(destroy), Some(log));
        with_options(
            |options| leveldb_options_set_info_log(options, logger),
            |options| {
                let used = resolve(options).expect("options").info_log.expect("a logger");
                used.log(format_args!("line {}", 7));
                assert_eq!(state.counts(), (0, 1));
                terrace_logger_destroy(logger);
                used.log(format_args!("line 8"));
                assert_eq!(state.counts(), (1, 1));
                assert!(resolve(options).expect("options").info_log.is_none());
            },
        );
    }
    assert_eq!(state.counts(), (1, 1));
}

#[test]
fn revoking_waits_for_the_callback_that_runs() {
    let revocable = Revocable::new(5);
    let (started, wait_for_start) = std::sync::mpsc::channel();
    let finished = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            revocable.with(|_| {
                started.send(()).expect("a receiver");
                for _ in 0..1000 {
                    // A callback may call the database, which may call back.
                    assert!(revocable.with(|value| *value == 5) == Some(true));
                    std::thread::yield_now();
                }
                finished.store(1, SeqCst);
            });
        });
        wait_for_start.recv().expect("a sender");
        assert_eq!(revocable.revoke(), Some(5));
        assert_eq!(finished.load(SeqCst), 1, "revoke returned while a callback ran");
    });
    assert_eq!(revocable.revoke(), None);
    assert_eq!(revocable.with(|_| ()), None);
}

#[test]
fn null_handles_are_left_alone() {
    // SAFETY: NULL.
    unsafe {
        leveldb_comparator_destroy(ptr::null_mut());
        leveldb_filterpolicy_destroy(ptr::null_mut());
        terrace_logger_destroy(ptr::null_mut());
        assert!(handle::take_back::<u8>(ptr::null_mut()).is_none());
        assert!(handle::lend::<u8>(ptr::null()).is_none());
    }
}
