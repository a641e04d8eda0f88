//! Threads and channels, without a word of LSM.
//!
//! A worker asks its owner for the next step until there is none, then blocks on its wake-up channel. Wake-ups are
//! level-triggered and carry nothing: one that finds the channel full is dropped, because the worker asks again before it
//! blocks. Nobody blocks on a channel while holding a mutex of the owner.

pub mod command;
pub mod worker;
