//! Several tasks of one caller, run at once.
//!
//! The caller waits for them, so they may borrow from it. Threads take the tasks one after another: as many threads as can be
//! started, the caller's own among them, so that all tasks are done where none can.

use crate::util::lock::Mutex;
use std::thread::{Builder, scope};

/// Runs all tasks, each on a thread of its own named `name` but for one, which runs here. Returns what they return, in their
/// order, when all have ended. A panic of one of them goes on here.
pub fn run_together<T: Send, F: FnOnce() -> T + Send>(name: &str, tasks: Vec<F>) -> Vec<T> {
    let others = tasks.len().saturating_sub(1);
    let mut results: Vec<Option<T>> = tasks.iter().map(|_| None).collect();
    {
        let queue = Mutex::new(tasks.into_iter().zip(&mut results));
        let work = || {
            loop {
                let next = queue.lock().next(); // the lock is let go before the task is run
                let Some((task, result)) = next else { return };
                *result = Some(task());
            }
        };
        scope(|scope| {
            for _ in 0..others {
                if Builder::new().name(name.to_owned()).spawn_scoped(scope, work).is_err() {
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
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::Barrier;

    #[test]
    fn tasks_run_at_once_and_answer_in_their_order() {
        let all_run = Barrier::new(3); // passed only when three threads are at it
        let all_run = &all_run;
        let tasks = (0..3).map(|number| {
            move || {
                all_run.wait();
                number
            }
        });
        assert_eq!(run_together("test", tasks.collect()), [0, 1, 2]);
        assert_eq!(run_together("test", Vec::<fn() -> i32>::new()), [0; 0]);
    }

    #[test]
    fn one_task_runs_on_the_callers_thread() {
        let here = std::thread::current().id();
        assert_eq!(run_together("test", vec![|| std::thread::current().id()]), [here]);
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
        assert!(catch_unwind(AssertUnwindSafe(|| run_together("test", tasks.collect()))).is_err());
        assert_eq!(*ended.lock(), 3);
    }
}
