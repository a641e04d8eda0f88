//! Tests of the pool: wake-ups, timers, limits, threads that cannot be started, and the end of workers.

use super::*;
use crate::env::fault::{FaultEnv, FaultKind, FaultRule};
use crate::env::posix::PosixEnv;
use crate::util::test_support::keep;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc;

const PATIENCE: Duration = Duration::from_secs(60);

/// A pool for one test. Pools exist as long as the process.
fn pool() -> &'static Pool {
    keep(Pool::new("test"))
}

/// A counter, and a step that counts its calls.
fn counter() -> (Arc<AtomicUsize>, impl Fn() -> Next + Send + Sync + 'static) {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    (count, move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Next::Wait
    })
}

fn until(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < deadline, "never: {what}");
        std::thread::yield_now();
    }
}

fn threads_of(pool: &'static Pool) -> usize {
    pool.lock().threads.len()
}

#[test]
fn a_thread_is_started_for_work_and_ends_when_it_has_none() {
    let (pool, env, (count, step)) = (pool(), PosixEnv::shared(), counter());
    let worker = pool.add(&env, 1, step);
    assert_eq!(threads_of(pool), 0);
    for wakes in 1..=2 {
        worker.wake();
        until("the step", || count.load(Ordering::SeqCst) == wakes);
        until("the end of the thread", || threads_of(pool) == 0);
    }
    worker.stop();
    worker.wake();
    assert_eq!((count.load(Ordering::SeqCst), threads_of(pool)), (2, 0));
}

#[test]
fn many_workers_share_few_threads() {
    let (pool, env) = (pool(), PosixEnv::shared());
    let (running, most, done) = (AtomicUsize::new(0), AtomicUsize::new(0), AtomicUsize::new(0));
    let counts = Arc::new([running, most, done]);
    let workers: Vec<_> = (0..100)
        .map(|_| {
            let counts = counts.clone();
            pool.add(&env, 1, move || {
                let [running, most, done] = &*counts;
                most.fetch_max(running.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::yield_now();
                running.fetch_sub(1, Ordering::SeqCst);
                done.fetch_add(1, Ordering::SeqCst);
                Next::Wait
            })
        })
        .collect();
    workers.iter().for_each(Worker::wake);
    until("all steps", || counts[2].load(Ordering::SeqCst) == 100);
    assert!(threads_of(pool) <= MOST_THREADS && counts[1].load(Ordering::SeqCst) <= MOST_THREADS);
    drop(workers);
    assert!(pool.lock().ended.is_none() && threads_of(pool) == 0, "the threads were joined");
}

#[test]
fn a_wake_up_that_comes_while_the_step_runs_is_kept() {
    let (pool, env) = (pool(), PosixEnv::shared());
    let (entered, has_entered) = mpsc::channel();
    let (release, released) = mpsc::channel();
    let released = Mutex::new(released);
    let worker = pool.add(&env, 1, move || {
        entered.send(()).unwrap();
        let _ = released.lock().unwrap().recv();
        Next::Wait
    });
    worker.wake();
    has_entered.recv_timeout(PATIENCE).unwrap();
    (0..3).for_each(|_| worker.wake());
    release.send(()).unwrap();
    has_entered.recv_timeout(PATIENCE).expect("the step runs once more");
    drop(release);
    worker.stop();
    assert!(has_entered.try_recv().is_err(), "and no more than once");
}

#[test]
fn a_worker_of_two_threads_runs_on_two() {
    let (pool, env) = (pool(), PosixEnv::shared());
    let both = Arc::new(std::sync::Barrier::new(2));
    let (sender, receiver) = mpsc::channel();
    let worker = pool.add(&env, 2, move || {
        both.wait();
        sender.send(()).unwrap();
        Next::Wait
    });
    worker.wake();
    until("the first thread", || pool.lock().tasks.values().any(|task| task.running == 1));
    worker.wake();
    (0..2).for_each(|_| receiver.recv_timeout(PATIENCE).unwrap());
}

#[test]
fn a_timer_wakes_its_worker_also_while_every_thread_is_busy() {
    let (pool, env) = (pool(), PosixEnv::shared());
    let (ticks, stalls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicBool::new(true)));
    let counted = ticks.clone();
    let ticking = pool.add(&env, 1, move || {
        counted.fetch_add(1, Ordering::SeqCst);
        Next::WaitAtMost(Duration::from_millis(1))
    });
    ticking.wake();
    until("a tick", || ticks.load(Ordering::SeqCst) > 0);
    let still = stalls.clone();
    let busy = pool.add(&env, 1, move || {
        while still.load(Ordering::SeqCst) {
            std::thread::yield_now();
        }
        Next::Wait
    });
    busy.wake();
    until("the other to be busy", || pool.lock().tasks[&busy.number].running == 1);
    let before = ticks.load(Ordering::SeqCst);
    until("ticks beside it", || ticks.load(Ordering::SeqCst) > before + 3);
    stalls.store(false, Ordering::SeqCst);
    drop((ticking, busy));
    assert!(pool.lock().timers.is_empty());
}

