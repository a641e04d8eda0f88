//! Threads shared by all databases of a process. A thread is started when there is work and no idle thread,
//! and ends after a short time without work: a thousand idle databases have no thread at all.
//!
//! A database registers *workers*. Each worker has a step, whose result says what comes next ([`Next`]). A
//! worker that is woken waits in a queue until a thread takes it. Wake-ups are level-triggered and carry no
//! data: a wake-up during the step is kept, and the step runs once more. A worker that waits for a time has a
//! timer. While there are timers, one thread stays and waits for them.
//!
//! If a thread cannot be started, that is no error of the database: the worker stays in the queue, the next
//! wake-up tries again, and a caller that waits for the work runs the step on its own thread
//! ([`Worker::run_if_starved`]).
//!
//! [`Worker::stop`] returns when no step of the worker runs, and none will run. The end of the last worker of
//! a pool also ends and joins the pool's threads, so that a host program may unload the library.
//!
//! Thread rule: any thread. One mutex guards a pool. While it is held, no step runs, and nothing except the
//! start of a thread is waited for. The mutex is the standard library's, whose waiting threads are in no
//! table of the process (see `util/lock`): idle threads wait for long, and a child of fork must not inherit
//! them in such a table.

use crate::env::Env;
use crate::env::posix::fork::PerProcess;
use crate::error::Result;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, Instant};

#[cfg(loom)]
use loom::{
    sync::{Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
};
#[cfg(not(loom))]
use std::{
    sync::{Condvar, Mutex, MutexGuard},
    thread::JoinHandle,
};

/// How long an idle thread waits for more work before it ends.
const LINGER: Duration = Duration::from_millis(300);

/// The most threads of a pool, unless a worker may run on more.
const MOST_THREADS: usize = 8;

/// The pools of a process, by kind of work, so that no kind waits for a thread that is busy with another
/// kind.
pub struct Pools {
    /// Threads for flushes.
    pub flush: Pool,
    /// Threads for compactions.
    pub compaction: Pool,
    /// Threads for the removal of files.
    pub removal: Pool,
}

impl Default for Pools {
    fn default() -> Self {
        Pools {
            flush: Pool::new("terrace-flush"),
            compaction: Pool::new("terrace-compact"),
            removal: Pool::new("terrace-remove"),
        }
    }
}

impl Pools {
    /// The pools of this process. A child of fork, which has none of its parent's threads, has its own pools.
    pub fn of_process() -> &'static Pools {
        static POOLS: PerProcess<Pools> = PerProcess::new();
        POOLS.get()
    }
}

/// The work of a worker. It is called when the worker is woken, and again as [`Next`] says.
type Step = Arc<dyn Fn() -> Next + Send + Sync>;

/// The outcome of a step: what the worker does next.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Runs the step again.
    Again,
    /// Sleeps until it is woken.
    Wait,
    /// Sleeps until it is woken or until this time has passed.
    WaitAtMost(Duration),
}

/// The threads and workers for one kind of work.
pub struct Pool {
    /// The name of the threads.
    name: &'static str,
    shared: Mutex<Shared>,
    /// Notified when there is work, when a timer changes, and at the end of the pool's threads.
    work: Condvar,
    /// Notified when a step has ended.
    step_ended: Condvar,
}

#[derive(Default)]
struct Shared {
    tasks: BTreeMap<u64, Task>,
    /// The number of the last worker or thread.
    next_number: u64,
    /// Workers that wait for a thread, in the order of their wake-ups.
    queue: VecDeque<u64>,
    /// When to wake which workers.
    timers: BTreeSet<(Instant, u64)>,
    /// The threads of this epoch.
    threads: BTreeMap<u64, JoinHandle<()>>,
    /// The number of threads that wait for work.
    idle: usize,
    /// The last thread that ended for lack of work. The next one to end joins it.
    ended: Option<JoinHandle<()>>,
    /// Incremented at the end of the last worker: threads of earlier epochs end.
    epoch: u64,
    /// True if the system refused the last thread that was asked for.
    is_refused: bool,
}

/// A worker, as the pool sees it.
struct Task {
    step: Step,
    env: Arc<dyn Env>,
    /// The number of threads that may run the step at the same time.
    limit: usize,
    /// The number of threads that run it now.
    running: usize,
    /// True if the worker was woken and no step has begun since.
    is_pending: bool,
    is_queued: bool,
    due: Option<Instant>,
}

/// A part of a database's background work. Dropping it stops it.
pub struct Worker {
    pool: &'static Pool,
    number: u64,
}

impl Pool {
    /// A pool without workers and threads. `name` is the name of its threads.
    pub fn new(name: &'static str) -> Self {
        Pool { name, shared: Mutex::default(), work: Condvar::new(), step_ended: Condvar::new() }
    }

