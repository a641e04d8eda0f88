//! The shortest way from memory to level 0.
pub mod job;
pub mod output;
pub mod scheduler;

#[cfg(test)]
pub(crate) mod test_support;
