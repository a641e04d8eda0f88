//! Two tools for data that many threads touch: padding against false sharing, and a published value. Readers
//! reach a published value without a lock and without writing to a cache line that other readers write to.
//!
//! # Published values
//! A [`Published`] holds the current `Arc<T>` in three places:
//! - `current`: the `Arc` itself, guarded by a mutex. A publisher replaces it there.
//! - `current_address`: the address that this `Arc` points to. It is only compared, never dereferenced.
//! - `slots`: each is null or an `Arc` (one reference count) that a reader left for the next reader. A thread
//!   always uses the same slot; two threads share a slot only if there are more threads than slots.
//!
//! A reader takes the `Arc` out of its slot (a swap with null), checks that it is the current one, uses it,
//! and puts it back (a compare-exchange from null). If the slot is empty or its `Arc` is out of date, the
//! reader clones `current` under the mutex, which is held for the clone only. So the usual read costs two
//! atomic operations on a cache line of its own, and a load of one that changes only when a value is
//! published. No lock is held while a guard exists: guards may exist for long, nest, and be dropped in any
//! order and on any thread.
//!
//! Three properties hold. Every operation on `slots` and `current_address` is sequentially consistent, so
//! there is one order of them all that every thread agrees on; "before" and "after" below mean that order.
//!
//! 1. *A reader that starts after `publish` returned sees that value or a newer one.* A reader uses what it
//!    found in a slot only if `current_address` still points there, and it loads `current_address` after the
//!    store in `publish`. The address cannot be that of a newer value allocated at the same place: the reader
//!    holds a count of what it found, so that place is not free.
//! 2. *No slot keeps an old value*: once `publish` has returned and every guard taken before has been
//!    dropped, no slot holds a count of a value published before. Proof: take a reader that puts back an old
//!    `p`. Either its compare-exchange comes before the sweep's look at the slot: then the sweep removes `p`,
//!    or another thread has removed it, to which this argument applies again. Or its compare-exchange comes
//!    after: then it comes after the store to `current_address` too, which precedes the sweep. The reader
//!    loads `current_address` again after putting `p` back, sees that `p` is out of date, and takes it out
//!    again.
//! 3. *Counts are right.* Each non-null pointer in a slot stands for one count, and the count moves with the
//!    pointer: only a successful swap or compare-exchange takes a pointer out, only a successful
//!    compare-exchange from null puts one in. When a reader takes its `p` out again, the slot may by then
//!    hold a newer value at the same address. Then the reader drops a count of the newer value, and the slot
//!    is empty, which costs the next reader a clone and nothing else.
//!
//! Thread rule: any thread. `thread_number` is per thread.
#![allow(unsafe_code)]

use std::cell::Cell;
use std::mem::ManuallyDrop;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::Arc;

use crate::util::lock::Mutex;
use crate::util::lock::atomic::{AtomicPtr, Ordering};
use std::sync::atomic::AtomicUsize;

/// The number of slots of a published value: more than most machines have cores. A power of two.
const SLOTS: usize = 64;

/// A value on its own cache lines (128 bytes, since processors fetch lines in pairs).
#[derive(Clone, Copy, Debug, Default)]
#[repr(align(128))]
pub struct CachePadded<T> {
    value: T,
}

impl<T> CachePadded<T> {
    /// Pads `value`.
    pub const fn new(value: T) -> Self {
        CachePadded { value }
    }
}

impl<T> Deref for CachePadded<T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for CachePadded<T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// A small number for the calling thread: 0 for the first thread that asks, then 1, and so on. Cheap, and
/// without a destructor, so that no code of this library runs when a thread of the host program ends.
#[inline]
pub fn thread_number() -> usize {
    const UNKNOWN: usize = usize::MAX;
    static NEXT: AtomicUsize = AtomicUsize::new(0);
    thread_local! {
        static NUMBER: Cell<usize> = const { Cell::new(UNKNOWN) };
    }
    NUMBER.with(|number| {
        if number.get() == UNKNOWN {
            number.set(NEXT.fetch_add(1, Ordering::Relaxed));
        }
        number.get()
    })
}