    /// Adds a worker whose step runs on up to `limit` threads at the same time. The worker sleeps until it is
    /// woken.
    pub fn add(
        &'static self,
        env: &Arc<dyn Env>,
        limit: usize,
        step: impl Fn() -> Next + Send + Sync + 'static,
    ) -> Worker {
        let mut shared = self.lock();
        let number = shared.new_number();
        shared.tasks.insert(
            number,
            Task {
                step: Arc::new(step),
                env: env.clone(),
                limit: limit.max(1),
                running: 0,
                is_pending: false,
                is_queued: false,
                due: None,
            },
        );
        Worker { pool: self, number }
    }

    fn lock(&'static self) -> MutexGuard<'static, Shared> {
        // No code panics while the mutex is held.
        self.shared.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts the worker into the queue if its step is to run, and ensures that there is a thread for it.
    fn offer(&'static self, shared: &mut Shared, number: u64) {
        let Some(task) = shared.tasks.get_mut(&number) else { return };
        if !task.is_pending || task.running >= task.limit {
            return; // offered again when one of its steps ends
        }
        if !task.is_queued {
            task.is_queued = true;
            shared.queue.push_back(number);
        }
        let env = task.env.clone();
        if shared.queue.len() <= shared.idle {
            self.work.notify_one();
        } else {
            self.start_thread(shared, &*env);
        }
    }

    /// Starts one more thread, if the limit allows it.
    fn start_thread(&'static self, shared: &mut Shared, env: &dyn Env) {
        let widest = shared.tasks.values().map(|task| task.limit).max().unwrap_or(1);
        if shared.threads.len() >= widest.max(MOST_THREADS) {
            return; // one of them takes the work after its own
        }
        let (number, epoch) = (shared.new_number(), shared.epoch);
        // The thread begins by waiting for the mutex, and so finds itself in the list.
        let started = spawn(env, self.name, Box::new(move || self.run(number, epoch)));
        shared.is_refused = started.is_err();
        if let Ok(thread) = started {
            shared.threads.insert(number, thread);
        }
    }

    /// The body of a thread.
    fn run(&'static self, number: u64, epoch: u64) {
        let mut shared = self.lock();
        let mut idle_since = None;
        while shared.epoch == epoch {
            let now = Instant::now();
            self.wake_due(&mut shared, now);
            if let Some(next) = shared.queue.pop_front() {
                shared = self.run_step(shared, next);
                idle_since = None;
                continue;
            }
            let ends = *idle_since.get_or_insert(now) + if cfg!(loom) { Duration::ZERO } else { LINGER };
            let timer = shared.timers.first().map(|(due, _)| *due);
            let keeps_time = timer.is_some() && shared.idle == 0;
            if ends <= now && !keeps_time {
                // The next thread to end joins this one, so that there is at most one unjoined thread.
                let own = shared.threads.remove(&number);
                let before = std::mem::replace(&mut shared.ended, own);
                drop(shared);
                join(before);
                return;
            }
            let until = if keeps_time { timer.unwrap_or(ends) } else { ends.min(timer.unwrap_or(ends)) };
            shared.idle += 1;
            let time = until.saturating_duration_since(now);
            shared = self.work.wait_timeout(shared, time).unwrap_or_else(PoisonError::into_inner).0;
            if shared.epoch == epoch {
                shared.idle -= 1;
            }
        }
    }

    /// Wakes the workers whose timers have expired.
    fn wake_due(&'static self, shared: &mut Shared, now: Instant) {
        while let Some(&(due, number)) = shared.timers.first()
            && due <= now
        {
            shared.timers.pop_first();
            if let Some(task) = shared.tasks.get_mut(&number) {
                task.due = None;
                task.is_pending = true;
            }
            self.offer(shared, number);
        }
    }

    /// Runs a step of a worker that was taken from the queue. Releases the mutex meanwhile.
    fn run_step(
        &'static self,
        mut shared: MutexGuard<'static, Shared>,
        number: u64,
    ) -> MutexGuard<'static, Shared> {
        let Some(task) = shared.tasks.get_mut(&number) else { return shared };
        (task.is_queued, task.is_pending) = (false, false);
        task.running += 1;
        let (step, env, due) = (task.step.clone(), task.env.clone(), task.due.take());
        self.remove_timer(&mut shared, due, number); // the outcome of the step sets the timer again
        self.keep_time(&mut shared, &*env);
        drop(shared);
        // Steps catch their own panics and report them to waiting callers.
        let next = catch_unwind(AssertUnwindSafe(|| step())).unwrap_or(Next::Wait);
        drop((step, env));
        let mut shared = self.lock();
        let first_timer = shared.timers.first().copied();
        shared.note_outcome(number, next);
        if shared.timers.first().copied() != first_timer && shared.idle > 0 {
            self.work.notify_all(); // a thread that waits for the timers must look at the new one
        }
        self.offer(&mut shared, number);
        self.step_ended.notify_all();
        shared
    }

    /// Removes a timer, if there is one. Threads that wait for it look for other timers.
    fn remove_timer(&self, shared: &mut Shared, due: Option<Instant>, number: u64) {
        if due.is_some_and(|due| shared.timers.remove(&(due, number))) && shared.idle > 0 {
            self.work.notify_all();
        }
    }

    /// Ensures that a thread waits for the timers while the calling thread is busy.
    fn keep_time(&'static self, shared: &mut Shared, env: &dyn Env) {
        if shared.timers.is_empty() {
        } else if shared.idle > 0 {
            self.work.notify_one();
        } else {
            self.start_thread(shared, env);
        }
    }
}

impl Shared {
    fn new_number(&mut self) -> u64 {
        self.next_number += 1;
        self.next_number
    }

