//! The shortest way from memory to level 0.
pub mod found_compression;
pub mod job;
pub mod output;

#[cfg(test)]
pub(crate) mod test_support;
