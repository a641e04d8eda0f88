//! Models of a pool: all interleavings (up to a number of preemptions) of wake-ups, of threads that end as
//! soon as there is nothing to do, and of `stop`. Each wake-up is followed by a step that begins after it,
//! and no step runs after `stop` has returned.

use super::*;
use crate::env::posix::PosixEnv;
use loom::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use loom::thread;

/// A pool for one run of the model.
fn pool() -> &'static Pool {
    Box::leak(Box::new(Pool::new("model")))
}

#[test]
fn a_step_begins_after_every_wake_up() {
    loom::model(|| {
        let (wanted, done) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let (wanted_by_step, done_by_step) = (wanted.clone(), done.clone());
        let worker = Arc::new(pool().add(&PosixEnv::shared(), 1, move || {
            let seen = wanted_by_step.load(Ordering::SeqCst);
            done_by_step.fetch_max(seen, Ordering::SeqCst);
            Next::Wait
        }));
        let ask = |worker: &Worker, wanted: &AtomicUsize| {
            wanted.fetch_add(1, Ordering::SeqCst);
            worker.wake();
        };
        let other = {
            let (worker, wanted) = (worker.clone(), wanted.clone());
            thread::spawn(move || ask(&worker, &wanted))
        };
        ask(&worker, &wanted);
        other.join().unwrap();
        while done.load(Ordering::SeqCst) < 2 {
            thread::yield_now();
        }
        worker.stop();
    });
}

#[test]
fn no_step_runs_once_it_is_stopped() {
    loom::model(|| {
        let stopped = Arc::new(AtomicBool::new(false));
        let is_stopped = stopped.clone();
        let worker = Arc::new(pool().add(&PosixEnv::shared(), 1, move || {
            assert!(!is_stopped.load(Ordering::SeqCst), "a step of a stopped worker");
            Next::Wait
        }));
        let other = {
            let worker = worker.clone();
            thread::spawn(move || worker.wake())
        };
        worker.wake();
        worker.stop();
        stopped.store(true, Ordering::SeqCst);
        other.join().unwrap();
    });
}