    /// Records the outcome of a step of the worker.
    fn note_outcome(&mut self, number: u64, next: Next) {
        let Some(task) = self.tasks.get_mut(&number) else { return };
        task.running -= 1;
        match next {
            Next::Again => task.is_pending = true,
            Next::Wait => {}
            Next::WaitAtMost(time) => {
                let due = Instant::now() + time;
                if task.due.is_none_or(|other| due < other) {
                    if let Some(later) = task.due.replace(due) {
                        self.timers.remove(&(later, number));
                    }
                    self.timers.insert((due, number));
                }
            }
        }
    }
}

impl Worker {
    /// Makes the step run; if it is running, makes it run once more. Never blocks.
    pub fn wake(&self) {
        let mut shared = self.pool.lock();
        if let Some(task) = shared.tasks.get_mut(&self.number) {
            task.is_pending = true;
        }
        self.pool.offer(&mut shared, self.number);
    }

    /// True if the step is to run and the system has no thread for it. May be true too often.
    pub fn is_starved(&self) -> bool {
        let shared = self.pool.lock();
        let is_due = |task: &Task| task.is_queued || task.due.is_some_and(|due| due <= Instant::now());
        shared.is_refused && shared.tasks.get(&self.number).is_some_and(is_due)
    }

    /// Runs the step on the calling thread if it is to run and the system has no thread for it. Returns
    /// whether it did.
    pub fn run_if_starved(&self) -> bool {
        let mut shared = self.pool.lock();
        if !shared.is_refused {
            return false;
        }
        self.pool.wake_due(&mut shared, Instant::now());
        self.pool.offer(&mut shared, self.number); // there may be a thread by now
        let is_queued = shared.tasks.get(&self.number).is_some_and(|task| task.is_queued);
        if !is_queued || !shared.is_refused {
            return false;
        }
        shared.queue.retain(|&number| number != self.number);
        drop(self.pool.run_step(shared, self.number));
        true
    }

    /// Ends the worker. Returns when no thread runs its step. Must not be called from a step of this worker.
    pub fn stop(&self) {
        let mut shared = self.pool.lock();
        let Some(task) = shared.tasks.get_mut(&self.number) else { return };
        (task.is_pending, task.is_queued, task.limit) = (false, false, 0);
        let due = task.due.take();
        self.pool.remove_timer(&mut shared, due, self.number);
        shared.queue.retain(|&number| number != self.number);
        while shared.tasks.get(&self.number).is_some_and(|task| task.running > 0) {
            shared = self.pool.step_ended.wait(shared).unwrap_or_else(PoisonError::into_inner);
        }
        let task = shared.tasks.remove(&self.number);
        let due = task.as_ref().and_then(|task| task.due);
        self.pool.remove_timer(&mut shared, due, self.number);
        let mut over = Vec::new();
        if shared.tasks.is_empty() {
            shared.epoch += 1;
            shared.idle = 0;
            over.extend(std::mem::take(&mut shared.threads).into_values());
            over.extend(shared.ended.take());
            self.pool.work.notify_all();
        }
        drop(shared);
        drop(task);
        over.into_iter().for_each(|thread| join(Some(thread)));
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.stop();
    }
}

impl std::fmt::Debug for Worker {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Worker({} of {})", self.number, self.pool.name)
    }
}

#[cfg(not(loom))]
fn spawn(env: &dyn Env, name: &str, body: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>> {
    env.spawn(name, body)
}

/// The model checker's threads are not started by the environment.
#[cfg(loom)]
fn spawn(_: &dyn Env, _: &str, body: Box<dyn FnOnce() + Send>) -> Result<JoinHandle<()>> {
    Ok(loom::thread::spawn(body))
}

/// Waits for the end of a thread, which is near.
fn join(thread: Option<JoinHandle<()>>) {
    if let Some(thread) = thread {
        let _ = thread.join();
    }
}

#[cfg(all(test, loom))]
mod models;

#[cfg(all(test, not(loom)))]
mod tests;