/// Stands between two sequentially consistent accesses if other threads must see the first before the second.
/// Compiles to nothing outside of the model checker. The model checker treats sequentially consistent
/// accesses as acquire and release only, and derives one order of all accesses from fences alone.
#[inline(always)]
fn in_one_order() {
    #[cfg(loom)]
    loom::sync::atomic::fence(Ordering::SeqCst);
}

/// A value that is read all the time and replaced now and then. The top of this file has the protocol and its
/// proof.
pub struct Published<T> {
    current: Mutex<Arc<T>>,
    current_address: AtomicPtr<T>,
    slots: Box<[CachePadded<AtomicPtr<T>>]>,
}

impl<T> Published<T> {
    /// Publishes a first value.
    pub fn new(value: Arc<T>) -> Self {
        Self::with_slots(value, SLOTS)
    }

    /// As `new`, for fewer readers at a time. `slots` must be a power of two.
    pub fn with_slots(value: Arc<T>, slots: usize) -> Self {
        let current_address = AtomicPtr::new(Arc::as_ptr(&value).cast_mut());
        let slots = (0..slots).map(|_| CachePadded::new(AtomicPtr::new(ptr::null_mut()))).collect();
        Published { current: Mutex::new(value), current_address, slots }
    }

    /// The current value, for a short use. The guard's value does not change while others publish.
    #[inline]
    pub fn with(&self) -> PublishedGuard<'_, T> {
        self.with_slot(thread_number() & (self.slots.len() - 1))
    }

    #[inline]
    fn with_slot(&self, slot_number: usize) -> PublishedGuard<'_, T> {
        let found = self.slots[slot_number].swap(ptr::null_mut(), Ordering::SeqCst);
        in_one_order();
        let value = if !found.is_null() && found == self.current_address.load(Ordering::SeqCst) {
            // SAFETY: a pointer in a slot came from `Arc::into_raw` and stands for one count, which the swap
            // made ours.
            unsafe { Arc::from_raw(found) }
        } else {
            self.refresh(found)
        };
        PublishedGuard { published: self, slot_number, value: ManuallyDrop::new(value) }
    }

    /// A count of the current value, to be used and then given to [`Published::put`]. It is the slot's count
    /// if the slot has one, so a reader that comes in between has to clone.
    #[inline]
    pub fn take(&self) -> Arc<T> {
        let mut guard = ManuallyDrop::new(self.with());
        // SAFETY: the guard is not dropped, and not used again.
        unsafe { ManuallyDrop::take(&mut guard.value) }
    }

    /// Leaves the result of [`Published::take`] in this thread's slot for its next reader if it is still the
    /// current value; drops it otherwise.
    #[inline]
    pub fn put(&self, value: Arc<T>) {
        self.put_back(thread_number() & (self.slots.len() - 1), value);
    }

    /// A count of the current value that the caller may keep for any time.
    #[inline]
    pub fn load(&self) -> Arc<T> {
        self.with().to_arc()
    }

    /// Makes `value` the current one and returns the previous one, so that the caller chooses where to drop
    /// it.
    pub fn publish(&self, value: Arc<T>) -> Arc<T> {
        let address = Arc::as_ptr(&value).cast_mut();
        let previous = {
            let mut current = self.current.lock();
            self.current_address.store(address, Ordering::SeqCst);
            std::mem::replace(&mut *current, value)
        };
        in_one_order();
        self.sweep();
        previous
    }

    /// Clones the current value under the mutex, after dropping the out-of-date one found in the slot.
    #[cold]
    fn refresh(&self, found: *mut T) -> Arc<T> {
        if !found.is_null() {
            // SAFETY: as in `with`: the pointer was taken out of a slot, and its count is ours.
            drop(unsafe { Arc::from_raw(found) });
        }
        self.current.lock().clone()
    }

    /// Empties all slots.
    fn sweep(&self) {
        for slot in &self.slots {
            // Load before the swap: most slots are empty, and a load does not take the cache line from its
            // reader.
            if !slot.load(Ordering::SeqCst).is_null() {
                let found = slot.swap(ptr::null_mut(), Ordering::SeqCst);
                if !found.is_null() {
                    // SAFETY: the pointer was taken out of a slot, and its count is ours.
                    drop(unsafe { Arc::from_raw(found) });
                }
            }
        }
    }

    /// Leaves `value` in the slot for the next reader, or drops it if the slot is full or the value out of
    /// date.
    #[inline]
    fn put_back(&self, slot_number: usize, value: Arc<T>) {
        let slot = &self.slots[slot_number];
        let address = Arc::into_raw(value).cast_mut();
        let put = slot.compare_exchange(ptr::null_mut(), address, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        in_one_order();
        if put && address == self.current_address.load(Ordering::SeqCst) {
            return;
        }
        // If the slot was full, the count is still ours. If the value is out of date, the count is ours if
        // the pointer can be taken out again; if it cannot, another thread has taken it.
        let null = ptr::null_mut();
        if !put || slot.compare_exchange(address, null, Ordering::SeqCst, Ordering::SeqCst).is_ok() {
            // SAFETY: the pointer came from `Arc::into_raw` and stands for one count, which is ours as just
            // said.
            drop(unsafe { Arc::from_raw(address) });
        }
    }
}

