//! The answer to a request that somebody waits for: one [`Reply`], one [`Ticket`]. Dropping the reply without
//! an answer means that the database was closed.
//!
//! Thread rule: the reply and the ticket may be in different threads.

use crate::error::{Error, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::time::Duration;

/// The interval at which a waiting ticket offers its help.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The side that does the work and answers.
#[derive(Debug)]
pub struct Reply(Sender<Result<()>>);

/// The side that waits for the answer.
#[derive(Debug)]
pub struct Ticket(Receiver<Result<()>>);

/// A reply, and the ticket that waits for it.
pub fn reply_and_ticket() -> (Reply, Ticket) {
    let (sender, receiver) = bounded(1);
    (Reply(sender), Ticket(receiver))
}

impl Reply {
    /// Sends the answer. Never blocks. The ticket may have been dropped.
    pub fn send(self, result: Result<()>) {
        let _ = self.0.try_send(result);
    }
}

impl Ticket {
    /// Waits for the answer. Meanwhile calls `help` now and then, which does the awaited work if no other
    /// thread can do it, and returns whether it did.
    pub fn wait(self, help: impl Fn() -> bool) -> Result<()> {
        loop {
            let patience = if help() { Duration::ZERO } else { LOOK_AGAIN };
            match self.0.recv_timeout(patience) {
                Ok(answer) => return answer,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    return Err(Error::io("the database was closed while the operation was waiting"));
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_reply_means_closed() {
        let (reply, ticket) = reply_and_ticket();
        reply.send(Ok(()));
        assert!(ticket.wait(|| false).is_ok());
        let (reply, ticket) = reply_and_ticket();
        drop(reply);
        assert!(ticket.wait(|| false).unwrap_err().to_string().contains("closed"));
    }
}
