//! An answer that somebody waits for: one reply to one ticket. A reply that is dropped unanswered means "closed".

use crate::error::{Error, Result};
use crossbeam_channel::{Receiver, Sender, bounded};

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
    /// Waits for the answer.
    pub fn wait(self) -> Result<()> {
        self.0.recv().unwrap_or_else(|_| Err(Error::io("the database was closed while the operation was waiting")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_reply_means_closed() {
        let (reply, ticket) = reply_and_ticket();
        reply.send(Ok(()));
        assert!(ticket.wait().is_ok());
        let (reply, ticket) = reply_and_ticket();
        drop(reply);
        assert!(ticket.wait().unwrap_err().to_string().contains("closed"));
    }
}