impl<T> Drop for Published<T> {
    fn drop(&mut self) {
        self.sweep();
    }
}

/// A published value in use. Dropping the guard leaves the value in the slot for the next reader.
pub struct PublishedGuard<'a, T> {
    published: &'a Published<T>,
    slot_number: usize,
    value: ManuallyDrop<Arc<T>>,
}

impl<T> PublishedGuard<'_, T> {
    /// A new count of the value, which may outlive the guard.
    #[inline]
    pub fn to_arc(&self) -> Arc<T> {
        Arc::clone(&self.value)
    }
}

impl<T> Deref for PublishedGuard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> Drop for PublishedGuard<'_, T> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: the guard is being dropped, and its field is not used afterwards.
        let value = unsafe { ManuallyDrop::take(&mut self.value) };
        self.published.put_back(self.slot_number, value);
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicBool;
    use std::thread;

    /// Counts the values alive, and detects one that is dropped twice or used after its drop.
    struct Tracked {
        number: usize,
        alive: Arc<AtomicUsize>,
        intact: AtomicBool,
    }

    impl Tracked {
        fn new(number: usize, alive: &Arc<AtomicUsize>) -> Arc<Tracked> {
            alive.fetch_add(1, Ordering::SeqCst);
            Arc::new(Tracked { number, alive: alive.clone(), intact: AtomicBool::new(true) })
        }
    }

    impl Drop for Tracked {
        fn drop(&mut self) {
            assert!(self.intact.swap(false, Ordering::SeqCst), "dropped twice");
            self.alive.fetch_sub(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn padding_keeps_neighbours_on_lines_of_their_own() {
        let pair = [CachePadded::new(1u8), CachePadded::new(2u8)];
        assert_eq!(ptr::from_ref(&*pair[1]).addr() - ptr::from_ref(&*pair[0]).addr(), 128);
    }

    #[test]
    fn a_thread_keeps_its_number_and_no_other_has_it() {
        let here = thread_number();
        assert_eq!(here, thread_number());
        assert_ne!(here, thread::spawn(thread_number).join().unwrap());
    }

    #[test]
    fn a_second_read_finds_the_value_in_its_slot() {
        let alive = Arc::new(AtomicUsize::new(0));
        let first = Tracked::new(1, &alive);
        let published = Published::new(first.clone());
        assert_eq!(Arc::strong_count(&first), 2);
        for _ in 0..5 {
            assert_eq!(published.with().number, 1);
            assert_eq!(Arc::strong_count(&first), 3, "here, behind the mutex, and in one slot");
        }
        let guards = [published.with(), published.with()];
        assert_eq!(Arc::strong_count(&first), 4);
        drop(guards);
        assert_eq!(Arc::strong_count(&first), 3, "a slot holds one");
        drop(published);
        assert_eq!(Arc::strong_count(&first), 1);
    }

    #[test]
    fn a_value_taken_is_the_one_in_the_slot_and_goes_back_there() {
        let alive = Arc::new(AtomicUsize::new(0));
        let first = Tracked::new(1, &alive);
        let published = Published::new(first.clone());
        published.with();
        let taken = published.take();
        assert_eq!(Arc::strong_count(&first), 3, "here, behind the mutex, and taken from the slot");
        let second = published.take();
        assert_eq!(Arc::strong_count(&first), 4);
        published.put(taken);
        published.put(second);
        assert_eq!(Arc::strong_count(&first), 3, "a slot holds one");
        let taken = published.take();
        drop((published.publish(Tracked::new(2, &alive)), first));
        assert_eq!((taken.number, Arc::strong_count(&taken)), (1, 1));
        published.put(taken);
        assert_eq!(alive.load(Ordering::SeqCst), 1, "what is out of date is dropped");
        assert_eq!(published.take().number, 2);
    }

    #[test]
    fn publishing_removes_the_old_value_from_the_slots() {
        let alive = Arc::new(AtomicUsize::new(0));
        let published = Published::new(Tracked::new(1, &alive));
        published.with();
        let old = published.publish(Tracked::new(2, &alive));
        assert_eq!((old.number, Arc::strong_count(&old)), (1, 1));
        drop(old);
        assert_eq!(alive.load(Ordering::SeqCst), 1);
        assert_eq!((published.with().number, published.load().number), (2, 2));
    }

    #[test]
    fn a_guard_that_outlives_a_publish_leaves_nothing_behind() {
        let alive = Arc::new(AtomicUsize::new(0));
        let published = Published::new(Tracked::new(1, &alive));
        let old_guard = published.with();
        drop(published.publish(Tracked::new(2, &alive)));
        assert_eq!(old_guard.number, 1, "a guard's value stays");
        let nested = published.with();
        assert_eq!(nested.number, 2);
        drop(old_guard); // before the nested one, into the empty slot
        assert_eq!(alive.load(Ordering::SeqCst), 1);
        drop(nested);
        assert_eq!(published.with().number, 2);
        drop(published);
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    }

    #[test]
    fn an_old_value_in_a_slot_is_not_used() {
        let alive = Arc::new(AtomicUsize::new(0));
        let published = Published::new(Tracked::new(1, &alive));
        let old = published.load();
        published.publish(Tracked::new(2, &alive));
        // The state between a reader's put-back and its second load of the address.
        let slot = &published.slots[thread_number() % SLOTS];
        slot.store(Arc::into_raw(old).cast_mut(), Ordering::SeqCst);
        assert_eq!(published.with().number, 2);
        assert_eq!(alive.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn readers_never_go_back_and_every_value_is_dropped_once() {
        // First a slot for each thread, then slots shared by two or four threads.
        for slots in [SLOTS, 4, 2] {
            read_and_publish(slots);
        }
    }

    fn read_and_publish(slots: usize) {
        const READERS: usize = 8;
        const READS: usize = if cfg!(miri) { 50 } else { 100_000 };
        let alive = Arc::new(AtomicUsize::new(0));
        let newest = AtomicUsize::new(0);
        let published = Published::with_slots(Tracked::new(0, &alive), slots);
        let read = |reader: usize| {
            let mut kept = None;
            for _ in 0..READS {
                let at_least = newest.load(Ordering::SeqCst);
                let guard = published.with();
                assert!(guard.number >= at_least, "{} after {at_least}", guard.number);
                assert!(guard.intact.load(Ordering::Relaxed), "used after its drop");
                if reader.is_multiple_of(2) {
                    // Nested guards, dropped in the opposite order.
                    let nested = published.with();
                    assert!(nested.number >= guard.number);
                    drop(guard);
                    assert!(nested.intact.load(Ordering::Relaxed), "used after its drop");
                } else if reader.is_multiple_of(3) {
                    kept = Some(guard.to_arc());
                }
            }
            drop(kept);
        };
        thread::scope(|scope| {
            let read = &read;
            let readers: Vec<_> = (0..READERS).map(|reader| scope.spawn(move || read(reader))).collect();
            let mut number = 0;
            while readers.iter().any(|reader| !reader.is_finished()) {
                number += 1;
                let previous = published.publish(Tracked::new(number, &alive));
                newest.store(number, Ordering::SeqCst);
                assert_eq!(previous.number, number - 1);
            }
        });
        assert_eq!(published.load().number, newest.load(Ordering::SeqCst));
        assert_eq!(alive.load(Ordering::SeqCst), 1, "only the current value is alive");
        drop(published);
        assert_eq!(alive.load(Ordering::SeqCst), 0);
    }
}
