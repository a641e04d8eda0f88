//! Keeping the tree in shape: choosing is pure, running is I/O.
//!
//! `picker` says which level is due and which files go together (`inputs` holds the rules that make a set of files safe to merge),
//! `compaction` is what was chosen, `running` what must not be crossed meanwhile, `job` does the work, in
//! several `parts` at once where there is much of it, and returns an edit.
#[allow(clippy::module_inception)]
pub mod compaction;
mod cursor;
mod inputs;
pub mod job;
mod parts;
pub mod picker;
pub mod running;

#[cfg(test)]
mod test_support;
