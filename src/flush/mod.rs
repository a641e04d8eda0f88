//! The shortest way from memory to level 0.
pub mod job;
pub mod scheduler;
