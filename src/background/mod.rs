//! Threads and channels, without a word of LSM.
//!
//! A worker asks its owner for the next step until there is none, and then has no thread until it is woken. Wake-ups are
//! level-triggered and carry nothing: one that comes while a step runs has the step run again. Nobody blocks on a channel while
//! holding a mutex of the owner.

pub mod command;
pub mod pool;
