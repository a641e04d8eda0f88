//! Runs several tasks of one caller in parallel.
//!
//! The caller waits for all tasks, so the tasks may borrow from the caller. The threads, among them the
//! caller's own, take the tasks from one queue. If the system starts fewer threads than there are tasks, or
//! none, the existing ones run all tasks.
//!
//! Thread rule: any thread.

use super::Env;
use crate::util::lock::Mutex;
use std::thread::scope;

/// Runs all tasks in parallel: one on the calling thread, each other one on a thread named `name` if `env`
/// starts one. Returns the results in the order of the tasks when all have ended. A panic of a task is
/// propagated to the caller after all have ended.
pub fn run_in_parallel<T: Send, F: FnOnce() -> T + Send>(env: &dyn Env, name: &str, tasks: Vec<F>) -> Vec<T> {
    let others = tasks.len().saturating_sub(1);
    let mut results: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
    {
        let queue = Mutex::new(tasks.into_iter().zip(&mut results));
        let work = || {
            loop {
                let next = queue.lock().next(); // the lock is released before the task runs
                let Some((task, result)) = next else { return };
                *result = Some(task());
            }
        };
        scope(|scope| {
            for _ in 0..others {
                if env.spawn_scoped(name, scope, Box::new(work)).is_err() {
                    break;
                }
            }
            work();
        });
    }
    results.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::env::posix::PosixEnv;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;

    #[test]
    fn tasks_run_at_once_and_answer_in_their_order() {
        let all_run = Barrier::new(3); // three threads must run at the same time
        let all_run = &all_run;
        let tasks = (0..3).map(|number| {
            move || {
                all_run.wait();
                number
            }
        });
        assert_eq!(run_in_parallel(&PosixEnv::default(), "test", tasks.collect()), [0, 1, 2]);
        assert_eq!(run_in_parallel(&PosixEnv::default(), "test", Vec::<fn() -> i32>::new()), [0; 0]);
    }

    #[test]
    fn one_task_runs_on_the_callers_thread() {
        let here = std::thread::current().id();
        assert_eq!(
            run_in_parallel(&PosixEnv::default(), "test", vec![|| std::thread::current().id()]),
            [here]
        );
    }

    #[test]
    fn a_panic_of_a_task_goes_on_in_the_caller_when_all_have_ended() {
        let ended = Mutex::new(0);
        let ended = &ended;
        let tasks = (0..4).map(|number| {
            move || {
                assert_ne!(number, 2, "the panic of this test");
                *ended.lock() += 1;
            }
        });
        assert!(
            catch_unwind(AssertUnwindSafe(|| run_in_parallel(&PosixEnv::default(), "test", tasks.collect())))
                .is_err()
        );
        assert_eq!(*ended.lock(), 3);
    }
}
