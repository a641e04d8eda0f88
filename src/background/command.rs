//! An answer that somebody waits for: one reply to one ticket. A reply that is dropped unanswered means "closed".

use crate::error::{Error, Result};
use crossbeam_channel::{Receiver, RecvTimeoutError, Sender, bounded};
use std::time::Duration;

/// Who waits asks for help so often.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// The side that does the work.
#[derive(Debug)]
pub struct Reply(Sender<Result<()>>);

/// The side that waits.
#[derive(Debug)]
pub struct Ticket(Receiver<Result<()>>);

/// A reply and the ticket that waits for it.
pub fn reply_and_ticket() -> (Reply, Ticket) {
    let (sender, receiver) = bounded(1);
    (Reply(sender), Ticket(receiver))
}

impl Reply {
    /// Answers. Never blocks; a ticket nobody holds any more is fine.
    pub fn send(self, result: Result<()>) {
        let _ = self.0.try_send(result);
    }
}

impl Ticket {
    /// Waits for the answer. Meanwhile `help` is asked, now and then, to do what the answer waits for if nobody else can, and tells
    /// whether it did.
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
