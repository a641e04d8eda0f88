//! Block compression: what is written, and what is read.

/// The compressor of new blocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub enum Compression {
    /// Blocks are written as they are.
    None,
    /// Snappy's raw format.
    #[default]
    Snappy,
}