#[test]
fn a_timer_is_not_late_because_a_thread_waits_for_a_later_one() {
    let (pool, env) = (pool(), PosixEnv::shared());
    let patient = pool.add(&env, 1, || Next::WaitAtMost(10 * PATIENCE));
    patient.wake();
    until("the late timer", || !pool.lock().timers.is_empty());
    let steps = Arc::new(AtomicUsize::new(0));
    let counted = steps.clone();
    let prompt = pool.add(&env, 1, move || {
        until("another thread to wait for the late timer", || pool.lock().idle > 0);
        match counted.fetch_add(1, Ordering::SeqCst) {
            0 => Next::WaitAtMost(2 * LINGER),
            _ => Next::Wait,
        }
    });
    prompt.wake();
    until("the step after the early timer", || steps.load(Ordering::SeqCst) == 2);
    drop((patient, prompt));
}

#[test]
fn work_that_no_thread_could_be_started_for_is_kept_and_can_be_done_by_who_waits() {
    let faults = FaultEnv::new(PosixEnv::shared());
    let (pool, env, (count, step)) = (pool(), faults.shared(), counter());
    let worker = pool.add(&env, 1, step);
    let refused = faults.add(FaultRule::new([FaultKind::Spawn]));
    worker.wake();
    assert!(worker.is_starved());
    assert!(worker.run_if_starved(), "by this thread");
    assert_eq!(count.load(Ordering::SeqCst), 1);
    assert!(!worker.is_starved() && !worker.run_if_starved(), "nothing is due");
    worker.wake();
    assert_eq!(count.load(Ordering::SeqCst), 1);
    drop(refused);
    assert!(!worker.run_if_starved(), "a thread does it");
    until("the thread", || count.load(Ordering::SeqCst) == 2);
}

#[test]
fn stopping_waits_for_the_step_and_a_panic_in_one_ends_neither_thread_nor_worker() {
    let (pool, env) = (pool(), PosixEnv::shared());
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = calls.clone();
    let worker = pool.add(&env, 1, move || match counted.fetch_add(1, Ordering::SeqCst) {
        0 => std::panic::resume_unwind(Box::new("a defect")),
        _ => Next::Wait,
    });
    worker.wake();
    until("the panic", || calls.load(Ordering::SeqCst) == 1);
    worker.wake();
    until("the next step", || calls.load(Ordering::SeqCst) == 2);

    let (entered, has_entered) = mpsc::channel();
    let ended = Arc::new(AtomicBool::new(false));
    let ends = ended.clone();
    let slow = pool.add(&env, 1, move || {
        entered.send(()).unwrap();
        (0..1000).for_each(|_| std::thread::yield_now());
        ends.store(true, Ordering::SeqCst);
        Next::Again
    });
    slow.wake();
    has_entered.recv_timeout(PATIENCE).unwrap();
    slow.stop();
    assert!(ended.load(Ordering::SeqCst));
    let steps = has_entered.try_iter().count();
    drop((slow, worker));
    assert_eq!((has_entered.try_iter().count(), threads_of(pool)), (0, 0), "{steps} steps before");
}
