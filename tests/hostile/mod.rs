//! Hostile input: files that lie, systems that refuse, callbacks that misbehave. Everywhere the same is expected: a clear error that
//! names the file, no file changed by an opening that fails, what was readable still readable, no panic, no hang, bounded memory.

mod allocations;
mod beside;
mod callbacks;
mod child;
mod corpus;
mod environment;
mod forge;
mod holes;
mod logs;
mod manifests;
mod mutations;
mod odd_files;
mod support;
mod tables;
