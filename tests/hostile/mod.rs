//! Hostile input: files with false contents, systems that refuse calls, callbacks that misbehave. The same is
//! expected everywhere: a clear error that names the file, no file changed by an open that fails, all
//! readable data still readable, no panic, no hang, bounded memory.

mod allocations;
mod beside;
mod callbacks;
mod child;
mod corpus;
mod environment;
mod families;
mod forge;
mod holes;
mod logs;
mod manifests;
mod mutations;
mod odd_files;
mod support;
mod tables;
