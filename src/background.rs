//! Threads and replies for background work, independent of the LSM tree.
//!
//! A worker runs the step of its owner until there is nothing to do, and then has no thread until it is
//! woken. Wake-ups are level-triggered and carry no data: a wake-up during a step makes the step run again.
//! No thread waits for a reply while it holds a mutex of the owner.

pub mod pool;
pub mod reply;
