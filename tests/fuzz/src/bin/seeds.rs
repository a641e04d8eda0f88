//! Writes the initial corpus of each target: parts of small real databases.
//!
//! `cargo run --no-default-features --bin seeds -- corpus`

use std::fs;
use std::path::Path;
use terrace::internals::format::file_name::FileType;
use terrace::internals::table::block::Block;
use terrace::internals::table::footer::{BlockHandle, Footer};
use terrace_fuzz::{archive, bases, mend};

/// The longest input, in bytes: longer ones slow a fuzzer down.
const MAX_LENGTH: usize = 20_000;

fn main() {
    let corpus = std::env::args().nth(1).expect("the directory of the corpus");
    let mut count = 0;
    let mut write = |target: &str, bytes: &[u8]| {
        let directory = Path::new(&corpus).join(target);
        fs::create_dir_all(&directory).expect("a directory");
        if bytes.len() <= MAX_LENGTH {
            count += 1;
            fs::write(directory.join(format!("seed-{count:03}")), bytes).expect("a file of the corpus");
        }
    };
    for base in bases::all().into_iter().chain(bases::with_families()) {
        let mut whole = vec![1];
        whole.extend(archive::encode(&base.files));
        write("directory", &whole);
        for (name, content) in &base.files {
            let chosen = [&[1], &content[..]].concat();
            match mend::file_type(name) {
                Some(FileType::Table(_)) => {
                    write("table", &chosen);
                    for (target, block) in blocks(content) {
                        write(target, &block);
                    }
                }
                Some(FileType::Log(_)) => {
                    write("log", &chosen);
                    mend::parse_records(content)
                        .iter()
                        .step_by(5)
                        .for_each(|batch| write("write_batch", batch));
                }
                Some(FileType::Manifest(_)) => write("manifest", &chosen),
                Some(FileType::Current) => write("current", content),
                _ => {}
            }
        }
    }
}

/// Some blocks of a table, each with its target.
fn blocks(table: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
    let footer = Footer::decode(table).expect("a footer");
    let mut blocks = Vec::new();
    let stored = |handle: BlockHandle| {
        let end = (handle.offset + handle.size) as usize;
        (table[end] == 1).then(|| [&[9], &table[handle.offset as usize..end]].concat())
    };
    for (handle, target) in [(footer.index, "block"), (footer.metaindex, "filter")] {
        let contents = mend::block_contents(table, handle).expect("a block");
        let mut entries = Block::parse(&contents).expect("a block").entries();
        let mut led_to = 0;
        while let Ok(Some((_, mut value))) = entries.next() {
            let handle = BlockHandle::decode(&mut value).expect("a handle");
            if led_to < 2 {
                blocks.extend(stored(handle).map(|stored| ("snappy", stored)));
                blocks.push((target, mend::block_contents(table, handle).expect("a block")));
            }
            led_to += 1;
        }
        blocks.push(("block", contents));
    }
    blocks
}
