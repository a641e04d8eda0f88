//! A thread that runs steps until there are none, then sleeps until it is woken.

use crate::env::Env;
use crate::error::Result;
use crossbeam_channel::{Receiver, Sender, bounded};
use std::thread::JoinHandle;
use std::time::Duration;

/// What a worker does after a step.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Next {
    /// Asks for another step at once.
    Again,
    /// Blocks until woken.
    Wait,
    /// Blocks until woken or until this time has passed.
    WaitAtMost(Duration),
    /// Ends.
    Stop,
}

/// Wakes workers; any number of clones.
#[derive(Clone, Debug)]
pub struct Waker(Sender<()>);

/// What a worker blocks on. Workers of one kind share it: a wake-up reaches one of them, which passes it on if need be.
#[derive(Clone, Debug)]
pub struct Wakeup(Receiver<()>);

/// A waker and what it wakes.
pub fn wake_channel() -> (Waker, Wakeup) {
    let (sender, receiver) = bounded(1);
    (Waker(sender), Wakeup(receiver))
}

impl Waker {
    /// Wakes a worker. Never blocks.
    #[inline]
    pub fn wake(&self) {
        let _ = self.0.try_send(());
    }
}

/// Starts a thread that runs `step` as its answers say.
pub fn start(
    env: &dyn Env,
    name: &str,
    wakeup: Wakeup,
    mut step: impl FnMut() -> Next + Send + 'static,
) -> Result<JoinHandle<()>> {
    env.spawn(
        name,
        Box::new(move || {
            loop {
                match step() {
                    Next::Again => {}
                    Next::Wait => {
                        if wakeup.0.recv().is_err() {
                            return;
                        }
                    }
                    Next::WaitAtMost(time) => {
                        let _ = wakeup.0.recv_timeout(time);
                    }
                    Next::Stop => return,
                }
            }
        }),
    )
}
